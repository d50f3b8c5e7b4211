// Tasks, nodes and the cluster as the command line shows them: JSON with stable names, and tables.
// Pure: what is shown comes from a manager's reply.
#pragma once

#include <cube/v1/queries.pb.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "services/cli/render/table.h"
#include "services/cli/usage.h"
#include "shared/base/time.h"

namespace cube::cli {

// completed, failed, stopped, lost, refused: nothing further happens to the task.
[[nodiscard]] bool IsFinished(std::string_view status);

// The members that `cube ps -o json` promises, always all of them; null = does not apply.
[[nodiscard]] nlohmann::ordered_json TaskJson(const v1::TaskView& task);
// Those, the specification and where its ports are reached.
[[nodiscard]] nlohmann::ordered_json TaskDetailJson(const v1::TaskView& task);
// `metrics` of the node, if it has published any.
[[nodiscard]] nlohmann::ordered_json NodeJson(const v1::NodeView& node, const NodeMetrics* metrics,
                                              WallTime now);
// That and every single value of the metrics.
[[nodiscard]] nlohmann::ordered_json NodeDetailJson(const v1::NodeView& node,
                                                    const NodeMetrics* metrics, WallTime now);
[[nodiscard]] nlohmann::ordered_json ClusterJson(const v1::ClusterView& cluster);
[[nodiscard]] nlohmann::ordered_json ResourcesJson(const v1::Resources& amount);

struct ViewOptions {
  WallTime now;
  bool wide = false;
  std::string cluster{};  // the cluster's random name: a part of containers' names
  MetricsByNode metrics{};
};
// ID NAME NODE STATE CREATED CONTAINERNAME IMAGE PORTS; JOB and SLOT if any task has a job, REASON
// if any task has one; wide: more.
[[nodiscard]] Table TaskTable(const std::vector<v1::TaskView>& tasks, const ViewOptions& options);
// NAME STATUS ELIGIBLE ROLE CPUS MEMORY (MiB) DISK (GiB): promised of what there is; CPU% MEM%
// LOAD: used by the whole machine; TASKS AGE VERSION; wide: more.
[[nodiscard]] Table NodeTable(const std::vector<v1::NodeView>& nodes, const ViewOptions& options);

// The node that has the task, or had it last; empty = it was never placed.
[[nodiscard]] const std::string& LastNode(const v1::TaskView& task);
// The status, and of a running task with a check what that says: "running (healthy)",
// "running (not healthy yet)".
[[nodiscard]] std::string StatusText(const v1::TaskView& task);
// "10.0.0.5:32768->80/tcp, 53/udp"; of one that waits what it asks for: "8080:80/tcp, 53/udp".
[[nodiscard]] std::string PortsText(const v1::TaskView& task);
// The name of a container on its engine; "-" for a task that has none.
[[nodiscard]] std::string ContainerName(const v1::TaskView& task, std::string_view cluster);
// "running (healthy) on node-a", "pending: no node has 4 cpus free", "failed on node-a: exit code
// 1".
[[nodiscard]] std::string StatusSentence(const v1::TaskView& task);

}  // namespace cube::cli
