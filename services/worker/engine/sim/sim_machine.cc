#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "services/worker/engine/sim/sim_engine.h"

namespace cube::engine {
namespace {

constexpr std::string_view kNever = "never";
constexpr std::string_view kOom = "oom";
constexpr std::int32_t kExitKilled = 137;

}  // namespace

SimBehaviour BehaviourFromLabels(const LaunchRequest& request) {
  SimBehaviour behaviour;
  const auto& labels = request.spec->labels;
  const auto get = [&](const char* name) -> std::optional<std::string> {
    const auto it = labels.find(name);
    return it == labels.end() ? std::nullopt : std::optional(it->second);
  };
  const auto duration = [&](const char* name) -> std::optional<Duration> {
    const auto text = get(name);
    if (!text) return std::nullopt;
    const auto value = ParseDuration(*text);
    return value ? std::optional(*value) : std::nullopt;
  };
  if (const auto d = duration("sim.pull")) behaviour.pull = *d;
  if (const auto d = duration("sim.start")) behaviour.start = *d;
  behaviour.run = duration("sim.run");
  if (const auto d = duration("sim.stop")) behaviour.stop = *d;
  if (get("sim.stop") == kNever) behaviour.stop.reset();
  if (const auto text = get("sim.exit")) {
    behaviour.out_of_memory = *text == kOom;
    std::from_chars(text->data(), text->data() + text->size(), behaviour.exit_code);
    if (!behaviour.run) behaviour.run = Duration{0};
  }
  if (const auto text = get("sim.fail")) behaviour.start_failure = Error{Code::kInvalid, *text, {}};
  if (const auto text = get("sim.unavailable"))
    behaviour.start_failure = Error{Code::kUnavailable, *text, {}};
  if (const auto d = duration("sim.serves-from")) behaviour.serves_from = *d;
  if (get("sim.serves-from") == kNever) behaviour.serves_from.reset();
  behaviour.serves_until = duration("sim.serves-until");
  if (const auto d = duration("sim.answers-after")) behaviour.answers_after = *d;
  behaviour.out = get("sim.out").value_or("");
  behaviour.err = get("sim.err").value_or("");
  if (const auto variable = get("sim.print-env")) {
    const auto it = request.spec->env.find(*variable);
    behaviour.out += (it == request.spec->env.end() ? std::string() : it->second) + "\n";
  }
  const auto number = [&](const char* name, auto& value) {
    if (const auto text = get(name))
      std::from_chars(text->data(), text->data() + text->size(), value);
  };
  number("sim.cpu-millis", behaviour.cpu_millis);
  number("sim.memory-bytes", behaviour.memory_bytes);
  number("sim.network-bytes", behaviour.network_bytes);
  return behaviour;
}

std::uint64_t SimMachine::At(MonoTime when, std::function<void()> task) {
  const std::uint64_t id = next_id_++;
  timers_.emplace(Timer{when, id}, std::move(task));
  timer_times_.emplace(id, when);
  return id;
}

void SimMachine::CancelTimer(std::uint64_t id) {
  const auto it = timer_times_.find(id);
  if (it == timer_times_.end()) return;
  timers_.erase({it->second, id});
  timer_times_.erase(it);
}

void SimMachine::Advance(Now now) {
  while (!timers_.empty() && timers_.begin()->first.first <= now.mono) {
    auto node = timers_.extract(timers_.begin());
    timer_times_.erase(node.key().second);
    // It happens at its own time, but never before what has happened already.
    now_.mono = std::max(now_.mono, node.key().first);
    now_.wall = now.wall - (now.mono - now_.mono);
    node.mapped()();
  }
  now_ = now;
}

std::optional<MonoTime> SimMachine::NextDue() const {
  if (timers_.empty()) return std::nullopt;
  return timers_.begin()->first.first;
}

void SimMachine::SetReachable(bool reachable, std::string reason) {
  After(Duration{0}, [this, reachable, reason = std::move(reason)] {
    if (std::exchange(reachable_, reachable) == reachable) return;
    reason_ = reason;
    // A copy in order of start: a sink may not make engines, but may lead to their end.
    const std::set<SimEngine*> engines = engines_;
    for (SimEngine* engine : engines) {
      if (!engines_.contains(engine)) continue;
      if (reachable) {
        engine->GoUp();
      } else {
        engine->GoDown();
      }
    }
  });
}

void SimMachine::Vanish(const LaunchKey& key) {
  After(Duration{0}, [this, key] {
    for (auto it = containers_.begin(); it != containers_.end(); ++it) {
      if (it->first.second != key) continue;
      CancelTimer(it->second.stop_timer);
      const Container gone = std::move(it->second);
      containers_.erase(it);
      for (SimEngine* engine : engines_)
        if (engine->Owns(gone.owner)) engine->OnGone(gone.status);
      return;
    }
  });
}

void SimMachine::Exit(const LaunchKey& key, ExitCause cause, std::int32_t exit_code) {
  After(Duration{0}, [this, key, cause, exit_code] {
    for (const auto& [name, container] : containers_) {
      if (name.second != key) continue;
      End(Name(name), cause, exit_code, {});
      return;
    }
  });
}

std::vector<SimMachine::Seen> SimMachine::All() const {
  std::vector<Seen> all;
  for (const auto& [name, container] : containers_)
    all.push_back({container.owner, container.status});
  return all;
}

SimMachine::Answering SimMachine::AnswerOf(const LaunchKey& key) const {
  for (const auto& [name, container] : containers_) {
    if (name.second != key) continue;
    const SimBehaviour& b = container.behaviour;
    if (container.status.state != LaunchState::kRunning) break;
    const Duration age = now_.wall - container.status.started_at;
    const bool serves =
        b.serves_from && age >= *b.serves_from && (!b.serves_until || age < *b.serves_until);
    return {serves, serves ? "" : "500", b.answers_after};
  }
  return {false, "connection refused", Duration{0}};
}

SimMachine::Container* SimMachine::Find(const Name& name) {
  const auto it = containers_.find(name);
  return it == containers_.end() ? nullptr : &it->second;
}

void SimMachine::Changed(const Name& name) {
  const Container* container = Find(name);
  if (container == nullptr) return;
  const std::set<SimEngine*> engines = engines_;
  for (SimEngine* engine : engines)
    if (engines_.contains(engine) && engine->Owns(container->owner))
      engine->OnChanged(name, container->status);
}

void SimMachine::StartRunning(const Name& name) {
  Container& container = *Find(name);
  container.status.state = LaunchState::kRunning;
  container.status.started_at = now_.wall;
  container.running_since = now_.mono;
  BindPorts(container);
  Print(container, false, container.behaviour.out);
  Print(container, true, container.behaviour.err);
  const std::string id = container.status.container_id;
  if (container.behaviour.run) {
    const SimBehaviour& b = container.behaviour;
    const ExitCause cause = b.out_of_memory                           ? ExitCause::kOutOfMemory
                            : b.exit_code > 128 && b.exit_code <= 192 ? ExitCause::kSignaled
                                                                      : ExitCause::kExited;
    After(*b.run, [this, name, id, cause, code = b.out_of_memory ? kExitKilled : b.exit_code] {
      const Container* c = Find(name);
      if (c != nullptr && c->status.container_id == id) End(name, cause, code, {});
    });
  }
  Changed(name);
}

void SimMachine::End(const Name& name, ExitCause cause, std::int32_t exit_code,
                     std::string detail) {
  Container* container = Find(name);
  if (container == nullptr || container->status.state != LaunchState::kRunning) return;
  CancelTimer(std::exchange(container->stop_timer, 0));
  container->status.state = LaunchState::kExited;
  container->status.cause = cause;
  container->status.exit_code = exit_code;
  container->status.detail = std::move(detail);
  container->status.finished_at = now_.wall;
  Changed(name);
}

void SimMachine::Print(Container& container, bool is_stderr, const std::string& text) {
  std::size_t begin = 0;
  while (begin < text.size()) {
    const std::size_t end = text.find('\n', begin);
    const std::size_t after = end == std::string::npos ? text.size() : end + 1;
    container.output.push_back({is_stderr, now_.wall, text.substr(begin, after - begin)});
    begin = after;
  }
}

void SimMachine::BindPorts(Container& container) {
  for (const PortSpec& port : container.spec->ports) {
    std::uint16_t host_port = port.host_port;
    if (host_port == 0) {
      next_port_ = std::max(next_port_, options_.first_dynamic_port);
      host_port = next_port_++;
    }
    container.status.ports.push_back({port.port, host_port, port.protocol});
  }
  std::sort(container.status.ports.begin(), container.status.ports.end());
}

}  // namespace cube::engine
