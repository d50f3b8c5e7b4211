#include "services/supervise/child.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

namespace cube::supervise {
namespace {

using engine::process::Command;
using engine::process::Fd;
using engine::process::SystemFailure;

enum class Step : int { kJoin, kIdentity, kPrivileges, kWorkdir, kExec };
struct Failure {
  Step step;
  int error_number;
};

struct Pipe {
  Fd read;
  Fd write;
};

Result<Pipe> MakePipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return SystemFailure("making a pipe", errno);
  return Pipe{Fd(ends[0]), Fd(ends[1])};
}

// The pointers that exec takes; `texts` must outlive them.
std::vector<char*> Pointers(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (const auto& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

[[noreturn]] void GiveUp(int failure_fd, Step step) {
  const Failure failure{step, errno};
  [[maybe_unused]] const auto put = write(failure_fd, &failure, sizeof(failure));
  _exit(127);
}

bool Assume(const Command::Identity& identity) {
  const std::vector<gid_t> groups(identity.groups.begin(), identity.groups.end());
  // Whoever is that user already may lack the right to say so again.
  if (geteuid() != 0) return geteuid() == identity.uid && getegid() == identity.gid;
  return setgroups(groups.size(), groups.data()) == 0 &&
         setresgid(identity.gid, identity.gid, identity.gid) == 0 &&
         setresuid(identity.uid, identity.uid, identity.uid) == 0;
}

void RestoreSignals() {
  for (int number = 1; number < NSIG; ++number) signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

[[noreturn]] void RunChild(const Command& command, pid_t parent, int out, int err, int go,
                           int failure) {
  setpgid(0, 0);
  for (const auto& path : command.join) {
    if (!engine::process::WriteExisting(path, "0")) GiveUp(failure, Step::kJoin);
  }
  if (command.identity && !Assume(*command.identity)) {
    errno = EPERM;
    GiveUp(failure, Step::kIdentity);
  }
  // A program with the set-user-id bit would also lose the parent-death signal.
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) GiveUp(failure, Step::kPrivileges);
  // After the change of user, which clears it. A parent that died before this is seen by its pid.
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) GiveUp(failure, Step::kPrivileges);
  if (getppid() != parent) _exit(127);
  const char* workdir = command.workdir.empty() ? "/" : command.workdir.c_str();
  if (chdir(workdir) != 0) GiveUp(failure, Step::kWorkdir);
  umask(022);
  char byte = 0;
  ssize_t got = 0;
  do {
    got = read(go, &byte, 1);
  } while (got < 0 && errno == EINTR);
  if (got != 1) _exit(127);
  dup2(out, STDOUT_FILENO);
  dup2(err, STDERR_FILENO);
  RestoreSignals();
  const auto arguments = Pointers(command.arguments);
  const auto environment = Pointers(command.environment);
  environ = const_cast<char**>(environment.data());  // execvp looks PATH up there
  execvp(arguments[0], arguments.data());
  GiveUp(failure, Step::kExec);
}

std::string StepText(Step step, const Command& command) {
  switch (step) {
    case Step::kJoin:
      return "joining the launch's control group";
    case Step::kIdentity:
      return "user: changing to uid " + std::to_string(command.identity->uid);
    case Step::kPrivileges:
      return "giving up privileges";
    case Step::kWorkdir:
      return "workdir: changing to " + command.workdir;
    case Step::kExec:
      return "command: running '" + command.arguments[0] + "'";
  }
  return "starting";
}

}  // namespace

Result<Child> ForkChild(const Command& command, Streams streams) {
  Pipe out;
  Pipe err;
  if (streams == Streams::kPipes) {
    CUBE_TRY(out, MakePipe());
    CUBE_TRY(err, MakePipe());
  }
  CUBE_TRY(auto go, MakePipe());
  CUBE_TRY(auto failure, MakePipe());
  const pid_t self = getpid();
  const pid_t pid = fork();
  if (pid < 0) return SystemFailure("starting a process", errno);
  if (pid == 0) {
    go.write.Close();
    const bool own = streams == Streams::kOwn;
    RunChild(command, self, own ? STDOUT_FILENO : out.write.get(),
             own ? STDERR_FILENO : err.write.get(), go.read.get(), failure.write.get());
  }
  setpgid(pid, pid);  // here too: whoever comes first
  for (const Pipe* pipe : {&out, &err})
    if (pipe->read.valid()) fcntl(pipe->read.get(), F_SETFL, O_NONBLOCK);
  return Child{pid, std::move(out.read), std::move(err.read), std::move(go.write),
               std::move(failure.read)};
}

Result<void> LetGo(Child& child, const Command& command) {
  // Fails only if the child has given up already; then `failure` says why.
  [[maybe_unused]] const auto put = write(child.go.get(), "g", 1);
  child.go.Close();
  Failure failure{};
  ssize_t got = 0;
  do {
    got = read(child.failure.get(), &failure, sizeof(failure));
  } while (got < 0 && errno == EINTR);
  child.failure.Close();
  if (got == 0) return {};
  if (got != sizeof(failure)) return Fail(Code::kInternal, "the command's start was not reported");
  if (failure.step == Step::kExec) {
    child.exit_code = failure.error_number == ENOENT ? engine::process::kValueNoSuchCommand
                                                     : engine::process::kValueNotExecutable;
  }
  return SystemFailure(StepText(failure.step, command), failure.error_number);
}

}  // namespace cube::supervise
