// JSON that somebody else wrote: servers, engines, other processes, files. Pure.
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string_view>

namespace cube {

// How deep lists and objects may nest. The deepest that we read, an engine's description of a
// container, has 7; copying, comparing and printing a value take stack for each level.
inline constexpr std::size_t kJsonDepthMax = 64;

// Whether lists and objects nest deeper than `depth_max` in a text that is meant to be JSON.
[[nodiscard]] bool JsonNestsDeeper(std::string_view text, std::size_t depth_max);

// Never throws: what is not JSON, or nests deeper than kJsonDepthMax, is a discarded value
// (is_discarded(), and none of is_object(), is_array(), ...). All texts in a value are UTF-8.
[[nodiscard]] nlohmann::json ParseJsonText(std::string_view text);

}  // namespace cube
