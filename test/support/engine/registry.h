// A registry of images on this machine (Debian's docker-registry), for tests of pulling.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>

#include "services/worker/engine/docker/docker_config.h"

namespace cube::engine {

class Registry {
 public:
  static constexpr const char* kUser = "cube";
  static constexpr const char* kPassword = "secret";

  // Files go into `folder`. With `login` nobody may pull or push without kUser and kPassword.
  Registry(std::filesystem::path folder, bool login);
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  // Starts it on a free port of 127.0.0.1, which engines accept without TLS, and waits until it
  // answers. A text on failure.
  std::string Start();
  // "localhost:43210"
  [[nodiscard]] std::string Host() const { return "localhost:" + std::to_string(port_); }
  // Puts the test image there as "<host>/<name>"; only there, not in the engine. A text on
  // failure.
  std::string Push(const docker::Endpoint& endpoint, const std::string& name) const;
  // Writes a docker config.json with the login into `folder`; its path.
  [[nodiscard]] std::string WriteConfig(const std::filesystem::path& folder) const;

 private:
  const std::filesystem::path folder_;
  const bool login_;
  std::uint16_t port_ = 0;
  pid_t pid_ = 0;
};

}  // namespace cube::engine
