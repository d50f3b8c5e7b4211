// The rules that accept a task's specification, with the limits behind them. Pure; the same for
// the CLI (early answer) and for every manager (kValidationVersion names the rules).
#pragma once

#include <cstdint>

#include "shared/base/error.h"
#include "shared/domain/task_spec.h"

namespace cube {

inline constexpr std::int64_t kCpuMillisMax = 1'000'000;          // 1,000 cpus: beyond any machine
inline constexpr std::int64_t kBytesMax = std::int64_t{1} << 50;  // 1 PiB: beyond any machine
inline constexpr std::int64_t kMemoryBytesMin = 6 << 20;          // Docker Engine refuses less
inline constexpr std::size_t kImageLengthMax = 512;               // repository 255, tag 128, digest
inline constexpr std::size_t kArgumentsMax = 1024;
inline constexpr std::size_t kEnvMax = 512;
inline constexpr std::size_t kLabelsMax = 128;
inline constexpr std::size_t kPortsMax = 128;
inline constexpr std::size_t kConstraintsMax = 32;
inline constexpr std::size_t kConstraintValuesMax = 64;
inline constexpr std::size_t kAffinitiesMax = 32;
inline constexpr std::int32_t kAffinityWeightMax = 100;   // either sign; 100 = one score of 1.0
inline constexpr std::uint32_t kDistinctMax = 10'000;     // beyond any machine's tasks of one name
inline constexpr std::size_t kTextLengthMax = 32u << 10;  // any single argument or value
inline constexpr std::int32_t kPriorityMax = 1'000'000;   // either sign
inline constexpr Duration kStopGraceMax = std::chrono::hours(24);
// Checks more often than this cost more than they tell.
inline constexpr Duration kHealthIntervalMin = std::chrono::milliseconds(100);
inline constexpr Duration kHealthIntervalMax = std::chrono::hours(24);
inline constexpr Duration kHealthTimeoutMin = std::chrono::milliseconds(1);
// A check under way holds a descriptor, and one of the worker's places for checks.
inline constexpr Duration kHealthTimeoutMax = std::chrono::minutes(5);
inline constexpr Duration kHealthStartPeriodMax = std::chrono::hours(24);
inline constexpr std::uint32_t kHealthCountMax = 1000;     // retries, successes
inline constexpr std::size_t kHealthPathLengthMax = 2048;  // as long as servers take
inline constexpr std::uint32_t kMovesMax = 60;             // one a minute
// An encoded item of an intent: a decision that names it, with its explanation, must fit a message.
inline constexpr std::size_t kIntentItemBytesMax = 64u << 10;

// kInvalid with the field's path in the human form ("ports[1].host_port"); kUnsupported for what
// this version knows but cannot do yet.
[[nodiscard]] Result<void> Validate(const TaskSpec& spec);

}  // namespace cube
