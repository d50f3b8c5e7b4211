#include "services/cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <iostream>

#include "services/cli/render/text.h"

namespace cube::cli {
namespace {

// Where the terminal does not say how wide it is.
constexpr std::size_t kWidthDefault = 80;

bool WantsColor() {
  const char* no_color = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  return (no_color == nullptr || *no_color == '\0') &&
         (term == nullptr || std::string_view(term) != "dumb");
}

}  // namespace

std::size_t ColumnsNow(int fd) {
  winsize size{};
  if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  const char* columns = std::getenv("COLUMNS");
  const int value = columns == nullptr ? 0 : std::atoi(columns);
  return value > 0 ? static_cast<std::size_t>(value) : kWidthDefault;
}

Terminal Terminal::Real() {
  const bool out_tty = isatty(STDOUT_FILENO) == 1;
  return Terminal{.out = std::cout,
                  .err = std::cerr,
                  .out_tty = out_tty,
                  .err_tty = isatty(STDERR_FILENO) == 1,
                  .width = out_tty ? ColumnsNow(STDOUT_FILENO) : 0,
                  .color = out_tty && WantsColor()};
}

void Terminal::Say(std::string_view text) const {
  out.flush();
  err << "cube: " << text << std::endl;
}

void Progress::Step(std::string_view text) {
  if (text == last_step_) return;
  Clear();
  last_step_ = text;
  terminal_.out.flush();
  terminal_.err << Printable(text) << std::endl;
}

void Progress::Waiting(std::string_view text) {
  if (!terminal_.err_tty) return;
  constexpr std::array<std::string_view, 10> kFrames{"⠋", "⠙", "⠹", "⠸", "⠼",
                                                     "⠴", "⠦", "⠧", "⠇", "⠏"};
  const std::size_t width = terminal_.width > 0 ? terminal_.width : kWidthDefault;
  const std::string line = std::string(kFrames[frame_++ % kFrames.size()]) + " " + Printable(text);
  terminal_.err << "\r\x1b[K" << CutToWidth(line, width - 1) << std::flush;
  drawn_ = true;
}

void Progress::Clear() {
  if (!drawn_) return;
  terminal_.err << "\r\x1b[K" << std::flush;
  drawn_ = false;
}

}  // namespace cube::cli
