#include "services/worker/engine/process/execs.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "services/worker/engine/process/supervisor_handle.h"

namespace cube::engine::process {
namespace {

constexpr std::size_t kReadBytes = 64u << 10;  // a pipe's capacity
// Of each stream at one time, so that a flood leaves the thread to others in between.
constexpr int kReadsPerPump = 16;
constexpr std::size_t kCreditMax = std::size_t{1} << 40;
constexpr std::int32_t kExitNotExecutable = 126;
constexpr std::int32_t kExitNoSuchProgram = 127;
constexpr std::int32_t kExitKilled = 137;

struct Pipe {
  Fd read;
  Fd write;
};

// Above the numbers that they get in the supervisor, so that none is overwritten on the way.
Result<Fd> Raised(int fd) {
  const Fd low(fd);
  Fd high(fcntl(fd, F_DUPFD_CLOEXEC, kExecFdMax + 1));
  if (!high.valid()) return SystemFailure("making a pipe", errno);
  return high;
}

Result<Pipe> MakePipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return SystemFailure("making a pipe", errno);
  auto read = Raised(ends[0]);
  auto write = Raised(ends[1]);
  if (!read) return std::unexpected(std::move(read).error());
  if (!write) return std::unexpected(std::move(write).error());
  return Pipe{std::move(*read), std::move(*write)};
}

MonoTime MonoNow() {
  return MonoTime(
      std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()));
}

void NonBlocking(const Fd& fd) { fcntl(fd.get(), F_SETFL, O_NONBLOCK); }

}  // namespace

Execs::~Execs() {
  // Closed pipes end them; nobody waits for that.
  for (auto& [exec, e] : execs_) {
    e.lifeline.Close();
    Close(e.input);
    for (Watched& stream : e.streams) Close(stream);
    Close(e.status);
  }
}

Result<void> Execs::Start(std::uint64_t exec, const LaunchKey& key,
                          const std::string& supervise_path, const Command& command, bool input,
                          Duration timeout) {
  CUBE_TRY(auto lifeline, MakePipe());
  CUBE_TRY(auto out, MakePipe());
  CUBE_TRY(auto err, MakePipe());
  CUBE_TRY(auto status, MakePipe());
  Pipe in;
  if (input) {
    CUBE_TRY(in, MakePipe());
  }
  const std::string bytes = EncodeCommand(command);
  if (bytes.size() > kSmallFileBytesMax)
    return Fail(Code::kResource, "the command is too long", "command");
  CUBE_TRY(const auto pid, SpawnExec(supervise_path, {.command = lifeline.read.get(),
                                                      .input = in.read.get(),
                                                      .output = out.write.get(),
                                                      .errors = err.write.get(),
                                                      .status = status.write.get()}));
  lifeline.read.Close();
  status.write.Close();
  // The reader is there, or gone: this does not block for long.
  const auto told = WriteAll(lifeline.write.get(),
                             fmt::format("{:0{}x}", bytes.size(), kExecLengthDigits) + bytes,
                             "the command's pipe");
  if (!told) {
    waitpid(pid, nullptr, 0);
    return told;
  }
  Exec& e = execs_[exec];
  e.key = key;
  e.pid = pid;
  e.lifeline = std::move(lifeline.write);
  e.input.fd = std::move(in.write);
  e.streams[0].fd = std::move(out.read);
  e.streams[1].fd = std::move(err.read);
  e.status.fd = std::move(status.read);
  e.timeout = timeout;
  if (timeout > Duration{0}) e.kill_at = MonoNow() + timeout;
  for (const Fd* fd : {&e.input.fd, &e.streams[0].fd, &e.streams[1].fd, &e.status.fd})
    if (fd->valid()) NonBlocking(*fd);
  Watch(exec, e.status, EventLoop::For::kReading);
  return {};
}

void Execs::Close(Watched& watched) {
  if (watched.watch != 0) loop_.Unwatch(std::exchange(watched.watch, 0));
  watched.fd.Close();
}

void Execs::Watch(std::uint64_t exec, Watched& watched, EventLoop::For what) {
  if (watched.watch != 0 || !watched.fd.valid()) return;
  const bool is_status = &watched == &execs_.at(exec).status;
  const bool writes = what == EventLoop::For::kWriting;
  const auto id = loop_.Watch(
      watched.fd.get(),
      [this, exec, is_status, writes] {
        if (is_status) return StatusReadable(exec);
        if (writes) return WriteInput(exec);
        Pump(exec);
      },
      what);
  // Out of watches: it cannot be run to its end.
  if (!id) return Kill(exec, id.error());
  watched.watch = *id;
}

void Execs::Credit(std::uint64_t exec, std::size_t bytes) {
  const auto it = execs_.find(exec);
  if (it == execs_.end()) return;
  it->second.credit = std::min(it->second.credit + std::min(bytes, kCreditMax), kCreditMax);
  Pump(exec);
}

void Execs::Input(std::uint64_t exec, std::string_view bytes, bool last) {
  const auto it = execs_.find(exec);
  if (it == execs_.end() || it->second.input_last) return;
  it->second.to_write.append(bytes);
  it->second.input_last = last;
  WriteInput(exec);
}

void Execs::WriteInput(std::uint64_t exec) {
  const auto it = execs_.find(exec);
  if (it == execs_.end()) return;
  Exec& e = it->second;
  std::size_t taken = 0;
  while (e.input.fd.valid() && taken < e.to_write.size()) {
    const auto put = write(e.input.fd.get(), e.to_write.data() + taken, e.to_write.size() - taken);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0 && errno == EAGAIN) break;
    if (put < 0) {
      Close(e.input);  // it reads no more
      break;
    }
    taken += static_cast<std::size_t>(put);
  }
  // What nobody reads any more counts as taken, so that its sender does not wait.
  if (!e.input.fd.valid()) taken = e.to_write.size();
  e.to_write.erase(0, taken);
  if (!e.to_write.empty()) {
    Watch(exec, e.input, EventLoop::For::kWriting);
  } else {
    if (e.input.watch != 0) loop_.Unwatch(std::exchange(e.input.watch, 0));
    if (e.input_last) Close(e.input);
  }
  if (taken > 0) sink_(ExecTook{exec, taken});
}

void Execs::Kill(std::uint64_t exec, std::optional<Error> reason) {
  const auto it = execs_.find(exec);
  if (it == execs_.end() || !it->second.lifeline.valid()) return;
  it->second.killed = std::move(reason);
  it->second.kill_at = MonoTime::max();
  it->second.lifeline.Close();
}

void Execs::KillOf(const LaunchKey& key) {
  for (auto& [exec, e] : execs_)
    if (e.key == key) Kill(exec, std::nullopt);
}

int Execs::Idle() {
  MonoTime next = MonoTime::max();
  const MonoTime now = MonoNow();
  for (auto& [exec, e] : execs_) {
    if (e.kill_at <= now)
      Kill(exec, Error{Code::kTimedOut,
                       fmt::format("the command was killed after {}", FormatDuration(e.timeout)),
                       {}});
    next = std::min(next, e.kill_at);
  }
  if (next == MonoTime::max()) return -1;
  constexpr std::int64_t kWaitMsMax = 1 << 30;
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(next - now).count();
  return static_cast<int>(std::clamp<std::int64_t>(ms, 0, kWaitMsMax));
}

void Execs::StatusReadable(std::uint64_t exec) {
  Exec& e = execs_.at(exec);
  char buffer[4096];
  while (true) {
    const auto got = read(e.status.fd.get(), buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return;
    if (got == 0) break;
    e.status_bytes.append(buffer, static_cast<std::size_t>(got));
  }
  Close(e.status);
  while (waitpid(e.pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  e.over = true;
  Pump(exec);
}

bool Execs::ReadOnce(std::uint64_t exec, Exec& e, std::size_t stream) {
  Watched& from = e.streams[stream];
  const bool discard = e.killed.has_value();
  const std::size_t room = discard ? kReadBytes : std::min({e.credit, kReadBytes});
  if (!from.fd.valid() || room == 0) return false;
  std::string bytes(room, '\0');
  const auto got = read(from.fd.get(), bytes.data(), room);
  if (got < 0 && errno == EINTR) return true;
  if (got < 0) return false;
  if (got == 0) {
    Close(from);
    return false;
  }
  if (discard) return true;
  bytes.resize(static_cast<std::size_t>(got));
  e.credit -= bytes.size();
  sink_(ExecOutput{exec, stream == 1, std::move(bytes)});
  return true;
}

void Execs::Pump(std::uint64_t exec) {
  const auto it = execs_.find(exec);
  if (it == execs_.end()) return;
  Exec& e = it->second;
  bool more = true;
  for (int reads = 0; more && reads < kReadsPerPump; ++reads) {
    more = ReadOnce(exec, e, 0);
    more = ReadOnce(exec, e, 1) || more;
  }
  // With credit left, what remains open has nothing now. Of a killed one nothing is told anyway.
  const bool all_read =
      e.killed || (e.credit > 0 && !more) || (!e.streams[0].fd.valid() && !e.streams[1].fd.valid());
  if (e.over && all_read) return End(exec);
  for (Watched& stream : e.streams) {
    // The watch calls again as long as there are bytes.
    if (e.credit > 0) {
      Watch(exec, stream, EventLoop::For::kReading);
    } else if (stream.watch != 0) {
      loop_.Unwatch(std::exchange(stream.watch, 0));
    }
  }
}

ExecEnded Execs::Ending(std::uint64_t exec, const Exec& e) const {
  if (e.killed) return {exec, -1, e.killed};
  const auto status = DecodeStatus(e.status_bytes);
  // Its supervisor was killed, by whom ever; the command goes with it.
  if (!status || status->phase == Phase::kRunning) return {exec, kExitKilled, std::nullopt};
  if (status->phase != Phase::kStartFailed) return {exec, status->value, std::nullopt};
  std::string why = status->detail + '\n';
  why.resize(std::min(why.size(), e.credit));
  if (!why.empty()) sink_(ExecOutput{exec, true, std::move(why)});
  return {exec, status->failure == Code::kNotFound ? kExitNoSuchProgram : kExitNotExecutable,
          std::nullopt};
}

void Execs::End(std::uint64_t exec) {
  Exec& e = execs_.at(exec);
  ExecEnded ended = Ending(exec, e);
  Close(e.input);
  for (Watched& stream : e.streams) Close(stream);
  execs_.erase(exec);
  sink_(std::move(ended));
}

}  // namespace cube::engine::process
