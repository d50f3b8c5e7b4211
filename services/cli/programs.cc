#include "services/cli/programs.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>

namespace cube::cli {
namespace {

// What `cube dev` gives its children before it kills them.
constexpr int kStopGraceMs = 5'000;
constexpr int kStopPollMs = 20;
// As a shell does for a program that cannot be executed.
constexpr int kExecFailed = 127;

std::vector<char*> Argv(const std::string& path, const std::vector<std::string>& args) {
  std::vector<char*> argv{const_cast<char*>(path.c_str())};  // execv does not change them
  for (const auto& arg : args) argv.push_back(const_cast<char*>(arg.c_str()));
  argv.push_back(nullptr);
  return argv;
}

std::string DescribeStatus(int status) {
  if (WIFSIGNALED(status)) return fmt::format("killed by signal {}", WTERMSIG(status));
  return fmt::format("exit code {}", WEXITSTATUS(status));
}

bool IsExecutable(const std::string& path) { return access(path.c_str(), X_OK) == 0; }

}  // namespace

Result<std::string> FindProgram(const std::string& name) {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (!error) {
    std::string beside = (self.parent_path() / name).string();
    if (IsExecutable(beside)) return beside;
  }
  // sbin is where distributions put servers; users often do not have it in PATH.
  const char* variable = std::getenv("PATH");
  const std::string path = std::string(variable == nullptr ? "" : variable) + ":/usr/sbin";
  std::size_t at = 0;
  while (at <= path.size()) {
    const std::size_t end = std::min(path.find(':', at), path.size());
    const std::string folder = path.substr(at, end - at);
    at = end + 1;
    if (folder.empty()) continue;
    std::string candidate = folder + "/" + name;
    if (IsExecutable(candidate)) return candidate;
  }
  return Fail(Code::kNotFound,
              fmt::format("cannot find the program {}: it is neither beside this one ({}) nor in "
                          "PATH",
                          name, self.parent_path().string()));
}

Error Exec(const std::string& path, const std::vector<std::string>& args) {
  auto argv = Argv(path, args);
  execv(path.c_str(), argv.data());
  return {Code::kInternal, fmt::format("cannot start {}: {}", path, std::strerror(errno)), {}};
}

Result<Child> Child::Start(const std::string& name, const std::string& path,
                           const std::vector<std::string>& args, const std::string& output_file) {
  auto argv = Argv(path, args);
  const int output =
      open(output_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (output < 0) {
    return Fail(Code::kInternal,
                fmt::format("cannot write {}: {}", output_file, std::strerror(errno)));
  }
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) {
    // Only async-signal-safe calls from here on: other threads' locks were copied as they were.
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(kExecFailed);
    setpgid(0, 0);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    std::signal(SIGINT, SIG_DFL);
    std::signal(SIGTERM, SIG_DFL);
    std::signal(SIGPIPE, SIG_DFL);
    execv(path.c_str(), argv.data());
    _exit(kExecFailed);
  }
  const int error = errno;
  close(output);
  if (pid < 0) {
    return Fail(Code::kInternal, fmt::format("cannot start {}: {}", path, std::strerror(error)));
  }
  return Child(name, pid, output_file);
}

Child::Child(Child&& other) noexcept
    : name_(std::move(other.name_)),
      pid_(std::exchange(other.pid_, -1)),
      output_file_(std::move(other.output_file_)),
      ended_(std::move(other.ended_)) {}

Child::~Child() { Stop(kStopGraceMs); }

std::optional<std::string> Child::Ended() {
  if (pid_ < 0) return ended_;
  int status = 0;
  if (waitpid(pid_, &status, WNOHANG) != pid_) return std::nullopt;
  pid_ = -1;
  ended_ = DescribeStatus(status);
  return ended_;
}

void Child::Stop(int grace_ms) {
  if (pid_ < 0 || Ended()) return;
  kill(pid_, SIGTERM);
  for (int waited = 0; waited < grace_ms; waited += kStopPollMs) {
    if (Ended()) return;
    poll(nullptr, 0, kStopPollMs);
  }
  kill(pid_, SIGKILL);
  int status = 0;
  if (waitpid(pid_, &status, 0) == pid_) ended_ = DescribeStatus(status);
  pid_ = -1;
}

}  // namespace cube::cli
