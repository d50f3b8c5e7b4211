// All that is known of a task, a job, a node or the cluster, one line for each thing. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "services/cli/usage.h"
#include "shared/base/time.h"
#include "shared/domain/task_spec.h"

namespace cube::cli {

// `width` of these: columns of the terminal; long values go on below themselves. 0 = no limit.
struct SummaryOptions {
  WallTime now;
  std::size_t width = 0;
  std::string_view cluster{};  // its random name: a part of containers' names
};

[[nodiscard]] std::string TaskSummary(const v1::TaskView& task, const SummaryOptions& options);
[[nodiscard]] std::string JobSummary(const v1::JobView& job, const SummaryOptions& options);
// Capacity, promised and used, each of cpus, memory, disk and tasks. `metrics`: null = none known.
[[nodiscard]] std::string NodeSummary(const v1::NodeView& node, const NodeMetrics* metrics,
                                      const SummaryOptions& options);
// `used`: by all machines together. `server`: where the question was asked.
[[nodiscard]] std::string ClusterSummary(const v1::QueryReply& reply, const Totals& used,
                                         std::string_view server, const SummaryOptions& options);

// "GET /health of port 80 every 10s, 2s for an answer, unhealthy after 3 failures".
[[nodiscard]] std::string CheckText(const HealthCheck& check);

}  // namespace cube::cli
