// The benchmarks of cube-bench: each starts a nats-server of its own, prints plain lines, and fails
// only if something does not work, never since it is slow.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bench/cluster/figures.h"
#include "shared/base/error.h"

namespace cube::bench {

struct LogOptions {
  std::uint32_t seconds = 3;  // for each of the loads
};
[[nodiscard]] Result<void> RunLog(const LogOptions& options, Figures& figures);

struct C1mOptions {
  std::uint64_t tasks = 1'000'000;
  std::uint32_t nodes = 5'000;
  std::string submit = "all";          // jobs, single, batches; all = jobs and single
  std::uint32_t batch = 1'000;         // tasks of one job or submission
  std::uint32_t window = 64;           // jobs or submissions in flight
  std::uint32_t single_window = 1024;  // single submissions in flight
  std::string bin_dir;
};
[[nodiscard]] Result<void> RunC1m(const C1mOptions& options, Figures& figures);

struct PlaceOptions {
  std::vector<std::uint32_t> nodes{100, 1'000, 10'000, 100'000};
};
[[nodiscard]] Result<void> RunPlace(const PlaceOptions& options, Figures& figures);

struct LatencyOptions {
  std::uint32_t count = 30;           // starts, one after the other
  std::uint32_t decisions = 300;      // submissions, one after the other
  std::uint32_t per_second = 10'000;  // submissions under load
  std::uint32_t load_seconds = 3;
  std::string bin_dir;
};
[[nodiscard]] Result<void> RunLatency(const LatencyOptions& options, Figures& figures);
// Submission to decision durable, at idle and under load: a part of latency.
[[nodiscard]] Result<void> RunDecisionLatency(const LatencyOptions& options, Figures& figures);

struct FailoverOptions {
  std::uint32_t rounds = 3;
  std::uint32_t tasks = 10;  // on the node that dies
  std::string bin_dir;
};
[[nodiscard]] Result<void> RunFailover(const FailoverOptions& options, Figures& figures);

struct RecoverOptions {
  std::uint64_t tasks = 1'000'000;
  std::uint32_t nodes = 1'000;
  std::string bin_dir;
};
[[nodiscard]] Result<void> RunRecover(const RecoverOptions& options, Figures& figures);

struct IdleOptions {
  std::uint32_t seconds = 30;
  std::uint32_t tasks = 100;                             // of the real worker, for its memory
  std::vector<std::uint32_t> nodes{100, 1'000, 10'000};  // simulated; each number in turn
  std::string bin_dir;
};
[[nodiscard]] Result<void> RunIdle(const IdleOptions& options, Figures& figures);

struct QueryOptions {
  std::uint64_t tasks = 1'000'000;
  std::uint32_t nodes = 1'000;
  std::uint32_t count = 30;  // first pages asked for
  std::string bin_dir;
};
[[nodiscard]] Result<void> RunQuery(const QueryOptions& options, Figures& figures);

}  // namespace cube::bench
