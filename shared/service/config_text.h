// The configuration file of a service: the part of TOML that flags need. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "shared/base/error.h"

namespace cube::service {

// `name = value`: a text in quotes, a bare word, or a list of them in brackets over any number of
// lines.
struct ConfigEntry {
  std::string name;
  std::vector<std::string> values;  // one, but for a list
  int line = 0;                     // where it begins, from 1

  friend bool operator==(const ConfigEntry&, const ConfigEntry&) = default;
};

// kInvalid, the field being "line N": what is wrong there.
[[nodiscard]] Result<std::vector<ConfigEntry>> ParseConfig(std::string_view text);

}  // namespace cube::service
