// Points in time. Core code never asks what time it is: a Now comes in as an argument.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "shared/base/error.h"

namespace cube {

using Duration = std::chrono::nanoseconds;

struct WallEpoch {};
struct MonoEpoch {};

// Nanoseconds since 1970-01-01 UTC. May jump; for people and for the log's stamps. 0 = unset.
using WallTime = std::chrono::time_point<WallEpoch, Duration>;
// Nanoseconds of this boot's monotonic clock. Never jumps; for deadlines and ages.
using MonoTime = std::chrono::time_point<MonoEpoch, Duration>;

// Both clocks, read together.
struct Now {
  MonoTime mono;
  WallTime wall;
};

constexpr WallTime WallFromNanos(std::int64_t nanos) { return WallTime(Duration(nanos)); }
constexpr std::int64_t ToNanos(WallTime t) { return t.time_since_epoch().count(); }
constexpr MonoTime MonoFromNanos(std::int64_t nanos) { return MonoTime(Duration(nanos)); }
constexpr std::int64_t ToNanos(MonoTime t) { return t.time_since_epoch().count(); }
constexpr bool IsSet(WallTime t) { return t != WallTime{}; }

// "2026-01-31T12:00:00.123Z" (UTC, milliseconds); empty for an unset time.
[[nodiscard]] std::string FormatRfc3339(WallTime t);
// Accepts what FormatRfc3339 writes, with 0 to 9 digits of fraction, and numeric offsets.
[[nodiscard]] Result<WallTime> ParseRfc3339(std::string_view text);

// "1h30m", "10s", "250ms", "1.5s": a number and a unit (ns us ms s m h d), repeated. A bare "0"
// is zero. Negative values and overflow are kInvalid.
[[nodiscard]] Result<Duration> ParseDuration(std::string_view text);
// The shortest text that ParseDuration reads back exactly: "1h30m", "250ms", "0s".
[[nodiscard]] std::string FormatDuration(Duration d);

}  // namespace cube
