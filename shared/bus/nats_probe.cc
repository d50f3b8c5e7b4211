#include "shared/bus/nats_probe.h"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <memory>
#include <nlohmann/json.hpp>
#include <system_error>

#include "shared/base/json.h"
#include "shared/bus/nats_url.h"
#include "shared/runtime/fd.h"

namespace cube::bus {
namespace {

// The INFO line of a cluster lists its servers; more than this is not a NATS server.
constexpr std::size_t kInfoBytesMax = 64u << 10;

using Deadline = std::chrono::steady_clock::time_point;

bool WaitFor(int fd, short events, Deadline deadline) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
      deadline - std::chrono::steady_clock::now());
  if (left.count() <= 0) return false;
  pollfd wait{fd, events, 0};
  return ::poll(&wait, 1, static_cast<int>(left.count())) == 1;
}

// In lower case, as part of a sentence.
std::string ErrnoText(int error) {
  std::string text = std::generic_category().message(error);
  if (!text.empty() && text.front() >= 'A' && text.front() <= 'Z') {
    text.front() = static_cast<char>(text.front() - 'A' + 'a');
  }
  return text;
}

std::string FirstLine(int fd, Deadline deadline) {
  std::string line;
  std::array<char, 4096> part{};
  while (line.size() < kInfoBytesMax && WaitFor(fd, POLLIN, deadline)) {
    const ssize_t count = ::recv(fd, part.data(), part.size(), 0);
    if (count <= 0) return {};
    line.append(part.data(), static_cast<std::size_t>(count));
    if (const auto end = line.find('\n'); end != std::string::npos) return line.substr(0, end);
  }
  return {};
}

ServerProbe TryAddress(const addrinfo& address, Deadline deadline) {
  const runtime::Fd fd(
      ::socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, address.ai_protocol));
  if (!fd.valid()) return {ErrnoText(errno), {}};
  if (::connect(fd.get(), address.ai_addr, address.ai_addrlen) != 0) {
    if (errno != EINPROGRESS) return {ErrnoText(errno), {}};
    if (!WaitFor(fd.get(), POLLOUT, deadline)) return {"no answer", {}};
    int error = 0;
    socklen_t size = sizeof(error);
    if (::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
    if (error != 0) return {ErrnoText(error), {}};
  }
  return {{}, VersionOfInfo(FirstLine(fd.get(), deadline))};
}

}  // namespace

std::string VersionOfInfo(std::string_view line) {
  if (!line.starts_with("INFO ")) return {};
  const auto json = ParseJsonText(line.substr(5));
  if (!json.is_object()) return {};
  const auto version = json.find("version");
  return version != json.end() && version->is_string() ? version->get<std::string>()
                                                       : std::string();
}

ServerProbe ProbeServer(std::string_view url, Duration timeout) {
  const HostPort at = HostPortOf(url);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* raw = nullptr;
  const int failure = ::getaddrinfo(at.host.c_str(), at.port.c_str(), &hints, &raw);
  if (failure != 0) return {"unknown host (" + std::string(::gai_strerror(failure)) + ")", {}};
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> addresses(raw, ::freeaddrinfo);
  ServerProbe probe{"unknown host", {}};
  for (const addrinfo* a = addresses.get(); a != nullptr; a = a->ai_next) {
    const Deadline deadline =
        std::chrono::steady_clock::now() +
        std::chrono::duration_cast<std::chrono::steady_clock::duration>(timeout);
    probe = TryAddress(*a, deadline);
    if (probe.failure.empty()) break;
  }
  return probe;
}

}  // namespace cube::bus
