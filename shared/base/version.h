// The version of this build, for people and for `cube version`.
#pragma once

#include <string_view>

namespace cube {

inline constexpr std::string_view kVersion = "0.1.0";

}  // namespace cube
