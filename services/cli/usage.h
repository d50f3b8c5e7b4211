// What nodes and tasks use, from the newest message of each worker (CUBE_METRICS), as the command
// line shows it. Pure.
#pragma once

#include <cube/v1/metrics.pb.h>
#include <cube/v1/queries.pb.h>

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "services/cli/render/table.h"
#include "shared/base/error.h"
#include "shared/base/time.h"

namespace cube::cli {

// What a node has published, and when that came: by the server's clock, or by ours. Ages are judged
// by this, never by the node's own clock, which may be wrong.
struct NodeMetrics {
  v1::Metrics message;
  WallTime came_at;
};
// By node; those that have published.
using MetricsByNode = std::map<std::string, NodeMetrics>;

// What is older than so many intervals is not shown as what a node uses now.
inline constexpr std::int64_t kFreshIntervals = 3;

// The newest sample; null if there is none, or it is too old.
[[nodiscard]] const v1::MetricsSample* Newest(const NodeMetrics* metrics, WallTime now);
// Of a node, if it has published.
[[nodiscard]] const NodeMetrics* MetricsOf(const MetricsByNode& all, const std::string& node);

// "12%"; "-" without a whole.
[[nodiscard]] std::string PercentText(double part, double whole);

// {"cpus","memory","disk"}: the machine's; null if it is not known.
[[nodiscard]] nlohmann::ordered_json UsedJson(const NodeMetrics* metrics, WallTime now);
// {"last1min","last5min","last15min"}; null likewise.
[[nodiscard]] nlohmann::ordered_json LoadJson(const NodeMetrics* metrics, WallTime now);
// Everything of the message, under the names of its fields.
[[nodiscard]] nlohmann::ordered_json MetricsJson(const v1::Metrics& metrics);

// Sums over the nodes whose use is known.
struct Totals {
  std::size_t nodes = 0;
  std::int64_t cpu_millis = 0, cpu_millis_used = 0;
  std::int64_t memory_bytes = 0, memory_bytes_used = 0;
  std::int64_t disk_bytes = 0, disk_bytes_used = 0;
  std::uint64_t tasks_running = 0;
};
[[nodiscard]] Totals SumOf(const MetricsByNode& all, WallTime now);
// "0.4 of 4 cpus (10%), 2.1 GiB of 8 GiB memory (26%), ..."; of machines, not of promises.
[[nodiscard]] std::string TotalsText(const Totals& totals);

// ---- cube top -------------------------------------------------------------------------------

enum class TopSort : std::uint8_t { kCpu, kMemory, kName };

struct TopOptions {
  bool tasks = true;
  bool nodes = true;
  TopSort sort = TopSort::kCpu;
  TableLayout layout;
  WallTime now;
};
// One frame: totals, nodes, tasks.
[[nodiscard]] std::string TopFrame(const std::vector<v1::NodeView>& nodes,
                                   const MetricsByNode& metrics, const TopOptions& options);
// The same for programs: {"nodes": [...], "tasks": [...]}.
[[nodiscard]] nlohmann::ordered_json TopJson(const std::vector<v1::NodeView>& nodes,
                                             const MetricsByNode& metrics,
                                             const TopOptions& options);

}  // namespace cube::cli
