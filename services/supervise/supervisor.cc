#include "services/supervise/supervisor.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "services/supervise/descendants.h"

namespace cube::supervise {
namespace {

using engine::process::BootId;
using engine::process::Phase;
using engine::process::ReadFile;
using engine::process::WallNow;
using engine::process::WriteFileAtomic;

// Between two rounds of killing orphans: they may still be forking.
constexpr int kKillRoundMs = 50;
// A process that is stuck in the kernel does not die from SIGKILL; the exit is reported without it.
constexpr std::int64_t kGiveUpMs = 10'000;
constexpr std::size_t kReadBytes = 64u << 10;  // a pipe's capacity
constexpr std::size_t kStatBytesMax = 4096;
// Reads of one stream before signals and the other one get their turn.
constexpr int kReadsPerTurn = 16;

std::int64_t MonoMs() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<std::int64_t>(t.tv_sec) * 1000 + t.tv_nsec / 1'000'000;
}

engine::process::ProcessIdentity IdentityOf(pid_t pid) {
  const auto bytes = ReadFile("/proc/" + std::to_string(pid) + "/stat", kStatBytesMax);
  const auto stat = bytes ? engine::process::ParseProcStat(*bytes) : std::nullopt;
  return {pid, stat ? stat->start_ticks : 0};
}

Result<void> WriteStatus(const engine::process::StatusRecord& status, bool synced) {
  const std::string bytes = engine::process::EncodeStatus(status);
  auto written = WriteFileAtomic(engine::process::kStatusFile, bytes, 0600, synced);
  if (written) return written;
  // A full disk has no room for a new file, but the old one's block is ours. A later status is
  // never the shorter one, so nothing of the old text stays.
  const auto old = ReadFile(engine::process::kStatusFile, engine::process::kSmallFileBytesMax);
  if (!old || old->size() > bytes.size()) return written;
  return engine::process::WriteExisting(engine::process::kStatusFile, bytes);
}

}  // namespace

Result<void> Supervisor::WritePid() {
  const engine::process::PidRecord record{BootId(), IdentityOf(getpid()), IdentityOf(child_.pid)};
  return WriteFileAtomic(engine::process::kPidFile, engine::process::EncodePid(record), 0600,
                         false);
}

Result<void> Supervisor::Start() {
  CUBE_TRY(child_, ForkChild(command_, Streams::kPipes));
  CUBE_TRY_VOID(WritePid());
  status_.started_at = WallNow();
  CUBE_TRY_VOID(LetGo(child_, command_));
  return WriteStatus(status_, false);
}

Result<void> Supervisor::Run() {
  if (auto started = Start(); !started) {
    child_.go.Close();
    if (child_.pid > 0) {
      kill(child_.pid, SIGKILL);
      while (waitpid(child_.pid, nullptr, 0) < 0 && errno == EINTR) {
      }
    }
    status_.phase = Phase::kStartFailed;
    status_.failure = started.error().code;
    status_.value = child_.exit_code;
    status_.detail = started.error().message;
    status_.finished_at = WallNow();
    return WriteStatus(status_, true);
  }
  Loop();
  return WriteStatus(status_, true);
}

void Supervisor::Loop() {
  while (!all_ended_) {
    std::array<pollfd, 3> fds{{{signals_.get(), POLLIN, 0},
                               {child_.stdout_pipe.get(), POLLIN, 0},
                               {child_.stderr_pipe.get(), POLLIN, 0}}};
    const int ready = poll(fds.data(), fds.size(), PollTimeout());
    if (ready < 0 && errno != EINTR) break;  // cannot happen with these arguments
    if (ready > 0) {
      if (fds[1].revents != 0) Drain(&child_.stdout_pipe, &out_);
      if (fds[2].revents != 0) Drain(&child_.stderr_pipe, &err_);
      if (fds[0].revents != 0) TakeSignals();
    }
    const std::int64_t now = MonoMs();
    if (!killing_ && kill_at_ms_ >= 0 && now >= kill_at_ms_) {
      killed_by_request_ = true;
      Kill();
    } else if (killing_) {
      Kill();
    }
    if (command_ended_ && give_up_at_ms_ >= 0 && now >= give_up_at_ms_ && !all_ended_) {
      status_.detail = "processes that it had started could not be killed";
      break;
    }
  }
  DrainAll();
}

int Supervisor::PollTimeout() const {
  if (killing_) return kKillRoundMs;
  if (kill_at_ms_ < 0) return -1;
  constexpr std::int64_t kTimeoutMsMax = 1 << 30;
  return static_cast<int>(std::clamp<std::int64_t>(kill_at_ms_ - MonoMs(), 0, kTimeoutMsMax));
}

void Supervisor::Kill() {
  if (!killing_) {
    killing_ = true;
    give_up_at_ms_ = MonoMs() + kGiveUpMs;
  }
  // The group's number is ours only until its leader is reaped.
  if (!command_ended_) kill(-child_.pid, SIGKILL);
  KillDescendants(command_.kill_file);
  Reap();
}

void Supervisor::Stop(engine::process::StopRequest request) {
  if (command_ended_) return;
  // Without a grace there is only the kill.
  if (request.grace_ms > 0) kill(-child_.pid, request.signal);
  const std::int64_t at = MonoMs() + static_cast<std::int64_t>(request.grace_ms);
  kill_at_ms_ = kill_at_ms_ < 0 ? at : std::min(kill_at_ms_, at);
}

void Supervisor::TakeSignals() {
  signalfd_siginfo got{};
  while (read(signals_.get(), &got, sizeof(got)) == static_cast<ssize_t>(sizeof(got))) {
    const auto number = static_cast<int>(got.ssi_signo);
    if (number == SIGRTMIN) {
      if (const auto request = engine::process::DecodeStop(got.ssi_ptr)) Stop(*request);
    } else if (number == SIGTERM || number == SIGINT) {
      Stop({SIGTERM, kShutdownGraceMs});
    }
  }
  Reap();
}

void Supervisor::Reap() {
  while (true) {
    int wait_status = 0;
    const pid_t pid = waitpid(-1, &wait_status, WNOHANG);
    if (pid == child_.pid) Noted(wait_status);
    if (pid > 0) continue;
    if (pid < 0 && errno == EINTR) continue;
    if (pid < 0) all_ended_ = true;  // ECHILD
    break;
  }
  if (command_ended_ && !all_ended_ && !killing_) Kill();
}

void Supervisor::Noted(int wait_status) {
  command_ended_ = true;
  status_.finished_at = WallNow();
  if (WIFSIGNALED(wait_status)) {
    status_.phase = Phase::kSignaled;
    status_.value = 128 + WTERMSIG(wait_status);
    // It may have ended by the stop signal a moment before the kill.
    if (killed_by_request_ && WTERMSIG(wait_status) == SIGKILL)
      status_.detail = "the grace of a stop was over";
  } else {
    status_.phase = Phase::kExited;
    status_.value = WEXITSTATUS(wait_status);
  }
  if (command_.oom_file.empty() || killed_by_request_ || status_.value == 0) return;
  const auto events = ReadFile(command_.oom_file, kStatBytesMax);
  if (events && engine::process::ParseOomKills(*events) > 0) {
    status_.phase = Phase::kOutOfMemory;
    status_.detail = "the memory limit was reached";
  }
}

// False when nothing more is there now.
bool Supervisor::Drain(engine::process::Fd* pipe, engine::LineFramer* framer) {
  static std::array<char, kReadBytes> piece;
  std::string frames;
  for (int turn = 0; turn < kReadsPerTurn && pipe->valid(); ++turn) {
    const auto got = read(pipe->get(), piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return false;
    frames.clear();
    if (got == 0) {
      framer->Finish(WallNow(), &frames);
      pipe->Close();
    } else {
      framer->Add(WallNow(), std::string_view(piece.data(), static_cast<std::size_t>(got)),
                  &frames);
    }
    output_.Write(frames);
  }
  return pipe->valid();
}

void Supervisor::DrainAll() {
  while (Drain(&child_.stdout_pipe, &out_)) {
  }
  while (Drain(&child_.stderr_pipe, &err_)) {
  }
  // Somebody who could not be killed may still hold a pipe: what waits is written all the same.
  std::string frames;
  out_.Finish(WallNow(), &frames);
  err_.Finish(WallNow(), &frames);
  output_.Write(frames);
}

}  // namespace cube::supervise
