#include "shared/cluster/index.h"

#include "shared/base/check.h"

namespace cube::index {
namespace {

PendingKey KeyOf(const Task& task) { return {-task.spec->priority, task.number}; }

// Attempts are placed on welcomed nodes only.
Node& NodeAt(View& view, const NodeName& name) { return view.nodes.at(name); }

std::pair<const TaskName, Job>& JobAt(View& view, const JobRef& ref) {
  const auto it = view.jobs.find(ref.name);
  CUBE_CHECK(it != view.jobs.end());
  return *it;
}

JobCounts& CountsAt(Job& job, const JobRef& ref) {
  const auto it = job.versions.find(ref.version);
  CUBE_CHECK(it != job.versions.end());
  return it->second.counts;
}

// Behind it the journal is dropped: readers that far behind look at every node.
std::size_t JournalMax(const View& view) { return 4096 + 2 * view.nodes.size(); }

void Note(View& view, std::uint32_t slot, bool placements) {
  NodeJournal& journal = view.node_journal;
  if (journal.changes.size() >= JournalMax(view)) {
    journal.base = journal.end();
    journal.changes.clear();
  }
  journal.changes.push_back({slot, placements});
}

void AddPort(std::map<HostPort, std::uint32_t>& ports, const HostPort& port, std::uint32_t count) {
  ports[port] += count;
}

void DropPort(std::map<HostPort, std::uint32_t>& ports, const HostPort& port, std::uint32_t count) {
  const auto it = ports.find(port);
  CUBE_CHECK(it != ports.end() && it->second >= count);
  it->second -= count;
  if (it->second == 0) ports.erase(it);
}

// `step` adds or drops one of each of the task's static ports, on the node and on its machine.
template <class Step>
void ForStaticPorts(View& view, Node& node, const TaskSpec& spec, const Step& step) {
  for (const PortSpec& port : spec.ports) {
    if (port.host_port == 0) continue;
    step(node.static_ports, {port.host_port, port.protocol}, 1);
    step(view.machines.at(MachineOf(node)).static_ports, {port.host_port, port.protocol}, 1);
  }
}

std::size_t HeldBytes(const AttemptHeld& held) {
  return held.spec == nullptr ? 0 : EncodedBytesMax(*held.spec);
}

void Keep(std::set<TaskName>& names, const TaskName& name, bool in) {
  if (in) {
    names.insert(name);
  } else {
    names.erase(name);
  }
}

void AddLive(View& view, Node& node, const Task& task) {
  node.allocated += task.spec->resources;
  node.attempts.insert(task.number);
  view.named[task.spec->name].Add(node.slot);
  ForStaticPorts(view, node, *task.spec, AddPort);
}

void MoveLive(View& view, const Task& task, const Footprint& before, const Footprint& after) {
  if (before.on == after.on) return;
  if (!before.on.empty()) {
    Node& node = NodeAt(view, before.on);
    node.allocated -= task.spec->resources;
    node.attempts.erase(task.number);
    const auto named = view.named.find(task.spec->name);
    CUBE_CHECK(named != view.named.end());
    named->second.Drop(node.slot);
    if (named->second.empty()) view.named.erase(named);
    ForStaticPorts(view, node, *task.spec, DropPort);
  }
  if (!after.on.empty()) AddLive(view, NodeAt(view, after.on), task);
}

// What a system job lacks is asked for when a task has ended; what it goes through before says
// nothing new about its node.
void MoveCounts(View& view, const Task& task, const Footprint& before, const Footprint& after) {
  if (task.job == nullptr || before.counts == after.counts) return;
  auto& [name, job] = JobAt(view, *task.job);
  JobCounts& counts = CountsAt(job, *task.job);
  counts -= before.counts;
  counts += after.counts;
  Keep(view.jobs_due, name, NeedsLook(job));
  if (job.type == JobType::kSystem && after.finished) ++view.system_version;
}

void MoveVouched(View& view, const Footprint& before, const Footprint& after) {
  if (before.vouched == after.vouched) return;
  if (before.vouched) {
    const auto vouched = view.vouched.find(*before.vouched);
    CUBE_CHECK(vouched != view.vouched.end());
    if (--vouched->second == 0) view.vouched.erase(vouched);
  }
  if (after.vouched) ++view.vouched[*after.vouched];
}

void MoveWaiting(View& view, const Task& task, const Footprint& before, const Footprint& after) {
  if (before.waits == after.waits) return;
  const auto anywhere = [](const Footprint& of) { return of.waits && of.waits->empty(); };
  const auto pinned = [](const Footprint& of) { return of.waits && !of.waits->empty(); };
  if (pinned(before)) view.pinned.erase(task.number);
  if (pinned(after)) view.pinned.insert(task.number);
  if (anywhere(before)) {
    const auto shape = view.pending.find(view.shape_memo.Of(task.spec));
    CUBE_CHECK(shape != view.pending.end());
    shape->second.erase(KeyOf(task));
    if (shape->second.empty()) view.pending.erase(shape);
  }
  if (anywhere(after)) view.pending[view.shape_memo.Of(task.spec)].insert(KeyOf(task));
}

void MoveLeaving(View& view, const Task& task, const Footprint& before, const Footprint& after) {
  if (before.leaves == after.leaves) return;
  if (before.leaves) {
    const auto from = view.moving.find(*before.leaves);
    CUBE_CHECK(from != view.moving.end());
    from->second.erase(task.number);
    if (from->second.empty()) view.moving.erase(from);
  }
  if (after.leaves) view.moving[*after.leaves].insert(task.number);
}

void MoveFinished(View& view, const Task& task, const Footprint& before, const Footprint& after) {
  if (before.finished == after.finished) return;
  if (before.finished && IsSet(*before.finished)) {
    view.finished.erase({*before.finished, task.number});
  } else if (before.finished) {
    std::erase(view.ended_now, task.number);
  }
  if (after.finished && IsSet(*after.finished)) {
    view.finished.insert({*after.finished, task.number});
  } else if (after.finished) {
    view.ended_now.push_back(task.number);
  }
}

// In all indexes but those of its node and of its job.
void MoveRest(View& view, const Task& task, const Footprint& before, const Footprint& after) {
  MoveVouched(view, before, after);
  MoveWaiting(view, task, before, after);
  MoveLeaving(view, task, before, after);
  MoveFinished(view, task, before, after);
  if (before.stops != after.stops) {
    if (after.stops) {
      view.stops_due.insert(task.number);
    } else {
      view.stops_due.erase(task.number);
    }
  }
}

void Move(View& view, const Task& task, const Footprint& before, const Footprint& after) {
  MoveLive(view, task, before, after);
  MoveCounts(view, task, before, after);
  MoveRest(view, task, before, after);
}

}  // namespace

void NoteJob(View& view, const Job& job) {
  Keep(view.jobs_due, job.name, NeedsLook(job));
  if (job.type != JobType::kSystem && !view.system_jobs.contains(job.name)) return;
  Keep(view.system_jobs, job.name, job.type == JobType::kSystem && IsLive(job));
  ++view.system_version;
}

Footprint::Footprint(const Task& task) : stops(NeedsStop(task)) {
  if (IsLive(task)) on = task.node;
  if (task.job == nullptr && task.seldom->pinned) vouched = *task.seldom->pinned;
  if (IsPending(task)) waits = task.seldom->pinned ? *task.seldom->pinned : NodeName();
  if (IsMoving(task)) leaves = task.seldom->eviction->node;
  if (IsFinished(task)) finished = task.ended_at;
  if (task.job != nullptr) counts = CountOf(task);
}

void Enter(View& view, const Task& task) { Move(view, task, Footprint(), Footprint(task)); }

// What Enter does for each, with the look-ups of jobs that tasks have in common done once.
void EnterAll(View& view) {
  const JobRef* ref = nullptr;  // of the task before
  JobCounts* counts = nullptr;
  for (const Task& task : view.tasks) {
    const Footprint now(task);
    if (!now.on.empty()) AddLive(view, NodeAt(view, now.on), task);
    if (task.job != nullptr) {
      if (task.job.get() != ref) counts = &CountsAt(JobAt(view, *task.job).second, *task.job);
      ref = task.job.get();
      *counts += now.counts;
      if (ref->type == JobType::kSystem && now.finished) ++view.system_version;
    }
    MoveRest(view, task, {}, now);
  }
}

void Leave(View& view, const Task& task) { Move(view, task, Footprint(task), Footprint()); }

void Update(View& view, const Task& task, const Footprint& before) {
  Move(view, task, before, Footprint(task));
}

void AddNode(View& view, Node& node) {
  node.ref = node.name;
  node.slot = view.slots_used++;
  view.machines[MachineOf(node)].slots.insert(node.slot);
  // What readers keep is in the order of names.
  view.node_journal.base = view.node_journal.end() + 1;
  view.node_journal.changes.clear();
}

void Describe(View& view, Node& node, const NodeDescription& description) {
  if (description.address == node.description.address) {
    node.description = description;
    NodeChanged(view, node);
    return;
  }
  const auto old = view.machines.find(MachineOf(node));
  for (const auto& [port, count] : node.static_ports) {
    DropPort(old->second.static_ports, port, count);
  }
  old->second.slots.erase(node.slot);
  for (const std::uint32_t slot : old->second.slots) Note(view, slot, false);
  if (old->second.slots.empty()) view.machines.erase(old);
  node.description = description;
  Machine& machine = view.machines[MachineOf(node)];
  machine.slots.insert(node.slot);
  for (const auto& [port, count] : node.static_ports) AddPort(machine.static_ports, port, count);
  for (const std::uint32_t slot : machine.slots) Note(view, slot, false);
}

void NodeChanged(View& view, const Node& node) { Note(view, node.slot, false); }

void Hold(Node& node, AttemptHeld held) {
  HeldKey key{held.task, held.attempt};
  if (const auto known = node.held.find(key); known != node.held.end()) TakeHeld(node, known);
  node.held_bytes += HeldBytes(held);
  node.held.emplace(std::move(key), std::move(held));
}

AttemptHeld TakeHeld(Node& node, std::map<HeldKey, AttemptHeld>::iterator held) {
  AttemptHeld taken = std::move(held->second);
  node.held.erase(held);
  node.held_bytes -= HeldBytes(taken);
  return taken;
}

void DropAllHeld(Node& node) {
  node.held.clear();
  node.held_bytes = 0;
}

void SumHeld(Node& node) {
  node.held_bytes = 0;
  for (const auto& [key, held] : node.held) node.held_bytes += HeldBytes(held);
}

void PlacementsChanged(View& view, const Task& task) {
  const Node& node = NodeAt(view, task.node);
  bool has_static = false;
  for (const PortSpec& port : task.spec->ports) has_static = has_static || port.host_port != 0;
  if (!has_static) {
    Note(view, node.slot, true);
    return;
  }
  for (const std::uint32_t slot : view.machines.at(MachineOf(node)).slots) Note(view, slot, true);
}

}  // namespace cube::index
