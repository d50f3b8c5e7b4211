// Whether a view's indexes are those that its records give.
#pragma once

#include <algorithm>
#include <set>
#include <string>

#include "shared/cluster/view.h"

namespace cube::test {

// The first index that is not what RebuildIndexes makes of the records; empty = all are. Slots of
// nodes, the journal and the versions that only grow are not compared.
inline std::string WrongIndex(const View& view) {
  View rebuilt = view.Copy();
  RebuildIndexes(rebuilt);
  // Their slots may differ.
  const auto live_named = [](const View& of) {
    std::map<std::uint32_t, NodeName> nodes;
    for (const auto& [name, node] : of.nodes) nodes.emplace(node.slot, name);
    std::map<std::pair<TaskName, NodeName>, std::uint32_t> counts;
    for (const auto& [name, slots] : of.named) {
      for (const auto& [slot, count] : slots) counts[{name, nodes.at(slot)}] += count;
    }
    return counts;
  };
  const auto sorted = [](std::vector<TaskNumber> numbers) {
    std::sort(numbers.begin(), numbers.end());
    return numbers;
  };
  if (view.pending != rebuilt.pending) return "pending";
  if (view.pinned != rebuilt.pinned) return "pinned";
  if (view.vouched != rebuilt.vouched) return "vouched";
  if (view.jobs_due != rebuilt.jobs_due) return "jobs_due";
  if (view.system_jobs != rebuilt.system_jobs) return "system_jobs";
  if (view.stops_due != rebuilt.stops_due) return "stops_due";
  if (view.finished != rebuilt.finished) return "finished";
  if (sorted(view.ended_now) != sorted(rebuilt.ended_now)) return "ended_now";
  if (view.joining != rebuilt.joining) return "joining";
  if (view.draining != rebuilt.draining) return "draining";
  if (view.holding != rebuilt.holding) return "holding";
  if (view.moving != rebuilt.moving) return "moving";
  if (view.named.size() != rebuilt.named.size() || live_named(view) != live_named(rebuilt)) {
    return "named";
  }
  for (const Task& task : view.tasks) {
    if (view.Find(IdOf(task)) != &task) return "by_id of " + IdOf(task).str();
  }
  for (const auto& [name, node] : view.nodes) {
    const Node& other = rebuilt.nodes.at(name);
    if (node.allocated != other.allocated) return "allocated of " + name.str();
    if (node.attempts != other.attempts) return "attempts of " + name.str();
    if (node.static_ports != other.static_ports) return "static_ports of " + name.str();
    if (node.held_bytes != other.held_bytes) return "held_bytes of " + name.str();
  }
  if (view.machines.size() != rebuilt.machines.size()) return "machines";
  for (const auto& [address, machine] : view.machines) {
    const auto other = rebuilt.machines.find(address);
    if (other == rebuilt.machines.end() || machine.slots.size() != other->second.slots.size() ||
        machine.static_ports != other->second.static_ports) {
      return "machine " + address;
    }
  }
  for (const auto& [name, job] : view.jobs) {
    for (const auto& [version, record] : job.versions) {
      if (record.counts != rebuilt.jobs.at(name).versions.at(version).counts) {
        return "counts of " + name.str() + " version " + std::to_string(version);
      }
    }
  }
  return {};
}

}  // namespace cube::test
