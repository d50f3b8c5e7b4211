#include "shared/cluster/assignments.h"

#include <algorithm>

namespace cube {

Assignment AssignmentOf(const Task& task) {
  const std::uint32_t launches = task.observed ? task.observed->launch + 1 : 0;
  const bool evicted = IsEvicted(task);
  Duration grace = task.stop_grace;
  if (evicted) {
    grace = task.stop_told ? std::min(grace, task.seldom->eviction->grace)
                           : task.seldom->eviction->grace;
  }
  return {IdOf(task), task.attempt, task.placement, task.spec, task.stop_told || evicted,
          grace,      launches};
}

}  // namespace cube
