#include "services/cli/views.h"

#include <fmt/format.h>

#include "services/cli/render/format.h"
#include "services/cli/render/values.h"
#include "shared/wire/convert.h"
#include "shared/wire/human.h"

namespace cube::cli {
namespace {

using Json = nlohmann::ordered_json;

// Ids may be cut to this many columns, names and images a little less: still telling.
constexpr std::size_t kIdWidthMin = 16;
constexpr std::size_t kTextWidthMin = 10;
// Enough of an image, of ports and of a reason to be of use; for less than that, others go.
constexpr std::size_t kImageWanted = 20;
constexpr std::size_t kPortsWanted = 12;
constexpr std::size_t kReasonWanted = 24;
constexpr double kPermille = 1000.0;

Json TextOrNull(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

std::string ProtocolName(v1::Protocol protocol) {
  return protocol == v1::PROTOCOL_UDP ? "udp" : "tcp";
}

Json PortsJson(const v1::TaskView& task) {
  Json ports = Json::array();
  for (const auto& port : task.ports()) {
    ports.push_back({{"port", port.port()},
                     {"host_port", port.host_port()},
                     {"protocol", ProtocolName(port.protocol())}});
  }
  return ports;
}

Json MapJson(const google::protobuf::Map<std::string, std::string>& map) {
  // Sorted: the order of a protobuf map is nobody's.
  const std::map<std::string, std::string> sorted(map.begin(), map.end());
  Json json = Json::object();
  for (const auto& [key, value] : sorted) json[key] = value;
  return json;
}

Json CountsJson(const google::protobuf::Map<std::string, std::uint32_t>& map) {
  const std::map<std::string, std::uint32_t> sorted(map.begin(), map.end());
  Json json = Json::object();
  for (const auto& [key, value] : sorted) json[key] = value;
  return json;
}

std::string ExitText(const v1::TaskView& task) {
  return task.has_exit_code() ? std::to_string(task.exit_code()) : "-";
}

std::string OrDash(const std::string& text) { return text.empty() ? "-" : text; }

std::string LabelsText(const google::protobuf::Map<std::string, std::string>& map) {
  const std::map<std::string, std::string> sorted(map.begin(), map.end());
  std::string text;
  for (const auto& [key, value] : sorted) {
    text += fmt::format("{}{}={}", text.empty() ? "" : ",", key, value);
  }
  return OrDash(text);
}

// "docker (20.10.24)", with what is missing.
std::string EnginesText(const v1::NodeDescription& node) {
  std::string text;
  for (const auto& engine : node.engines()) {
    text += fmt::format("{}{}{}", text.empty() ? "" : ",", engine.kind(),
                        !engine.up() ? "(down)" : (engine.limits() ? "" : "(no limits)"));
  }
  return OrDash(text);
}

// "nginx:1.25" of "docker.io/library/nginx:1.25", as docker has it.
std::string BriefImage(std::string_view image) {
  for (const std::string_view prefix : {"docker.io/library/", "docker.io/"}) {
    if (image.starts_with(prefix)) return std::string(image.substr(prefix.size()));
  }
  return {};
}

// A port without the address of its node; of tcp alone.
std::string BriefPort(std::uint32_t host_port, std::uint32_t port, v1::Protocol protocol) {
  return fmt::format("{}->{}{}", host_port, port, protocol == v1::PROTOCOL_UDP ? "/udp" : "");
}

// "8080:80/tcp", "80/tcp" where any port of the node will do.
std::string AskedPort(const v1::PortSpec& port, bool protocol) {
  return fmt::format("{}{}{}", port.host_port() == 0 ? "" : std::to_string(port.host_port()) + ":",
                     port.port(), protocol ? "/" + ProtocolName(port.protocol()) : "");
}

std::string BriefPorts(const v1::TaskView& task) {
  std::vector<std::string> ports;
  for (const auto& port : task.ports()) {
    ports.push_back(BriefPort(port.host_port(), port.port(), port.protocol()));
  }
  if (ports.empty() && !IsFinished(task.status())) {
    for (const auto& port : task.spec().ports()) {
      ports.push_back(AskedPort(port, port.protocol() == v1::PROTOCOL_UDP));
    }
  }
  return fmt::format("{}", fmt::join(ports, ","));
}

// A narrow terminal leaves out first what is found elsewhere: an id begins with the name, and
// `cube status TASK` has the rest. Whoever asks for the wide table gets all of it.
std::vector<Column> TaskColumns(bool jobs, bool wide, bool reasons) {
  std::vector<Column> columns = {{.title = "ID", .width_min = kIdWidthMin, .middle = true},
                                 {"NAME", false, kTextWidthMin, wide ? 0 : 2},
                                 {"NODE", false, kTextWidthMin},
                                 {"STATE"},
                                 {"CREATED"},
                                 {"CONTAINERNAME", false, kTextWidthMin, wide ? 0 : 3},
                                 {"IMAGE", false, kTextWidthMin, wide ? 0 : 1, kImageWanted},
                                 {"PORTS", false, kTextWidthMin, 0, kPortsWanted}};
  if (jobs) {  // the id says both
    const int lesser = wide ? 0 : 4;
    const std::vector<Column> more = {{"JOB", false, kTextWidthMin, lesser},
                                      {"SLOT", true, 0, lesser}};
    columns.insert(columns.begin() + 2, more.begin(), more.end());
  }
  if (wide) {
    const std::vector<Column> more = {{"HEALTHY"},
                                      {"ATTEMPT", true},
                                      {"LAUNCH", true},
                                      {"EXIT", true},
                                      {"STARTED"},
                                      {"FINISHED"},
                                      {"CONTAINERID", false, kTextWidthMin}};
    columns.insert(columns.end(), more.begin(), more.end());
  }
  if (reasons) columns.push_back({"REASON", false, kTextWidthMin, 0, kReasonWanted});
  return columns;
}

// `cube node inspect NODE` has what a narrow terminal leaves out.
std::vector<Column> NodeColumns(bool wide, bool reasons) {
  const auto lesser = [wide](int rank) { return wide ? 0 : rank; };
  std::vector<Column> columns = {{"NAME", false, kTextWidthMin},
                                 {"STATUS"},
                                 {"ELIGIBLE", false, 0, lesser(1)},
                                 {"ROLE", false, 0, lesser(8)},
                                 {"CPUS", true},
                                 {"MEMORY (MiB)", true},
                                 {"DISK (GiB)", true, 0, lesser(2)},
                                 {"CPU%", true, 0, lesser(4)},
                                 {"MEM%", true, 0, lesser(5)},
                                 {"LOAD", true, 0, lesser(6)},
                                 {"TASKS", true},
                                 {"AGE", true, 0, lesser(3)},
                                 {"VERSION", false, kTextWidthMin, lesser(7)}};
  if (wide) {
    columns.insert(columns.end(), {{"ENGINES", false, kTextWidthMin},
                                   {"LABELS", false, kTextWidthMin},
                                   {"ADDRESS"},
                                   {"INCARNATION", true}});
  }
  if (reasons) columns.push_back({"REASON", false, kTextWidthMin, 0, kReasonWanted});
  return columns;
}

}  // namespace

bool IsFinished(std::string_view status) {
  return status == "completed" || status == "failed" || status == "stopped" || status == "lost" ||
         status == "refused";
}

Json TaskJson(const v1::TaskView& task) {
  const bool placed = task.attempt() > 0;
  return {{"id", task.id()},
          {"name", task.spec().name()},
          {"job", TextOrNull(task.job())},
          {"slot", task.job().empty() ? Json(nullptr) : Json(task.slot())},
          {"node", TextOrNull(task.node())},
          {"status", task.status()},
          {"healthy", task.healthy()},
          {"attempt", task.attempt()},
          {"launch", placed ? Json(task.launch()) : Json(nullptr)},
          {"image", TextOrNull(task.spec().image())},
          {"reason", TextOrNull(task.reason())},
          {"exit_code", task.has_exit_code() ? Json(task.exit_code()) : Json(nullptr)},
          {"ports", PortsJson(task)},
          {"created_at", TimeJson(task.created_at_ns())},
          {"started_at", TimeJson(task.started_at_ns())},
          {"finished_at", TimeJson(task.finished_at_ns())}};
}

Json TaskDetailJson(const v1::TaskView& task) {
  Json json = TaskJson(task);
  json["container_id"] = TextOrNull(task.container_id());
  json["node_address"] = TextOrNull(task.node_address());
  json["last_node"] = TextOrNull(LastNode(task));
  // A spec that this version cannot read (a newer manager's) is left out, not guessed.
  const auto spec = wire::FromProto(task.spec());
  json["spec"] = spec ? wire::SpecToHuman(*spec) : Json(nullptr);
  return json;
}

Json ResourcesJson(const v1::Resources& amount) {
  return {{"cpus", static_cast<double>(amount.cpu_millis()) / 1000.0},
          {"memory", amount.memory_bytes()},
          {"disk", amount.disk_bytes()}};
}

Json NodeJson(const v1::NodeView& node, const NodeMetrics* metrics, WallTime now) {
  const auto& about = node.description();
  Json engines = Json::array();
  for (const auto& engine : about.engines()) {
    engines.push_back({{"kind", engine.kind()},
                       {"version", TextOrNull(engine.version())},
                       {"limits", engine.limits()},
                       {"up", engine.up()}});
  }
  return {{"name", node.name()},
          {"status", node.status()},
          {"eligible", node.eligible()},
          {"cordoned", node.cordoned()},
          {"drain_deadline", TimeJson(node.drain_deadline_ns())},
          {"cpus", static_cast<double>(about.capacity().cpu_millis()) / 1000.0},
          {"memory", about.capacity().memory_bytes()},
          {"disk", about.capacity().disk_bytes()},
          {"allocated", ResourcesJson(node.allocated())},
          {"used", UsedJson(metrics, now)},
          {"load", LoadJson(metrics, now)},
          {"tasks", node.tasks()},
          {"tasks_max", about.tasks_max()},
          {"labels", MapJson(about.labels())},
          {"engines", std::move(engines)},
          {"version", TextOrNull(about.version())},
          {"role", "worker"},
          {"address", TextOrNull(about.address())},
          {"incarnation", node.incarnation()},
          {"joined_at", TimeJson(node.joined_at_ns())},
          {"reason", TextOrNull(node.reason())}};
}

Json NodeDetailJson(const v1::NodeView& node, const NodeMetrics* metrics, WallTime now) {
  Json json = NodeJson(node, metrics, now);
  json["metrics"] = metrics == nullptr ? Json(nullptr) : MetricsJson(metrics->message);
  return json;
}

Json ClusterJson(const v1::ClusterView& cluster) {
  return {{"cluster", TextOrNull(cluster.cluster())},
          {"leader", TextOrNull(cluster.leader())},
          {"epoch", cluster.term().epoch()},
          {"version", TextOrNull(cluster.version())},
          {"nodes", CountsJson(cluster.nodes())},
          {"tasks", CountsJson(cluster.tasks())},
          {"jobs", CountsJson(cluster.jobs())},
          {"capacity", ResourcesJson(cluster.capacity())},
          {"allocated", ResourcesJson(cluster.allocated())},
          {"foreign_messages", cluster.foreign_messages()}};
}

const std::string& LastNode(const v1::TaskView& task) {
  return task.node().empty() ? task.last_node() : task.node();
}

std::string StatusText(const v1::TaskView& task) {
  if (task.status() != "running" || !task.spec().has_health()) return task.status();
  return task.healthy() ? "running (healthy)" : "running (not healthy yet)";
}

std::string PortsText(const v1::TaskView& task) {
  std::string text;
  auto add = [&](std::string_view part) {
    if (!text.empty()) text += ", ";
    text += part;
  };
  const std::string host = task.node_address().empty() ? "" : task.node_address() + ":";
  for (const auto& port : task.ports()) {
    add(fmt::format("{}{}->{}/{}", host, port.host_port(), port.port(),
                    ProtocolName(port.protocol())));
  }
  if (task.ports().empty() && !IsFinished(task.status())) {
    for (const auto& port : task.spec().ports()) {
      add(AskedPort(port, /*protocol=*/true));
    }
  }
  return text;
}

std::string ContainerName(const v1::TaskView& task, std::string_view cluster) {
  if (task.container_id().empty()) return "-";
  if (task.spec().image().empty()) return "pid " + task.container_id();
  return cube::ContainerName(cluster, {TaskId::Trusted(task.id()), task.attempt(), task.launch()});
}

std::string StatusSentence(const v1::TaskView& task) {
  std::string text = StatusText(task);
  if (!task.node().empty()) text += " on " + task.node();
  if (task.has_exit_code() && task.reason().empty()) {
    text += fmt::format(": exit code {}", task.exit_code());
  }
  if (!task.reason().empty()) text += ": " + task.reason();
  return text;
}

Table TaskTable(const std::vector<v1::TaskView>& tasks, const ViewOptions& options) {
  const bool reasons =
      std::ranges::any_of(tasks, [](const auto& task) { return !task.reason().empty(); });
  const bool jobs =
      std::ranges::any_of(tasks, [](const auto& task) { return !task.job().empty(); });
  Table table(TaskColumns(jobs, options.wide, reasons));
  for (const auto& task : tasks) {
    std::vector<Cell> cells = {{task.id()},
                               {task.spec().name()},
                               {OrDash(task.node())},
                               {StatusText(task), StatusColor(task.status())},
                               {FormatAge(WallFromNanos(task.created_at_ns()), options.now)},
                               {ContainerName(task, options.cluster)},
                               {OrDash(task.spec().image()), 0, BriefImage(task.spec().image())},
                               {PortsText(task), 0, BriefPorts(task)}};
    if (jobs) {
      cells.insert(cells.begin() + 2,
                   {{OrDash(task.job())},
                    {task.job().empty() ? std::string("-") : std::to_string(task.slot())}});
    }
    if (options.wide) {
      const std::string launch = task.attempt() > 0 ? std::to_string(task.launch()) : "-";
      cells.insert(cells.end(), {{task.healthy() ? "yes" : "no"},
                                 {std::to_string(task.attempt())},
                                 {launch},
                                 {ExitText(task)},
                                 {FormatAge(WallFromNanos(task.started_at_ns()), options.now)},
                                 {FormatAge(WallFromNanos(task.finished_at_ns()), options.now)},
                                 {OrDash(task.container_id().substr(0, 12))}});
    }
    if (reasons) cells.push_back({task.reason()});
    table.Add(std::move(cells));
  }
  return table;
}

Table NodeTable(const std::vector<v1::NodeView>& nodes, const ViewOptions& options) {
  const bool reasons =
      std::ranges::any_of(nodes, [](const auto& node) { return !node.reason().empty(); });
  Table table(NodeColumns(options.wide, reasons));
  auto share = [](std::string_view used, std::string_view all) {
    return fmt::format("{}/{}", used, all);
  };
  for (const auto& node : nodes) {
    const auto& all = node.description().capacity();
    const auto& used = node.allocated();
    const WallTime joined = WallFromNanos(node.joined_at_ns());
    const v1::MetricsSample* newest = Newest(MetricsOf(options.metrics, node.name()), options.now);
    const bool known = newest != nullptr;
    const v1::MetricsSample sample = known ? *newest : v1::MetricsSample{};
    std::vector<Cell> cells = {
        {node.name()},
        {node.status(), StatusColor(node.status())},
        {node.eligible()   ? "yes"
         : node.cordoned() ? "cordoned"
                           : "no"},
        {"worker"},
        {share(FormatCpus(used.cpu_millis()), FormatCpus(all.cpu_millis()))},
        {share(FormatMebibytes(used.memory_bytes()), FormatMebibytes(all.memory_bytes()))},
        {share(FormatGibibytes(used.disk_bytes()), FormatGibibytes(all.disk_bytes()))},
        {PercentText(sample.cpu_used_permille(), known ? kPermille : 0)},
        {PercentText(static_cast<double>(sample.memory_used_bytes()),
                     static_cast<double>(sample.memory_total_bytes()))},
        {known ? fmt::format("{:.2f}", sample.load1_milli() / kPermille) : "-"},
        {std::to_string(node.tasks())},
        {IsSet(joined) ? FormatSpan(options.now - joined) : "-"},
        {OrDash(node.description().version())}};
    if (options.wide) {
      cells.insert(cells.end(), {{EnginesText(node.description())},
                                 {LabelsText(node.description().labels())},
                                 {OrDash(node.description().address())},
                                 {std::to_string(node.incarnation())}});
    }
    if (reasons) cells.push_back({node.reason()});
    table.Add(std::move(cells));
  }
  return table;
}

}  // namespace cube::cli
