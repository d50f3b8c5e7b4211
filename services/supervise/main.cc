// cube-supervise <launch folder>: runs the command of one launch for the process engine, outlives
// the worker, and leaves the exit status in the folder. Not for people. The folder's files are
// described in services/worker/engine/process/launch_dir.h.
// cube-supervise --exec: runs one more command beside a launch.
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "services/supervise/exec.h"
#include "services/supervise/supervisor.h"

namespace cube::supervise {
namespace {

Result<engine::process::Fd> TakeOverSignals() {
  sigset_t blocked;
  sigfillset(&blocked);
  for (const int fault : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP}) {
    sigdelset(&blocked, fault);
  }
  sigprocmask(SIG_SETMASK, &blocked, nullptr);
  sigset_t wanted;
  sigemptyset(&wanted);
  for (const int number : {SIGCHLD, SIGTERM, SIGINT, SIGRTMIN}) sigaddset(&wanted, number);
  engine::process::Fd signals(signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals.valid()) return engine::process::SystemFailure("watching signals", errno);
  if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) {
    return engine::process::SystemFailure("becoming the reaper of orphans", errno);
  }
  return signals;
}

Result<void> Main(const char* folder) {
  setsid();  // fails only if this is a session's leader already
  fcntl(engine::process::kLockFd, F_SETFD, FD_CLOEXEC);
  if (chdir(folder) != 0) return engine::process::SystemFailure(folder, errno);
  CUBE_TRY(auto signals, TakeOverSignals());
  CUBE_TRY(const auto bytes, engine::process::ReadFile(engine::process::kCommandFile,
                                                       engine::process::kSmallFileBytesMax));
  CUBE_TRY(auto command, engine::process::DecodeCommand(bytes));
  return Supervisor(std::move(command), std::move(signals)).Run();
}

Result<void> ExecMain() {
  CUBE_TRY(auto signals, TakeOverSignals());
  return Exec(std::move(signals)).Run();
}

}  // namespace
}  // namespace cube::supervise

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: cube-supervise <launch folder> (started by cube-worker)\n", stderr);
    return 2;
  }
  const bool exec = std::strcmp(argv[1], cube::engine::process::kExecArgument) == 0;
  const auto ran = exec ? cube::supervise::ExecMain() : cube::supervise::Main(argv[1]);
  if (ran) return 0;
  std::fprintf(stderr, "cube-supervise: %s\n", ran.error().Text().c_str());
  return 1;
}
