// Single values as people read them. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "shared/base/time.h"

namespace cube::cli {

// "just now", "42s ago", "3m ago", "5h ago", "2d ago"; "-" for an unset time. A time in the future
// (clocks differ) is "just now".
[[nodiscard]] std::string FormatAge(WallTime time, WallTime now);
// The same without "ago": "42s", "3m".
[[nodiscard]] std::string FormatSpan(Duration span);
// "0.5", "2", "1.25": thousandths of a cpu without trailing zeros.
[[nodiscard]] std::string FormatCpus(std::int64_t millis);
// "1 cpu", "0.5 cpus".
[[nodiscard]] std::string CpusText(std::int64_t millis);
// Whole MiB, GiB with one decimal.
[[nodiscard]] std::string FormatMebibytes(std::int64_t bytes);
[[nodiscard]] std::string FormatGibibytes(std::int64_t bytes);
// "512 MiB", "1.5 GiB": for sentences and overviews.
[[nodiscard]] std::string FormatSize(std::int64_t bytes);
// The SGR code of a task's or node's status; 0 = none.
[[nodiscard]] int StatusColor(std::string_view status);

}  // namespace cube::cli
