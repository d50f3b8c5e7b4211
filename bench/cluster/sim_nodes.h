// Many workers in one process: the real loop and core of each, on simulated machines, sharing two
// connections (as the nodes of one host behind an agent would) and a thread for each core. Only
// their stores are in memory.
#pragma once

#include <cstdint>
#include <string>

#include "shared/base/error.h"
#include "shared/wire/limits.h"

namespace cube::bench {

struct SimNodesOptions {
  std::string url;
  std::uint32_t nodes = 500;
  std::uint32_t tasks_max = wire::kNodeTasksMax;  // of each node
};

// Runs until SIGTERM, then prints one line of counts.
[[nodiscard]] Result<void> RunSimNodes(const SimNodesOptions& options);

}  // namespace cube::bench
