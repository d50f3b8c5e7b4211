#include "services/cli/probe.h"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

namespace cube::cli {
namespace {

constexpr std::string_view kPortDefault = "4222";

class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  ~Socket() {
    if (fd_ >= 0) close(fd_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  [[nodiscard]] int fd() const { return fd_; }

 private:
  const int fd_;
};

std::string ErrorText(int error) {
  std::string text = std::strerror(error);
  if (!text.empty() && text.front() >= 'A' && text.front() <= 'Z') {
    text.front() = static_cast<char>(text.front() - 'A' + 'a');
  }
  return text;
}

// Empty if it connects.
std::string TryAddress(const addrinfo& address, int timeout_ms) {
  const Socket socket_fd(
      socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, address.ai_protocol));
  if (socket_fd.fd() < 0) return ErrorText(errno);
  if (connect(socket_fd.fd(), address.ai_addr, address.ai_addrlen) == 0) return {};
  if (errno != EINPROGRESS) return ErrorText(errno);
  pollfd wait{socket_fd.fd(), POLLOUT, 0};
  if (poll(&wait, 1, timeout_ms) <= 0) return "no answer";
  int error = 0;
  socklen_t size = sizeof(error);
  if (getsockopt(socket_fd.fd(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  return error == 0 ? std::string() : ErrorText(error);
}

}  // namespace

HostPort HostPortOf(std::string_view url) {
  if (const auto scheme = url.find("://"); scheme != std::string_view::npos) {
    url.remove_prefix(scheme + 3);
  }
  if (const auto at = url.rfind('@'); at != std::string_view::npos) url.remove_prefix(at + 1);
  url = url.substr(0, url.find('/'));
  const std::size_t colon = url.rfind(':');
  const std::size_t bracket = url.rfind(']');
  const bool has_port =
      colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket);
  HostPort result{std::string(has_port ? url.substr(0, colon) : url),
                  std::string(has_port ? url.substr(colon + 1) : kPortDefault)};
  if (result.host.starts_with('[') && result.host.ends_with(']')) {
    result.host = result.host.substr(1, result.host.size() - 2);
  }
  return result;
}

std::string ProbeServer(std::string_view url, Duration timeout) {
  const HostPort where = HostPortOf(url);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int failure = getaddrinfo(where.host.c_str(), where.port.c_str(), &hints, &found);
  if (failure != 0) return "unknown host (" + std::string(gai_strerror(failure)) + ")";
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, freeaddrinfo);
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(timeout).count();
  std::string reason = "unknown host";
  for (const addrinfo* address = found; address != nullptr; address = address->ai_next) {
    reason = TryAddress(*address, static_cast<int>(ms));
    if (reason.empty()) break;
  }
  return reason;
}

std::string UrlWithoutSecrets(std::string_view url) {
  const auto scheme = url.find("://");
  const std::size_t begin = scheme == std::string_view::npos ? 0 : scheme + 3;
  const auto at = url.rfind('@');
  if (at == std::string_view::npos || at < begin) return std::string(url);
  return std::string(url.substr(0, begin)) + std::string(url.substr(at + 1));
}

}  // namespace cube::cli
