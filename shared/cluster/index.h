// Keeps a view's indexes true: Leave before a task's record changes, Enter after it. For fold and
// RebuildIndexes only.
#pragma once

#include "shared/cluster/view.h"

namespace cube::index {

void Enter(View& view, const Task& task);
void Leave(View& view, const Task& task);
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
