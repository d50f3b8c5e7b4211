// Whether a launch that has ended is followed by another one in place, and when
// (docs/STATE_MACHINES.md). Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "services/worker/engine/engine.h"
#include "shared/base/time.h"
#include "shared/domain/task_spec.h"

namespace cube::worker {

// `on-failure:N` counts launches within this time.
inline constexpr Duration kRestartWindow = std::chrono::minutes(10);
inline constexpr Duration kBackoffMin = std::chrono::milliseconds(200);
inline constexpr Duration kBackoffMax = std::chrono::seconds(30);
inline constexpr std::uint64_t kBackoffJitterPercent = 20;
// A launch that ran this long was stable: the next back-off begins at the minimum.
inline constexpr Duration kStableAfter = std::chrono::seconds(60);
static_assert(kBackoffMin < kBackoffMax && kBackoffMax < kStableAfter);

struct RestartHistory {
  std::vector<WallTime> launches_at;  // with the one that has ended, oldest first
  std::uint32_t restarts_in_row = 0;
};

struct Ending {
  bool final = false;
  Duration delay{0};                  // not final: until the next launch
  std::uint32_t restarts_in_row = 0;  // not final: with the coming one
};

// `end` is an exited status. `random`: 64 random bits, for the jitter.
[[nodiscard]] Ending DecideEnding(const RestartPolicy& policy, const RestartHistory& history,
                                  const engine::LaunchStatus& end, bool stop_asked, WallTime now,
                                  std::uint64_t random);

// True if another try on the same node cannot end differently.
[[nodiscard]] bool StartFailedForGood(const engine::LaunchStatus& end);

// Drops what is older than the window; times from a clock that has jumped count as in it only if
// they are less than a window ahead.
void ForgetOldLaunches(std::vector<WallTime>& launches_at, WallTime now);

// 0.2 s, doubled `restarts_in_row` times, at most 30 s, plus or minus up to 20 %.
[[nodiscard]] Duration Backoff(std::uint32_t restarts_in_row, std::uint64_t random);

}  // namespace cube::worker
