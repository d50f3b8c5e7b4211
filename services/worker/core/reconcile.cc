// Desired against observed.
#include <algorithm>
#include <utility>

#include "services/worker/core/restart.h"
#include "services/worker/core/worker_core.h"

namespace cube::worker {
namespace {

LaunchKey KeyOf(const Attempt& a) {
  return {a.key.task, a.key.attempt,
          static_cast<std::uint32_t>(std::max<std::int64_t>(a.launch, 0))};
}

std::int64_t NextLaunch(const Attempt& a) {
  return std::max<std::int64_t>(a.launch + 1, a.launch_min);
}

// By task, each once, with the earliest of its times.
void SortOnce(std::vector<std::pair<TaskId, MonoTime>>& tasks) {
  const auto task = [](const auto& entry) -> const TaskId& { return entry.first; };
  std::ranges::sort(tasks);
  const auto rest = std::ranges::unique(tasks, {}, task);
  tasks.erase(rest.begin(), rest.end());
}

}  // namespace

void WorkerCore::Reconcile(Now now) {
  next_ = MonoTime::max();
  if (!DesiredKnown()) {
    changed_.clear();
    return LookAtAll();
  }
  Tasks tasks = TakeTasks(now.mono);
  begun_ = 0;
  for (auto& [task, wake] : tasks) {
    wake_ = &wake;
    Index(task);
    for (auto& [key, c] : containers_.Of(task)) ReconcileContainer(key, c, now);
  }
  UnblockLaunches(tasks);
  for (auto& [task, wake] : tasks) {
    wake_ = &wake;
    for (auto& [key, a] : attempts_.Of(task)) {
      if (!a.done) ReconcileAttempt(a, now);
    }
  }
  // What was done here needs no second look.
  for (const TaskId& task : changed_) Index(task);
  changed_.clear();
  SetWakes(tasks);
  if (!wakes_.empty()) next_ = wakes_.begin()->first;
  wake_ = &next_;
  ReportIfDue(now);
  DropDoneRecords();
  wake_ = nullptr;
}

WorkerCore::Tasks WorkerCore::TakeTasks(MonoTime now) {
  Tasks tasks;
  if (std::exchange(all_changed_, false)) {
    for (const auto& [key, c] : containers_) tasks.emplace_back(key.task, MonoTime::max());
    for (const auto& [key, a] : attempts_) tasks.emplace_back(key.task, MonoTime::max());
    wakes_.clear();
    wake_at_.clear();
    blocked_.clear();
    port_blocked_.clear();
    unacked_.clear();
    done_.clear();
    done_unassigned_.clear();
  }
  for (TaskId& task : changed_) tasks.emplace_back(std::move(task), MonoTime::max());
  changed_.clear();
  for (auto it = wakes_.begin(); it != wakes_.end() && it->first <= now; ++it) {
    tasks.emplace_back(it->second, MonoTime::max());
  }
  while (!unacked_.empty() && unacked_.begin()->first <= acked_) {
    tasks.emplace_back(unacked_.begin()->second, MonoTime::max());
    unacked_.erase(unacked_.begin());
  }
  SortOnce(tasks);
  return tasks;
}

// As many as there is room for now.
void WorkerCore::UnblockLaunches(Tasks& tasks) {
  if (blocked_.empty()) return;
  for (std::size_t room = in_flight_; room < kLaunchesInFlightMax && !blocked_.empty(); ++room) {
    tasks.emplace_back(*blocked_.begin(), MonoTime::max());
    blocked_.erase(blocked_.begin());
  }
  SortOnce(tasks);
}

void WorkerCore::Index(const TaskId& task) {
  // Keeps what is right already: a key is a text of its own.
  const auto renew = [this, &task](auto& index, const auto& belongs) {
    auto known = index.lower_bound(task);
    for (const auto& [key, a] : attempts_.Of(task)) {
      if (!belongs(a)) continue;
      while (known != index.end() && *known < key) known = index.erase(known);
      if (known == index.end() || key < *known) known = index.insert(known, key);
      ++known;
    }
    while (known != index.end() && known->task == task) known = index.erase(known);
  };
  for (auto& [key, c] : containers_.Of(task)) {
    const bool is = c.asked && c.status.state < LaunchState::kRunning;
    if (std::exchange(c.in_flight, is)) --in_flight_;
    if (is) ++in_flight_;
  }
  renew(done_, [](const Attempt& a) { return a.done; });
  renew(done_unassigned_, [](const Attempt& a) { return a.done && a.unassigned; });
}

void WorkerCore::SetWakes(const Tasks& tasks) {
  for (const auto& [task, at] : tasks) {
    if (const auto old = wake_at_.find(task); old != wake_at_.end()) {
      wakes_.erase({old->second, task});
      wake_at_.erase(old);
    }
    if (at == MonoTime::max()) continue;
    wakes_.emplace(at, task);
    wake_at_.emplace(task, at);
  }
}

void WorkerCore::ReconcileContainer(const LaunchKey& key, Container& c, Now now) {
  if (c.exited()) {
    RemoveContainer(key, c, now);
  } else if (Unwanted(c)) {
    const Attempt* a = Find({key.task, key.attempt});
    const bool asked = a != nullptr && a->stop && a->placement == c.status.placement;
    StopContainer(key, c, "", asked ? a->grace : kStaleGrace, now);
  }
}

void WorkerCore::StopContainer(const LaunchKey& key, Container& c, const std::string& signal,
                               Duration grace, Now now) {
  if (!Ready(c.engine) || (c.stop_grace && *c.stop_grace <= grace)) return;
  if (now.mono < c.retry_at) return At(c.retry_at);
  c.stop_grace = grace;
  effects_.calls.push_back(StopCall{c.engine, key, signal, grace});
}

void WorkerCore::RemoveContainer(const LaunchKey& key, Container& c, Now now) {
  if (c.remove_asked || !Ready(c.engine)) return;
  // The newest one shows which numbers are taken, should the store be lost with its outbox.
  const bool newest = std::ranges::none_of(containers_.Of(key.task), [&key](const auto& entry) {
    return entry.first.attempt == key.attempt && entry.first.launch > key.launch;
  });
  if (c.exit_fact > acked_ && (newest || ExitedOf({key.task, key.attempt}) <= kExitedUnackedMax)) {
    unacked_.emplace(c.exit_fact, key.task);  // its acknowledgement makes us look again
    return;
  }
  if (now.mono < c.retry_at) return At(c.retry_at);
  if (pins_.contains(key) && now.mono < c.exited_at + kPinMax) return At(c.exited_at + kPinMax);
  c.remove_asked = true;
  effects_.calls.push_back(RemoveCall{c.engine, key});
}

void WorkerCore::ReconcileAttempt(Attempt& a, Now now) {
  const bool waits = a.launch < 0 || LaunchEnded(a);
  if (a.stop && waits) {
    // After a loss of the store a launch may run that no list has shown yet. An engine that this
    // worker does not have will never list.
    const std::string kind = EngineOf(*a.spec);
    if (a.launch >= 0 || Known(kind) || !engines_.contains(kind)) EndStopped(a, now);
    return;
  }
  if (!waits) {
    Container* const found = ContainerOf(a);
    if (found == nullptr) return;
    Container& c = *found;
    const LaunchKey& key = c.status.key;
    if (c.seen && c.status.state == LaunchState::kStarting && OwnerOf(c.status) == &a) {
      const MonoTime told_at = c.starting_since + kStartingToldAfter;
      if (now.mono < told_at) {
        At(told_at);
      } else {
        TellProgress(a, c, now);
      }
    }
    if (a.stop) return StopContainer(key, c, a.spec->stop_signal, a.grace, now);
    if (Condemned(a)) {
      return StopContainer(key, c, a.spec->stop_signal, a.spec->stop_grace, now);
    }
    ReconcileHealth(a, c, now);
    if (!c.asked && c.status.state < LaunchState::kRunning && !retired_ && Ready(c.engine)) {
      // Begun in the store, but not (or only half) by the engine: a crash came between.
      c.asked = true;
      effects_.calls.push_back(LaunchCall{c.engine, {key, a.placement, a.spec}});
    }
    return;
  }
  if (retired_) return;
  if (now.mono < a.due) return At(a.due);
  if (Blocked(a)) return;
  BeginLaunch(a, now);
}

// A task's containers never run side by side, and a launch's name is used once.
bool WorkerCore::Blocked(const Attempt& a) const {
  const auto next = static_cast<std::uint32_t>(NextLaunch(a));
  return std::ranges::any_of(containers_.Of(a.key.task), [&a, next](const auto& entry) {
    const auto& [key, c] = entry;
    return !c.exited() || (key.attempt == a.key.attempt && key.launch == next);
  });
}

// After an absence, or a loss of the store or of the log's end, launches may still run that are to
// end, and hold a host port that was promised to another task since.
bool WorkerCore::PortsTaken(const TaskSpec& spec) const {
  const auto needs = [&spec](const BoundPort& bound) {
    return std::ranges::any_of(spec.ports, [&bound](const PortSpec& port) {
      return port.host_port == bound.host_port && port.protocol == bound.protocol;
    });
  };
  const auto fixed = [](const PortSpec& port) { return port.host_port != 0; };
  if (std::ranges::none_of(spec.ports, fixed)) return false;
  return containers_.AnyOf([&](const auto& entry) {
    const auto& [key, c] = entry;
    if (c.exited() || std::ranges::none_of(c.status.ports, needs)) return false;
    const Attempt* owner = AttemptOf(key);
    return Unwanted(c) || (owner != nullptr && owner->stop);
  });
}

void WorkerCore::BeginLaunch(Attempt& a, Now now) {
  const std::string kind = EngineOf(*a.spec);
  if (!engines_.contains(kind)) {
    a.launch = NextLaunch(a);
    LaunchFact fact;
    fact.key = KeyOf(a);
    fact.placement = a.placement;
    fact.state = LaunchState::kExited;
    fact.cause = ExitCause::kStartFailed;
    fact.detail = "this node has no engine '" + kind + "'";
    fact.finished_at = now.wall;
    fact.final = true;
    return EndAttempt(a, std::move(fact), now);
  }
  if (!Ready(kind)) return;  // its list makes us look again
  if (PortsTaken(*a.spec)) {
    port_blocked_.insert(a.key.task);  // each launch that ends makes us look again
    return;
  }
  if (begun_ >= kBeginsPerReconcileMax) return At(now.mono);
  if (in_flight_ >= kLaunchesInFlightMax) {
    blocked_.insert(a.key.task);  // each that starts makes us look again
    return;
  }
  ++begun_;
  a.launch = NextLaunch(a);
  a.restart_at = {};
  a.health.reset();
  ForgetOldLaunches(a.launches_at, now.wall);
  a.launches_at.push_back(now.wall);
  Touch(a);
  Container c;
  c.engine = kind;
  c.status.key = KeyOf(a);
  c.status.placement = a.placement;
  c.status.state = LaunchState::kPulling;
  c.asked = true;
  effects_.calls.push_back(LaunchCall{kind, {c.status.key, a.placement, a.spec}});
  c.in_flight = true;
  ++in_flight_;
  LaunchKey key = c.status.key;
  containers_.Add(std::move(key), std::move(c));
}

// The log never takes a stop back: what wants the attempt has lost the stop, with the end of the
// log that had it, and has taken the attempt up again.
void WorkerCore::TakeBackStop(const AttemptKey& key) {
  Attempt& a = *attempts_.Find(key);
  if (!a.stop || a.done || retired_) return;
  const Container* c = ContainerOf(a);
  if (c != nullptr && c->stop_grace) return;  // it ends already
  a.stop = false;
  a.grace = Duration{0};
  Touch(a);
}

// A stop found no launch alive: the attempt ends without the engine.
void WorkerCore::EndStopped(Attempt& a, Now now) {
  LaunchFact fact;
  if (a.launch >= 0) {
    fact = *a.last_fact;
    fact.restart_at = {};
  } else {
    a.launch = NextLaunch(a);
    fact.key = KeyOf(a);
    fact.placement = a.placement;
    fact.state = LaunchState::kExited;
    fact.cause = ExitCause::kStartFailed;
    fact.detail = "stopped before it was started";
    fact.finished_at = now.wall;
  }
  fact.final = true;
  fact.stop_asked = true;
  EndAttempt(a, std::move(fact), now);
}

bool WorkerCore::Clean(const std::string& engine) const {
  return std::all_of(containers_.begin(), containers_.end(),
                     [&](const auto& entry) {
                       const Container& c = entry.second;
                       return c.engine != engine || (!Unwanted(c) && !c.missing);
                     }) &&
         std::all_of(attempts_.begin(), attempts_.end(), [&](const auto& entry) {
           const Attempt& a = entry.second;
           return a.done || !a.unassigned || EngineOf(*a.spec) != engine;
         });
}

bool WorkerCore::LeaveOutSilent(Now now) {
  const bool any_listed = std::any_of(engines_.begin(), engines_.end(),
                                      [](const auto& engine) { return engine.second.listed; });
  const MonoTime wait_until = *report_due_at_ + kEngineListWait;
  bool complete = true;
  for (auto& [kind, state] : engines_) {
    if (state.listed) continue;
    if (any_listed && !state.left_out) {
      if (now.mono < wait_until) {
        At(wait_until);
      } else {
        state.left_out = true;
        state.left_out_at = now.mono;
        effects_.notices.push_back(
            {true,
             "engine " + kind +
                 " does not answer: the node goes on without it; what runs there "
                 "is unknown until it does",
             {}});
      }
    }
    const MonoTime due = state.left_out_at + kLeftOutBefore;
    if (state.left_out && now.mono < due) At(due);
    complete = complete && state.left_out && now.mono >= due;
  }
  return complete && any_listed;
}

// The node has told all that runs here, and nothing runs that should not. An engine that does not
// answer is left out, so that it does not keep the others from work (docs/adr/0006).
void WorkerCore::ReportIfDue(Now now) {
  for (auto& [kind, state] : engines_) {
    if (state.left_out && state.listed && Clean(kind)) state.left_out = false;
  }
  if (meta_.report == Stamp{}) return report_due_at_.reset();
  if (!report_due_at_) report_due_at_ = now.mono;
  if (!LeaveOutSilent(now)) return;
  for (const auto& [kind, state] : engines_) {
    if (!state.left_out && !Clean(kind)) return;
  }
  Put({now.wall, NodeReported{meta_.report}});
  meta_.report = {};
}

void WorkerCore::DropDoneRecords() {
  if (done_.size() <= kDoneRecordsMax && done_unassigned_.empty()) return;
  const bool listed = std::all_of(engines_.begin(), engines_.end(),
                                  [](const auto& engine) { return engine.second.listed; });
  std::map<std::uint64_t, AttemptKey> done;  // oldest first
  for (const AttemptKey& key : done_) {
    const Attempt* found = Find(key);
    if (found == nullptr || !LaunchesOf(key).empty()) continue;
    const Attempt& a = *found;
    if (a.unassigned && listed) {
      // No later set can have it, and no engine has anything of it.
      Touch(a);
      attempts_.Erase(key);
    } else {
      done.emplace(a.final_fact, key);
    }
  }
  while (done.size() > kDoneRecordsMax && done.begin()->first <= acked_) {
    const auto& [number, key] = *done.begin();
    meta_.forgotten_fact = std::max(meta_.forgotten_fact, number);
    effects_.meta_changed = true;
    Touch(*Find(key));
    attempts_.Erase(key);
    done.erase(done.begin());
  }
}

}  // namespace cube::worker
