// The configuration file of a service: TOML, as flat as flags are. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/error.h"

namespace cube::service {

// A file of flags has some hundred bytes; a larger one is another file, named by mistake.
constexpr std::size_t kConfigBytesMax = std::size_t{1} << 20;

// `name = value`: a text, a number, true or false, or a list of them.
struct ConfigEntry {
  std::string name;
  std::vector<std::string> values;  // as a flag has it on the command line; one, but for a list
  int line = 0;                     // where it begins, from 1

  friend bool operator==(const ConfigEntry&, const ConfigEntry&) = default;
};

// In the order of the file. kInvalid, the field being "line N": what is wrong there, and with which
// name. Sections, lists in lists and dates are no values of flags.
[[nodiscard]] Result<std::vector<ConfigEntry>> ParseConfig(std::string_view text);

}  // namespace cube::service
