// The flags that cube-manager and cube-worker share, each with its twin in the environment
// (CUBE_<FLAG>) and in the configuration file.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "shared/base/error.h"
#include "shared/bus/nats_options.h"
#include "shared/wire/subjects.h"

namespace cube::service {

struct ServiceFlags {
  std::vector<std::string> servers;  // CUBE_SERVER, then NATS_URL, then the local default
  bus::NatsBusOptions nats;          // its URLs and name: see BusOptions
  std::string root = "cube";
  std::string state_dir;  // empty = the default of this user
  std::string store = "lmdb";
  std::string log_format = "text";
  std::string log_level = "info";
  std::string metrics_listen;  // HOST:PORT; empty = no listener
};

// Adds them to `app`, with --config (default `default_config`, if it is there) and --version.
void AddServiceFlags(CLI::App& app, ServiceFlags& flags, const std::string& default_config);

// Sets up logging; kInvalid names the flag.
[[nodiscard]] Result<void> ConfigureLogging(const ServiceFlags& flags);
// kInvalid names the flag, or the variable, whose server is none. Warns where the options call for
// it. The caller sets the client's name, which is shown by the server's monitoring.
[[nodiscard]] Result<bus::NatsBusOptions> BusOptions(const ServiceFlags& flags);
[[nodiscard]] Result<wire::Subjects> SubjectsOf(const ServiceFlags& flags);
// --state-dir or the default; created if missing.
[[nodiscard]] Result<std::string> StateDirOf(const ServiceFlags& flags);
// The size of a file, for people who watch; 0 if there is none.
[[nodiscard]] std::uint64_t FileBytes(const std::string& path);

}  // namespace cube::service
