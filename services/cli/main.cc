#include "services/cli/commands.h"
#include "services/cli/interrupt.h"
#include "services/cli/settings.h"
#include "services/cli/terminal.h"

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  cube::cli::WatchInterrupts();
  const cube::cli::Terminal terminal = cube::cli::Terminal::Real();
  return cube::cli::Main(words, terminal, cube::cli::Environment::Real());
}
