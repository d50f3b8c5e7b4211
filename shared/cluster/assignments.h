// What a node is told of a task's last attempt. Pure.
#pragma once

#include "shared/cluster/view.h"
#include "shared/domain/assign.h"

namespace cube {

// As a complete set has it, of a task that is live.
[[nodiscard]] Assignment AssignmentOf(const Task& task);

}  // namespace cube
