// Ports of this machine for a launch: the ones asked for, or free ones. A port is only looked at,
// not held, since the command itself must bind it; another program may be faster, and then it
// fails.
#pragma once

#include <set>
#include <utility>
#include <vector>

#include "shared/base/error.h"
#include "shared/domain/task_spec.h"

namespace cube::engine::process {

using TakenPorts = std::set<std::pair<Protocol, std::uint16_t>>;

// One port for each spec, sorted. kConflict: a static one is in use (now, or by `taken`).
// kUnavailable: no free one was found.
[[nodiscard]] Result<std::vector<BoundPort>> ChoosePorts(const std::vector<PortSpec>& specs,
                                                         TakenPorts taken);

}  // namespace cube::engine::process
