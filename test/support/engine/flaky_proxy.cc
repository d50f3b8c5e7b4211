#include "test/support/engine/flaky_proxy.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <utility>

#include "shared/base/check.h"

namespace cube::engine {
namespace {

sockaddr_un AddressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  CUBE_CHECK(path.size() < sizeof(address.sun_path));
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

bool WriteAll(int fd, const std::string& bytes) {
  std::size_t written = 0;
  while (written < bytes.size()) {
    const ssize_t count = ::send(fd, bytes.data() + written, bytes.size() - written, MSG_NOSIGNAL);
    if (count <= 0) return false;
    written += static_cast<std::size_t>(count);
  }
  return true;
}

bool ReadSome(int fd, std::string& bytes) {
  char buffer[65536];
  const ssize_t count = ::read(fd, buffer, sizeof(buffer));
  if (count <= 0) return false;
  bytes.assign(buffer, static_cast<std::size_t>(count));
  return true;
}

}  // namespace

struct FlakyProxy::Connection {
  int client = -1;
  int server = -1;
  ~Connection() {
    ::close(client);
    if (server >= 0) ::close(server);
  }
};

FlakyProxy::FlakyProxy(std::string path, std::string upstream)
    : path_(std::move(path)), upstream_(std::move(upstream)) {}

FlakyProxy::~FlakyProxy() { Close(); }

void FlakyProxy::Open() {
  const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_un address = AddressOf(path_);
  ::unlink(path_.c_str());
  CUBE_CHECK(::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
  CUBE_CHECK(::listen(listener, 128) == 0);
  CUBE_CHECK(::pipe(wake_) == 0);
  listener_ = listener;
  acceptor_ = std::thread([this, listener] { Accept(listener); });
}

void FlakyProxy::Close() {
  if (!acceptor_.joinable()) return;
  CUBE_CHECK(::write(wake_[1], "x", 1) == 1);
  acceptor_.join();
  ::unlink(path_.c_str());
  ::close(std::exchange(listener_, -1));
  ::close(wake_[0]);
  ::close(wake_[1]);
  std::vector<std::thread> relays;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& connection : connections_) ::shutdown(connection->client, SHUT_RDWR);
    for (const auto& connection : connections_) ::shutdown(connection->server, SHUT_RDWR);
    relays.swap(relays_);
  }
  for (std::thread& relay : relays) relay.join();
  const std::lock_guard lock(mutex_);
  connections_.clear();
}

void FlakyProxy::LoseAnswers(const std::string& pattern, int times) {
  const std::lock_guard lock(mutex_);
  losses_[pattern] = times;
}

int FlakyProxy::Seen(const std::string& pattern) const {
  const std::lock_guard lock(mutex_);
  int count = 0;
  for (std::size_t at = requests_.find(pattern); at != std::string::npos;
       at = requests_.find(pattern, at + 1))
    ++count;
  return count;
}

bool FlakyProxy::TakeLoss(const std::string& bytes) {
  const std::lock_guard lock(mutex_);
  requests_ += bytes.substr(0, bytes.find("\r\n")) + "\n";
  for (auto& [pattern, times] : losses_) {
    if (times == 0 || bytes.find(pattern) == std::string::npos) continue;
    --times;
    return true;
  }
  return false;
}

void FlakyProxy::Accept(int listener) {
  for (;;) {
    pollfd fds[2] = {{listener, POLLIN, 0}, {wake_[0], POLLIN, 0}};
    ::poll(fds, 2, -1);
    if (fds[1].revents != 0) return;
    const int client = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) continue;
    auto connection = std::make_shared<Connection>();
    connection->client = client;
    connection->server = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_un address = AddressOf(upstream_);
    const bool connected =
        ::connect(connection->server, reinterpret_cast<const sockaddr*>(&address),
                  sizeof(address)) == 0;
    if (!connected) continue;
    const std::lock_guard lock(mutex_);
    connections_.push_back(connection);
    relays_.emplace_back([this, connection] { Relay(connection); });
  }
}

void FlakyProxy::Relay(const std::shared_ptr<Connection>& connection) {
  bool losing = false;
  for (;;) {
    pollfd fds[2] = {{connection->client, POLLIN, 0}, {connection->server, POLLIN, 0}};
    ::poll(fds, 2, -1);
    std::string bytes;
    if (fds[0].revents != 0) {
      if (!ReadSome(connection->client, bytes)) break;
      losing = TakeLoss(bytes) || losing;
      if (!WriteAll(connection->server, bytes)) break;
    }
    if (fds[1].revents != 0) {
      // The engine has answered, so it has done what was asked.
      if (!ReadSome(connection->server, bytes) || losing) break;
      if (!WriteAll(connection->client, bytes)) break;
    }
  }
  ::shutdown(connection->client, SHUT_RDWR);
  ::shutdown(connection->server, SHUT_RDWR);
}

}  // namespace cube::engine
