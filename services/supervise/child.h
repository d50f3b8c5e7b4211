// Starts the command in two steps, so that its pid is on disk before it runs.
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "services/worker/engine/process/launch_dir.h"
#include "services/worker/engine/process/posix_files.h"
#include "shared/base/error.h"

namespace cube::supervise {

// A child that waits to be let go. It leads its own process group and dies with its parent.
struct Child {
  pid_t pid = 0;
  engine::process::Fd stdout_pipe;  // non-blocking; not there if it has the supervisor's own
  engine::process::Fd stderr_pipe;
  engine::process::Fd go;       // one byte lets it go; closed: it exits
  engine::process::Fd failure;  // what kept it from running; end of file: it runs
  int exit_code = 0;  // of a command that cannot be executed: 126, or 127 if there is none
};
enum class Streams : std::uint8_t {
  kPipes,  // output into pipes, no input
  kOwn,    // the supervisor's own
};
[[nodiscard]] Result<Child> ForkChild(const engine::process::Command& command, Streams streams);

// Lets it go and waits until the command runs, or says why it does not (the child is then gone, but
// not yet reaped).
[[nodiscard]] Result<void> LetGo(Child& child, const engine::process::Command& command);

}  // namespace cube::supervise
