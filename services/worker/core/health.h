// When a launch is checked, and what the results add up to (docs/STATE_MACHINES.md). Pure.
#pragma once

#include <cstdint>
#include <optional>

#include "services/worker/engine/engine.h"
#include "services/worker/engine/prober.h"
#include "shared/base/time.h"
#include "shared/domain/task_spec.h"

namespace cube::worker {

// While nothing is known of a launch it is looked at sooner than each interval, so that whoever
// waits for it need not wait for the interval: after this pause, doubling. Failures do not count
// more often for that.
inline constexpr Duration kEagerPauseMin = std::chrono::milliseconds(100);
static_assert(kEagerPauseMin <= std::chrono::milliseconds(100));  // the shortest interval there is
// A check without any answer so long after its timeout is given up: nothing was learned.
inline constexpr Duration kProbeSlack = std::chrono::seconds(10);

// What is known of one launch.
struct HealthState {
  std::optional<bool> healthy;  // nothing = no verdict yet
  std::uint32_t failures = 0;   // in a row, of those that count
  std::uint32_t successes = 0;  // in a row
  MonoTime due;                 // of the next check
  MonoTime counts_from;         // failures before it do not count
  Duration pause = kEagerPauseMin;
  std::uint64_t probe = 0;   // id of the check under way; 0 = none
  MonoTime give_up_at;       // with probe
  bool unmade_told = false;  // that checks cannot be made has been said; until one is made again
};

// A launch runs since `started_at` (the engine's clock). `known`: an older verdict, from before
// this process.
[[nodiscard]] HealthState BeginChecks(const HealthCheck& check, WallTime started_at,
                                      std::optional<bool> known, Now now);
// A check has passed or failed. -> whether the verdict has changed.
[[nodiscard]] bool CountResult(HealthState& state, const HealthCheck& check, bool passed,
                               MonoTime now);
// A check could not be made, or has had no answer.
void CountNothing(HealthState& state, const HealthCheck& check, MonoTime now);

// The question for one check of a running launch: at its container's own address where it has one,
// else at its published port on loopback, or, where ports are the node's own, at the port itself.
// None of these: the host stays empty, and the check cannot be made.
[[nodiscard]] engine::ProbeRequest ProbeOf(const TaskSpec& spec, const engine::LaunchStatus& status,
                                           std::uint64_t id);

}  // namespace cube::worker
