#include "services/supervise/exec.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <ctime>

#include "services/supervise/descendants.h"

namespace cube::supervise {
namespace {

using engine::process::Command;
using engine::process::Fd;
using engine::process::kExecCommandFd;
using engine::process::kExecLengthDigits;
using engine::process::kExecStatusFd;
using engine::process::Phase;
using engine::process::SystemFailure;
using engine::process::WallNow;

constexpr int kKillRoundMs = 20;            // between two rounds of killing orphans
constexpr std::int64_t kGiveUpMs = 10'000;  // for what is stuck in the kernel

std::int64_t MonoMs() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<std::int64_t>(t.tv_sec) * 1000 + t.tv_nsec / 1'000'000;
}

Result<std::string> ReadExactly(int fd, std::size_t size) {
  std::string bytes(size, '\0');
  std::size_t have = 0;
  while (have < size) {
    const auto got = read(fd, bytes.data() + have, size - have);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return SystemFailure("reading the command", errno);
    if (got == 0) return Fail(Code::kAborted, "the worker has gone");
    have += static_cast<std::size_t>(got);
  }
  return bytes;
}

// So that the ends of the streams are the command's own.
void LetGoOfStreams() {
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (null >= 0) dup2(null, fd);
  }
}

}  // namespace

Exec::Exec(Fd signals)
    : signals_(std::move(signals)), command_pipe_(kExecCommandFd), status_pipe_(kExecStatusFd) {
  fcntl(kExecCommandFd, F_SETFD, FD_CLOEXEC);
  fcntl(kExecStatusFd, F_SETFD, FD_CLOEXEC);
}

Result<Command> Exec::ReadCommand() {
  CUBE_TRY(const auto digits, ReadExactly(command_pipe_.get(), kExecLengthDigits));
  std::size_t size = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), size, 16);
  if (error != std::errc() || end != digits.data() + digits.size() ||
      size > engine::process::kSmallFileBytesMax) {
    return Fail(Code::kDataLoss, "the command has no length");
  }
  CUBE_TRY(const auto bytes, ReadExactly(command_pipe_.get(), size));
  return engine::process::DecodeCommand(bytes);
}

Result<void> Exec::Start(const Command& command) {
  CUBE_TRY(child_, ForkChild(command, Streams::kOwn));
  status_.started_at = WallNow();
  return LetGo(child_, command);
}

Result<void> Exec::Run() {
  CUBE_TRY(const auto command, ReadCommand());
  if (auto started = Start(command); !started) {
    status_.phase = Phase::kStartFailed;
    status_.failure = started.error().code;
    status_.detail = started.error().message;
    killing_ = true;
    if (child_.pid > 0) kill(child_.pid, SIGKILL);
  }
  LetGoOfStreams();
  if (child_.pid > 0) Loop();
  status_.finished_at = WallNow();
  return engine::process::WriteAll(status_pipe_.get(), engine::process::EncodeStatus(status_),
                                   "the status");
}

void Exec::Loop() {
  while (!all_ended_) {
    std::array<pollfd, 2> fds{{{signals_.get(), POLLIN, 0}, {command_pipe_.get(), POLLIN, 0}}};
    // Nothing is written to that pipe any more: whatever comes of it is its end.
    const nfds_t count = killing_ ? 1 : 2;
    const int ready = poll(fds.data(), count, killing_ ? kKillRoundMs : -1);
    if (ready < 0 && errno != EINTR) break;  // cannot happen with these arguments
    signalfd_siginfo got{};
    while (read(signals_.get(), &got, sizeof(got)) == static_cast<ssize_t>(sizeof(got))) {
    }
    Reap();
    if (killing_ || fds[1].revents != 0) Kill();
    if (killing_ && MonoMs() >= give_up_at_ms_) break;
  }
}

void Exec::Kill() {
  if (all_ended_) return;
  if (give_up_at_ms_ < 0) give_up_at_ms_ = MonoMs() + kGiveUpMs;
  killing_ = true;
  // The group's number is ours only until its leader is reaped.
  if (!command_ended_) kill(-child_.pid, SIGKILL);
  KillDescendants({});
  Reap();
}

void Exec::Reap() {
  while (true) {
    int wait_status = 0;
    const pid_t pid = waitpid(-1, &wait_status, WNOHANG);
    if (pid == child_.pid) {
      command_ended_ = true;
      if (status_.phase == Phase::kRunning) {
        const bool signaled = WIFSIGNALED(wait_status);
        status_.phase = signaled ? Phase::kSignaled : Phase::kExited;
        status_.value = signaled ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
      }
    }
    if (pid > 0 || (pid < 0 && errno == EINTR)) continue;
    if (pid < 0) all_ended_ = true;  // ECHILD
    break;
  }
  if (command_ended_) killing_ = true;
}

}  // namespace cube::supervise
