// The engine's side of a supervisor: start it, watch it, tell it to stop, find it again.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "services/worker/engine/process/launch_dir.h"
#include "services/worker/engine/process/posix_files.h"
#include "shared/base/error.h"

namespace cube::engine::process {

// Next to this program's own executable.
[[nodiscard]] std::string DefaultSupervisePath();

// Takes the lock of a launch folder. kConflict: a supervisor holds it.
[[nodiscard]] Result<Fd> TakeLock(const std::string& folder);

// Starts `path` on the folder; the lock passes to it. Its signals are blocked from its first
// instruction on, so a request to stop that is sent at once waits for it.
[[nodiscard]] Result<pid_t> SpawnSupervisor(const std::string& path, const std::string& folder,
                                            const Fd& lock);

// `<path> --exec`: runs a command beside a launch (launch_dir.h). These become its descriptors.
struct ExecPipes {
  int command = -1;
  int input = -1;  // -1 = /dev/null
  int output = -1;
  int errors = -1;
  int status = -1;
};
// Every descriptor in `pipes` is above kExecFdMax.
[[nodiscard]] Result<pid_t> SpawnExec(const std::string& path, const ExecPipes& pipes);

// The supervisor that runs on this folder, by its command line, if one does: the way back to one
// whose pid file is not there yet or damaged.
[[nodiscard]] std::optional<pid_t> FindSupervisor(const std::string& folder);

// When the process started, in clock ticks since boot; nullopt if there is none.
[[nodiscard]] std::optional<std::uint64_t> StartTicks(pid_t pid);

// One running supervisor. With a pidfd (Linux 5.3) a recycled pid cannot be meant and its end can
// be waited for with epoll; without one (fd() < 0) Ended() must be asked from time to time.
class SupervisorHandle {
 public:
  SupervisorHandle() = default;
  // A child of this process that has not been reaped.
  [[nodiscard]] static SupervisorHandle OfChild(pid_t pid, bool use_pidfd);
  // nullopt if the process has gone. `start_ticks`, if given, must match.
  [[nodiscard]] static std::optional<SupervisorHandle> Open(
      pid_t pid, std::optional<std::uint64_t> start_ticks, bool use_pidfd);

  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] int fd() const { return pidfd_.get(); }
  [[nodiscard]] bool Ended() const;
  // Reaps it if it is a child of this process that has ended. "killed by signal 9", or empty.
  [[nodiscard]] std::string Reap();
  // kNotFound: it has ended meanwhile.
  [[nodiscard]] Result<void> Stop(StopRequest request) const;

 private:
  pid_t pid_ = 0;
  std::uint64_t start_ticks_ = 0;
  Fd pidfd_;
};

// Kills what is left of a dead supervisor's session. `environment_entry`, if not empty, must be in
// a process's environment: asked for when time has passed and the numbers could mean somebody else.
void KillSession(const ProcessIdentity& supervisor, const std::string& environment_entry);

}  // namespace cube::engine::process
