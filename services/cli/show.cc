#include "services/cli/show.h"

#include "services/cli/render/format.h"
#include "services/cli/resolve.h"

namespace cube::cli {

using Json = nlohmann::ordered_json;

void ShowJson(Session& session, const Json& value) {
  session.terminal().out << (FormatOf(session.args()) == Format::kYaml ? ToYamlText(value)
                                                                       : ToJsonText(value));
}

Result<void> ShowTasks(Session& session, Client& client, const std::vector<v1::TaskView>& tasks) {
  const Terminal& terminal = session.terminal();
  const Format format = FormatOf(session.args());
  if (format == Format::kName) {
    for (const auto& task : tasks) terminal.out << task.id() << "\n";
    return {};
  }
  if (format == Format::kJson || format == Format::kYaml) {
    Json all = Json::array();
    for (const auto& task : tasks) all.push_back(TaskJson(task));
    ShowJson(session, all);
    return {};
  }
  CUBE_TRY(const auto cluster, client.Cluster());
  const ViewOptions options{
      .now = client.Wall(), .wide = format == Format::kWide, .cluster = cluster.cluster()};
  terminal.out << TaskTable(tasks, options).Render(LayoutOf(session.args(), terminal));
  return {};
}

Result<void> ShowNodes(Session& session, Client& client, const std::vector<v1::NodeView>& nodes,
                       bool detailed) {
  const Terminal& terminal = session.terminal();
  const Format format = FormatOf(session.args());
  if (format == Format::kName) {
    for (const auto& node : nodes) terminal.out << node.name() << "\n";
    return {};
  }
  std::vector<std::string> names;
  for (const auto& node : nodes) names.push_back(node.name());
  CUBE_TRY(MetricsByNode metrics, client.Metrics(names));
  const WallTime now = client.Wall();
  if (format == Format::kJson || format == Format::kYaml) {
    Json all = Json::array();
    for (const auto& node : nodes) {
      const NodeMetrics* known = MetricsOf(metrics, node.name());
      all.push_back(detailed ? NodeDetailJson(node, known, now) : NodeJson(node, known, now));
    }
    ShowJson(session, all);
    return {};
  }
  const ViewOptions options{
      .now = now, .wide = format == Format::kWide, .metrics = std::move(metrics)};
  terminal.out << NodeTable(nodes, options).Render(LayoutOf(session.args(), terminal));
  return {};
}

Result<std::string> FindNode(Client& client, const std::string& word) {
  CUBE_TRY(const auto nodes, client.Nodes());
  std::vector<std::string> names;
  for (const auto& node : nodes) names.push_back(node.name());
  return ResolveNode(word, names);
}

}  // namespace cube::cli
