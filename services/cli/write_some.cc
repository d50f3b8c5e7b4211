#include "services/cli/write_some.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace cube::cli {
namespace {

// A pipe that poll(2) calls writable takes PIPE_BUF bytes without blocking (pipe(7)).
constexpr std::size_t kSliceBytes = 4'096;

}  // namespace

std::optional<std::size_t> WriteSome(int fd, std::string_view bytes, Duration wait) {
  std::size_t took = 0;
  while (took < bytes.size()) {
    pollfd output{.fd = fd, .events = POLLOUT, .revents = 0};
    const auto left = took > 0 ? Duration{0} : wait;
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(left).count();
    const int ready = poll(&output, 1, static_cast<int>(ms));
    if (ready < 0 && errno != EINTR) return std::nullopt;
    if (ready <= 0) return took;
    if ((output.revents & POLLNVAL) != 0) return std::nullopt;
    const std::size_t slice = std::min(bytes.size() - took, kSliceBytes);
    const ssize_t wrote = write(fd, bytes.data() + took, slice);
    if (wrote < 0 && (errno == EINTR || errno == EAGAIN)) return took;
    if (wrote < 0) return std::nullopt;
    took += static_cast<std::size_t>(wrote);
  }
  return took;
}

}  // namespace cube::cli
