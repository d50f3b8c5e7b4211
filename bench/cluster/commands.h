// The benchmarks of cube-bench: each starts a nats-server of its own, prints plain lines, and fails
// only if something does not work, never since it is slow.
#pragma once

#include <cstdint>
#include <string>

#include "shared/base/error.h"

namespace cube::bench {

struct LogOptions {
  std::uint32_t seconds = 3;  // for each of the loads
};
[[nodiscard]] Result<void> RunLog(const LogOptions& options);

struct C1mOptions {
  std::uint64_t tasks = 100'000;
  std::uint32_t nodes = 500;
  std::uint32_t batch = 500;  // tasks of one submission
  std::uint32_t window = 8;   // submissions in flight
  std::string bin_dir;
};
[[nodiscard]] Result<void> RunC1m(const C1mOptions& options);

struct LatencyOptions {
  std::uint32_t count = 30;
  std::string bin_dir;
};
[[nodiscard]] Result<void> RunLatency(const LatencyOptions& options);

struct FailoverOptions {
  std::uint32_t rounds = 3;
  std::uint32_t tasks = 10;  // on the node that dies
  std::string bin_dir;
};
[[nodiscard]] Result<void> RunFailover(const FailoverOptions& options);

struct IdleOptions {
  std::uint32_t seconds = 30;
  std::string bin_dir;
};
[[nodiscard]] Result<void> RunIdle(const IdleOptions& options);

}  // namespace cube::bench
