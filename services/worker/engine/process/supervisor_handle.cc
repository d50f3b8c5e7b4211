#include "services/worker/engine/process/supervisor_handle.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <functional>
#include <memory>

namespace cube::engine::process {
namespace {

constexpr std::size_t kProcFileBytesMax =
    4u << 20;  // environ and cmdline: the kernel's argument limit
// A stopped process leaves orphans that fork while they are being killed.
constexpr int kKillRoundsMax = 20;

// Linux 5.1 and 5.3; not in this C library's headers everywhere.
int PidfdOpen(pid_t pid) { return static_cast<int>(syscall(SYS_pidfd_open, pid, 0)); }
int PidfdSend(int fd, int number, const siginfo_t* what) {
  return static_cast<int>(syscall(SYS_pidfd_send_signal, fd, number, what, 0));
}

void ForEachProcess(const std::function<void(pid_t)>& visit) {
  const std::unique_ptr<DIR, int (*)(DIR*)> proc(opendir("/proc"), closedir);
  if (!proc) return;
  while (const dirent* entry = readdir(proc.get())) {
    pid_t pid = 0;
    const char* const end = entry->d_name + strlen(entry->d_name);
    const auto [at, error] = std::from_chars(entry->d_name, end, pid);
    if (error == std::errc() && at == end && pid > 1) visit(pid);
  }
}

std::string ProcFile(pid_t pid, const char* name) {
  return ReadFile("/proc/" + std::to_string(pid) + '/' + name, kProcFileBytesMax).value_or("");
}

bool HasEntry(const std::string& entries, const std::string& wanted) {
  return ('\0' + entries).find('\0' + wanted + '\0') != std::string::npos;
}

class SpawnAttributes {
 public:
  SpawnAttributes() {
    posix_spawnattr_init(&attributes_);
    posix_spawn_file_actions_init(&actions_);
  }
  ~SpawnAttributes() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  SpawnAttributes(const SpawnAttributes&) = delete;
  SpawnAttributes& operator=(const SpawnAttributes&) = delete;
  posix_spawnattr_t* attributes() { return &attributes_; }
  posix_spawn_file_actions_t* actions() { return &actions_; }

 private:
  posix_spawnattr_t attributes_{};
  posix_spawn_file_actions_t actions_{};
};

}  // namespace

std::string DefaultSupervisePath() {
  char path[4096];
  const auto size = readlink("/proc/self/exe", path, sizeof(path));
  if (size <= 0) return "cube-supervise";
  const std::string_view self(path, static_cast<std::size_t>(size));
  return std::string(self.substr(0, self.rfind('/') + 1)) + "cube-supervise";
}

Result<Fd> TakeLock(const std::string& folder) {
  const std::string path = folder + '/' + kLockFile;
  Fd lock(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock.valid()) return SystemFailure("opening " + path, errno);
  if (flock(lock.get(), LOCK_EX | LOCK_NB) == 0) return lock;
  if (errno == EWOULDBLOCK) return Fail(Code::kConflict, path + " is held by its supervisor");
  return SystemFailure("locking " + path, errno);
}

Result<pid_t> SpawnSupervisor(const std::string& path, const std::string& folder, const Fd& lock) {
  SpawnAttributes spawn;
  sigset_t all;
  sigfillset(&all);
  posix_spawnattr_setsigmask(spawn.attributes(), &all);
  posix_spawnattr_setflags(spawn.attributes(),
                           static_cast<short>(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID));
  const std::string errors = folder + '/' + kSuperviseErrorFile;
  // The lock first: its own number could be one of those that follow.
  posix_spawn_file_actions_adddup2(spawn.actions(), lock.get(), kLockFd);
  posix_spawn_file_actions_addopen(spawn.actions(), STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(spawn.actions(), STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(spawn.actions(), STDERR_FILENO, errors.c_str(),
                                   O_WRONLY | O_CREAT | O_APPEND, 0600);
  // Whatever the worker's libraries have opened without O_CLOEXEC stays the worker's.
  posix_spawn_file_actions_addclosefrom_np(spawn.actions(), kLockFd + 1);
  std::string name = "cube-supervise";
  std::string argument = folder;
  char* arguments[] = {name.data(), argument.data(), nullptr};
  // Nothing of the worker's environment, which may hold credentials.
  char* environment[] = {nullptr};
  pid_t pid = 0;
  const int error =
      posix_spawn(&pid, path.c_str(), spawn.actions(), spawn.attributes(), arguments, environment);
  if (error != 0) return SystemFailure("starting " + path, error);
  return pid;
}

Result<pid_t> SpawnExec(const std::string& path, const ExecPipes& pipes) {
  SpawnAttributes spawn;
  sigset_t all;
  sigfillset(&all);
  posix_spawnattr_setsigmask(spawn.attributes(), &all);
  posix_spawnattr_setflags(spawn.attributes(),
                           static_cast<short>(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID));
  if (pipes.input < 0) {
    posix_spawn_file_actions_addopen(spawn.actions(), STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  } else {
    posix_spawn_file_actions_adddup2(spawn.actions(), pipes.input, STDIN_FILENO);
  }
  posix_spawn_file_actions_adddup2(spawn.actions(), pipes.output, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(spawn.actions(), pipes.errors, STDERR_FILENO);
  posix_spawn_file_actions_adddup2(spawn.actions(), pipes.command, kExecCommandFd);
  posix_spawn_file_actions_adddup2(spawn.actions(), pipes.status, kExecStatusFd);
  posix_spawn_file_actions_addclosefrom_np(spawn.actions(), kExecFdMax + 1);
  std::string name = "cube-supervise";
  std::string argument = kExecArgument;
  char* arguments[] = {name.data(), argument.data(), nullptr};
  char* environment[] = {nullptr};
  pid_t pid = 0;
  const int error =
      posix_spawn(&pid, path.c_str(), spawn.actions(), spawn.attributes(), arguments, environment);
  if (error != 0) return SystemFailure("starting " + path, error);
  return pid;
}

std::optional<pid_t> FindSupervisor(const std::string& folder) {
  const std::string wanted = "cube-supervise" + std::string(1, '\0') + folder + '\0';
  std::optional<pid_t> found;
  ForEachProcess([&](pid_t pid) {
    if (!found && ProcFile(pid, "cmdline") == wanted) found = pid;
  });
  return found;
}

std::optional<std::uint64_t> StartTicks(pid_t pid) {
  const auto stat = ParseProcStat(ProcFile(pid, "stat"));
  if (!stat || stat->state == 'Z' || stat->state == 'X') return std::nullopt;
  return stat->start_ticks;
}

SupervisorHandle SupervisorHandle::OfChild(pid_t pid, bool use_pidfd) {
  SupervisorHandle handle;
  handle.pid_ = pid;
  if (use_pidfd) handle.pidfd_ = Fd(PidfdOpen(pid));
  handle.start_ticks_ = StartTicks(pid).value_or(0);  // 0: it has ended already
  return handle;
}

std::optional<SupervisorHandle> SupervisorHandle::Open(pid_t pid,
                                                       std::optional<std::uint64_t> start_ticks,
                                                       bool use_pidfd) {
  SupervisorHandle handle;
  handle.pid_ = pid;
  // First the descriptor, then the look at who that is: from here on it cannot change.
  if (use_pidfd) handle.pidfd_ = Fd(PidfdOpen(pid));
  const auto ticks = StartTicks(pid);
  if (!ticks || (start_ticks && *ticks != *start_ticks)) return std::nullopt;
  handle.start_ticks_ = *ticks;
  return handle;
}

bool SupervisorHandle::Ended() const { return StartTicks(pid_) != start_ticks_; }

std::string SupervisorHandle::Reap() {
  siginfo_t how{};
  // Only by pid: it is ours until it has been reaped, or not a child at all.
  if (waitid(P_PID, static_cast<id_t>(pid_), &how, WEXITED | WNOHANG) != 0) return {};
  if (how.si_pid == 0) return {};
  if (how.si_code == CLD_EXITED) return "ended with code " + std::to_string(how.si_status);
  return "was killed by signal " + std::to_string(how.si_status);
}

Result<void> SupervisorHandle::Stop(StopRequest request) const {
  const std::uint64_t value = EncodeStop(request);
  sigval payload{};
  payload.sival_ptr = reinterpret_cast<void*>(value);  // signalfd gives it back as ssi_ptr
  int done = -1;
  if (pidfd_.valid()) {
    siginfo_t what{};
    what.si_signo = SIGRTMIN;
    what.si_code = SI_QUEUE;
    what.si_pid = getpid();
    what.si_uid = getuid();
    what.si_value = payload;
    done = PidfdSend(pidfd_.get(), SIGRTMIN, &what);
  } else if (!Ended()) {
    done = sigqueue(pid_, SIGRTMIN, payload);
  } else {
    errno = ESRCH;
  }
  if (done == 0) return {};
  if (errno == ESRCH) return Fail(Code::kNotFound, "the launch is ending");
  return SystemFailure("telling the supervisor to stop", errno);
}

void KillSession(const ProcessIdentity& supervisor, const std::string& environment_entry) {
  for (int round = 0; round < kKillRoundsMax; ++round) {
    bool killed = false;
    ForEachProcess([&](pid_t pid) {
      const auto stat = ParseProcStat(ProcFile(pid, "stat"));
      if (!stat || stat->session != supervisor.pid || pid == supervisor.pid) return;
      if (stat->state == 'Z' || stat->start_ticks < supervisor.start_ticks) return;
      if (!environment_entry.empty() && !HasEntry(ProcFile(pid, "environ"), environment_entry)) {
        return;
      }
      killed = kill(pid, SIGKILL) == 0 || killed;
    });
    if (!killed) return;
  }
}

}  // namespace cube::engine::process
