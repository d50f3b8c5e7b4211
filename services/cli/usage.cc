#include "services/cli/usage.h"

#include <fmt/format.h>
#include <google/protobuf/message.h>

#include <algorithm>
#include <utility>

#include "services/cli/render/format.h"
#include "services/cli/render/text.h"
#include "services/cli/render/values.h"

namespace cube::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kIdWidthMin = 16;
constexpr std::size_t kTextWidthMin = 10;
constexpr double kPermille = 1000.0;

double Real(std::int64_t value) { return static_cast<double>(value); }

std::int64_t CpuMillisUsed(const v1::Metrics& metrics, const v1::MetricsSample& sample) {
  return std::int64_t{metrics.cpus()} * sample.cpu_used_permille();
}

Json FieldJson(const google::protobuf::Message& message,
               const google::protobuf::FieldDescriptor* field);

Json MessageJson(const google::protobuf::Message& message) {
  Json json = Json::object();
  const auto* descriptor = message.GetDescriptor();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const auto* field = descriptor->field(i);
    const auto* reflection = message.GetReflection();
    if (field->name() == "at_ns") {
      json["at"] = TimeJson(reflection->GetInt64(message, field));
    } else if (field->is_repeated()) {
      Json list = Json::array();
      for (int n = 0; n < reflection->FieldSize(message, field); ++n) {
        list.push_back(MessageJson(reflection->GetRepeatedMessage(message, field, n)));
      }
      json[field->name()] = std::move(list);
    } else {
      json[field->name()] = FieldJson(message, field);
    }
  }
  return json;
}

// Null where presence is kept and it is absent.
Json FieldJson(const google::protobuf::Message& message,
               const google::protobuf::FieldDescriptor* field) {
  using Type = google::protobuf::FieldDescriptor;
  const auto* reflection = message.GetReflection();
  if (field->has_presence() && !reflection->HasField(message, field)) return nullptr;
  switch (field->cpp_type()) {
    case Type::CPPTYPE_INT64:
      return reflection->GetInt64(message, field);
    case Type::CPPTYPE_UINT64:
      return reflection->GetUInt64(message, field);
    case Type::CPPTYPE_UINT32:
      return reflection->GetUInt32(message, field);
    case Type::CPPTYPE_STRING:
      return reflection->GetString(message, field);
    case Type::CPPTYPE_MESSAGE:
      return MessageJson(reflection->GetMessage(message, field));
    default:
      return nullptr;  // no other type is in these messages
  }
}

struct TaskRow {
  std::string node;
  const v1::TaskUsage* usage = nullptr;
};

// The biggest first; ids decide between equals, so that rows do not jump.
std::vector<TaskRow> TaskRows(const MetricsByNode& metrics, const TopOptions& options) {
  std::vector<TaskRow> rows;
  for (const auto& [node, known] : metrics) {
    if (Newest(&known, options.now) == nullptr) continue;
    for (const auto& usage : known.message.tasks()) rows.push_back({node, &usage});
  }
  std::ranges::sort(rows, [&](const TaskRow& a, const TaskRow& b) {
    const auto rank = [&](const TaskRow& row) -> std::int64_t {
      if (options.sort == TopSort::kCpu) return row.usage->cpu_millis();
      if (options.sort == TopSort::kMemory) return row.usage->memory_bytes();
      return 0;
    };
    if (rank(a) != rank(b)) return rank(a) > rank(b);
    return a.usage->task() < b.usage->task();
  });
  return rows;
}

std::vector<const v1::NodeView*> NodeRows(const std::vector<v1::NodeView>& nodes,
                                          const MetricsByNode& metrics, const TopOptions& options) {
  std::vector<const v1::NodeView*> rows;
  for (const auto& node : nodes) rows.push_back(&node);
  std::ranges::sort(rows, [&](const v1::NodeView* a, const v1::NodeView* b) {
    const auto rank = [&](const v1::NodeView* node) -> std::int64_t {
      const NodeMetrics* known = MetricsOf(metrics, node->name());
      const v1::MetricsSample* sample = Newest(known, options.now);
      if (sample == nullptr) return -1;  // behind all that are known
      if (options.sort == TopSort::kCpu) return sample->cpu_used_permille();
      if (options.sort == TopSort::kMemory && sample->memory_total_bytes() > 0) {
        return static_cast<std::int64_t>(1000 * Real(sample->memory_used_bytes()) /
                                         Real(sample->memory_total_bytes()));
      }
      return 0;
    };
    if (rank(a) != rank(b)) return rank(a) > rank(b);
    return a->name() < b->name();
  });
  return rows;
}

Table TopNodes(const std::vector<v1::NodeView>& nodes, const MetricsByNode& metrics,
               const TopOptions& options) {
  Table table({{"NODE", false, kTextWidthMin},
               {"STATUS"},
               {"CPU%", true},
               {"CPUS", true},
               {"MEM%", true},
               {"MEMORY (MiB)", true},
               {"DISK%", true},
               {"LOAD", true, 0, 2},
               {"RUNNING", true},
               {"AGE", true, 0, 1}});
  for (const v1::NodeView* node : NodeRows(nodes, metrics, options)) {
    const NodeMetrics* known = MetricsOf(metrics, node->name());
    const v1::MetricsSample* sample = Newest(known, options.now);
    const Cell status{node->status(), StatusColor(node->status())};
    if (sample == nullptr) {
      table.Add({{node->name()}, status, {"-"}, {"-"}, {"-"}, {"-"}, {"-"}, {"-"}, {"-"}, {"-"}});
      continue;
    }
    table.Add({{node->name()},
               status,
               {PercentText(sample->cpu_used_permille(), kPermille)},
               {fmt::format("{}/{}", FormatCpus(CpuMillisUsed(known->message, *sample) / 10 * 10),
                            known->message.cpus())},
               {PercentText(Real(sample->memory_used_bytes()), Real(sample->memory_total_bytes()))},
               {fmt::format("{}/{}", FormatMebibytes(sample->memory_used_bytes()),
                            FormatMebibytes(sample->memory_total_bytes()))},
               {PercentText(static_cast<double>(known->message.data_disk().used_bytes()),
                            static_cast<double>(known->message.data_disk().all_bytes()))},
               {fmt::format("{:.2f}", sample->load1_milli() / kPermille)},
               {std::to_string(sample->tasks_running())},
               {FormatSpan(std::max(Duration{0}, options.now - known->came_at))}});
  }
  return table;
}

Table TopTasks(const MetricsByNode& metrics, const TopOptions& options) {
  Table table({{"TASK", false, kIdWidthMin},
               {"NAME", false, kTextWidthMin, 1},
               {"NODE", false, kTextWidthMin},
               {"CPU%", true},
               {"MEMORY", true},
               {"RECEIVED", true},
               {"SENT", true}});
  for (const TaskRow& row : TaskRows(metrics, options)) {
    const auto traffic = [](bool known, std::uint64_t bytes) {
      return known ? FormatSize(static_cast<std::int64_t>(bytes)) : std::string("-");
    };
    table.Add({{row.usage->task()},
               {row.usage->name()},
               {row.node},
               // Of one cpu, as top(1) and docker have it.
               {row.usage->has_cpu_millis() ? fmt::format("{:.1f}", row.usage->cpu_millis() / 10.0)
                                            : "-"},
               {FormatSize(row.usage->memory_bytes())},
               {traffic(row.usage->has_network_rx_bytes(), row.usage->network_rx_bytes())},
               {traffic(row.usage->has_network_tx_bytes(), row.usage->network_tx_bytes())}});
  }
  return table;
}

}  // namespace

const v1::MetricsSample* Newest(const NodeMetrics* metrics, WallTime now) {
  if (metrics == nullptr || metrics->message.samples().empty()) return nullptr;
  const v1::Metrics& message = metrics->message;
  if (now - metrics->came_at > kFreshIntervals * Duration(message.interval_ns())) return nullptr;
  return &message.samples(message.samples_size() - 1);
}

const NodeMetrics* MetricsOf(const MetricsByNode& all, const std::string& node) {
  const auto it = all.find(node);
  return it == all.end() ? nullptr : &it->second;
}

std::string PercentText(double part, double whole) {
  return whole > 0 ? fmt::format("{:.0f}%", 100 * part / whole) : "-";
}

Json UsedJson(const NodeMetrics* metrics, WallTime now) {
  const v1::MetricsSample* sample = Newest(metrics, now);
  if (sample == nullptr) return nullptr;
  return {{"cpus", Real(CpuMillisUsed(metrics->message, *sample)) / kPermille},
          {"memory", sample->memory_used_bytes()},
          {"disk", metrics->message.data_disk().used_bytes()}};
}

Json LoadJson(const NodeMetrics* metrics, WallTime now) {
  if (Newest(metrics, now) == nullptr) return nullptr;
  return {{"last1min", metrics->message.load().last1min_milli() / kPermille},
          {"last5min", metrics->message.load().last5min_milli() / kPermille},
          {"last15min", metrics->message.load().last15min_milli() / kPermille}};
}

Json MetricsJson(const v1::Metrics& metrics) { return MessageJson(metrics); }

Totals SumOf(const MetricsByNode& all, WallTime now) {
  Totals sum;
  for (const auto& [node, known] : all) {
    const v1::MetricsSample* sample = Newest(&known, now);
    if (sample == nullptr) continue;
    const v1::Metrics& metrics = known.message;
    ++sum.nodes;
    sum.cpu_millis += std::int64_t{metrics.cpus()} * 1000;
    sum.cpu_millis_used += CpuMillisUsed(metrics, *sample);
    sum.memory_bytes += sample->memory_total_bytes();
    sum.memory_bytes_used += sample->memory_used_bytes();
    sum.disk_bytes += static_cast<std::int64_t>(metrics.data_disk().all_bytes());
    sum.disk_bytes_used += static_cast<std::int64_t>(metrics.data_disk().used_bytes());
    sum.tasks_running += sample->tasks_running();
  }
  return sum;
}

std::string TotalsText(const Totals& totals) {
  if (totals.nodes == 0) return "not known: no node has published metrics lately";
  const auto share = [](std::int64_t part, std::int64_t whole) {
    return PercentText(Real(part), Real(whole));
  };
  return fmt::format("{} of {} cpus ({}), {} of {} memory ({}), {} of {} disk ({})",
                     FormatCpus(totals.cpu_millis_used / 10 * 10), FormatCpus(totals.cpu_millis),
                     share(totals.cpu_millis_used, totals.cpu_millis),
                     FormatSize(totals.memory_bytes_used), FormatSize(totals.memory_bytes),
                     share(totals.memory_bytes_used, totals.memory_bytes),
                     FormatSize(totals.disk_bytes_used), FormatSize(totals.disk_bytes),
                     share(totals.disk_bytes_used, totals.disk_bytes));
}

std::string TopFrame(const std::vector<v1::NodeView>& nodes, const MetricsByNode& metrics,
                     const TopOptions& options) {
  const Totals totals = SumOf(metrics, options.now);
  const std::string summary = fmt::format("{} node{}, {} task{} running. Used: {}", nodes.size(),
                                          nodes.size() == 1 ? "" : "s", totals.tasks_running,
                                          totals.tasks_running == 1 ? "" : "s", TotalsText(totals));
  std::string text;
  for (const auto& line : Wrap(summary, options.layout.width)) text += line + "\n";
  if (options.nodes) text += "\n" + TopNodes(nodes, metrics, options).Render(options.layout);
  if (options.tasks) text += "\n" + TopTasks(metrics, options).Render(options.layout);
  return text;
}

Json TopJson(const std::vector<v1::NodeView>& nodes, const MetricsByNode& metrics,
             const TopOptions& options) {
  Json json = Json::object();
  if (options.nodes) {
    json["nodes"] = Json::array();
    for (const v1::NodeView* node : NodeRows(nodes, metrics, options)) {
      const NodeMetrics* known = MetricsOf(metrics, node->name());
      const v1::MetricsSample* sample = Newest(known, options.now);
      json["nodes"].push_back(
          {{"name", node->name()},
           {"status", node->status()},
           {"cpus", known == nullptr ? Json(nullptr) : Json(known->message.cpus())},
           {"memory", sample == nullptr ? Json(nullptr) : Json(sample->memory_total_bytes())},
           {"used", UsedJson(known, options.now)},
           {"load", LoadJson(known, options.now)},
           {"running", sample == nullptr ? Json(nullptr) : Json(sample->tasks_running())},
           {"at", sample == nullptr ? Json(nullptr) : TimeJson(sample->at_ns())}});
    }
  }
  if (options.tasks) {
    json["tasks"] = Json::array();
    for (const TaskRow& row : TaskRows(metrics, options)) {
      const auto& usage = *row.usage;
      const auto traffic = [](bool known, std::uint64_t bytes) {
        return known ? Json(bytes) : Json(nullptr);
      };
      json["tasks"].push_back(
          {{"id", usage.task()},
           {"name", usage.name()},
           {"node", row.node},
           {"attempt", usage.attempt()},
           {"launch", usage.launch()},
           {"cpus", usage.has_cpu_millis() ? Json(usage.cpu_millis() / kPermille) : Json(nullptr)},
           {"memory", usage.memory_bytes()},
           {"network_rx_bytes", traffic(usage.has_network_rx_bytes(), usage.network_rx_bytes())},
           {"network_tx_bytes", traffic(usage.has_network_tx_bytes(), usage.network_tx_bytes())}});
    }
  }
  return json;
}

}  // namespace cube::cli
