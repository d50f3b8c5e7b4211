#include "services/worker/engine/process/host_ports.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include "services/worker/engine/process/posix_files.h"

namespace cube::engine::process {
namespace {

// The kernel hands out random ports of its range; this often one that a launch of ours holds
// already.
constexpr int kTriesMax = 64;

Result<Fd> OpenSocket(Protocol protocol) {
  Fd fd(socket(AF_INET, (protocol == Protocol::kTcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return SystemFailure("ports: opening a socket", errno);
  return fd;
}

int Bind(int fd, std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_ANY);
  return bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 ? 0 : errno;
}

Result<std::uint16_t> FreePort(Protocol protocol, const TakenPorts& taken) {
  for (int i = 0; i < kTriesMax; ++i) {
    CUBE_TRY(const Fd fd, OpenSocket(protocol));
    if (const int error = Bind(fd.get(), 0); error != 0) {
      return Fail(Code::kUnavailable, SystemFailure("ports: no free one", error).error().message);
    }
    sockaddr_in address{};
    socklen_t size = sizeof(address);
    if (getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      return SystemFailure("ports: asking for the chosen one", errno);
    }
    const std::uint16_t port = ntohs(address.sin_port);
    if (!taken.contains({protocol, port})) return port;
  }
  return Fail(Code::kUnavailable, "ports: no free one was found");
}

Result<void> CheckFree(const PortSpec& spec, const TakenPorts& taken) {
  const std::string what = "ports: host port " + std::to_string(spec.host_port) +
                           (spec.protocol == Protocol::kTcp ? "/tcp" : "/udp");
  if (taken.contains({spec.protocol, spec.host_port})) {
    return Fail(Code::kConflict, what + " is held by another task of this node");
  }
  CUBE_TRY(const Fd fd, OpenSocket(spec.protocol));
  // As servers do it: connections that linger from a program that has ended are no clash.
  const int yes = 1;
  if (spec.protocol == Protocol::kTcp) {
    setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  }
  // Other errors (a low port without the right to it) are the command's own to meet.
  if (Bind(fd.get(), spec.host_port) != EADDRINUSE) return {};
  return Fail(Code::kConflict, what + " is in use by another program");
}

}  // namespace

Result<std::vector<BoundPort>> ChoosePorts(const std::vector<PortSpec>& specs, TakenPorts taken) {
  std::vector<BoundPort> ports;
  for (const auto& spec : specs) {
    if (spec.host_port == 0) continue;
    CUBE_TRY_VOID(CheckFree(spec, taken));
    taken.emplace(spec.protocol, spec.host_port);
    ports.push_back({spec.port, spec.host_port, spec.protocol});
  }
  for (const auto& spec : specs) {
    if (spec.host_port != 0) continue;
    CUBE_TRY(const auto port, FreePort(spec.protocol, taken));
    taken.emplace(spec.protocol, port);
    ports.push_back({spec.port, port, spec.protocol});
  }
  std::sort(ports.begin(), ports.end());
  return ports;
}

}  // namespace cube::engine::process
