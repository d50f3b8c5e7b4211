// Runs one command to its end: output, requests to stop, orphans, exit status. One thread; see
// services/worker/engine/process/launch_dir.h for the files and the request to stop.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "services/supervise/child.h"
#include "services/supervise/output_sink.h"
#include "services/worker/engine/output_log.h"
#include "services/worker/engine/process/launch_dir.h"
#include "services/worker/engine/process/posix_files.h"

namespace cube::supervise {

// What a SIGTERM to the supervisor itself (a machine that shuts down) gives the command: Cube's
// default grace.
inline constexpr std::uint64_t kShutdownGraceMs = 10'000;

class Supervisor {
 public:
  // Signals must be blocked already. The current folder is the launch folder.
  Supervisor(engine::process::Command command, engine::process::Fd signals)
      : command_(std::move(command)), signals_(std::move(signals)) {}

  // Until the command and all that it started are gone; the status file says how it ended.
  Result<void> Run();

 private:
  Result<void> Start();
  Result<void> WritePid();
  void Loop();
  void TakeSignals();
  void Stop(engine::process::StopRequest request);
  void Reap();
  void Noted(int wait_status);
  bool Drain(engine::process::Fd* pipe, engine::LineFramer* framer);
  void DrainAll();
  [[nodiscard]] int PollTimeout() const;
  void Kill();

  engine::process::Command command_;
  engine::process::Fd signals_;
  Child child_;
  OutputSink output_;
  engine::LineFramer out_{false};
  engine::LineFramer err_{true};
  engine::process::StatusRecord status_;
  bool command_ended_ = false;
  bool all_ended_ = false;
  bool killing_ = false;
  bool killed_by_request_ = false;
  std::int64_t kill_at_ms_ = -1;  // monotonic; -1 = no stop is under way
  std::int64_t give_up_at_ms_ = -1;
};

}  // namespace cube::supervise
