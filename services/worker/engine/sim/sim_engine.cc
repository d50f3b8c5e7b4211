#include "services/worker/engine/sim/sim_engine.h"

#include <fmt/format.h>

#include <algorithm>

#include "services/worker/engine/output_log.h"
#include "shared/base/check.h"

namespace cube::engine {
namespace {

constexpr std::int32_t kExitKilled = 137;
constexpr std::int32_t kExitTerminated = 143;

}  // namespace

SimEngine::SimEngine(std::shared_ptr<SimMachine> machine, Sink sink)
    : machine_(std::move(machine)), sink_(std::move(sink)) {}

SimEngine::~SimEngine() {
  *alive_ = false;
  machine_->engines_.erase(this);
}

Error SimEngine::NotUp() const {
  return {Code::kUnavailable, "the simulated engine cannot be reached: " + machine_->reason_, {}};
}

// ---- connection ---------------------------------------------------------------------------

void SimEngine::Start(Owner owner) {
  CUBE_CHECK(own_ == nullptr);
  own_ = &machine_->Of(owner);
  Soon([this] {
    machine_->engines_.insert(this);
    if (machine_->reachable_) {
      GoUp();
    } else {
      sink_(Down{NotUp().message});
    }
  });
}

void SimEngine::GoUp() {
  if (std::exchange(up_, true)) return;
  sink_(Up{.version = "sim 1", .limits = true});
  // What vanished unseen.
  for (const auto& [key, status] : std::exchange(told_, {}))
    if (Find(key) == nullptr) OnGone(status);
  SendList();
  std::vector<LaunchKey> waiting;
  for (const auto& [key, pulling] : pulling_) waiting.push_back(key);
  for (const LaunchKey& key : waiting) BeginPull(key);
}

void SimEngine::GoDown() {
  if (!std::exchange(up_, false)) return;
  for (const auto& [key, container] : own_->containers)
    told_.emplace(container->status.key, container->status);
  for (auto& [key, pulling] : pulling_) machine_->CancelTimer(std::exchange(pulling.timer, {}));
  sink_(Down{NotUp().message});
  const auto streams = std::exchange(streams_, {});
  for (const auto& [stream, state] : streams) sink_(LogEnd{stream, NotUp()});
  const auto execs = execs_;
  for (const auto& [exec, state] : execs) EndExec(exec, NotUp());
}

void SimEngine::List() {
  Soon([this] {
    if (up_) SendList();
  });
}

void SimEngine::SendList() {
  Listed listed;
  for (const auto& [key, container] : own_->containers)
    listed.launches.push_back(container->status);
  for (const auto& [key, pulling] : pulling_) listed.launches.push_back(PullStatus(pulling));
  std::sort(listed.launches.begin(), listed.launches.end(),
            [](const LaunchStatus& a, const LaunchStatus& b) { return a.key < b.key; });
  sink_(std::move(listed));
}

// ---- launch -------------------------------------------------------------------------------

LaunchStatus SimEngine::PullStatus(const Pulling& pulling) const {
  LaunchStatus status;
  status.key = pulling.request.key;
  status.placement = pulling.request.placement;
  status.state = LaunchState::kPulling;
  return status;
}

void SimEngine::Launch(LaunchRequest request) {
  Soon([this, request = std::move(request)]() mutable { DoLaunch(std::move(request)); });
}

void SimEngine::DoLaunch(LaunchRequest request) {
  if (const auto it = pulling_.find(request.key); it != pulling_.end())
    return sink_(Changed{PullStatus(it->second)});
  if (const auto container = up_ ? Find(request.key) : nullptr) {
    sink_(Changed{container->status});
    if (container->status.state == LaunchState::kStarting) BeginStart(container);
    return;
  }
  Pulling pulling;
  pulling.behaviour = machine_->BehaviourOf(request);
  pulling.request = std::move(request);
  if (up_ && pulling.behaviour->pull <= Duration{0}) return Create(std::move(pulling));
  LaunchKey key = pulling.request.key;
  const auto waiting = pulling_.try_emplace(std::move(key), std::move(pulling)).first;
  if (up_) BeginPull(waiting->first);
}

void SimEngine::BeginPull(const LaunchKey& key) {
  Pulling& pulling = pulling_.at(key);
  if (pulling.timer.second != 0) return;
  if (pulling.behaviour->pull > Duration{0}) sink_(Changed{PullStatus(pulling)});
  pulling.timer = machine_->After(pulling.behaviour->pull, [this, alive = alive_, key] {
    if (!*alive) return;
    auto node = pulling_.extract(key);
    if (node.empty()) return;
    if (Find(key) != nullptr) return DoLaunch(std::move(node.mapped().request));
    Create(std::move(node.mapped()));
  });
}

void SimEngine::Create(Pulling pulling) {
  const LaunchKey& key = pulling.request.key;
  const auto gone = own_->gone.find(key);
  const std::uint64_t generation = gone == own_->gone.end() ? 1 : gone->second + 1;
  const auto container = std::make_shared<SimMachine::Container>();
  container->of = own_;
  container->behaviour = std::move(pulling.behaviour);
  container->spec = std::move(pulling.request.spec);
  container->status.key = key;
  container->status.placement = pulling.request.placement;
  container->status.state = LaunchState::kStarting;
  container->status.container_id =
      fmt::format("sim-{}-{}-{}-{}", key.task.str(), key.attempt, key.launch, generation);
  own_->containers.Add(container->status.key, container);
  machine_->Changed(*container);
  BeginStart(container);
}

void SimEngine::BeginStart(const SimMachine::ContainerPtr& container) {
  machine_->After(container->behaviour->start, [this, alive = alive_, c = container] {
    if (!*alive || c->gone || c->status.state != LaunchState::kStarting) return;
    if (!c->behaviour->start_failure) return machine_->StartRunning(c);
    machine_->Erase(c);
    FailLaunch(c->status, *c->behaviour->start_failure);
  });
}

// It never ran, and nothing of it is left.
void SimEngine::FailLaunch(LaunchStatus status, const Error& error) {
  told_.erase(status.key);
  status.state = LaunchState::kExited;
  status.cause = ExitCause::kStartFailed;
  status.exit_code = -1;
  status.detail = error.message;
  status.failure = error.code;
  status.finished_at = machine_->now_.wall;
  if (up_) sink_(Changed{std::move(status)});
}

void SimEngine::OnChanged(const LaunchStatus& status) {
  if (!up_) return;
  sink_(Changed{status});
  std::vector<std::uint64_t> streams;
  for (const auto& [stream, state] : streams_)
    if (state.key == status.key) streams.push_back(stream);
  for (const std::uint64_t stream : streams) Flow(stream);
  if (status.state == LaunchState::kExited) EndExecsOf(status.key);
}

void SimEngine::OnGone(const LaunchStatus& last) {
  if (!up_) return;
  EndExecsOf(last.key);
  if (last.state == LaunchState::kExited) return;
  LaunchStatus status = last;
  status.state = LaunchState::kExited;
  status.cause = ExitCause::kVanished;
  status.exit_code = -1;
  status.detail = "somebody else removed it";
  status.finished_at = machine_->now_.wall;
  sink_(Changed{std::move(status)});
}

// ---- stop and remove ----------------------------------------------------------------------

void SimEngine::Stop(LaunchKey key, std::string signal, Duration grace) {
  Soon([this, key = std::move(key), signal = std::move(signal), grace] {
    DoStop(key, signal, grace);
  });
}

void SimEngine::DoStop(const LaunchKey& key, const std::string& signal, Duration grace) {
  const Error aborted{Code::kAborted, "stopped before it started", {}};
  if (const auto it = pulling_.find(key); it != pulling_.end()) {
    machine_->CancelTimer(it->second.timer);
    LaunchStatus status = PullStatus(it->second);
    pulling_.erase(it);
    const bool was_up = std::exchange(up_, true);  // known here, whether or not it can be reached
    FailLaunch(std::move(status), aborted);
    up_ = was_up;
    return;
  }
  if (!up_) return sink_(OpFailed{key, NotUp()});
  const auto container = Find(key);
  if (container == nullptr)
    return sink_(OpFailed{key, {Code::kNotFound, "the engine has no such launch", {}}});
  if (container->status.state == LaunchState::kExited) return sink_(Changed{container->status});
  if (container->status.state == LaunchState::kStarting) {
    machine_->Erase(container);
    return FailLaunch(container->status, aborted);
  }
  const MonoTime kill_at = machine_->now_.mono + std::max(grace, Duration{0});
  const bool first = container->stop_timer.second == 0;
  if (!first && kill_at >= container->kill_at) return;
  machine_->CancelTimer(container->stop_timer);
  const bool kill = signal == "SIGKILL" || grace <= Duration{0};
  const auto obeys = container->behaviour->stop;
  container->kill_at = kill ? machine_->now_.mono : kill_at;
  if (!kill && obeys && machine_->now_.mono + *obeys < kill_at) {
    container->stop_timer = machine_->After(*obeys, [machine = machine_.get(), container] {
      machine->End(*container, ExitCause::kSignaled, kExitTerminated);
    });
    return;
  }
  container->stop_timer = machine_->At(container->kill_at, [machine = machine_.get(), container] {
    machine->End(*container, ExitCause::kSignaled, kExitKilled);
  });
}

void SimEngine::Remove(LaunchKey key, std::string save_output_to, std::size_t save_bytes) {
  Soon([this, key = std::move(key), path = std::move(save_output_to), save_bytes] {
    DoRemove(key, path, save_bytes);
  });
}

void SimEngine::DoRemove(const LaunchKey& key, const std::string& path, std::size_t bytes) {
  if (!up_) return sink_(OpFailed{key, NotUp()});
  const auto container = Find(key);
  const bool launching = pulling_.contains(key);
  if (container == nullptr && !launching) return sink_(Removed{key});
  if (launching || container->status.state != LaunchState::kExited)
    return sink_(OpFailed{key, {Code::kPrecondition, "the launch has not ended", {}}});
  if (!path.empty() && bytes > 0 && machine_->options_.save) {
    std::string frames;
    for (const SimMachine::Line& line : container->output) {
      LineFramer framer(line.is_stderr);
      framer.Add(line.time, line.bytes, &frames);
      framer.Finish(line.time, &frames);
    }
    std::string tail(TailFrames(frames, bytes));
    if (tail.size() < frames.size()) tail.insert(0, kCutMark);
    if (const auto saved = machine_->options_.save(path, tail); !saved)
      return sink_(OpFailed{key, saved.error()});
  }
  machine_->Erase(container);
  sink_(Removed{key});
}

// ---- usage --------------------------------------------------------------------------------

void SimEngine::Usage() {
  Soon([this] {
    Usages usages;
    if (!up_) return sink_(std::move(usages));
    for (const auto& [key, container] : own_->containers) {
      if (container->status.state != LaunchState::kRunning) continue;
      const Duration run = machine_->now_.mono - container->running_since;
      const auto nanos = static_cast<std::uint64_t>(run.count());
      const SimBehaviour& does = *container->behaviour;
      LaunchUsage usage;
      usage.key = container->status.key;
      usage.at = machine_->now_.mono;
      usage.cpu_nanos = nanos / 1000 * static_cast<std::uint64_t>(does.cpu_millis);
      usage.memory_bytes = does.memory_bytes;
      const std::uint64_t bytes = nanos / 1'000'000'000 * does.network_bytes;
      usage.network = {.rx_bytes = bytes, .tx_bytes = bytes};
      usages.launches.push_back(std::move(usage));
    }
    sink_(std::move(usages));
  });
}

// ---- output -------------------------------------------------------------------------------

void SimEngine::OpenLogs(std::uint64_t stream, LaunchKey key, LogOptions options) {
  Soon([this, stream, key = std::move(key), options] { DoOpenLogs(stream, key, options); });
}

void SimEngine::DoOpenLogs(std::uint64_t stream, const LaunchKey& key, const LogOptions& options) {
  if (!up_) return sink_(LogEnd{stream, NotUp()});
  if (streams_.contains(stream)) return;
  const auto container = Find(key);
  if (container == nullptr && !pulling_.contains(key))
    return sink_(LogEnd{stream, Error{Code::kNotFound, "the engine has no such launch", {}}});
  if (container == nullptr || container->status.state < LaunchState::kRunning)
    return sink_(LogEnd{stream, Error{Code::kPrecondition, "it has not started yet", {}}});
  Stream& state = streams_[stream];
  state.key = key;
  state.follow = options.follow;
  const std::size_t lines = container->output.size();
  if (options.tail_lines >= 0)
    state.next_line = lines - std::min(lines, static_cast<std::size_t>(options.tail_lines));
  while (state.next_line < lines && container->output[state.next_line].time < options.since)
    ++state.next_line;
  Flow(stream);
}

void SimEngine::LogCredit(std::uint64_t stream, std::size_t bytes) {
  Soon([this, stream, bytes] {
    const auto it = streams_.find(stream);
    if (it == streams_.end()) return;
    it->second.credit += std::min(bytes, std::size_t{1} << 40);
    Flow(stream);
  });
}

void SimEngine::CloseLogs(std::uint64_t stream) {
  Soon([this, stream] {
    if (streams_.erase(stream) != 0) sink_(LogEnd{stream, std::nullopt});
  });
}

void SimEngine::Flow(std::uint64_t stream) {
  Stream& state = streams_.at(stream);
  const auto container = Find(state.key);
  while (container != nullptr && state.credit > 0 && state.next_line < container->output.size()) {
    const SimMachine::Line& line = container->output[state.next_line];
    const std::size_t left = line.bytes.size() - state.next_byte;
    const std::size_t count = std::min({left, state.credit, kLogChunkBytesMax});
    LogChunk chunk{stream, line.is_stderr, line.time, line.bytes.substr(state.next_byte, count)};
    state.credit -= count;
    state.next_byte += count;
    if (count == left) {
      ++state.next_line;
      state.next_byte = 0;
    }
    sink_(std::move(chunk));
  }
  const bool more = container != nullptr && state.next_line < container->output.size();
  const bool may_grow =
      state.follow && container != nullptr && container->status.state == LaunchState::kRunning;
  if (more || may_grow) return;
  streams_.erase(stream);
  sink_(LogEnd{stream, std::nullopt});
}

}  // namespace cube::engine
