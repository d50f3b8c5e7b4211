#include "services/worker/process.h"

#include <cstdlib>
#include <utility>

#include "services/worker/worker_store.h"
#include "shared/base/time.h"
#include "shared/domain/assign.h"
#include "shared/domain/rules.h"
#include "shared/logging/logging.h"
#include "shared/runtime/entropy.h"
#include "shared/store/lmdb_store.h"
#include "shared/store/memory_store.h"

namespace cube::worker {
namespace {

using logging::Level;
using logging::Log;

// Core messages are dropped when so much waits, as NATS itself does with slow readers. It is more
// than the lines (2 bytes at least) that a window of 1 MiB lets an engine put in at once: else the
// credit that its reader sends next is dropped behind them, and the reader waits for ever.
constexpr std::size_t kInboxMessagesMax = 1u << 20;
// Inputs taken in one step: bounds the time until the next look at the clock.
constexpr std::size_t kInputsPerStep = 1024;
constexpr Duration kPruneInterval = std::chrono::minutes(10);
// Of heartbeats of a worker that ends: half of the shortest interval, so that none is missed.
constexpr Duration kLastBeatsInterval = kHeartbeatMin / 2;

// Crash-only: all that counts is on disk, and no destructor is waited for.
void EndAtOnce() {
  Log(Level::kWarning, "told to end, and ends now: something takes longer than a worker may");
  std::_Exit(0);
}

}  // namespace

Process::Process(const Flags& flags, const NodeFolder& folder)
    : flags_(flags),
      folder_(folder),
      guard_(kLastBeatsInterval, {.beat = [this] { BeatAgain(); }, .time_up = [] { EndAtOnce(); }}),
      inbox_(kInboxMessagesMax),
      output_(folder.dir + "/output"),
      machine_(folder.dir) {}

// Who scrapes must not wait for a loop that is no more.
Process::~Process() {
  if (snapshot_) snapshot_->Close();
  listener_.reset();
  // Heartbeats go on until all else is gone.
  engines_.reset();
  bus_.reset();
  store_.reset();
  guard_.StopBeats();
  beats_.reset();
}

void Process::BeatAgain() {
  const std::lock_guard lock(beat_mutex_);
  if (last_beat_) beats_->Publish(last_beat_->subject, {}, last_beat_->payload);
}

Result<void> Process::OpenLmdb() {
  store::LmdbOptions options;
  options.durability = store::Durability::kFull;  // the outbox is the only copy of a fact
  CUBE_TRY(auto opened, store::LmdbStore::Open(folder_.dir + "/view", WorkerSchema(), options));
  store_ = std::move(opened.store);
  if (!opened.opening.reason.empty()) {
    Log(Level::kWarning, "the store begins anew; what runs is taken up again",
        {{"reason", opened.opening.reason}, {"set_aside", opened.opening.set_aside}});
  }
  return {};
}

Result<StoredState> Process::OpenStore() {
  if (flags_.service.store == "memory") {
    store_ = std::make_unique<store::MemoryStore>(WorkerSchema());
  } else {
    CUBE_TRY_VOID(OpenLmdb());
  }
  Result<StoredState> state = LoadState(*store_, folder_.name);
  if (!state && state.error().code == Code::kDataLoss) {
    store_.reset();
    CUBE_TRY(const std::string aside, store::LmdbStore::SetAside(folder_.dir + "/view"));
    Log(Level::kWarning, "the store begins anew; what runs is taken up again",
        {{"reason", state.error().Text()}, {"set_aside", aside}});
    CUBE_TRY_VOID(OpenLmdb());
    state = LoadState(*store_, folder_.name);
  }
  if (state && state->meta.instance == 0) state->meta.instance = runtime::RandomU64();
  return state;
}

Result<LoopOptions> Process::OptionsOfLoop() const {
  LoopOptions options;
  options.node = folder_.name;
  CUBE_TRY(options.subjects, service::SubjectsOf(flags_.service));
  options.engines = flags_.engines;
  CUBE_TRY(options.description, DescriptionOf(flags_, folder_.dir));
  Result<Duration> interval = ParseDuration(flags_.metrics_interval);
  if (!interval) {
    return std::unexpected(Error{Code::kInvalid, interval.error().message, "--metrics-interval"});
  }
  if (*interval > Duration{0} && *interval < std::chrono::seconds(1)) {
    return Fail(Code::kInvalid, "must be at least 1s, or 0 for none", "--metrics-interval");
  }
  options.metrics_interval = *interval;
  options.exec = !flags_.no_exec;
  options.on_exit = flags_.on_exit == "drain"  ? OnExit::kDrain
                    : flags_.on_exit == "stop" ? OnExit::kStop
                                               : OnExit::kKeep;
  const Result<Duration> limit = ParseDuration(flags_.exit_limit);
  if (!limit) return Fail(Code::kInvalid, limit.error().message, "--exit-limit");
  if (auto good = CheckDrainDeadline(*limit, "--exit-limit"); !good) {
    return std::unexpected(std::move(good).error());
  }
  options.exit_limit = *limit;
  options.seed = runtime::RandomU64();
  return options;
}

void Process::OpenBuses(bus::NatsBusOptions options) {
  options.name = "cube-worker " + folder_.name.str();
  bus_ = std::make_unique<bus::NatsBus>(options, [this](bus::Event event) {
    // Core messages may be lost; completions may not.
    if (std::holds_alternative<bus::Message>(event)) {
      inbox_.Push(FromBus{std::move(event)});
    } else {
      inbox_.PushAlways(FromBus{std::move(event)});
    }
  });
  options.name += " heartbeats";
  beats_ = std::make_unique<bus::NatsBus>(std::move(options), [this](bus::Event event) {
    if (std::holds_alternative<bus::Connected>(event)) inbox_.PushAlways(BeatsConnected{});
  });
}

Result<void> Process::Open() {
  CUBE_TRY(bus::NatsBusOptions nats, service::BusOptions(flags_.service));
  // First: reading a large store takes its time, and a signal in it is not an accident.
  CUBE_TRY(signals_, runtime::SignalWatch::Start([this](int) {
             // What is handed over first takes its time.
             if (flags_.on_exit == "keep") guard_.Arm(kExitMax);
             inbox_.PushAlways(Shutdown{});
           }));
  CUBE_TRY(LoopOptions options, OptionsOfLoop());
  CUBE_TRY(StoredState state, OpenStore());
  CUBE_TRY(
      Engines engines,
      Engines::Make(
          flags_, folder_.dir, [this](FromEngine event) { inbox_.PushAlways(std::move(event)); },
          [this](engine::ProbeResult result) { inbox_.PushAlways(Probed{std::move(result)}); }));
  engines_ = std::make_unique<Engines>(std::move(engines));
  loop_ = std::make_unique<WorkerLoop>(std::move(options), std::move(state), clock_.now());
  CUBE_TRY_VOID(Listen());
  OpenBuses(std::move(nats));
  return {};
}

Result<void> Process::Listen() {
  if (flags_.service.metrics_listen.empty()) return {};
  snapshot_ = std::make_shared<telemetry::Snapshot>([this] { inbox_.PushAlways(Scrape{}); });
  CUBE_TRY(listener_, telemetry::Listener::Open(flags_.service.metrics_listen, snapshot_));
  Log(Level::kInfo, "metrics for Prometheus",
      {{"url", "http://" + listener_->address() + "/metrics"}});
  return {};
}

void Process::PutSnapshot() {
  figures_.facts_waiting = store_->Count(kOutboxTable).value_or(0);
  figures_.store_bytes = service::FileBytes(folder_.dir + "/view/data.mdb");
  figures_.inbox_size = inbox_.size();
  figures_.inbox_dropped = inbox_.dropped();
  snapshot_->Put(Expose(folder_.name, *loop_, figures_));
}

void Process::TakeOut(std::vector<Queued>& queued) {
  for (Queued& item : queued) {
    if (std::holds_alternative<Scrape>(item)) {
      PutSnapshot();
      continue;
    }
    auto& input = std::get<Input>(item);
    const auto* bus_event = std::get_if<FromBus>(&input);
    if (bus_event != nullptr && std::holds_alternative<bus::Connected>(bus_event->event)) {
      ++figures_.connects;
    }
    inputs_.push_back(std::move(input));
  }
}

void Process::Write(const LogLine& line) const {
  constexpr Level kLevels[] = {Level::kDebug, Level::kInfo, Level::kWarning, Level::kError};
  const Level level = kLevels[static_cast<std::size_t>(line.level)];
  if (line.key.task.empty()) {
    Log(level, line.text);
  } else {
    Log(level, line.text,
        {{"task", line.key.task.str()},
         {"attempt", line.key.attempt},
         {"launch", line.key.launch}});
  }
}

bool Process::Fails(std::string_view what, const Error& error) {
  // Crash-only: the store holds what it held before, and the next start goes on from there.
  logging::LogError(Level::kError, what, error);
  end_.code = 1;
  return false;
}

bool Process::ExecuteOne(Operation& operation) {
  if (auto* call = std::get_if<bus::Operation>(&operation)) {
    bus::Execute(*bus_, std::move(*call));
  } else if (const auto* commit = std::get_if<Commit>(&operation)) {
    const Result<void> done = store_->Commit(commit->batch);
    if (!done) return Fails("the store cannot be written", done.error());
  } else if (auto* beat = std::get_if<Beat>(&operation)) {
    ++figures_.heartbeats;
    const std::lock_guard lock(beat_mutex_);
    last_beat_ = *beat;
    beats_->Publish(std::move(beat->subject), {}, std::move(beat->payload));
  } else if (auto* engine_call = std::get_if<EngineCall>(&operation)) {
    engines_->Call(*engine_call, output_);
  } else if (auto* probe = std::get_if<ProbeCall>(&operation)) {
    engines_->Call(*probe);
  } else if (auto* open = std::get_if<OpenLogs>(&operation)) {
    engines_->Call(*open);
  } else if (const auto* credit = std::get_if<LogCredit>(&operation)) {
    engines_->Call(*credit);
  } else if (const auto* close = std::get_if<CloseLogs>(&operation)) {
    engines_->Call(*close);
  } else if (auto* exec = std::get_if<ExecCall>(&operation)) {
    engines_->Call(*exec);
  } else if (const auto* read = std::get_if<ReadOutbox>(&operation)) {
    auto facts = ReadOutboxFrom(*store_, folder_.name, read->from, read->facts_max);
    if (!facts) return Fails("the outbox cannot be read", facts.error());
    inputs_.emplace_back(OutboxRead{*std::move(facts)});
  } else if (const auto* list = std::get_if<ListOutput>(&operation)) {
    inputs_.emplace_back(OutputListed{list->stream, output_.List(list->task, list->attempt)});
  } else if (const auto* saved = std::get_if<ReadOutput>(&operation)) {
    inputs_.emplace_back(OutputRead{saved->stream, saved->key, output_.Read(saved->key)});
  } else if (std::holds_alternative<TakeSample>(operation)) {
    // A machine without /proc has no metrics; the node works all the same.
    if (auto sample = machine_.Look(clock_.now().wall))
      inputs_.emplace_back(Sampled{std::make_shared<const Sample>(*sample)});
  } else if (const auto* usage = std::get_if<AskUsage>(&operation)) {
    engines_->Call(*usage);
  } else if (const auto* line = std::get_if<LogLine>(&operation)) {
    Write(*line);
  } else if (const auto* exit = std::get_if<Exit>(&operation)) {
    end_ = {exit->code, exit->again};
    Log(exit->code == 0 ? Level::kInfo : Level::kError, exit->reason);
    return false;
  }
  return true;
}

bool Process::Execute(Operations& operations) {
  for (Operation& operation : operations) {
    if (!ExecuteOne(operation)) return false;
  }
  return true;
}

void Process::PruneIfDue() {
  const Now now = clock_.now();
  if (now.mono < prune_at_) return;
  prune_at_ = now.mono + kPruneInterval;
  const std::size_t removed = output_.Prune(now.wall);
  if (removed > 0) Log(Level::kDebug, "saved output was pruned", {{"files", removed}});
}

Process::End Process::Run() {
  for (;;) {
    PruneIfDue();
    // What the last step asked of the disk is an input already.
    const MonoTime deadline =
        inputs_.empty() ? std::min(loop_->NextDeadline(), prune_at_) : MonoTime{};
    std::vector<Queued> queued;
    inbox_.TakeUntil(queued, kInputsPerStep, deadline);
    TakeOut(queued);
    std::vector<Input> inputs = std::exchange(inputs_, {});
    Operations operations = loop_->Step(inputs, clock_.now());
    if (loop_->ending()) guard_.Arm(kExitMax);
    if (!Execute(operations)) return end_;
  }
}

}  // namespace cube::worker
