// A look at the machine's processes, for tests of what really runs.
#pragma once

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace cube::engine {

// Whether some process of this machine, zombies aside, has `text` in its command line.
inline bool SomeCommandHas(const std::string& text) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    std::ifstream file(entry.path() / "cmdline", std::ios::binary);
    std::stringstream words;
    words << file.rdbuf();
    if (words.str().find(text) != std::string::npos) return true;
  }
  return false;
}

}  // namespace cube::engine
