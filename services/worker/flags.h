// The worker's command line, and what it says in the words of the project.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "shared/base/error.h"
#include "shared/domain/node.h"
#include "shared/service/service_flags.h"

namespace cube::worker {

// At one time on one node, unless --max-tasks says otherwise.
inline constexpr std::uint32_t kTasksMaxDefault = 500;

struct Flags {
  service::ServiceFlags service;
  std::string name;
  std::vector<std::string> engines{"docker"};
  std::string cpus, memory, disk;
  std::uint32_t tasks_max = kTasksMaxDefault;
  std::vector<std::string> labels;  // "key=value"
  std::string address;
  std::string metrics_interval = "15s";
  // What tasks in containers may have of this machine.
  std::vector<std::string> allow_mounts, allow_volumes, allow_capabilities;
  bool allow_host_network = false;
  bool no_exec = false;
  std::string on_exit = "keep";
  std::string exit_limit = "60s";
};

void AddFlags(CLI::App& app, Flags& flags);

// Capacity as the flags say, else as the machine has it; labels, address, version. `data_dir`: the
// folder whose file system counts as disk. kInvalid names the flag.
[[nodiscard]] Result<NodeDescription> DescriptionOf(const Flags& flags,
                                                    const std::string& data_dir);

}  // namespace cube::worker
