// Keeps a view's indexes true. For fold and RebuildIndexes only.
#pragma once

#include <optional>

#include "shared/cluster/view.h"

namespace cube::index {

// What the indexes hold of a task: taken before its record changes, and compared with what it is
// afterwards, since most steps of a task's life leave most indexes alone.
struct Footprint {
  Footprint() = default;  // of no task
  explicit Footprint(const Task& task);

  NodeRef on;                        // IsLive: its node; else none
  std::optional<NodeName> vouched;   // a plain task that is pinned: where
  std::optional<NodeName> waits;     // IsPending: the node that it is pinned to, empty = any
  std::optional<NodeName> leaves;    // IsMoving: the node that it had to leave
  std::optional<WallTime> finished;  // IsFinished: since when, as far as that is known
  bool stops = false;                // NeedsStop
  JobCounts counts;                  // of a task of a job
};

// A new task.
void Enter(View& view, const Task& task);
// All tasks, where no index holds any yet, except by id. NoteJob is up to the caller.
void EnterAll(View& view);
// One that is about to be erased.
void Leave(View& view, const Task& task);
// One whose record has changed.
void Update(View& view, const Task& task, const Footprint& before);
// After a change of a job's record.
void NoteJob(View& view, const Job& job);

// A node that the view did not know: gives it its slot. Its name is set.
void AddNode(View& view, Node& node);
// Changes what a node says of itself; its ports move with its address.
void Describe(View& view, Node& node, const NodeDescription& description);
// To be called after anything of a node has changed that placing looks at: readiness, description,
// load.
void NodeChanged(View& view, const Node& node);
// What a node holds: one more, one less, none.
void Hold(Node& node, AttemptHeld held);
AttemptHeld TakeHeld(Node& node, std::map<HeldKey, AttemptHeld>::iterator held);
void DropAllHeld(Node& node);
void SumHeld(Node& node);
// An attempt has begun or ceased to hold resources of its node.
void PlacementsChanged(View& view, const Task& task);

}  // namespace cube::index
