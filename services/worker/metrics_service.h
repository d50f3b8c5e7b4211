// Metrics: looks at the machine and at what launches use, each interval, and publishes what came of
// the last looks in one message. A part of the worker's step function: no clock, no I/O.
#pragma once

#include <cube/v1/metrics.pb.h>

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "services/worker/core/worker_core.h"
#include "services/worker/operation.h"
#include "shared/base/time.h"
#include "shared/wire/subjects.h"

namespace cube::worker {

// How often, unless a flag or the size of the cluster says otherwise: the book's interval.
inline constexpr Duration kMetricsInterval = std::chrono::seconds(15);
// Messages per second that a leader takes at most: the interval grows with the cluster.
inline constexpr std::int64_t kMetricsPerSecondMax = 500;
inline constexpr std::size_t kMetricsSamplesMax = 60;
// The second look comes soon after the first, so that shares are known right after a start.
inline constexpr Duration kMetricsFirstWindow = std::chrono::seconds(2);
// A message goes out without the usage of engines that take longer; the next look waits for that.
inline constexpr Duration kUsageWait = std::chrono::seconds(10);
static_assert(kUsageWait < kMetricsInterval);
// Tasks in one message, the busiest first: about 90 bytes each, so far below every server's
// max_payload.
inline constexpr std::size_t kMetricsTasksMax = 4000;

// The time between two messages of one node in a cluster of so many; at least `wanted`.
[[nodiscard]] Duration MetricsIntervalOf(Duration wanted, std::uint32_t nodes);

class MetricsService {
 public:
  struct Options {
    NodeName node;
    wire::Subjects subjects;
    Duration interval = kMetricsInterval;  // 0 = none at all
  };
  MetricsService(Options options, MonoTime now);

  void OnSampled(const Sample& sample) { sample_ = sample; }
  void OnUsages(const std::string& engine, engine::Usages usages);

  // Begins a look when it is due, publishes when it is complete. `nodes`: of the cluster.
  void Advance(const WorkerCore& core, bool connected, std::uint32_t nodes, Now now,
               Operations& out);
  [[nodiscard]] MonoTime NextDeadline() const;

  // The newest message; without samples before the first.
  [[nodiscard]] const v1::Metrics& newest() const { return message_; }

 private:
  void BeginLook(const WorkerCore& core, std::uint32_t nodes, MonoTime now, Operations& out);
  void EndLook(const WorkerCore& core);
  void AddTasks(const WorkerCore& core, v1::MetricsSample& sample);
  [[nodiscard]] std::optional<std::uint32_t> CpuMillis(const engine::LaunchUsage& usage) const;

  Options options_;
  std::uint64_t looks_ = 0;  // that have begun
  MonoTime look_at_{};
  // The look under way.
  bool looking_ = false;
  MonoTime look_by_{};
  std::optional<Sample> sample_;
  std::set<std::string> awaited_;  // engines that have not answered
  std::map<LaunchKey, engine::LaunchUsage> usages_;
  std::map<LaunchKey, engine::LaunchUsage> before_;  // of the look before
  v1::Metrics message_;
};

}  // namespace cube::worker
