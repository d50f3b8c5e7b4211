#include "services/cli/summaries.h"

#include <fmt/format.h>

#include <map>
#include <vector>

#include "services/cli/job_views.h"
#include "services/cli/render/text.h"
#include "services/cli/render/values.h"
#include "services/cli/views.h"
#include "shared/wire/convert.h"
#include "shared/wire/human.h"

namespace cube::cli {
namespace {

constexpr std::size_t kTitleWidth = 12;

void Line(std::string& out, std::string_view title, const std::string& text) {
  if (text.empty()) return;
  out += fmt::format("{:<{}}{}\n", title, kTitleWidth, Printable(text));
}

// Long values go on below themselves; piped they stay on their line.
std::string Fitted(std::string_view lines, std::size_t width) {
  if (width <= 2 * kTitleWidth) return std::string(lines);
  std::string out;
  while (!lines.empty()) {
    const std::size_t end = lines.find('\n');
    std::string title(lines.substr(0, kTitleWidth));
    for (const auto& text :
         Wrap(lines.substr(kTitleWidth, end - kTitleWidth), width - kTitleWidth)) {
      out += title + text + "\n";
      title.assign(kTitleWidth, ' ');
    }
    lines.remove_prefix(end + 1);
  }
  return out;
}

std::string Joined(const std::vector<std::string>& words, std::string_view between = " ") {
  return fmt::format("{}", fmt::join(words, between));
}

std::string AtText(std::int64_t nanos, WallTime now) {
  if (nanos == 0) return {};
  const WallTime time = WallFromNanos(nanos);
  return fmt::format("{} ({})", FormatAge(time, now), FormatRfc3339(time));
}

// What a task reserves; nothing of what it does not ask for.
std::string ReservedText(const Resources& amount) {
  std::vector<std::string> parts;
  if (amount.cpu_millis > 0) parts.push_back(CpusText(amount.cpu_millis));
  if (amount.memory_bytes > 0) parts.push_back(FormatSize(amount.memory_bytes) + " of memory");
  if (amount.disk_bytes > 0) parts.push_back(FormatSize(amount.disk_bytes) + " of disk");
  return Joined(parts, ", ");
}

// What a node has or has promised: zeros too.
std::string AmountText(const v1::Resources& amount, std::uint32_t tasks) {
  return fmt::format("{}, {} of memory, {} of disk, {} task{}", CpusText(amount.cpu_millis()),
                     FormatSize(amount.memory_bytes()), FormatSize(amount.disk_bytes()), tasks,
                     tasks == 1 ? "" : "s");
}

template <class Map>
std::string LabelsText(const Map& labels) {
  const std::map<std::string, std::string> sorted(labels.begin(), labels.end());
  std::vector<std::string> texts;
  for (const auto& [key, value] : sorted) texts.push_back(key + "=" + value);
  return Joined(texts, ", ");
}

void SpecLines(std::string& out, const TaskSpec& spec) {
  Line(out, "Image", spec.image);
  Line(out, "Entrypoint", Joined(spec.entrypoint));
  Line(out, "Command", Joined(spec.command));
  Line(out, "Engine", EngineOf(spec));
  Line(out, "Reserved", ReservedText(spec.resources));
  Line(out, "Check", spec.health ? CheckText(*spec.health) : "none");
  Line(out, "Restart", wire::FormatRestart(spec.restart));
  std::vector<std::string> rules;
  for (const auto& rule : spec.constraints) rules.push_back(wire::FormatConstraint(rule));
  Line(out, "Constraints", Joined(rules, ", "));
  std::vector<std::string> wishes;
  for (const auto& wish : spec.affinities) wishes.push_back(wire::FormatAffinity(wish));
  Line(out, "Affinities", Joined(wishes, ", "));
  if (spec.distinct != 0) Line(out, "Distinct", std::to_string(spec.distinct));
  Line(out, "Scheduler", spec.scheduler);
  Line(out, "Labels", LabelsText(spec.labels));
}

// What the machine uses.
void UsageLines(std::string& out, const NodeMetrics* metrics, WallTime now) {
  const v1::MetricsSample* sample = Newest(metrics, now);
  if (sample == nullptr) {
    Line(out, "Used", "not known: it has published no metrics lately");
    return;
  }
  constexpr double kMillis = 1000.0;
  const auto& load = metrics->message.load();
  Line(out, "Used",
       fmt::format("{}, {} task{} running, {}",
                   TotalsText(SumOf({{metrics->message.node(), *metrics}}, now)),
                   sample->tasks_running(), sample->tasks_running() == 1 ? "" : "s",
                   FormatAge(metrics->came_at, now)));
  Line(out, "By tasks",
       fmt::format("{} cpus, {} of memory", FormatCpus(sample->tasks_cpu_millis()),
                   FormatSize(sample->tasks_memory_bytes())));
  Line(out, "Load",
       fmt::format("{:.2f} {:.2f} {:.2f}, {} of {} threads running",
                   load.last1min_milli() / kMillis, load.last5min_milli() / kMillis,
                   load.last15min_milli() / kMillis, load.process_running(), load.process_total()));
}

// "3 running, 1 pending"; "none" if there are none.
std::string Counts(const google::protobuf::Map<std::string, std::uint32_t>& counts) {
  const std::map<std::string, std::uint32_t> sorted(counts.begin(), counts.end());
  std::vector<std::string> parts;
  for (const auto& [status, count] : sorted) {
    if (count > 0) parts.push_back(fmt::format("{} {}", count, status));
  }
  return parts.empty() ? "none" : Joined(parts, ", ");
}

// What its checks say now; empty where there is nothing to say it of.
std::string HealthText(const v1::TaskView& task) {
  if (task.status() == "unhealthy") return "not healthy";
  if (task.status() != "running") return {};
  if (task.healthy()) return task.spec().has_health() ? "healthy" : "healthy (it runs)";
  return "not healthy yet";
}

}  // namespace

std::string CheckText(const HealthCheck& check) {
  std::string text;
  switch (check.kind) {
    case HealthCheck::Kind::kHttp:
      text = "GET " + check.http_path;
      break;
    case HealthCheck::Kind::kTcp:
      text = "a TCP connection";
      break;
    case HealthCheck::Kind::kCommand:
      text = Joined(check.command);
      break;
  }
  if (check.kind != HealthCheck::Kind::kCommand) {
    text += check.port != 0            ? fmt::format(" to port {}", check.port)
            : !check.port_name.empty() ? " to port " + check.port_name
                                       : " to its lowest published port";
  }
  text += fmt::format(" every {}, {} for an answer", FormatDuration(check.interval),
                      FormatDuration(check.timeout));
  if (check.start_period > Duration{0}) {
    text += fmt::format(", {} to start", FormatDuration(check.start_period));
  }
  text += fmt::format(
      "; healthy after {}, not after {} failure{}, then {}", check.successes, check.retries,
      check.retries == 1 ? "" : "s",
      check.on_failure == HealthCheck::OnFailure::kNone ? "it runs on" : "it is restarted");
  return text;
}

std::string TaskSummary(const v1::TaskView& task, const SummaryOptions& options) {
  const WallTime now = options.now;
  std::string out;
  Line(out, "Task", task.id());
  Line(out, "Name", task.spec().name());
  if (!task.job().empty()) {
    Line(out, "Job",
         fmt::format("{}, version {}, slot {}", task.job(), task.job_version(), task.slot()));
  }
  Line(out, "Status", StatusSentence(task));
  Line(out, "Health", HealthText(task));
  if (task.attempt() > 0 && task.node().empty()) {
    Line(out, "Last",
         fmt::format("attempt {} on {}, launch {}", task.attempt(), task.last_node(),
                     task.launch()));
  } else if (task.attempt() > 0) {
    Line(out, "Attempt", fmt::format("{}, launch {}", task.attempt(), task.launch()));
    Line(out, "Container", ContainerName(task, options.cluster));
  }
  Line(out, "Ports", PortsText(task));
  if (const auto spec = wire::FromProto(task.spec())) SpecLines(out, *spec);
  Line(out, "Created", AtText(task.created_at_ns(), now));
  Line(out, "Started", AtText(task.started_at_ns(), now));
  Line(out, "Finished", AtText(task.finished_at_ns(), now));
  if (task.has_exit_code()) Line(out, "Exit code", std::to_string(task.exit_code()));
  return Fitted(out, options.width);
}

std::string JobSummary(const v1::JobView& job, const SummaryOptions& options) {
  std::string out;
  Line(out, "Job", job.name());
  Line(out, "Type", JobTypeText(job));
  Line(out, "Status", JobSentence(job));
  Line(out, "Up", ReadyText(job));
  if (job.failed() > 0) Line(out, "Failed", std::to_string(job.failed()));
  Line(out, "Version", std::to_string(job.version()));
  if (const auto spec = wire::FromProto(job.task())) SpecLines(out, *spec);
  Line(out, "Created", AtText(job.created_at_ns(), options.now));
  Line(out, "Ended", AtText(job.ended_at_ns(), options.now));
  return Fitted(out, options.width);
}

std::string NodeSummary(const v1::NodeView& node, const NodeMetrics* metrics,
                        const SummaryOptions& options) {
  const auto& about = node.description();
  std::string out;
  Line(out, "Node", node.name());
  Line(out, "Role", "worker");
  Line(out, "Status", node.reason().empty() ? node.status() : node.status() + ": " + node.reason());
  Line(out, "Eligible", node.eligible() ? "yes" : node.cordoned() ? "no: cordoned" : "no");
  Line(out, "Capacity", AmountText(about.capacity(), about.tasks_max()));
  Line(out, "Promised", AmountText(node.allocated(), node.tasks()));
  UsageLines(out, metrics, options.now);
  for (const auto& engine : about.engines()) {
    // A version begins with the kind; an engine that has never answered has none.
    Line(out, "Engine",
         fmt::format("{}{}{}", engine.version().empty() ? engine.kind() : engine.version(),
                     engine.up() ? "" : " (down)",
                     engine.limits() || engine.version().empty() ? "" : " (limits: none)"));
  }
  Line(out, "Labels", LabelsText(about.labels()));
  Line(out, "Address", about.address());
  Line(out, "Version", about.version());
  Line(out, "Joined", AtText(node.joined_at_ns(), options.now));
  return Fitted(out, options.width);
}

std::string ClusterSummary(const v1::QueryReply& reply, const Totals& used, std::string_view server,
                           const SummaryOptions& options) {
  const auto& cluster = reply.cluster();
  const auto& all = cluster.capacity();
  const auto& promised = cluster.allocated();
  std::string out;
  Line(out, "Cluster", cluster.cluster().empty() ? "no manager has led yet" : cluster.cluster());
  Line(out, "Leader",
       cluster.leader().empty()
           ? "none"
           : fmt::format("{} (epoch {})", cluster.leader(), cluster.term().epoch()));
  Line(out, "Server", std::string(server));
  Line(out, "Nodes", Counts(cluster.nodes()));
  if (!cluster.jobs().empty()) Line(out, "Jobs", Counts(cluster.jobs()));
  Line(out, "Tasks", Counts(cluster.tasks()));
  Line(out, "Promised",
       fmt::format("{} of {} cpus, {} of {} memory, {} of {} disk",
                   FormatCpus(promised.cpu_millis()), FormatCpus(all.cpu_millis()),
                   FormatSize(promised.memory_bytes()), FormatSize(all.memory_bytes()),
                   FormatSize(promised.disk_bytes()), FormatSize(all.disk_bytes())));
  Line(out, "Used", TotalsText(used));
  if (!reply.leading()) {
    Line(out, "Answer",
         fmt::format("{}, which does not lead and {}", reply.manager(),
                     reply.behind() == 0 ? "has read the whole log"
                                         : fmt::format("is {} decisions behind", reply.behind())));
  }
  if (cluster.foreign_messages() > 0) {
    Line(out, "Warning",
         fmt::format("{} decision messages were skipped as foreign", cluster.foreign_messages()));
  }
  return Fitted(out, options.width);
}

}  // namespace cube::cli
