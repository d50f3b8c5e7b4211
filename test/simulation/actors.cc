#include "test/simulation/actors.h"

#include <algorithm>
#include <utility>

#include "services/manager/view_store.h"
#include "services/worker/log_service.h"
#include "services/worker/worker_store.h"
#include "shared/base/check.h"
#include "shared/domain/rules.h"
#include "shared/wire/codec.h"

namespace cube::sim {
namespace {
// Inputs a process takes in one step, as its shell does.
constexpr std::size_t kInputsPerStep = 16;
constexpr Duration kRetryAfter = std::chrono::milliseconds(100);
}  // namespace

bool Actor::DiesHere() {
  if (stage_.crash_rate == 0 || !stage_.random.Chance(stage_.crash_rate)) return false;
  stage_.Note(name_ + " dies in the middle of a step");
  return true;
}

bool Actor::PausesHere() {
  if (!pause_in_step_ || stage_.random.Below(3) != 0) return false;
  PauseUntil(stage_.clock.now().mono + *pause_in_step_);
  stage_.Note(name_ + " is paused in the middle of a step for " + FormatDuration(*pause_in_step_));
  pause_in_step_.reset();
  return true;
}

void Actor::EndsUncommitted(const Error& error) {
  stage_.Note(name_ + " ends: the store cannot be written: " + error.message);
  Kill();
}

std::optional<Error> Actor::FullDisk(bool full) {
  return full ? std::optional(Error{Code::kResource, "the disk is full", {}}) : std::nullopt;
}

Now Actor::MachineTime() const {
  Now now = stage_.clock.now();
  now.wall += clock_ahead_;
  return now;
}

// ---- manager ----------------------------------------------------------------------------------

ManagerActor::ManagerActor(Stage& stage, std::string name)
    : Actor(stage, std::move(name)),
      store_(std::make_unique<store::FaultyStore>(manager::ViewSchema(),
                                                  store::FaultyStore::Durability::kRelaxed)) {}

void ManagerActor::Start() {
  PauseUntil({});
  manager::ManagerOptions options;
  store_port_.emplace(*store_);
  options.limits.replicas = stage_.replicas;
  if (stage_.stream_bytes != 0) {
    options.limits.intents_bytes_max = options.limits.decisions_bytes_max =
        options.limits.facts_bytes_max = stage_.stream_bytes;
    options.retention.chunk_bytes = 2048;
  }
  options.name = name_;
  options.owner = name_;
  if (stage_.decision_items != 0) options.decision_items_max = stage_.decision_items;
  options.seed = stage_.random.Next();
  options.settings.scheduler = kPolicies[options.seed % kPolicies.size()];  // each term another
  auto loop =
      manager::ManagerLoop::Make(options, [this](manager::ViewRecords& records) -> Result<View> {
        if (failed_) return std::unexpected(failed_->second);
        return records.Load(*store_);
      });
  CUBE_CHECK(loop.has_value());
  loop_ = std::move(*loop);
  bus_ = std::make_unique<bus::SimBus>(
      stage_.server, name_, [this](bus::Event event) { inbox_.push_back({std::move(event), {}}); });
  alive_ = true;
  stage_.Note(name_ + " starts");
}

void ManagerActor::Kill() {
  alive_ = false;
  bus_.reset();
  loop_.reset();
  store_port_.reset();
  inbox_.clear();
  due_.clear();
  rows_.clear();
  failed_.reset();
  stage_.Note(name_ + " is gone");
}

void ManagerActor::LoseView() {
  CUBE_CHECK(!alive_);
  store_ = std::make_unique<store::FaultyStore>(manager::ViewSchema(),
                                                store::FaultyStore::Durability::kRelaxed);
  stage_.Note(name_ + " loses its view");
}

void ManagerActor::LoseEnd(std::size_t commits) {
  CUBE_CHECK(!alive_);
  const std::size_t lost = store_->LoseNewest(commits);
  stage_.Note(name_ + " loses the newest " + std::to_string(lost) + " commits of its store");
}

MonoTime ManagerActor::WakeAt() const {
  if (!alive_) return MonoTime::max();
  if (!inbox_.empty() || !due_.empty()) return MonoTime{};
  MonoTime next = loop_->NextDeadline();
  if (!rows_.empty()) next = std::min(next, rows_.front().first);
  if (failed_) next = std::min(next, failed_->first);
  return next;
}

void ManagerActor::Run() {
  if (due_.empty() && failed_ && failed_->first <= stage_.clock.now().mono) {
    const Error error = failed_->second;
    return EndsUncommitted(error);
  }
  for (; !rows_.empty() && rows_.front().first <= stage_.clock.now().mono; rows_.pop_front()) {
    inbox_.push_back(std::move(rows_.front().second));
  }
  std::vector<manager::Input> inputs;
  while (due_.empty() && !inbox_.empty() && inputs.size() < kInputsPerStep) {
    inputs.push_back(std::move(inbox_.front()));
    inbox_.pop_front();
  }
  if (due_.empty()) {
    for (manager::Operation& operation : loop_->Step(inputs, MachineTime(), !inbox_.empty())) {
      due_.push_back(std::move(operation));
    }
  }
  while (!due_.empty()) {
    if (PausesHere()) return;
    if (DiesHere()) {
      Kill();
      return;
    }
    manager::Operation operation = std::move(due_.front());
    due_.pop_front();
    if (!Execute(operation)) return;
  }
}

bool ManagerActor::Execute(manager::Operation& operation) {
  if (auto* call = std::get_if<bus::Operation>(&operation)) {
    bus::Execute(*bus_, std::move(*call));
  } else if (const auto* line = std::get_if<manager::LogLine>(&operation)) {
    stage_.Note(name_ + ": " + line->text);
  } else if (const auto* exit = std::get_if<manager::Exit>(&operation)) {
    stage_.Note(name_ + " ends: " + exit->reason);
    Kill();
    return false;
  } else {
    ExecuteInStore(operation);
  }
  return true;
}

MonoTime ManagerActor::StoreTime() {
  constexpr std::uint64_t kSlowMillis = 3000;  // longer than a lost connection takes to be back
  const MonoTime now = stage_.clock.now().mono;
  if (stage_.random.Below(4) != 0) return now;
  return now + std::chrono::milliseconds(stage_.random.Below(kSlowMillis));
}

void ManagerActor::ExecuteInStore(const manager::Operation& operation) {
  if (failed_) return;
  if (const auto* commit = std::get_if<manager::Commit>(&operation)) {
    if (const auto done = store_port_->Commit(commit->batch); !done) {
      failed_.emplace(StoreTime(), done.error());
    }
  } else if (std::holds_alternative<manager::Freeze>(operation)) {
    store_port_->Freeze();
  } else if (const auto* read = std::get_if<manager::ReadFrozen>(&operation)) {
    MonoTime at = StoreTime();
    if (!rows_.empty()) at = std::max(at, rows_.back().first);
    rows_.push_back({at, {{}, store_port_->ReadFrozen(read->bytes_max)}});
  } else if (std::holds_alternative<manager::Thaw>(operation)) {
    store_port_->Thaw();
  }
}

// ---- worker -----------------------------------------------------------------------------------

WorkerActor::WorkerActor(Stage& stage, std::string name, NodeName node, Resources capacity)
    : Actor(stage, std::move(name)),
      node_(std::move(node)),
      capacity_(capacity),
      store_(std::make_unique<store::FaultyStore>(worker::WorkerSchema(),
                                                  store::FaultyStore::Durability::kFull)) {
  engine::SimMachine::Options options;
  options.script = [this](const engine::LaunchRequest& request) {
    engine::SimBehaviour behaviour = engine::BehaviourFromLabels(request);
    behaviour.pull += trouble_.slower;
    if (trouble_.fails) {
      behaviour.start_failure = Error{Code::kUnavailable, "the registry does not answer", {}};
    }
    return behaviour;
  };
  machine_ = std::make_shared<engine::SimMachine>(std::move(options));
}

void WorkerActor::Start() {
  PauseUntil({});
  auto stored = worker::LoadState(*store_, node_);
  CUBE_CHECK(stored.has_value());
  if (stored->meta.instance == 0) stored->meta.instance = stage_.random.Next() | 1;
  worker::LoopOptions options;
  options.node = node_;
  options.engines = {"sim"};
  options.description.capacity = capacity_;
  options.description.tasks_max = 500;
  options.description.version = "sim";
  options.metrics = false;
  options.on_exit = on_exit_;
  options.exit_limit = std::chrono::seconds(10);
  options.seed = stage_.random.Next();
  const Now now = MachineTime();
  loop_ = std::make_unique<worker::WorkerLoop>(std::move(options), std::move(*stored), now);
  engine_ = std::make_unique<engine::SimEngine>(machine_, [this](engine::Event event) {
    inbox_.emplace_back(worker::FromEngine{"sim", std::move(event)});
  });
  prober_ = std::make_unique<engine::SimProber>(machine_, [this](engine::ProbeResult result) {
    inbox_.emplace_back(worker::Probed{std::move(result)});
  });
  bus_ = std::make_unique<bus::SimBus>(stage_.server, name_, [this](bus::Event event) {
    inbox_.emplace_back(worker::FromBus{std::move(event)});
  });
  beats_ = std::make_unique<bus::SimBus>(stage_.server, name_ + "-beats", [this](bus::Event event) {
    if (std::holds_alternative<bus::Connected>(event)) {
      inbox_.emplace_back(worker::BeatsConnected{});
    }
  });
  alive_ = true;
  stage_.Note(name_ + " starts");
}

void WorkerActor::Kill() {
  alive_ = false;
  beats_.reset();
  bus_.reset();
  prober_.reset();
  engine_.reset();
  loop_.reset();
  inbox_.clear();
  due_.clear();
  stage_.Note(name_ + " is gone");
}

void WorkerActor::LoseView() {
  CUBE_CHECK(!alive_);
  store_ = std::make_unique<store::FaultyStore>(worker::WorkerSchema(),
                                                store::FaultyStore::Durability::kFull);
  stage_.Note(name_ + " loses its view");
}

MonoTime WorkerActor::WakeAt() const {
  const std::optional<MonoTime> due = machine_->NextDue();
  MonoTime wake = due.value_or(MonoTime::max());
  if (!alive_) return wake;
  const bool idle = inbox_.empty() && due_.empty();
  return std::min(wake, idle ? loop_->NextDeadline() : MonoTime{});
}

void WorkerActor::Run() {
  machine_->Advance(MachineTime());
  if (!alive_) return;
  std::vector<worker::Input> inputs;
  while (due_.empty() && !inbox_.empty() && inputs.size() < kInputsPerStep) {
    inputs.push_back(std::move(inbox_.front()));
    inbox_.pop_front();
  }
  if (due_.empty()) {
    for (worker::Operation& operation : loop_->Step(inputs, MachineTime())) {
      due_.push_back(std::move(operation));
    }
  }
  while (!due_.empty()) {
    if (PausesHere()) return;
    if (DiesHere()) {
      Kill();
      return;
    }
    worker::Operation operation = std::move(due_.front());
    due_.pop_front();
    if (!Execute(operation)) return;
  }
}

bool WorkerActor::Execute(worker::Operation& operation) {
  if (auto* call = std::get_if<bus::Operation>(&operation)) {
    bus::Execute(*bus_, std::move(*call));
  } else if (const auto* commit = std::get_if<worker::Commit>(&operation)) {
    if (const auto done = store_->Commit(commit->batch); !done) {
      EndsUncommitted(done.error());
      return false;
    }
  } else if (auto* beat = std::get_if<worker::Beat>(&operation)) {
    beats_->Publish(std::move(beat->subject), {}, std::move(beat->payload));
  } else if (auto* engine_call = std::get_if<worker::EngineCall>(&operation)) {
    Call(*engine_call);
    LoseAnswer();
  } else if (auto* probe = std::get_if<worker::ProbeCall>(&operation)) {
    prober_->Start(std::move(probe->request));
  } else if (const auto* read = std::get_if<worker::ReadOutbox>(&operation)) {
    auto facts = worker::ReadOutboxFrom(*store_, node_, read->from, read->facts_max);
    CUBE_CHECK(facts.has_value());
    inbox_.emplace_back(worker::OutboxRead{std::move(*facts)});
  } else if (const auto* line = std::get_if<worker::LogLine>(&operation)) {
    stage_.Note(name_ + ": " + line->text);
  } else if (const auto* exit = std::get_if<worker::Exit>(&operation)) {
    stage_.Note(name_ + " ends: " + exit->reason);
    const bool again = exit->again;
    Kill();
    if (again) Start();
    return false;
  }
  return true;
}

void WorkerActor::Call(worker::EngineCall& call) {
  if (auto* start = std::get_if<worker::StartEngine>(&call)) {
    engine_->Start(std::move(start->owner));
  } else if (auto* launch = std::get_if<worker::LaunchCall>(&call)) {
    engine_->Launch(std::move(launch->request));
  } else if (auto* stop = std::get_if<worker::StopCall>(&call)) {
    engine_->Stop(stop->key, stop->signal, stop->grace);
  } else if (auto* remove = std::get_if<worker::RemoveCall>(&call)) {
    engine_->Remove(remove->key, "", 0);
  } else {
    engine_->List();
  }
}

// The engine may have done what it was called for, and nobody hears of it until it answers again.
void WorkerActor::LoseAnswer() {
  if (stage_.answers_lost == 0 || !stage_.random.Chance(stage_.answers_lost)) return;
  stage_.Note("answer of " + name_ + "'s engine is lost");
  const Duration after = std::chrono::milliseconds(stage_.random.Below(600));
  const Duration away = std::chrono::milliseconds(1 + stage_.random.Below(1'000));
  engine::SimMachine* machine = machine_.get();
  machine->Later(after, [machine] { machine->SetReachable(false); });
  machine->Later(after + away, [machine] { machine->SetReachable(true); });
}

// ---- client -----------------------------------------------------------------------------------

ClientActor::ClientActor(Stage& stage) : Actor(stage, "client") {}

void ClientActor::Start() {
  alive_ = true;
  bus_ = std::make_unique<bus::SimBus>(stage_.server, name_,
                                       [this](bus::Event event) { OnEvent(event); });
}

MonoTime ClientActor::WakeAt() const {
  return alive_ && connected_ && !waiting_.empty() ? retry_at_ : MonoTime::max();
}

void ClientActor::Run() {
  std::deque<Request> waiting = std::exchange(waiting_, {});
  for (const Request& request : waiting) Send(request);
}

void ClientActor::Kill() {
  alive_ = false;
  bus_.reset();
}

void ClientActor::Submit(const std::string& id, TaskSpecPtr spec) {
  Send({wire::Subjects().TasksSubmit(), id,
        wire::EncodeSubmit({{TaskId::Trusted(id), std::move(spec)}})});
}

void ClientActor::Stop(const std::string& id) {
  Send({wire::Subjects().TasksStop(), id, wire::EncodeStop({{TaskId::Trusted(id), std::nullopt}})});
}

void ClientActor::Ask(std::string subject, std::string payload) {
  Send({std::move(subject), "", std::move(payload)});
}

void ClientActor::Send(const Request& request) {
  if (!connected_) {
    waiting_.push_back(request);
    return;
  }
  bus::AppendRequest append;
  append.op = next_op_++;
  append.subject = request.subject;
  append.payload = request.payload;
  pending_[append.op] = request;
  bus_->Append(std::move(append));
}

void ClientActor::OnEvent(const bus::Event& event) {
  if (std::holds_alternative<bus::Connected>(event)) {
    connected_ = true;
    retry_at_ = {};
  } else if (std::holds_alternative<bus::Disconnected>(event)) {
    connected_ = false;
  } else if (const auto* done = std::get_if<bus::Appended>(&event)) {
    const auto it = pending_.find(done->op);
    if (it == pending_.end()) return;
    if (it->second.subject == wire::Subjects().TasksSubmit()) submitted_.insert(it->second.id);
    if (it->second.subject == wire::Subjects().TasksStop()) stopped_.insert(it->second.id);
    pending_.erase(it);
  } else if (const auto* failed = std::get_if<bus::AppendFailed>(&event)) {
    const auto it = pending_.find(failed->op);
    if (it == pending_.end()) return;
    waiting_.push_back(std::move(it->second));
    pending_.erase(it);
    retry_at_ = stage_.clock.now().mono + kRetryAfter;  // the stream may not be there yet
  }
}

}  // namespace cube::sim
