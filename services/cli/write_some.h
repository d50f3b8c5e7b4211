// Writing to a descriptor that may take nothing for a long time, without being stuck in it.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "shared/base/time.h"

namespace cube::cli {

// Writes as much of the bytes as `fd` takes, and waits at most `wait` for it to take any: how many
// it took, 0 when the time is over or a signal came. nullopt: it is closed, or broken. SIGPIPE has
// to be ignored.
[[nodiscard]] std::optional<std::size_t> WriteSome(int fd, std::string_view bytes, Duration wait);

}  // namespace cube::cli
