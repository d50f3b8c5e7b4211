#include "test/support/cli/child.h"

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>

#include "shared/base/check.h"

namespace cube::test {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kPatience = std::chrono::seconds(60);
constexpr int kNoExec = 127;

int MillisUntil(Clock::time_point deadline) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
  return left.count() < 0 ? 0 : static_cast<int>(left.count());
}

}  // namespace

ChildProcess::ChildProcess(std::vector<std::string> words,
                           const std::map<std::string, std::string>& variables) {
  std::array<int, 2> fds{};
  CUBE_CHECK(pipe(fds.data()) == 0);
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_ = fork();
  CUBE_CHECK(pid_ >= 0);
  if (pid_ == 0) {
    dup2(fds[1], STDOUT_FILENO);
    dup2(fds[1], STDERR_FILENO);
    close(fds[0]);
    close(fds[1]);
    for (const auto& [name, value] : variables) setenv(name.c_str(), value.c_str(), 1);
    execv(argv.front(), argv.data());
    _exit(kNoExec);
  }
  close(fds[1]);
  fd_ = fds[0];
}

ChildProcess::~ChildProcess() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  close(fd_);
}

bool ChildProcess::ReadSome(int timeout_ms) {
  pollfd wait{fd_, POLLIN, 0};
  if (poll(&wait, 1, timeout_ms) <= 0) return false;
  std::array<char, 4096> part{};
  const ssize_t count = read(fd_, part.data(), part.size());
  if (count <= 0) return false;
  output_.append(part.data(), static_cast<std::size_t>(count));
  return true;
}

bool ChildProcess::ReadUntil(const std::string& text) {
  const auto deadline = Clock::now() + kPatience;
  while (output_.find(text) == std::string::npos) {
    if (!ReadSome(MillisUntil(deadline))) return false;
  }
  return true;
}

void ChildProcess::Signal(int signal) { kill(pid_, signal); }

int ChildProcess::Wait() {
  const auto deadline = Clock::now() + kPatience;
  while (ReadSome(MillisUntil(deadline))) {
  }
  if (Clock::now() >= deadline) return -1;
  int status = 0;
  if (waitpid(pid_, &status, 0) != pid_) return -1;
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace cube::test
