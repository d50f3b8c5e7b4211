#include "test/support/engine/registry.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <utility>
#include <vector>

#include "test/support/engine/docker_fixture.h"

namespace cube::engine {
namespace {

constexpr std::chrono::seconds kStartWait{30};
// "cube:secret" as htpasswd -B writes it.
constexpr const char* kPasswordLine =
    "cube:$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n";
constexpr const char* kAuth = "Y3ViZTpzZWNyZXQ=";  // base64 of "cube:secret"

sockaddr_in Loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

std::uint16_t FreePort() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = Loopback(0);
  socklen_t length = sizeof(address);
  const bool bound = ::bind(fd, reinterpret_cast<const sockaddr*>(&address), length) == 0 &&
                     ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0;
  ::close(fd);
  return bound ? ntohs(address.sin_port) : 0;
}

bool Answers(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = Loopback(port);
  const bool answers =
      ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  ::close(fd);
  return answers;
}

}  // namespace

Registry::Registry(std::filesystem::path folder, bool login)
    : folder_(std::move(folder)), login_(login) {}

Registry::~Registry() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

std::string Registry::Start() {
  std::filesystem::create_directories(folder_);
  port_ = FreePort();
  const std::string config = (folder_ / "config.yml").string();
  std::ofstream(folder_ / "htpasswd") << kPasswordLine;
  std::ofstream(config) << fmt::format(
      "version: 0.1\nlog: {{level: error}}\nstorage:\n  filesystem: {{rootdirectory: {0}/data}}\n"
      "http: {{addr: \"127.0.0.1:{1}\"}}\n{2}",
      folder_.string(), port_,
      login_
          ? fmt::format("auth:\n  htpasswd: {{realm: test, path: {}/htpasswd}}\n", folder_.string())
          : std::string());
  std::vector<std::string> arguments{"docker-registry", "serve", config};
  std::vector<char*> argv;
  for (std::string& a : arguments) argv.push_back(a.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  const std::string log = (folder_ / "log").string();
  posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  const int error = ::posix_spawnp(&pid_, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return "docker-registry cannot be started; install Debian's docker-registry";
  const auto deadline = std::chrono::steady_clock::now() + kStartWait;
  while (!Answers(port_)) {
    if (std::chrono::steady_clock::now() > deadline) return "docker-registry does not answer";
    ::usleep(10'000);
  }
  return {};
}

std::string Registry::WriteConfig(const std::filesystem::path& folder) const {
  std::filesystem::create_directories(folder);
  const std::string path = (folder / "config.json").string();
  std::ofstream(path) << fmt::format(R"({{"auths":{{"{}":{{"auth":"{}"}}}}}})", Host(), kAuth);
  return path;
}

std::string Registry::Push(const docker::Endpoint& endpoint, const std::string& name) const {
  const std::string full = Host() + "/" + name;
  (void)WriteConfig(folder_ / "push");
  if (Docker(endpoint, {"tag", kTestImage, full}).exit_code != 0) return "docker tag failed";
  const ToolResult pushed = RunTool(
      {"docker", "--config", (folder_ / "push").string(), "-H", endpoint.name, "push", full});
  (void)Docker(endpoint, {"rmi", full});
  return pushed.exit_code == 0 ? std::string() : "docker push: " + pushed.output;
}

}  // namespace cube::engine
