#include "test/support/bus/nats_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <nats/nats.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <sstream>
#include <vector>

#include "shared/bus/nats_handles.h"
#include "test/support/tied.h"

namespace cube::bus {
namespace {

constexpr auto kStartWait = std::chrono::seconds(20);

std::string FindBinary() {
  if (const char* given = std::getenv("CUBE_NATS_SERVER"); given != nullptr && *given != '\0') {
    return ::access(given, X_OK) == 0 ? given : "";
  }
  std::stringstream path(std::getenv("PATH") == nullptr ? "" : std::getenv("PATH"));
  for (std::string folder; std::getline(path, folder, ':');) {
    std::string file = folder + "/nats-server";
    if (::access(file.c_str(), X_OK) == 0) return file;
  }
  constexpr const char* kDebian = "/usr/sbin/nats-server";
  return ::access(kDebian, X_OK) == 0 ? kDebian : "";
}

sockaddr_in Loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

std::uint16_t FreePort() {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof(address);
  std::uint16_t port = 0;
  if (::bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
      ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0) {
    port = ntohs(address.sin_port);
  }
  ::close(fd);
  return port;
}

// The server greets each connection with "INFO {...": then it is up, JetStream included.
bool Greets(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = Loopback(port);
  bool greets = false;
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) {
    timeval wait{1, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    std::array<char, 4> start{};
    greets = ::recv(fd, start.data(), start.size(), MSG_WAITALL) == 4 &&
             std::string_view(start.data(), 4) == "INFO";
  }
  ::close(fd);
  return greets;
}

}  // namespace

Result<std::unique_ptr<NatsServer>> NatsServer::Start(NatsServerOptions options) {
  std::unique_ptr<NatsServer> server(new NatsServer);
  server->options_ = std::move(options);
  server->binary_ = FindBinary();
  if (server->binary_.empty()) {
    return Fail(Code::kNotFound,
                "no nats-server: install the package, or name one by CUBE_NATS_SERVER");
  }
  std::string folder = (std::filesystem::temp_directory_path() / "cube-nats-XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr) return Fail(Code::kInternal, "mkdtemp " + folder);
  server->folder_ = folder;
  // Another process may take the port between the choice and the start: then choose again.
  constexpr int kTries = 5;
  for (int i = 0; i < kTries; ++i) {
    server->port_ = FreePort();
    if (auto up = server->Spawn(); up) return server;
  }
  return Fail(Code::kUnavailable,
              fmt::format("{} does not start, see {}/log", server->binary_, folder));
}

Result<void> NatsServer::Spawn() {
  const std::string config = folder_ / "nats.conf";
  std::ofstream(config) << fmt::format(
      "listen: 127.0.0.1:{}\njetstream {{ store_dir: \"{}\" }}\n{}\n", port_,
      (folder_ / "store").string(), options_.extra_config);
  const std::string log = folder_ / "log";
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  posix_spawn_file_actions_adddup2(&files, 1, 2);
  std::vector<std::string> command(test::kTied.begin(), test::kTied.end());
  command.insert(command.end(), {binary_, "-c", config});
  std::vector<char*> arguments;
  for (std::string& word : command) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const int error = ::posix_spawn(&pid_, arguments[0], &files, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  if (error != 0) {
    pid_ = 0;
    return Fail(Code::kInternal, fmt::format("starting {}: error {}", binary_, error));
  }
  return WaitUntilUp();
}

Result<void> NatsServer::WaitUntilUp() {
  const auto deadline = std::chrono::steady_clock::now() + kStartWait;
  while (std::chrono::steady_clock::now() < deadline) {
    if (Greets(port_)) return {};
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = 0;
      return Fail(Code::kUnavailable, "nats-server ended");
    }
    nats_Sleep(10);
  }
  Kill();
  return Fail(Code::kTimedOut, "nats-server does not greet");
}

NatsServer::~NatsServer() {
  Kill();
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

std::string NatsServer::url() const { return fmt::format("nats://127.0.0.1:{}", port_); }

void NatsServer::Kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  int status = 0;
  ::waitpid(pid_, &status, 0);
  pid_ = 0;
}

Result<void> NatsServer::Restart() {
  Kill();
  return Spawn();
}

void NatsServer::Pause() {
  ::kill(pid_, SIGSTOP);
  int status = 0;
  ::waitpid(pid_, &status, WUNTRACED);  // its threads stop a little later than the call returns
}
void NatsServer::Resume() { ::kill(pid_, SIGCONT); }

Result<std::string> NatsServer::Api(const std::string& what, const std::string& body) {
  natsConnection* connection = nullptr;
  std::string address = url();
  if (!options_.user_info.empty())
    address.insert(std::string("nats://").size(), options_.user_info + "@");
  natsStatus s = natsConnection_ConnectTo(&connection, address.c_str());
  natsMsg* raw = nullptr;
  if (s == NATS_OK) {
    s = natsConnection_RequestString(&raw, connection, ("$JS.API." + what).c_str(), body.c_str(),
                                     5000);
  }
  const NatsMsgPtr message(raw);
  natsConnection_Destroy(connection);
  if (s != NATS_OK) return Fail(Code::kInternal, what + ": " + natsStatus_GetText(s));
  return std::string(PayloadOf(message.get()));
}

}  // namespace cube::bus
