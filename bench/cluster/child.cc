#include "bench/cluster/child.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "shared/base/check.h"
#include "shared/runtime/fd.h"
#include "test/support/tied.h"

namespace cube::bench {
namespace {

constexpr int kStopWaitMs = 10'000;
constexpr double kNanosPerSecond = 1e9;

// The first figure of /proc/<pid>/task/<tid>/schedstat: ns on a cpu.
double CpuOf(const std::filesystem::path& task) {
  double nanos = 0;
  std::ifstream(task / "schedstat") >> nanos;
  return nanos / kNanosPerSecond;
}

// "RssAnon:    1234 kB" of /proc/<pid>/status, in bytes.
std::int64_t Field(const std::string& status, const std::string& name) {
  const std::size_t at = status.find("\n" + name + ":");
  if (at == std::string::npos) return 0;
  return std::strtoll(status.c_str() + at + name.size() + 2, nullptr, 10) * 1024;
}

}  // namespace

Result<Usage> UsageOf(pid_t pid) {
  const std::filesystem::path process = fmt::format("/proc/{}", pid);
  std::stringstream status;
  status << std::ifstream(process / "status").rdbuf();
  if (status.str().empty()) return Fail(Code::kNotFound, fmt::format("process {} is gone", pid));
  Usage usage;
  std::error_code ignored;
  for (const auto& task : std::filesystem::directory_iterator(process / "task", ignored)) {
    const double cpu = CpuOf(task.path());
    usage.cpu_s += cpu;
    if (task.path().filename() == std::to_string(pid)) usage.main_cpu_s = cpu;
  }
  usage.rss_bytes = Field(status.str(), "VmRSS");
  usage.rss_anon_bytes = Field(status.str(), "RssAnon");
  return usage;
}

std::vector<pid_t> ChildrenOf(pid_t pid) {
  std::vector<pid_t> children;
  std::error_code ignored;
  const std::filesystem::path tasks = fmt::format("/proc/{}/task", pid);
  for (const auto& task : std::filesystem::directory_iterator(tasks, ignored)) {
    std::ifstream list(task.path() / "children");
    for (pid_t child = 0; list >> child;) children.push_back(child);
  }
  return children;
}

Result<std::unique_ptr<Child>> Child::Start(std::vector<std::string> command,
                                            const std::string& log, bool tied) {
  if (::access(command[0].c_str(), X_OK) != 0) {
    return Fail(Code::kNotFound,
                fmt::format("cannot start {}; name its folder by --bin-dir", command[0]));
  }
  if (tied) command.insert(command.begin(), test::kTied.begin(), test::kTied.end());
  std::vector<char*> argv;
  for (std::string& argument : command) argv.push_back(argument.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  if (!log.empty()) {
    posix_spawn_file_actions_addopen(&files, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    posix_spawn_file_actions_adddup2(&files, 1, 2);
  }
  pid_t pid = 0;
  const int error = ::posix_spawn(&pid, argv[0], &files, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  if (error != 0) {
    return Fail(Code::kNotFound, fmt::format("cannot start {} (error {})", command[0], error));
  }
  return std::unique_ptr<Child>(new Child(pid));
}

Child::~Child() { Stop(); }

void Child::Stop() {
  if (pid_ <= 0) return;
  const runtime::Fd handle(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
  ::kill(pid_, SIGTERM);
  pollfd end{handle.get(), POLLIN, 0};
  if (::poll(&end, 1, kStopWaitMs) != 1) ::kill(pid_, SIGKILL);
  int status = 0;
  ::waitpid(pid_, &status, 0);
  pid_ = 0;
}

void Child::Kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  int status = 0;
  ::waitpid(pid_, &status, 0);
  pid_ = 0;
}

WorkDir::WorkDir()
    : path_((std::filesystem::temp_directory_path() / "cube-bench-XXXXXX").string()) {
  CUBE_CHECK(::mkdtemp(path_.data()) != nullptr);
}
WorkDir::~WorkDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string OwnPath() { return std::filesystem::read_symlink("/proc/self/exe").string(); }
std::string OwnFolder() { return std::filesystem::path(OwnPath()).parent_path().string(); }

}  // namespace cube::bench
