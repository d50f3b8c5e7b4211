// Why a container was killed, in the kernel's own words. The engine learns of a kill at the memory
// limit through its shim, which can miss it when the container's only process was the victim and
// its control group goes away at once (seen with containerd 1.x and control groups version 1).
#pragma once

#include <string_view>

namespace cube::engine::docker {

// Whether a record of the kernel's log ("oom-kill:constraint=CONSTRAINT_MEMCG,...,oom_memcg=
// /docker/<id>,...", Linux 4.19 and newer) tells of a kill in the control group of that container.
[[nodiscard]] bool IsOomKillOf(std::string_view record, std::string_view container_id);

// Whether the log of this machine's kernel has such a record; false also where it cannot be read
// (not root, or the engine is elsewhere).
[[nodiscard]] bool KernelKilledForMemory(std::string_view container_id);

}  // namespace cube::engine::docker
