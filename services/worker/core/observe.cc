// What the engines show, and the facts that come of it.
#include <utility>

#include "services/worker/core/restart.h"
#include "services/worker/core/worker_core.h"

namespace cube::worker {
namespace {

// Engines leave nothing behind of these.
bool LeavesNothing(const engine::LaunchStatus& s) {
  return s.cause == ExitCause::kStartFailed || s.cause == ExitCause::kVanished;
}

std::string BytesText(std::int64_t bytes) {
  constexpr std::int64_t kMiB = std::int64_t{1} << 20;
  return bytes % kMiB == 0 ? std::to_string(bytes / kMiB) + " MiB"
                           : std::to_string(bytes) + " bytes";
}

// Why a launch has ended, where the worker knows it better than the engine.
void Explain(const Attempt& a, engine::LaunchStatus& end) {
  if (Condemned(a) && !a.stop) {
    end.cause = ExitCause::kUnhealthy;
    end.detail = a.health->reason;
  } else if (end.cause == ExitCause::kOutOfMemory && end.detail.empty() &&
             a.spec->resources.memory_bytes > 0) {
    end.detail = "limit " + BytesText(a.spec->resources.memory_bytes);
  }
}

}  // namespace

void WorkerCore::Observe(const std::string& engine, engine::Event event, Now now, Random& random) {
  if (const auto* up = std::get_if<engine::Up>(&event)) {
    LookAtAll();
    SeeUp(engine, *up);
  } else if (std::holds_alternative<engine::Down>(event)) {
    LookAtAll();
    EngineState& state = engines_[engine];
    state.up = state.listed = false;
    state.answered = true;
  } else if (auto* listed = std::get_if<engine::Listed>(&event)) {
    LookAtAll();
    SeeListed(engine, std::move(*listed), now, random);
  } else if (auto* changed = std::get_if<engine::Changed>(&event)) {
    Look(changed->status.key.task);
    See(engine, std::move(changed->status), now, random);
  } else if (const auto* removed = std::get_if<engine::Removed>(&event)) {
    Look(removed->key.task);
    const Container* c = containers_.Find(removed->key);
    if (c != nullptr && c->exited()) EraseContainer(removed->key);
  } else if (const auto* failed = std::get_if<engine::OpFailed>(&event)) {
    Look(failed->key.task);
    SeeFailed(*failed, now, random);
  }
}

void WorkerCore::SeeUp(const std::string& kind, const engine::Up& up) {
  EngineState& state = engines_[kind];
  state.up = true;
  state.listed = false;
  state.version = up.version;
  state.limits = up.limits;
  for (auto& [key, c] : containers_) {
    if (c.engine != kind) continue;
    c.stop_grace.reset();  // whether it had got that far is unknown: ask again
    c.asked = c.asked && c.status.state >= LaunchState::kRunning;
    c.remove_asked = false;
  }
}

void WorkerCore::SeeListed(const std::string& kind, engine::Listed listed, Now now,
                           Random& random) {
  EngineState& state = engines_[kind];
  const bool first = !state.known;
  state.listed = state.known = state.answered = true;
  std::set<LaunchKey> keys;
  for (engine::LaunchStatus& status : listed.launches) {
    keys.insert(status.key);
    (void)Note(kind, std::move(status), now);
  }
  SeeMissing(kind, keys, now, random);
  FoldAll(now, random);
  // A report of before this process may have gone without it.
  if (first && !Clean(kind)) state.left_out = true;
}

void WorkerCore::FoldAll(Now now, Random& random) {
  for (auto& [key, c] : containers_) {
    Attempt* a = c.seen ? OwnerOf(c.status) : nullptr;
    if (a != nullptr && meta_.incarnation != 0) Adopt(*a, c);
  }
  for (auto& [key, c] : containers_) Fold(c, now, random);
  EndLost(now, random);
}

void WorkerCore::EndLost(Now now, Random& random) {
  if (!DesiredKnown()) return;
  for (auto& [key, a] : attempts_) {
    if (a.done || a.launch >= 0 || a.launch_min == 0 || !Ready(EngineOf(*a.spec))) continue;
    Container c;
    c.status.key = {key.task, key.attempt, a.launch_min - 1};
    // Another placement's launch has that name: it ends first.
    if (containers_.Find(c.status.key) != nullptr) continue;
    a.launch = a.launch_min - 1;
    c.engine = EngineOf(*a.spec);
    c.seen = true;
    c.status.placement = a.placement;
    c.status.state = LaunchState::kRunning;
    const LaunchKey launch = c.status.key;
    containers_.Add(launch, std::move(c));
    SeeGone(launch, now, random);
  }
}

void WorkerCore::SeeMissing(const std::string& kind, const std::set<LaunchKey>& listed, Now now,
                            Random& random) {
  std::vector<LaunchKey> removed, gone;
  bool list_again = false;
  for (auto& [key, c] : containers_) {
    if (c.engine != kind || listed.contains(key)) continue;
    if (c.exited()) {
      removed.push_back(key);
    } else if (!c.seen || c.status.state < LaunchState::kStarting) {
      c.asked = false;  // Launch is idempotent: asking again takes up what has begun meanwhile
      c.stop_grace.reset();
    } else {
      // A list may be older than the start of the launch; the next one is not.
      if (c.missing) gone.push_back(key);
      list_again = list_again || !c.missing;
      c.missing = true;
    }
  }
  for (const LaunchKey& key : removed) EraseContainer(key);
  if (list_again) effects_.calls.push_back(ListCall{kind});
  for (const LaunchKey& key : gone) SeeGone(key, now, random);
}

void WorkerCore::SeeGone(const LaunchKey& key, Now now, Random& random) {
  Container& c = *containers_.Find(key);
  const bool was_there = c.seen && c.status.state >= LaunchState::kStarting;
  c.seen = true;
  c.status.state = LaunchState::kExited;
  c.status.exit_code = -1;
  c.status.finished_at = now.wall;
  c.status.cause = was_there ? ExitCause::kVanished : ExitCause::kStartFailed;
  if (!was_there) {
    c.status.failure = Code::kAborted;
    c.status.detail = "stopped before it was started";
  }
  Fold(c, now, random);
  EraseContainer(key);
  FreePorts();
}

void WorkerCore::FreePorts() {
  for (const TaskId& task : std::exchange(port_blocked_, {})) Look(task);
}

void WorkerCore::See(const std::string& kind, engine::LaunchStatus status, Now now,
                     Random& random) {
  Container* c = Note(kind, std::move(status), now);
  if (c == nullptr) return;
  Fold(*c, now, random);
  if (c->exited() && LeavesNothing(c->status)) EraseContainer(c->status.key);
}

auto WorkerCore::Note(const std::string& kind, engine::LaunchStatus status, Now now) -> Container* {
  Container* found = containers_.Find(status.key);
  if (found == nullptr) {
    // The end of a launch that was folded and left nothing behind may be told again.
    if (status.state == LaunchState::kExited && LeavesNothing(status)) return nullptr;
    Container fresh;
    fresh.engine = kind;
    const auto unacked = exits_unacked_.find(status.key);
    if (unacked != exits_unacked_.end()) fresh.exit_fact = unacked->second;
    found = &containers_.Add(status.key, std::move(fresh)).second;
  }
  Container& c = *found;
  c.missing = false;
  if (c.seen && status.state < c.status.state) return nullptr;  // an older list
  if (status.state == LaunchState::kExited && !c.exited()) {
    c.exited_at = now.mono;
    FreePorts();
  }
  if (status.state == LaunchState::kStarting && (!c.seen || c.status.state < status.state)) {
    c.starting_since = now.mono;
  }
  c.engine = kind;
  c.status = std::move(status);
  c.seen = true;
  return &c;
}

void WorkerCore::SeeFailed(const engine::OpFailed& failed, Now now, Random& random) {
  Container* found = containers_.Find(failed.key);
  if (found == nullptr) return;
  Container& c = *found;
  if (!c.exited() && failed.error.code == Code::kNotFound) {
    SeeGone(failed.key, now, random);
    return;
  }
  c.remove_asked = false;
  c.stop_grace.reset();
  c.retry_at = now.mono + kOperationRetryAfter;
  effects_.notices.push_back({true, failed.error.Text(), failed.key});
}

LaunchFact WorkerCore::FactOf(const engine::LaunchStatus& s) const {
  LaunchFact fact;
  fact.key = s.key;
  fact.placement = s.placement;
  fact.state = s.state;
  fact.cause = s.cause;
  fact.exit_code = s.exit_code;
  if (!HasExitCode(fact.cause, fact.exit_code)) fact.exit_code = -1;
  fact.detail = s.detail;
  fact.container_id = s.container_id;
  fact.ports = s.ports;
  fact.started_at = s.started_at;
  fact.finished_at = s.finished_at;
  return fact;
}

void WorkerCore::Fold(Container& c, Now now, Random& random) {
  if (!c.seen || meta_.incarnation == 0) return;
  Attempt* a = OwnerOf(c.status);
  if (a == nullptr) {
    if (DesiredKnown()) FoldStale(c, now);
    return;
  }
  Adopt(*a, c);
  if (static_cast<std::int64_t>(c.status.key.launch) == a->launch) {
    FoldCurrent(*a, c, now, random);
  } else {
    FoldOlder(*a, c, now);
  }
}

void WorkerCore::FoldStale(Container& c, Now now) {
  if (!c.exited() || c.stale_reported || c.exit_fact != 0) return;
  LaunchFact fact = FactOf(c.status);
  fact.final = true;
  fact.stop_asked = true;
  c.exit_fact = Put({now.wall, std::move(fact)});
  c.stale_reported = true;
}

// Where the store is behind the engine: it was lost, and the launches were not.
void WorkerCore::Adopt(Attempt& a, const Container& c) {
  const std::uint32_t launch = c.status.key.launch;
  // Of what the facts say is over, only the end is of interest.
  if (a.done || static_cast<std::int64_t>(launch) <= a.launch || launch + 1 < a.launch_min) return;
  a.launch = static_cast<std::int64_t>(c.status.key.launch);
  a.restart_at = {};
  a.health.reset();
  if (IsSet(c.status.started_at)) a.launches_at.push_back(c.status.started_at);
  Touch(a);
}

void WorkerCore::FoldOlder(Attempt& a, Container& c, Now now) {
  if (!c.exited() || a.done) return;
  LaunchFact fact = FactOf(c.status);
  if (a.last_fact && !MovesForward(*a.last_fact, fact)) return;
  a.last_fact = fact;
  Touch(a);
  c.exit_fact = Put({now.wall, std::move(fact)});
}

void WorkerCore::FoldCurrent(Attempt& a, Container& c, Now now, Random& random) {
  const bool same = a.last_fact && a.last_fact->key == c.status.key;
  if (a.done || (same && a.last_fact->state == LaunchState::kExited)) return;
  if (!c.exited()) return TellProgress(a, c, now);
  // As an end is told, not as the engine saw it: what the worker did to it has a reason.
  engine::LaunchStatus status = c.status;
  Explain(a, status);
  LaunchFact fact = FactOf(status);
  const Ending ending = DecideEnding(a.spec->restart, {a.launches_at, a.restarts_in_row}, status,
                                     a.stop, now.wall, random.Next());
  fact.stop_asked = a.stop;
  fact.final = ending.final;
  if (ending.final) {
    EndAttempt(a, std::move(fact), now);
    c.exit_fact = a.final_fact;
    return;
  }
  a.restart_at = fact.restart_at = now.wall + ending.delay;
  a.due = now.mono + ending.delay;
  a.restarts_in_row = ending.restarts_in_row;
  a.last_fact = fact;
  Touch(a);
  c.exit_fact = Put({now.wall, std::move(fact)});
}

void WorkerCore::TellProgress(Attempt& a, const Container& c, Now now) {
  if (c.status.state == LaunchState::kStarting &&
      now.mono < c.starting_since + kStartingToldAfter) {
    return;  // Reconcile looks again
  }
  LaunchFact fact = FactOf(c.status);
  if (a.last_fact && !MovesForward(*a.last_fact, fact)) return;
  if (fact.state == LaunchState::kPulling) {
    const bool same = a.last_fact && a.last_fact->key == c.status.key;
    if (same && now.mono - a.pull_fact_at < kPullFactInterval) return;
    a.pull_fact_at = now.mono;
  }
  a.last_fact = fact;
  Touch(a);
  Put({now.wall, std::move(fact)});
}

void WorkerCore::EndAttempt(Attempt& a, LaunchFact fact, Now now) {
  a.done = true;
  a.restart_at = {};
  a.launches_at.clear();
  a.health.reset();
  a.spec = nullptr;
  a.last_fact = fact;
  a.final_fact = Put({now.wall, std::move(fact)});
  Touch(a);
}

}  // namespace cube::worker
