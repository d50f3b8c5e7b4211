#include "shared/cluster/view.h"

namespace cube {

bool IsReady(const Node& node) { return node.incarnation > 0 && !node.down && node.reported; }

std::string MachineOf(const Node& node) {
  const std::string& address = node.description.address;
  return address.empty() ? "/" + node.name.str() : address;  // no address begins with '/'
}

bool IsDraining(const Node& node) { return node.drain || node.leaving; }

bool IsEligible(const Node& node) {
  return IsReady(node) && !node.cordoned && !node.left && !IsDraining(node);
}

WallTime DrainDeadline(const Node& node) {
  WallTime deadline;
  for (const std::optional<Drain>* drain : {&node.drain, &node.leaving}) {
    if (!*drain || !IsSet((*drain)->since)) continue;
    const WallTime until = (*drain)->since + (*drain)->deadline;
    if (!IsSet(deadline) || until < deadline) deadline = until;
  }
  return deadline;
}

// Read from the front it can be taken apart in one way only, whatever the texts hold: numbers end,
// texts say their length, lists their number of entries. Different needs never give one shape.
std::string ShapeOf(const TaskSpec& spec) {
  std::string shape;
  const auto add = [&shape](std::int64_t number) {
    shape += std::to_string(number);
    shape += ' ';
  };
  const auto add_text = [&](std::string_view text) {
    add(static_cast<std::int64_t>(text.size()));
    shape += text;
  };
  const auto add_rule = [&](const Constraint& rule) {
    add_text(rule.label);
    add(static_cast<int>(rule.op));
    add(std::ssize(rule.values));
    for (const std::string& value : rule.values) add_text(value);
  };
  add_text(EngineOf(spec));
  add(spec.resources.cpu_millis);
  add(spec.resources.memory_bytes);
  add(spec.resources.disk_bytes);
  for (const PortSpec& port : spec.ports) {
    if (port.host_port == 0) continue;
    add(port.host_port);
    shape += port.protocol == Protocol::kTcp ? 't' : 'u';
  }
  shape += ';';  // no port begins like this
  add(std::ssize(spec.constraints));
  for (const Constraint& constraint : spec.constraints) add_rule(constraint);
  add(std::ssize(spec.affinities));
  for (const Affinity& affinity : spec.affinities) {
    add(affinity.weight);
    add_rule(affinity.rule);
  }
  add(spec.distinct);
  if (spec.distinct != 0) add_text(spec.name.str());
  add_text(spec.scheduler);
  return shape;
}

const std::string& ShapeMemo::Of(const TaskSpecPtr& spec) {
  Entry& entry =
      entries_[reinterpret_cast<std::uintptr_t>(spec.get()) / sizeof(TaskSpec) % entries_.size()];
  if (entry.spec.owner_before(spec) || spec.owner_before(entry.spec)) {
    entry = {spec, ShapeOf(*spec)};
  }
  return entry.shape;
}

View View::Copy() const { return *this; }

}  // namespace cube
