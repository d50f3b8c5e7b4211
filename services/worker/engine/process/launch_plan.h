// From a task's specification to what is run, as far as no system call is needed. Pure.
//
// The environment of a command, later ones winning:
//   PATH   kDefaultPath
//   HOME   the user's home folder
//   whatever the spec's `env` says
//   CUBE_TASK, CUBE_ATTEMPT, CUBE_LAUNCH, CUBE_NODE
//   CUBE_PORT_<port>=<host port>   for each port; where both protocols of a number are published,
//                                  CUBE_PORT_<port> is tcp and CUBE_PORT_<port>_UDP is udp.
//                                  A port that is udp only has both names.
// Nothing of the worker's own environment is passed on.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "services/worker/engine/engine.h"
#include "services/worker/engine/process/launch_dir.h"
#include "shared/base/error.h"

namespace cube::engine::process {

inline constexpr std::string_view kDefaultPath =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// What the process engine cannot do is kInvalid with the spec's field.
[[nodiscard]] Result<void> CheckSpec(const TaskSpec& spec);

// entrypoint, then command.
[[nodiscard]] std::vector<std::string> Arguments(const TaskSpec& spec);

[[nodiscard]] std::vector<std::string> Environment(const TaskSpec& spec, const LaunchKey& key,
                                                   const NodeName& node,
                                                   const std::vector<BoundPort>& ports,
                                                   const std::string& home);

// Makes of a launch's command one that runs beside it.
[[nodiscard]] Result<void> ApplyExec(const ExecRequest& request, Command& command);

// "SIGTERM", "TERM", "15", any case; empty = SIGTERM.
[[nodiscard]] Result<int> SignalNumber(std::string_view text);

// "uid[:gid]", "name[:group]", parted.
struct UserText {
  std::string user;
  std::string group;  // empty = the user's own
};
[[nodiscard]] Result<UserText> SplitUser(std::string_view text);

}  // namespace cube::engine::process
