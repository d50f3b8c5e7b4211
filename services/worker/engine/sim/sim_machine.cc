#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "services/worker/engine/sim/sim_engine.h"

namespace cube::engine {
namespace {

constexpr const char* kLabels = "sim.";
constexpr std::string_view kNever = "never";
constexpr std::string_view kOom = "oom";
constexpr std::int32_t kExitKilled = 137;

}  // namespace

SimBehaviour BehaviourFromLabels(const LaunchRequest& request) {
  SimBehaviour behaviour;
  const auto& labels = request.spec->labels;
  const auto first = labels.lower_bound(kLabels);
  if (first == labels.end() || !first->first.starts_with(kLabels)) return behaviour;
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

SimMachine::Timer SimMachine::At(MonoTime when, std::move_only_function<void()> task) {
  const Timer timer{when, next_id_++};
  timers_.emplace(timer, std::move(task));
  return timer;
}

void SimMachine::Advance(Now now) {
  while (!timers_.empty() && timers_.begin()->first.first <= now.mono) {
    auto node = timers_.extract(timers_.begin());
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
    ForEnginesOf(nullptr, [reachable](SimEngine& engine) {
      if (reachable) {
        engine.GoUp();
      } else {
        engine.GoDown();
      }
    });
  });
}

// Of all owners, with nullptr. A sink may not make engines, but may lead to their end.
template <class Task>
void SimMachine::ForEnginesOf(const Belongings* of, const Task& task) {
  for (auto it = engines_.begin(); it != engines_.end();) {
    SimEngine* const engine = *it;
    if (of == nullptr || engine->own_ == of) task(*engine);
    it = engines_.upper_bound(engine);
  }
}

void SimMachine::Vanish(const LaunchKey& key) {
  After(Duration{0}, [this, key] {
    const ContainerPtr container = FindAny(key);
    if (container == nullptr) return;
    CancelTimer(container->stop_timer);
    Erase(container);
    ForEnginesOf(container->of, [&](SimEngine& engine) { engine.OnGone(container->status); });
  });
}

void SimMachine::Exit(const LaunchKey& key, ExitCause cause, std::int32_t exit_code) {
  After(Duration{0}, [this, key, cause, exit_code] {
    if (const ContainerPtr container = FindAny(key)) End(*container, cause, exit_code);
  });
}

std::vector<SimMachine::Seen> SimMachine::All() const {
  std::vector<Seen> all;
  for (const auto& [name, of] : belongings_)
    for (const auto& [key, container] : of.containers) all.push_back({of.owner, container->status});
  return all;
}

SimMachine::Answering SimMachine::AnswerOf(const LaunchKey& key) const {
  const ContainerPtr container = FindAny(key);
  if (container == nullptr || container->status.state != LaunchState::kRunning)
    return {false, "connection refused", Duration{0}};
  const SimBehaviour& b = *container->behaviour;
  const Duration age = now_.wall - container->status.started_at;
  const bool serves =
      b.serves_from && age >= *b.serves_from && (!b.serves_until || age < *b.serves_until);
  return {serves, serves ? "" : "500", b.answers_after};
}

SimMachine::Belongings& SimMachine::Of(const Owner& owner) {
  Belongings& of = belongings_[{owner.cluster, owner.node.str()}];
  of.owner = owner;
  return of;
}

SimMachine::ContainerPtr SimMachine::Find(const Belongings& of, const LaunchKey& key) {
  const ContainerPtr* found = of.containers.Find(key);
  return found == nullptr ? nullptr : *found;
}

SimMachine::ContainerPtr SimMachine::FindAny(const LaunchKey& key) const {
  for (const auto& [name, of] : belongings_)
    if (ContainerPtr found = Find(of, key)) return found;
  return nullptr;
}

SimMachine::BehaviourPtr SimMachine::BehaviourOf(const LaunchRequest& request) const {
  static const BehaviourPtr usual = std::make_shared<const SimBehaviour>();
  SimBehaviour behaviour = options_.script(request);
  return behaviour == *usual ? usual : std::make_shared<const SimBehaviour>(std::move(behaviour));
}

void SimMachine::Erase(const ContainerPtr& container) {
  container->gone = true;
  ++container->of->gone[container->status.key];
  container->of->containers.Erase(container->status.key);
}

void SimMachine::Changed(const Container& container) {
  ForEnginesOf(container.of, [&](SimEngine& engine) { engine.OnChanged(container.status); });
}

void SimMachine::StartRunning(const ContainerPtr& started) {
  Container& container = *started;
  container.status.state = LaunchState::kRunning;
  container.status.started_at = now_.wall;
  container.running_since = now_.mono;
  BindPorts(container);
  Print(container, false, container.behaviour->out);
  Print(container, true, container.behaviour->err);
  if (container.behaviour->run) {
    const SimBehaviour& b = *container.behaviour;
    const ExitCause cause = b.out_of_memory                           ? ExitCause::kOutOfMemory
                            : b.exit_code > 128 && b.exit_code <= 192 ? ExitCause::kSignaled
                                                                      : ExitCause::kExited;
    After(*b.run, [this, started, cause, code = b.out_of_memory ? kExitKilled : b.exit_code] {
      End(*started, cause, code);
    });
  }
  Changed(container);
}

void SimMachine::End(Container& container, ExitCause cause, std::int32_t exit_code) {
  if (container.gone || container.status.state != LaunchState::kRunning) return;
  CancelTimer(std::exchange(container.stop_timer, {}));
  container.status.state = LaunchState::kExited;
  container.status.cause = cause;
  container.status.exit_code = exit_code;
  container.status.detail.clear();
  container.status.finished_at = now_.wall;
  Changed(container);
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
