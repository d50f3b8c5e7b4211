#include "services/worker/core/worker_core.h"

#include <algorithm>
#include <utility>

#include "services/worker/core/restart.h"
#include "shared/base/check.h"

namespace cube::worker {
namespace {

// No stored restart is further away than the longest back-off: a clock that jumped is not obeyed.
constexpr Duration kRestartDelayMax = kBackoffMax + kBackoffMax * kBackoffJitterPercent / 100;

}  // namespace

WorkerCore::WorkerCore(CoreOptions options, StoredState stored, Now now)
    : options_(std::move(options)),
      meta_(std::move(stored.meta)),
      acked_(stored.acked),
      exits_unacked_(std::move(stored.exits_unacked)) {
  for (const std::string& kind : options_.engines) engines_[kind];
  for (Attempt& a : stored.attempts) {
    if (IsSet(a.restart_at)) {
      a.due = now.mono + std::clamp(a.restart_at - now.wall, Duration(0), kRestartDelayMax);
    }
    // Which of the stopping ones the set did not name is not stored: the report waits for all.
    a.unassigned = a.stop && !a.done && meta_.report != Stamp{};
    if (!a.done && a.launch >= 0 && !LaunchEnded(a)) {
      Container c;
      c.engine = EngineOf(*a.spec);
      c.status.key = {a.key.task, a.key.attempt, static_cast<std::uint32_t>(a.launch)};
      c.status.placement = a.placement;
      c.status.state = LaunchState::kPulling;
      if (a.last_fact && a.last_fact->key == c.status.key) {
        c.status.state = a.last_fact->state;
        c.status.container_id = a.last_fact->container_id;
        c.status.ports = a.last_fact->ports;
        c.status.started_at = a.last_fact->started_at;
      }
      // What was never created may be asked for again under the same number.
      c.seen = c.status.state >= LaunchState::kStarting;
      const LaunchKey launch = c.status.key;
      containers_.Add(launch, std::move(c));
    }
    const AttemptKey key = a.key;
    attempts_.Add(key, std::move(a));
  }
}

void WorkerCore::Begin() {
  if (meta_.cluster.empty()) return;
  for (const std::string& kind : options_.engines) {
    effects_.calls.push_back(StartEngine{kind, {meta_.cluster, options_.node}});
  }
}

void WorkerCore::SetPins(std::set<LaunchKey> pins) {
  if (pins == pins_) return;
  pins_ = std::move(pins);
  LookAtAll();
}

void WorkerCore::Retire() {
  retired_ = true;
  LookAtAll();
}

void WorkerCore::Acked(std::uint64_t number) {
  acked_ = std::max(acked_, number);
  std::erase_if(exits_unacked_, [this](const auto& entry) { return entry.second <= acked_; });
}

std::uint64_t WorkerCore::Put(Fact fact) {
  CUBE_CHECK(meta_.incarnation != 0);
  const std::uint64_t number = ++meta_.last_fact;
  effects_.meta_changed = true;
  effects_.facts.push_back({number, std::move(fact)});
  return number;
}

void WorkerCore::PutFact(Fact fact) {
  if (meta_.incarnation != 0) Put(std::move(fact));
}

Effects WorkerCore::TakeEffects() {
  auto& changed = effects_.attempts_changed;
  std::ranges::sort(changed);
  changed.erase(std::unique(changed.begin(), changed.end()), changed.end());
  return std::exchange(effects_, {});
}

const Attempt* WorkerCore::Find(const AttemptKey& key) const { return attempts_.Find(key); }

std::size_t WorkerCore::RunningCount() const {
  return static_cast<std::size_t>(
      std::count_if(containers_.begin(), containers_.end(), [](const auto& entry) {
        return entry.second.seen && entry.second.status.state == LaunchState::kRunning;
      }));
}

std::map<LaunchState, std::size_t> WorkerCore::LaunchCounts() const {
  std::map<LaunchState, std::size_t> counts;
  for (const auto& [key, container] : containers_) {
    if (container.seen) ++counts[container.status.state];
  }
  return counts;
}

std::optional<std::string> WorkerCore::EngineWith(const LaunchKey& key) const {
  const Container* c = containers_.Find(key);
  if (c == nullptr || !c->seen || !engines_.contains(c->engine)) return std::nullopt;
  return c->engine;
}

std::vector<LaunchKey> WorkerCore::LaunchesOf(const AttemptKey& key) const {
  std::vector<LaunchKey> launches;
  for (const auto& [launch, c] : containers_.Of(key.task)) {
    if (launch.attempt == key.attempt && c.seen) launches.push_back(launch);
  }
  return launches;
}

bool WorkerCore::HasStarted(const LaunchKey& key) const {
  const Container* c = containers_.Find(key);
  return EngineWith(key) && (c->status.state == LaunchState::kRunning || c->exited());
}

std::size_t WorkerCore::ExitedOf(const AttemptKey& key) const {
  std::size_t count = 0;
  for (const auto& [launch, c] : containers_.Of(key.task)) {
    if (launch.attempt == key.attempt && c.seen && c.exited()) ++count;
  }
  return count;
}

const Attempt* WorkerCore::AttemptOf(const LaunchKey& key) const {
  for (const auto& [attempt, a] : attempts_.Of(key.task)) {
    if (attempt.attempt == key.attempt) return &a;
  }
  return nullptr;
}

Attempt* WorkerCore::OwnerOf(const engine::LaunchStatus& status) {
  for (auto& [attempt, a] : attempts_.Of(status.key.task)) {
    if (attempt.attempt != status.key.attempt) continue;
    return a.placement == status.placement ? &a : nullptr;
  }
  return nullptr;
}

WorkerCore::Container* WorkerCore::ContainerOf(const Attempt& a) {
  const std::int64_t newest = std::max<std::int64_t>(a.launch, 0);
  for (auto& [key, c] : containers_.Of(a.key.task)) {
    if (key.attempt == a.key.attempt && std::int64_t{key.launch} == newest) return &c;
  }
  return nullptr;
}

void WorkerCore::EraseContainer(const LaunchKey& key) {
  const Container* c = containers_.Find(key);
  if (c != nullptr && c->in_flight) --in_flight_;
  containers_.Erase(key);
}

bool WorkerCore::Unwanted(const Container& c) const {
  if (!DesiredKnown() || c.exited()) return false;
  const LaunchKey& key = c.status.key;
  const Attempt* owner = AttemptOf(key);
  if (owner == nullptr) return true;
  const Attempt& a = *owner;
  return a.placement != c.status.placement || a.done || LaunchEnded(a) ||
         static_cast<std::int64_t>(key.launch) != a.launch;
}

bool WorkerCore::Ready(const std::string& engine) const {
  const auto found = engines_.find(engine);
  return found != engines_.end() && found->second.up && found->second.listed;
}

bool WorkerCore::Known(const std::string& engine) const {
  const auto found = engines_.find(engine);
  return found != engines_.end() && found->second.known;
}

}  // namespace cube::worker
