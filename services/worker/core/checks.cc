// Checks of running launches: when they are made, and the facts that come of them.
#include <utility>

#include "services/worker/core/worker_core.h"

namespace cube::worker {

void WorkerCore::ReconcileHealth(const Attempt& a, Container& c, Now now) {
  if (!a.spec->health || !c.seen || c.status.state != LaunchState::kRunning) return;
  // Where it can be reached is known once the engine has shown it; one that this worker no longer
  // has never will.
  if (!Known(c.engine)) return;
  const HealthCheck& check = *a.spec->health;
  // A command needs the engine itself; its list makes us look again.
  if (check.kind == HealthCheck::Kind::kCommand && !Ready(c.engine)) return;
  if (!c.health) {
    const bool known = a.health && a.health->key == c.status.key;
    c.health = BeginChecks(check, c.status.started_at,
                           known ? std::optional(a.health->healthy) : std::nullopt, now);
  }
  HealthState& health = *c.health;
  if (health.probe != 0 && now.mono < health.give_up_at) return At(health.give_up_at);
  if (health.probe != 0) CountNothing(health, check, now.mono);
  if (now.mono < health.due) return At(health.due);
  health.probe = ++last_probe_;
  health.give_up_at = now.mono + check.timeout + kProbeSlack;
  effects_.probes.push_back({c.engine, ProbeOf(*a.spec, c.status, health.probe)});
  At(health.give_up_at);
}

void WorkerCore::Probed(const engine::ProbeResult& result, Now now) {
  using Outcome = engine::ProbeResult::Outcome;
  Container* found = containers_.Find(result.key);
  if (found == nullptr) return;
  Look(result.key.task);
  Container& c = *found;
  Attempt* a = OwnerOf(c.status);
  if (!c.health || c.health->probe != result.id || c.exited() || a == nullptr || a->done ||
      !a->spec->health || static_cast<std::int64_t>(result.key.launch) != a->launch) {
    return;
  }
  const HealthCheck& check = *a->spec->health;
  if (result.outcome == Outcome::kUnknown) {
    CountNothing(*c.health, check, now.mono);
    if (!std::exchange(c.health->unmade_told, true)) {
      effects_.notices.push_back(
          {true, "its health cannot be checked, tried on: " + result.detail, result.key});
    }
    return;
  }
  c.health->unmade_told = false;
  const bool passed = result.outcome == Outcome::kPassed;
  if (!CountResult(*c.health, check, passed, now.mono)) return;
  PutHealth(*a, c, passed, passed ? std::string() : result.detail, now);
}

void WorkerCore::PutHealth(Attempt& a, const Container& c, bool healthy, std::string reason,
                           Now now) {
  if (meta_.incarnation == 0) return;
  a.health = HealthFact{c.status.key, a.placement, healthy, std::move(reason)};
  Touch(a);
  Put({now.wall, *a.health});
}

}  // namespace cube::worker
