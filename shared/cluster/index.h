// Keeps a view's indexes true: Leave before a task's record changes, Enter after it. For fold and
// RebuildIndexes only.
#pragma once

#include "shared/cluster/view.h"

namespace cube::index {

void Enter(View& view, const Task& task);
void Leave(View& view, const Task& task);

}  // namespace cube::index
