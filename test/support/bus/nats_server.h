// A nats-server of our own for a test: free port, own folder, stopped at the end.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>

#include "shared/base/error.h"
#include "shared/bus/bus.h"

namespace cube::bus {

struct NatsServerOptions {
  std::string extra_config;  // lines of nats-server's configuration
  std::string user_info;     // "user:password" that the helper itself uses, if there are accounts
};

class NatsServer {
 public:
  // Binary: $CUBE_NATS_SERVER, else nats-server in PATH, else in /usr/sbin. kNotFound if there is
  // none: the test must fail, not be skipped.
  [[nodiscard]] static Result<std::unique_ptr<NatsServer>> Start(NatsServerOptions options = {});
  ~NatsServer();
  NatsServer(const NatsServer&) = delete;
  NatsServer& operator=(const NatsServer&) = delete;

  [[nodiscard]] std::string url() const;
  [[nodiscard]] bool running() const { return pid_ > 0; }
  [[nodiscard]] pid_t pid() const { return pid_; }  // 0 = not running
  void Kill();                                      // kill -9
  [[nodiscard]] Result<void> Restart();             // on the same port and folder; after Kill
  void Pause();  // SIGSTOP: connections stand, nothing is answered
  void Resume();

  // An operator's hands, over a connection that lives for the call.
  [[nodiscard]] Result<std::string> Api(const std::string& what, const std::string& body);

 private:
  NatsServer() = default;
  Result<void> Spawn();
  Result<void> WaitUntilUp();

  NatsServerOptions options_;
  std::string binary_;
  std::filesystem::path folder_;
  std::uint16_t port_ = 0;
  pid_t pid_ = 0;
};

}  // namespace cube::bus
