#include "shared/cluster/rebuild.h"

#include "shared/cluster/index.h"

namespace cube {

void RebuildIds(View& view) { view.tasks.IndexIds(); }

void RebuildRest(View& view) {
  view.pending.clear();
  view.pinned.clear();
  view.vouched.clear();
  view.jobs_due.clear();
  view.system_jobs.clear();
  view.stops_due.clear();
  view.finished.clear();
  view.ended_now.clear();
  view.joining.clear();
  view.machines.clear();
  view.named.clear();
  view.node_journal.base = view.node_journal.end() + 1;  // whoever reads it begins anew
  view.node_journal.changes.clear();
  view.slots_used = 0;
  view.draining.clear();
  view.holding.clear();
  view.moving.clear();
  for (auto& [name, node] : view.nodes) {
    if (node.ref != name) node.ref = name;
    node.allocated = {};
    node.attempts.clear();
    node.static_ports.clear();
    index::SumHeld(node);
    node.slot = view.slots_used++;
    view.machines[MachineOf(node)].slots.insert(node.slot);
    if (node.joining_instance != 0) view.joining.insert(name);
    if (IsDraining(node)) view.draining.insert(name);
    if (node.holding) view.holding.insert(name);
  }
  for (auto& [name, job] : view.jobs) {
    for (auto& [number, version] : job.versions) version.counts = {};
  }
  index::EnterAll(view);
  for (const auto& [name, job] : view.jobs) index::NoteJob(view, job);
}

void RebuildIndexes(View& view) {
  RebuildIds(view);
  RebuildRest(view);
}

}  // namespace cube
