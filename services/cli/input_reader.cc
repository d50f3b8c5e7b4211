#include "services/cli/input_reader.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <utility>

#include "shared/base/check.h"

namespace cube::cli {
namespace {

constexpr std::size_t kReadBytes = 64u << 10;

}  // namespace

InputReader::InputReader(int fd, std::function<void()> on_ready)
    : fd_(fd), on_ready_(std::move(on_ready)) {
  int ends[2];
  CUBE_CHECK(::pipe2(ends, O_CLOEXEC) == 0);
  quit_read_ = runtime::Fd(ends[0]);
  quit_write_ = runtime::Fd(ends[1]);
  // Ctrl-C is the main thread's.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { Run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

InputReader::~InputReader() {
  {
    const std::lock_guard lock(mutex_);
    quit_ = true;
  }
  taken_.notify_all();
  quit_write_.Close();
  thread_.join();
}

InputReader::Piece InputReader::Take(std::size_t bytes_max) {
  Piece piece;
  {
    const std::lock_guard lock(mutex_);
    piece.bytes = bytes_.substr(0, bytes_max);
    bytes_.erase(0, piece.bytes.size());
    piece.last = at_end_ && bytes_.empty() && !std::exchange(told_end_, at_end_);
  }
  taken_.notify_all();
  return piece;
}

void InputReader::Run() {
  std::array<char, kReadBytes> buffer{};
  while (true) {
    {
      std::unique_lock lock(mutex_);
      taken_.wait(lock, [this] { return quit_ || bytes_.empty(); });
      if (quit_) return;
    }
    std::array<pollfd, 2> fds{{{fd_, POLLIN, 0}, {quit_read_.get(), POLLIN, 0}}};
    if (::poll(fds.data(), fds.size(), -1) < 0 && errno != EINTR) return;
    if (fds[1].revents != 0) return;
    if (fds[0].revents == 0) continue;
    const ssize_t count = ::read(fd_, buffer.data(), buffer.size());
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    {
      const std::lock_guard lock(mutex_);
      if (count > 0) bytes_.append(buffer.data(), static_cast<std::size_t>(count));
      at_end_ = count <= 0;
    }
    on_ready_();
    if (count <= 0) return;
  }
}

}  // namespace cube::cli
