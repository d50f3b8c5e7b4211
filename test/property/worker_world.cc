#include "test/property/worker_world.h"

#include "shared/base/check.h"
#include "shared/wire/codec.h"

namespace cube::worker {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const NodeName kNode = NodeName::Trusted("n1");
constexpr Term kTerm{.epoch = 1, .id = 7};
constexpr std::size_t kInputsPerStep = 8;
constexpr std::size_t kTraceMax = 2000;
// Of a million operations, so many are the last of their process.
constexpr std::uint64_t kCrashRate = 15'000;

std::string Name(const LaunchKey& key) {
  return key.task.str() + "/" + std::to_string(key.attempt) + "/" + std::to_string(key.launch);
}

}  // namespace

World::World(std::uint64_t seed) : random_(seed) {
  views_are_lost_ = random_.Below(3) == 0;
  store_ = std::make_unique<store::MemoryStore>(WorkerSchema());
  Start();
}

void World::Trace(std::string what) {
  trace_.push_back(FormatDuration(now_.mono - MonoTime(std::chrono::hours(1))) + " " +
                   std::move(what));
  if (trace_.size() > kTraceMax) trace_.pop_front();
}

void World::Wrong(std::string what) {
  Trace("WRONG: " + what);
  wrong_.push_back(trace_.back());
}

// ---- the process ------------------------------------------------------------------------------

void World::Start() {
  auto stored = LoadState(*store_, kNode);
  CUBE_CHECK(stored.has_value());
  if (stored->meta.instance == 0) stored->meta.instance = random_.Next() | 1;
  LoopOptions options;
  options.node = kNode;
  options.engines = {"sim"};
  options.metrics = false;
  options.seed = random_.Next();
  loop_ = std::make_unique<WorkerLoop>(std::move(options), *std::move(stored), now_);
  engine_ = std::make_unique<engine::SimEngine>(machine_, [this](engine::Event event) {
    inbox_.emplace(now_.mono, FromEngine{"sim", std::move(event)});
  });
  connected_ = true;
  inbox_.emplace(now_.mono + Delay(), FromBus{bus::Connected{"2.9.10", 1 << 20, true}});
}

void World::Crash() {
  ++crashes_;
  Trace("crash");
  engine_.reset();
  loop_.reset();
  inbox_.clear();
  Start();
}

void World::LoseView() {
  Trace("the store is lost");
  store_ = std::make_unique<store::MemoryStore>(WorkerSchema());
  Crash();
}

void World::StepWorker() {
  machine_->Advance(now_);
  std::vector<Input> inputs;
  while (!inbox_.empty() && inbox_.begin()->first <= now_.mono && inputs.size() < kInputsPerStep) {
    inputs.push_back(std::move(inbox_.begin()->second));
    inbox_.erase(inbox_.begin());
  }
  for (Operation& operation : loop_->Step(inputs, now_)) {
    if (Chance(kCrashRate)) return Crash();
    if (!Execute(operation)) return;
  }
}

bool World::Execute(Operation& operation) {
  if (const auto* line = std::get_if<LogLine>(&operation)) Trace("log: " + line->text);
  if (auto* call = std::get_if<bus::Operation>(&operation)) {
    ExecuteBus(*call);
  } else if (const auto* commit = std::get_if<Commit>(&operation)) {
    CUBE_CHECK(store_->Commit(commit->batch).has_value());
  } else if (const auto* beat = std::get_if<Beat>(&operation)) {
    const auto decoded = wire::DecodeHeartbeat(beat->payload);
    CUBE_CHECK(decoded.has_value());
    if (connected_ && !Chance(200'000)) OnBeat(*decoded);
  } else if (auto* engine_call = std::get_if<EngineCall>(&operation)) {
    ExecuteEngine(*engine_call);
  } else if (const auto* read = std::get_if<ReadOutbox>(&operation)) {
    auto facts = ReadOutboxFrom(*store_, kNode, read->from, read->facts_max);
    CUBE_CHECK(facts.has_value());
    inbox_.emplace(now_.mono, OutboxRead{*std::move(facts)});
  } else if (const auto* exit = std::get_if<Exit>(&operation)) {
    Wrong("the process ends: " + exit->reason);
    Crash();
    return false;
  }
  return true;
}

void World::ExecuteBus(bus::Operation& operation) {
  auto* append = std::get_if<bus::Append>(&operation);
  if (append == nullptr) return;
  const auto batch = wire::DecodeFacts(kNode.str(), append->request.payload);
  CUBE_CHECK(batch.has_value());
  const bus::OpId op = append->request.op;
  if (!connected_ || Chance(50'000)) {
    inbox_.emplace(now_.mono + Delay(),
                   FromBus{bus::AppendFailed{op, {Code::kUnavailable, "not connected", {}}}});
    return;
  }
  const bool stored = !Chance(100'000);
  if (stored) OnFacts(*batch);
  if (!stored || Chance(100'000)) {
    inbox_.emplace(now_.mono + seconds(5),
                   FromBus{bus::AppendFailed{op, {Code::kTimedOut, "no answer", {}}}});
  } else {
    inbox_.emplace(now_.mono + Delay(), FromBus{bus::Appended{op, "CUBE_FACTS", 1, false}});
  }
}

void World::ExecuteEngine(EngineCall& call) {
  if (!std::holds_alternative<StartEngine>(call) && !std::holds_alternative<ListCall>(call) &&
      !loop_->core().DesiredKnown()) {
    Wrong("an engine is asked to change something while desired is unknown");
  }
  if (auto* start = std::get_if<StartEngine>(&call)) {
    engine_->Start(std::move(start->owner));
  } else if (auto* launch = std::get_if<LaunchCall>(&call)) {
    const LaunchKey& key = launch->request.key;
    Trace("launch " + Name(key));
    const auto stored = LoadState(*store_, kNode);
    bool durable = false;
    for (const Attempt& a : stored->attempts) {
      durable = durable || (a.key == AttemptKey{key.task, key.attempt} &&
                            a.launch >= static_cast<std::int64_t>(key.launch));
    }
    if (!durable) Wrong(Name(key) + " is launched before it is stored");
    engine_->Launch(std::move(launch->request));
  } else if (auto* stop = std::get_if<StopCall>(&call)) {
    Trace("stop " + Name(stop->key));
    engine_->Stop(stop->key, stop->signal, stop->grace);
  } else if (auto* remove = std::get_if<RemoveCall>(&call)) {
    Trace("remove " + Name(remove->key));
    engine_->Remove(remove->key, "", 0);
  } else {
    engine_->List();
  }
}

// ---- the leader -------------------------------------------------------------------------------

void World::Deliver(Input input, bool may_be_lost) {
  if (!connected_ || (may_be_lost && Chance(250'000))) return;
  if (Chance(100'000)) inbox_.emplace(now_.mono + Delay(), input);
  inbox_.emplace(now_.mono + Delay(), std::move(input));
}

AssignBatch World::Head(std::uint64_t seq) const {
  AssignBatch batch;
  batch.term = kTerm;
  batch.node = kNode;
  batch.instance = instance_;
  batch.incarnation = incarnation_;
  batch.seq = seq;
  batch.stamp = {kTerm.id, seq};
  batch.cluster = "c1";
  return batch;
}

void World::Tell(const Logged& logged) {
  AssignBatch batch = Head(logged.seq);
  batch.prev = logged.prev;
  batch.items = logged.items;
  Deliver(FromBus{bus::Message{1, "cube.assign.n1", "", {}, wire::EncodeAssign(batch)}}, true);
}

void World::TellSet() {
  Trace("set at " + std::to_string(seq_) + ", facts to " + std::to_string(last_fact_));
  DesiredPage page;
  page.term = kTerm;
  page.node = kNode;
  page.instance = instance_;
  page.incarnation = incarnation_;
  page.seq = seq_;
  if (!reported_) page.report = up_;
  page.cluster = "c1";
  page.last_fact = last_fact_;
  for (const auto& [key, p] : placed_) {
    if (p.over()) continue;
    page.assignments.push_back({key.task, key.attempt, p.placement, p.spec, p.stop, seconds(1),
                                p.observed ? p.observed->key.launch + 1 : 0});
  }
  Deliver(FromBus{bus::Message{2, "cube.desired.n1.0", "", {}, wire::EncodeDesired(page)}}, true);
}

void World::Welcome(std::uint64_t instance) {
  Trace("welcome " + std::to_string(instance));
  instance_ = instance;
  ++incarnation_;
  last_fact_ = 0;
  last_decision_ = ++seq_;
  up_ = {kTerm.id, seq_};
  reported_ = false;
  Tell({seq_, 0, {Welcomed{instance_, incarnation_}}});
  TellSet();
}

void World::OnBeat(const Heartbeat& beat) {
  if (beat.instance != instance_) return;
  // Telling is only speed: a heartbeat that shows a lack is answered like a question.
  if (!beat.hello && beat.position >= last_decision_) return;
  if (beat.position > seq_) Wrong("the worker is ahead of the log");
  const bool can_tell_items = beat.position != 0 && reported_ && beat.incarnation == incarnation_;
  if (!can_tell_items || Chance(200'000)) return TellSet();
  for (const Logged& logged : log_) {
    if (logged.seq > beat.position) Tell(logged);
  }
  AssignBatch batch = Head(seq_);
  batch.prev = last_decision_;
  batch.items = {UpToDate{}};
  Deliver(FromBus{bus::Message{1, "cube.assign.n1", "", {}, wire::EncodeAssign(batch)}}, true);
}

void World::OnFacts(const FactBatch& batch) {
  std::uint64_t number = batch.first_number;
  for (const Fact& fact : batch.facts) {
    const std::uint64_t this_number = number++;
    if (std::holds_alternative<NodeJoined>(fact.what)) {
      if (batch.instance != instance_) Welcome(batch.instance);
      continue;
    }
    if (batch.instance != instance_ || batch.incarnation != incarnation_) continue;
    if (this_number <= last_fact_) continue;
    last_fact_ = this_number;
    if (const auto* launch = std::get_if<LaunchFact>(&fact.what)) OnLaunchFact(*launch);
    const auto* reported = std::get_if<NodeReported>(&fact.what);
    if (reported && reported->up == up_) reported_ = true;
  }
}

void World::OnLaunchFact(const LaunchFact& fact) {
  const auto found = placed_.find({fact.key.task, fact.key.attempt});
  if (found == placed_.end()) return Wrong("a fact of an attempt that never was");
  Placed& p = found->second;
  Trace("fact " + std::to_string(last_fact_) + " " + Name(fact.key) + " state " +
        std::to_string(static_cast<int>(fact.state)) + (fact.final ? " final" : ""));
  if (p.placement != fact.placement) return Wrong(Name(fact.key) + ": the placement's stamp");
  if (p.observed && !MovesForward(*p.observed, fact)) {
    // After a loss of the store what was told before is told again.
    if (!views_are_lost_) {
      Wrong(Name(fact.key) + ": a fact goes backwards, from " + Name(p.observed->key) + " state " +
            std::to_string(static_cast<int>(p.observed->state)) + " to state " +
            std::to_string(static_cast<int>(fact.state)) + " " + fact.detail);
    }
    return;
  }
  if (p.over()) return Wrong(Name(fact.key) + ": a fact after the final one");
  p.observed = fact;
}

TaskSpecPtr World::RandomSpec() {
  TaskSpec spec;
  spec.name = TaskName::Trusted("t");
  spec.engine = "sim";
  spec.command = {"x"};
  const auto time = [this](std::uint64_t max_ms) {
    return FormatDuration(milliseconds(random_.Below(max_ms)));
  };
  if (random_.Below(2) == 0) spec.labels["sim.pull"] = time(2000);
  spec.labels["sim.start"] = time(500);
  if (random_.Below(3) != 0) {
    spec.labels["sim.run"] = time(5000);
    if (random_.Below(2) == 0) spec.labels["sim.exit"] = "1";
  }
  if (random_.Below(10) == 0) spec.labels["sim.fail"] = "bad image";
  if (random_.Below(10) == 0) spec.labels["sim.unavailable"] = "registry is away";
  if (random_.Below(4) == 0) spec.labels["sim.stop"] = random_.Below(2) == 0 ? "never" : time(3000);
  constexpr RestartPolicy kPolicies[] = {
      {RestartMode::kNo, 0}, {RestartMode::kOnFailure, 3}, {RestartMode::kAlways, 0}};
  spec.restart = kPolicies[random_.Below(3)];
  return std::make_shared<const TaskSpec>(std::move(spec));
}

void World::Decide() {
  decide_at_ = now_.mono + milliseconds(random_.Below(1500));
  ++seq_;  // some decisions concern others
  if (instance_ == 0 || !reported_ || random_.Below(3) == 0) return;
  Logged logged{seq_, last_decision_, {}};
  const std::uint64_t changes = 1 + random_.Below(3);
  for (std::uint64_t i = 0; i < changes; ++i) {
    if (random_.Below(2) == 0 || placed_.empty()) {
      AttemptKey key{TaskId::Trusted("t" + std::to_string(tasks_++)), 1};
      // Now and then a task that ended here comes back.
      auto old = placed_.begin();
      if (!placed_.empty()) std::advance(old, random_.Below(placed_.size()));
      const auto next = old == placed_.end() ? old : std::next(old);
      if (old != placed_.end() && old->second.over() &&
          (next == placed_.end() || next->first.task != old->first.task)) {
        key = {old->first.task, old->first.attempt + 1};
      }
      const Placed p{{kTerm.id, seq_}, RandomSpec(), false, {}};
      placed_.emplace(key, p);
      logged.items.emplace_back(
          Assignment{key.task, key.attempt, p.placement, p.spec, false, {}, 0});
    } else {
      auto it = placed_.begin();
      std::advance(it, random_.Below(placed_.size()));
      if (it->second.over() || it->second.stop) continue;
      it->second.stop = true;
      logged.items.emplace_back(StopAssignment{it->first.task, it->first.attempt, seconds(1)});
    }
  }
  if (logged.items.empty()) return;
  last_decision_ = seq_;
  log_.push_back(logged);
  Tell(logged);
}

void World::StopAll() {
  Logged logged{++seq_, last_decision_, {}};
  for (auto& [key, p] : placed_) {
    if (p.over() || p.stop) continue;
    p.stop = true;
    logged.items.emplace_back(StopAssignment{key.task, key.attempt, seconds(1)});
  }
  if (logged.items.empty()) return;
  last_decision_ = seq_;
  log_.push_back(logged);
  Tell(logged);
}

// ---- time, faults and laws --------------------------------------------------------------------

void World::Fault() {
  fault_at_ = now_.mono + milliseconds(random_.Below(4000));
  switch (random_.Below(views_are_lost_ ? 7 : 6)) {
    case 0:
      return Crash();
    case 1:
      if (!std::exchange(connected_, false)) return;
      inbox_.emplace(now_.mono, FromBus{bus::Disconnected{"fault"}});
      return;
    case 2:
    case 3:
      if (std::exchange(connected_, true)) return;
      inbox_.emplace(now_.mono, FromBus{bus::Connected{"2.9.10", 1 << 20, false}});
      return;
    case 4:
      return machine_->SetReachable(reachable_ = !reachable_);
    case 5: {
      const auto all = machine_->All();
      if (all.empty() || views_are_lost_) return;
      // Nobody can know of a container that was gone before the worker had written of it.
      const LaunchKey& key = all[random_.Below(all.size())].status.key;
      const auto stored = LoadState(*store_, kNode);
      for (const Attempt& a : stored->attempts) {
        if (a.last_fact && a.last_fact->key == key && a.last_fact->state > LaunchState::kPulling) {
          Trace("somebody removes " + Name(key));
          return machine_->Vanish(key);
        }
      }
      return;
    }
    default:
      return random_.Below(4) == 0 ? LoseView() : Crash();
  }
}

void World::Check() {
  std::map<TaskId, LaunchKey> alive;
  for (const engine::SimMachine::Seen& seen : machine_->All()) {
    const LaunchKey& key = seen.status.key;
    std::set<std::string>& ids = launches_[key];
    // One that could not be started leaves nothing behind; after a crash it is tried again.
    if (IsSet(seen.status.started_at)) ids.insert(seen.status.container_id);
    if (ids.size() > 1)
      Wrong(Name(key) + " was launched twice: " + *ids.begin() + ", " + *ids.rbegin());
    if (seen.status.state == LaunchState::kExited) continue;
    const auto [it, is_new] = alive.emplace(key.task, key);
    if (!is_new) Wrong(Name(key) + " runs beside " + Name(it->second));
    const auto p = placed_.find({key.task, key.attempt});
    if (p != placed_.end() && p->second.over() && seen.status.state == LaunchState::kRunning) {
      Wrong(Name(key) + " runs after its final fact");
    }
  }
}

void World::Run(MonoTime until, bool misbehave) {
  misbehaves_ = misbehave;
  while (now_.mono < until && wrong_.empty()) {
    MonoTime next = std::min(until, loop_->NextDeadline());
    if (!inbox_.empty()) next = std::min(next, inbox_.begin()->first);
    if (const auto due = machine_->NextDue()) next = std::min(next, *due);
    if (misbehave) next = std::min({next, decide_at_, fault_at_});
    if (next > now_.mono) {
      now_.wall += next - now_.mono;
      now_.mono = next;
    }
    if (misbehave && now_.mono >= decide_at_) Decide();
    if (misbehave && now_.mono >= fault_at_) Fault();
    StepWorker();
    Check();
  }
}

void World::Misbehave(Duration how_long) { Run(now_.mono + how_long, true); }

void World::Settle(Duration how_long) {
  if (!std::exchange(connected_, true)) {
    inbox_.emplace(now_.mono, FromBus{bus::Connected{"2.9.10", 1 << 20, false}});
  }
  machine_->SetReachable(reachable_ = true);
  Run(now_.mono + how_long, false);
}

void World::CheckSettled() {
  if (!wrong_.empty()) return;
  std::map<AttemptKey, std::size_t> running;
  for (const auto& seen : machine_->All()) {
    const AttemptKey key{seen.status.key.task, seen.status.key.attempt};
    if (seen.status.state != LaunchState::kExited) ++running[key];
    if (placed_.at(key).over()) Wrong(Name(seen.status.key) + " is not removed");
  }
  for (const auto& [key, p] : placed_) {
    const std::string name = key.task.str() + "/" + std::to_string(key.attempt);
    if (p.stop && !p.over()) Wrong(name + " was to stop, and is not over");
    const bool can_run =
        !p.spec->labels.contains("sim.fail") && !p.spec->labels.contains("sim.unavailable");
    if (!p.stop && !p.over() && p.runs_for_ever() && can_run) {
      if (running[key] != 1) Wrong(name + " should run");
      if (!p.observed || p.observed->state != LaunchState::kRunning) {
        Wrong(name + " is not known to run");
      }
    }
    if (!p.stop && !p.over() && p.spec->restart.mode == RestartMode::kNo && !p.runs_for_ever()) {
      Wrong(name + " should be over");
    }
  }
  if (!reported_) Wrong("the node has not reported");
  if (*store_->Count(kOutboxTable) > 5) Wrong("the outbox is not empty");
}

void World::CheckEmpty() {
  if (!wrong_.empty()) return;
  for (const auto& seen : machine_->All()) Wrong(Name(seen.status.key) + " is still there");
  for (const auto& [key, p] : placed_) {
    if (!p.over()) Wrong(key.task.str() + "/" + std::to_string(key.attempt) + " is not over");
    if (p.observed && p.stop && !p.observed->final) Wrong("no final fact");
  }
  if (*store_->Count(kOutboxTable) != 0) Wrong("the outbox is not empty");
}

}  // namespace cube::worker
