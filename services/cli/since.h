// --since of several commands.
#pragma once

#include <optional>

#include "services/cli/args.h"
#include "shared/base/time.h"

namespace cube::cli {

[[nodiscard]] FlagSpec SinceFlag();
// "10m" = that long ago; or a time in RFC 3339. nullopt: not given.
[[nodiscard]] Result<std::optional<WallTime>> SinceOf(const Args& args, WallTime now);

}  // namespace cube::cli
