// Ends whatever a command has left behind. The supervisor is the "child subreaper" of all of them,
// so every orphan becomes its child, however it has detached itself.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace cube::supervise {

// Direct children of this process, zombies not yet reaped included.
[[nodiscard]] std::vector<pid_t> Children();

// One round of SIGKILL to all children and, where there is one, to the control group. Orphans of
// those come up as children: repeat until waitpid says that none is left.
void KillDescendants(const std::string& kill_file);

}  // namespace cube::supervise
