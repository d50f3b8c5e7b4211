#include "shared/bus/nats_probe.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <nlohmann/json.hpp>

namespace cube::bus {
namespace {

// The INFO line of a cluster lists its servers; more than this is not a NATS server.
constexpr std::size_t kInfoBytesMax = 32 * 1024;

struct AddressDeleter {
  void operator()(addrinfo* a) const noexcept { ::freeaddrinfo(a); }
};

class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  [[nodiscard]] int fd() const { return fd_; }

 private:
  const int fd_;
};

bool WaitFor(int fd, short events, std::chrono::steady_clock::time_point deadline) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
      deadline - std::chrono::steady_clock::now());
  if (left.count() <= 0) return false;
  pollfd p{fd, events, 0};
  return ::poll(&p, 1, static_cast<int>(left.count())) == 1;
}

std::string FirstLine(const addrinfo& address, std::chrono::steady_clock::time_point deadline) {
  const Socket socket(::socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (socket.fd() < 0) return {};
  if (::connect(socket.fd(), address.ai_addr, address.ai_addrlen) != 0 &&
      !WaitFor(socket.fd(), POLLOUT, deadline)) {
    return {};
  }
  std::string line;
  std::array<char, 4096> part{};
  while (line.size() < kInfoBytesMax && WaitFor(socket.fd(), POLLIN, deadline)) {
    const ssize_t n = ::recv(socket.fd(), part.data(), part.size(), 0);
    if (n <= 0) return {};
    line.append(part.data(), static_cast<std::size_t>(n));
    if (const std::size_t end = line.find('\n'); end != std::string::npos) {
      return line.substr(0, end);
    }
  }
  return {};
}

}  // namespace

HostPort HostPortOf(std::string_view url) {
  if (const auto scheme = url.find("://"); scheme != std::string_view::npos) {
    url.remove_prefix(scheme + 3);
  }
  if (const auto at = url.rfind('@'); at != std::string_view::npos) url.remove_prefix(at + 1);
  while (url.ends_with('/')) url.remove_suffix(1);
  HostPort out{std::string(url), "4222"};
  if (url.starts_with('[')) {
    const auto close = url.find(']');
    if (close == std::string_view::npos) return out;
    out.host = url.substr(1, close - 1);
    if (url.size() > close + 1 && url[close + 1] == ':') out.port = url.substr(close + 2);
  } else if (const auto colon = url.rfind(':'); colon != std::string_view::npos) {
    out.host = url.substr(0, colon);
    out.port = url.substr(colon + 1);
  }
  return out;
}

std::string VersionOfInfo(std::string_view line) {
  if (!line.starts_with("INFO ")) return {};
  const auto json = nlohmann::json::parse(line.substr(5), nullptr, false);
  if (!json.is_object()) return {};
  const auto version = json.find("version");
  return version != json.end() && version->is_string() ? version->get<std::string>()
                                                       : std::string();
}

std::string ServerVersion(std::string_view url, Duration timeout) {
  const auto deadline = std::chrono::steady_clock::now() +
                        std::chrono::duration_cast<std::chrono::steady_clock::duration>(timeout);
  const HostPort at = HostPortOf(url);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* raw = nullptr;
  if (::getaddrinfo(at.host.c_str(), at.port.c_str(), &hints, &raw) != 0) return {};
  const std::unique_ptr<addrinfo, AddressDeleter> addresses(raw);
  for (const addrinfo* a = addresses.get(); a != nullptr; a = a->ai_next) {
    if (std::string version = VersionOfInfo(FirstLine(*a, deadline)); !version.empty()) {
      return version;
    }
  }
  return {};
}

}  // namespace cube::bus
