#include "services/manager/core/scheduler.h"

#include <algorithm>

namespace cube::manager {
namespace {

bool LabelsMatch(const std::map<std::string, std::string>& labels, const Constraint& rule) {
  const auto it = labels.find(rule.label);
  switch (rule.op) {
    case Constraint::Op::kExists:
      return it != labels.end();
    case Constraint::Op::kEquals:
      return it != labels.end() && it->second == rule.values.front();
    case Constraint::Op::kNotEquals:
      return it == labels.end() || it->second != rule.values.front();
    case Constraint::Op::kIn:
      return it != labels.end() &&
             std::find(rule.values.begin(), rule.values.end(), it->second) != rule.values.end();
  }
  return false;
}

// "docker" is missing, "docker is down", or nothing.
std::string EngineLacks(const Node& node, const std::string& wanted) {
  for (const EngineDescription& engine : node.description.engines) {
    if (engine.kind == wanted) return engine.up ? std::string() : "engine " + wanted + " down";
  }
  return "no engine " + wanted;
}

// What is asked does not fit into what is left. Nothing asked always fits.
bool Exceeds(std::int64_t asked, std::int64_t allocated, std::int64_t capacity) {
  return asked > 0 && asked > capacity - allocated;
}

void Count(Explanation& explanation, const std::string& filter) {
  for (FilterCount& count : explanation.filtered) {
    if (count.filter == filter) {
      ++count.nodes;
      return;
    }
  }
  explanation.filtered.push_back({filter, 1});
}

// The next node in name order behind the last one used.
class RoundRobin final : public Scheduler {
 public:
  [[nodiscard]] std::string_view Name() const override { return "round-robin"; }

  [[nodiscard]] Choice Pick(const Overlay& overlay, const TaskSpec& spec,
                            const NodeName& last) const override {
    const auto& nodes = overlay.view().nodes;
    Choice choice;
    choice.explanation.scheduler = Name();
    choice.explanation.nodes = static_cast<std::uint32_t>(nodes.size());
    auto it = nodes.upper_bound(last);
    for (std::size_t i = 0; i < nodes.size(); ++i, ++it) {
      if (it == nodes.end()) it = nodes.begin();
      const std::string filter = RuledOutBy(overlay, it->second, spec);
      if (filter.empty()) {
        choice.node = it->first;
        return choice;
      }
      Count(choice.explanation, filter);
    }
    return choice;
  }
};

}  // namespace

void Overlay::Take(const Node& node, const TaskSpec& spec) {
  Taken& taken = taken_[node.name];
  taken.resources += spec.resources;
  ++taken.tasks;
  for (const PortSpec& port : spec.ports) {
    if (port.host_port != 0) taken.ports.insert({port.host_port, port.protocol});
  }
}

Resources Overlay::Allocated(const Node& node) const {
  Resources sum = node.allocated;
  if (const auto it = taken_.find(node.name); it != taken_.end()) sum += it->second.resources;
  return sum;
}

std::uint32_t Overlay::Tasks(const Node& node) const {
  const auto it = taken_.find(node.name);
  return static_cast<std::uint32_t>(node.attempts.size()) +
         (it == taken_.end() ? 0 : it->second.tasks);
}

bool Overlay::PortTaken(const Node& node, const HostPort& port) const {
  if (node.static_ports.contains(port)) return true;
  const auto it = taken_.find(node.name);
  return it != taken_.end() && it->second.ports.contains(port);
}

std::string RuledOutBy(const Overlay& overlay, const Node& node, const TaskSpec& spec) {
  if (node.incarnation == 0) return "joining";
  if (node.down) return "down";
  if (!node.reported) return "joining";
  if (std::string lacks = EngineLacks(node, EngineOf(spec)); !lacks.empty()) return lacks;
  for (const Constraint& rule : spec.constraints) {
    if (!LabelsMatch(node.description.labels, rule)) return "constraint " + rule.label;
  }
  const Resources used = overlay.Allocated(node);
  const Resources& capacity = node.description.capacity;
  if (Exceeds(spec.resources.cpu_millis, used.cpu_millis, capacity.cpu_millis)) return "cpu";
  if (Exceeds(spec.resources.memory_bytes, used.memory_bytes, capacity.memory_bytes)) {
    return "memory";
  }
  if (Exceeds(spec.resources.disk_bytes, used.disk_bytes, capacity.disk_bytes)) return "disk";
  if (overlay.Tasks(node) >= node.description.tasks_max) return "task limit";
  for (const PortSpec& port : spec.ports) {
    if (port.host_port != 0 && overlay.PortTaken(node, {port.host_port, port.protocol})) {
      return "port " + std::to_string(port.host_port) + " taken";
    }
  }
  return {};
}

Result<std::unique_ptr<Scheduler>> MakeScheduler(std::string_view name) {
  if (name == "round-robin") return std::make_unique<RoundRobin>();
  return Fail(Code::kInvalid,
              "there is no scheduling policy '" + std::string(name) + "'; use round-robin",
              "scheduler");
}

std::string DescribeWait(const Explanation& explanation) {
  if (explanation.nodes == 0) return "no node has joined yet";
  std::string text =
      std::to_string(explanation.nodes) + (explanation.nodes == 1 ? " node:" : " nodes:");
  for (std::size_t i = 0; i < explanation.filtered.size(); ++i) {
    text += i == 0 ? " " : ", ";
    text += explanation.filtered[i].filter + " " + std::to_string(explanation.filtered[i].nodes);
  }
  return text;
}

}  // namespace cube::manager
