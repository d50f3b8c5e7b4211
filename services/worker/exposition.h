// What a worker tells Prometheus. docs/OPERATIONS.md lists the names.
#pragma once

#include <cstdint>

#include "services/worker/worker_loop.h"
#include "shared/telemetry/families.h"

namespace cube::worker {

// What the shell counts beside the loop.
struct ShellFigures {
  std::uint64_t connects = 0;  // to NATS; all but the first are reconnects
  std::uint64_t heartbeats = 0;
  std::uint64_t facts_waiting = 0;  // in the outbox
  std::uint64_t store_bytes = 0;
  std::size_t inbox_size = 0;
  std::uint64_t inbox_dropped = 0;
};

[[nodiscard]] telemetry::Families Expose(const NodeName& node, const WorkerLoop& loop,
                                         const ShellFigures& shell);

}  // namespace cube::worker
