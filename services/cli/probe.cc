#include "services/cli/probe.h"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>

namespace cube::cli {
namespace {

constexpr std::string_view kPortDefault = "4222";
// A greeting is below 1 KiB, plus some bytes for each other server of its cluster.
constexpr std::size_t kGreetingMax = 64u << 10;

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

// "INFO {...,"version":"2.9.10",...}": the version in it.
std::string VersionOf(const std::string& greeting) {
  if (!greeting.starts_with("INFO ")) return {};
  const auto json = nlohmann::json::parse(greeting.substr(5), nullptr, false);
  if (!json.is_object()) return {};
  const auto version = json.find("version");
  return version != json.end() && version->is_string() ? version->get<std::string>() : "";
}

// The first line that the server sends, if it comes in time.
std::string ReadGreeting(int fd, int timeout_ms) {
  std::string text;
  std::array<char, 4096> part{};
  while (text.size() < kGreetingMax) {
    pollfd wait{fd, POLLIN, 0};
    if (poll(&wait, 1, timeout_ms) <= 0) break;
    const ssize_t count = recv(fd, part.data(), part.size(), 0);
    if (count <= 0) break;
    text.append(part.data(), static_cast<std::size_t>(count));
    if (const auto end = text.find('\r'); end != std::string::npos) return text.substr(0, end);
  }
  return text;
}

ServerProbe TryAddress(const addrinfo& address, int timeout_ms) {
  const Socket socket_fd(
      socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, address.ai_protocol));
  if (socket_fd.fd() < 0) return {ErrorText(errno), {}};
  if (connect(socket_fd.fd(), address.ai_addr, address.ai_addrlen) != 0) {
    if (errno != EINPROGRESS) return {ErrorText(errno), {}};
    pollfd wait{socket_fd.fd(), POLLOUT, 0};
    if (poll(&wait, 1, timeout_ms) <= 0) return {"no answer", {}};
    int error = 0;
    socklen_t size = sizeof(error);
    if (getsockopt(socket_fd.fd(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
    if (error != 0) return {ErrorText(error), {}};
  }
  return {{}, VersionOf(ReadGreeting(socket_fd.fd(), timeout_ms))};
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

ServerProbe ProbeServer(std::string_view url, Duration timeout) {
  const HostPort where = HostPortOf(url);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int failure = getaddrinfo(where.host.c_str(), where.port.c_str(), &hints, &found);
  if (failure != 0) return {"unknown host (" + std::string(gai_strerror(failure)) + ")", {}};
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, freeaddrinfo);
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(timeout).count();
  ServerProbe probe{"unknown host", {}};
  for (const addrinfo* address = found; address != nullptr; address = address->ai_next) {
    probe = TryAddress(*address, static_cast<int>(ms));
    if (probe.failure.empty()) break;
  }
  return probe;
}

std::string UrlWithoutSecrets(std::string_view url) {
  const auto scheme = url.find("://");
  const std::size_t begin = scheme == std::string_view::npos ? 0 : scheme + 3;
  const auto at = url.rfind('@');
  if (at == std::string_view::npos || at < begin) return std::string(url);
  return std::string(url.substr(0, begin)) + std::string(url.substr(at + 1));
}

}  // namespace cube::cli
