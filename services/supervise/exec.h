// Runs one command beside a launch, with this process's own standard streams, until it and all
// that it has started are gone. How it is told what to run, and how to end it:
// services/worker/engine/process/launch_dir.h, "a command beside a launch".
#pragma once

#include <cstdint>
#include <string>

#include "services/supervise/child.h"
#include "services/worker/engine/process/launch_dir.h"
#include "services/worker/engine/process/posix_files.h"
#include "shared/base/error.h"

namespace cube::supervise {

class Exec {
 public:
  // Signals must be blocked already; SIGCHLD comes through `signals`.
  explicit Exec(engine::process::Fd signals);

  // An error: nobody can be told what became of it.
  Result<void> Run();

 private:
  Result<engine::process::Command> ReadCommand();
  Result<void> Start(const engine::process::Command& command);
  void Loop();
  void Kill();
  void Reap();

  engine::process::Fd signals_;
  engine::process::Fd command_pipe_;
  engine::process::Fd status_pipe_;
  Child child_;
  engine::process::StatusRecord status_;
  bool command_ended_ = false;
  bool all_ended_ = false;
  bool killing_ = false;
  std::int64_t give_up_at_ms_ = -1;  // monotonic
};

}  // namespace cube::supervise
