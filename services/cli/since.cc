#include "services/cli/since.h"

#include <fmt/format.h>

namespace cube::cli {

FlagSpec SinceFlag() {
  return {
      .name = "since", .value = "TIME", .help = "from then on: 10m, 2h, or 2026-01-31T12:00:00Z"};
}

Result<std::optional<WallTime>> SinceOf(const Args& args, WallTime now) {
  const auto text = args.Get("since");
  if (!text) return std::nullopt;
  if (const auto span = ParseDuration(*text)) return now - *span;
  const auto time = ParseRfc3339(*text);
  if (!time) {
    return Fail(Code::kInvalid, fmt::format("--since cannot be '{}': write 10m, 2h, or a time as "
                                            "2026-01-31T12:00:00Z",
                                            *text));
  }
  return *time;
}

}  // namespace cube::cli
