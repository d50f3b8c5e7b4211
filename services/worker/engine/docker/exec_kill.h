// Ending a command that runs inside a container, for which the Docker Engine API has no verb.
// All of its processes that are found are stopped before one is killed: a shell whose command is
// killed would go on with the next one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace cube::engine::docker {

// Kills process `pid` of this machine and the rest of its session, if they can be seen from here
// and are in the control group of that container (`/proc/<pid>/cgroup` names its id); else false,
// and nothing was touched: the engine is on another machine, or in another pid namespace.
[[nodiscard]] bool KillInContainer(std::int64_t pid, std::string_view container_id);

// A command that does the same from inside the container, by a mark in the environment of what
// is to be killed. Needs sh and grep there, and the same user.
[[nodiscard]] std::vector<std::string> KillerCommand(const std::string& mark);

}  // namespace cube::engine::docker
