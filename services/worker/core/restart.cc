#include "services/worker/core/restart.h"

#include <algorithm>

namespace cube::worker {
namespace {

bool WasStable(const engine::LaunchStatus& end) {
  return IsSet(end.started_at) && IsSet(end.finished_at) &&
         end.finished_at - end.started_at >= kStableAfter;
}

}  // namespace

bool StartFailedForGood(const engine::LaunchStatus& end) {
  if (end.cause != ExitCause::kStartFailed) return false;
  switch (end.failure) {
    case Code::kUnavailable:
    case Code::kTimedOut:
    case Code::kResource:
    case Code::kInternal:
    case Code::kAborted:
      return false;
    // kConflict too: a taken port is the manager's to place anew, not ours to wait for.
    default:
      return true;
  }
}

void ForgetOldLaunches(std::vector<WallTime>& launches_at, WallTime now) {
  std::erase_if(launches_at, [now](WallTime t) {
    return t <= now - kRestartWindow || t >= now + kRestartWindow;
  });
}

Duration Backoff(std::uint32_t restarts_in_row, std::uint64_t random) {
  Duration delay = kBackoffMin;
  for (std::uint32_t i = 0; i < restarts_in_row && delay < kBackoffMax; ++i) delay *= 2;
  delay = std::min(delay, kBackoffMax);
  // From -20 to +20 percent in steps of a hundredth of a percent.
  const auto steps = static_cast<std::int64_t>(random % (2 * kBackoffJitterPercent * 100 + 1)) -
                     static_cast<std::int64_t>(kBackoffJitterPercent * 100);
  return delay + delay / 10'000 * steps;
}

Ending DecideEnding(const RestartPolicy& policy, const RestartHistory& history,
                    const engine::LaunchStatus& end, bool stop_asked, WallTime now,
                    std::uint64_t random) {
  constexpr Ending kFinal{.final = true, .delay = Duration(0), .restarts_in_row = 0};
  if (stop_asked || StartFailedForGood(end)) return kFinal;
  const bool success = end.cause == ExitCause::kExited && end.exit_code == 0;
  switch (policy.mode) {
    case RestartMode::kNo:
      return kFinal;
    case RestartMode::kOnFailure: {
      if (success) return kFinal;
      std::vector<WallTime> recent = history.launches_at;
      ForgetOldLaunches(recent, now);
      if (policy.launches_max > 0 && recent.size() >= policy.launches_max) return kFinal;
      break;
    }
    case RestartMode::kAlways:
      break;
  }
  const std::uint32_t in_row = WasStable(end) ? 0 : history.restarts_in_row;
  return {.final = false, .delay = Backoff(in_row, random), .restarts_in_row = in_row + 1};
}

}  // namespace cube::worker
