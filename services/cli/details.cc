#include "services/cli/details.h"

#include <fmt/format.h>

#include "services/cli/event_lines.h"
#include "services/cli/history.h"
#include "services/cli/job.h"
#include "services/cli/job_views.h"
#include "services/cli/render/format.h"
#include "services/cli/render/text.h"
#include "services/cli/render/values.h"
#include "services/cli/views.h"
#include "shared/wire/convert.h"
#include "shared/wire/human.h"

namespace cube::cli {
namespace {

// "with its last events": a screenful.
constexpr std::size_t kLastEventsMax = 12;
// They are looked for in so many of the newest decisions: some MB at most.
constexpr std::uint64_t kDecisionsLookedAt = 2'000;
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

std::string Joined(const std::vector<std::string>& words) {
  return fmt::format("{}", fmt::join(words, " "));
}

std::string AtText(std::int64_t nanos, WallTime now) {
  if (nanos == 0) return {};
  const WallTime time = WallFromNanos(nanos);
  return fmt::format("{} ({})", FormatAge(time, now), FormatRfc3339(time));
}

std::string ResourcesText(const Resources& amount) {
  std::vector<std::string> parts;
  if (amount.cpu_millis > 0) parts.push_back(CpusText(amount.cpu_millis));
  if (amount.memory_bytes > 0) parts.push_back(FormatSize(amount.memory_bytes) + " of memory");
  if (amount.disk_bytes > 0) parts.push_back(FormatSize(amount.disk_bytes) + " of disk");
  return fmt::format("{}", fmt::join(parts, ", "));
}

void SpecLines(std::string& out, const TaskSpec& spec) {
  Line(out, "Image", spec.image);
  Line(out, "Entrypoint", Joined(spec.entrypoint));
  Line(out, "Command", Joined(spec.command));
  Line(out, "Engine", EngineOf(spec));
  Line(out, "Reserved", ResourcesText(spec.resources));
  Line(out, "Restart", wire::FormatRestart(spec.restart));
  std::vector<std::string> rules;
  for (const auto& rule : spec.constraints) rules.push_back(wire::FormatConstraint(rule));
  Line(out, "Constraints", fmt::format("{}", fmt::join(rules, ", ")));
  std::vector<std::string> wishes;
  for (const auto& wish : spec.affinities) wishes.push_back(wire::FormatAffinity(wish));
  Line(out, "Affinities", fmt::format("{}", fmt::join(wishes, ", ")));
  if (spec.distinct != 0) Line(out, "Distinct", std::to_string(spec.distinct));
  Line(out, "Scheduler", spec.scheduler);
  std::vector<std::string> labels;
  for (const auto& [key, value] : spec.labels) labels.push_back(key + "=" + value);
  Line(out, "Labels", fmt::format("{}", fmt::join(labels, ", ")));
}

// What the machine uses; nothing if that is not known.
void UsageLines(std::string& out, const NodeMetrics* metrics, WallTime now) {
  const v1::MetricsSample* sample = Newest(metrics, now);
  if (sample == nullptr) return;
  constexpr double kMillis = 1000.0;
  const auto& load = metrics->message.load();
  Line(out, "Used",
       TotalsText(SumOf({{metrics->message.node(), *metrics}}, now)) + ", " +
           FormatAge(metrics->came_at, now));
  Line(out, "Load",
       fmt::format("{:.2f} {:.2f} {:.2f}, {} of {} threads running",
                   load.last1min_milli() / kMillis, load.last5min_milli() / kMillis,
                   load.last15min_milli() / kMillis, load.process_running(), load.process_total()));
  Line(out, "Running",
       fmt::format("{} launches, using {} cpus and {} of memory", sample->tasks_running(),
                   FormatCpus(sample->tasks_cpu_millis()),
                   FormatSize(sample->tasks_memory_bytes())));
}

// What the log says last about a task or node.
Result<void> ShowLastEvents(Session& session, Client& client, LogFilter filter,
                            bool with_task = true) {
  CUBE_TRY(auto items, ReadTail(client, kDecisionsLookedAt));
  std::erase_if(items, [&](const LogItem& item) { return !filter.Matches(item); });
  if (items.empty()) return {};
  if (items.size() > kLastEventsMax) {
    items.erase(items.begin(), items.end() - static_cast<std::ptrdiff_t>(kLastEventsMax));
  }
  session.terminal().out << "\n";
  EventLines lines(LayoutOf(session.args(), session.terminal()), with_task,
                   [&](const std::string& line) { session.terminal().out << line; });
  for (const auto& item : items) lines.Add(item);
  lines.Flush();
  return {};
}

}  // namespace

Result<void> ShowTaskDetails(Session& session, Client& client, const v1::TaskView& task) {
  const WallTime now = client.Wall();
  CUBE_TRY(const auto cluster, client.Cluster());
  std::string out;
  Line(out, "Task", task.id());
  Line(out, "Name", task.spec().name());
  if (!task.job().empty()) {
    Line(out, "Job",
         fmt::format("{}, version {}, slot {}", task.job(), task.job_version(), task.slot()));
  }
  Line(out, "Status", StatusSentence(task));
  if (task.attempt() > 0) {
    Line(out, "Attempt", fmt::format("{}, launch {}", task.attempt(), task.launch()));
    Line(out, "Container", ContainerName(task, cluster.cluster()));
  }
  Line(out, "Ports", PortsText(task));
  if (const auto spec = wire::FromProto(task.spec())) SpecLines(out, *spec);
  Line(out, "Created", AtText(task.created_at_ns(), now));
  Line(out, "Started", AtText(task.started_at_ns(), now));
  Line(out, "Finished", AtText(task.finished_at_ns(), now));
  if (task.has_exit_code()) Line(out, "Exit code", std::to_string(task.exit_code()));
  session.terminal().out << Fitted(out, LayoutOf(session.args(), session.terminal()).width);
  return ShowLastEvents(session, client, LogFilter{.tasks = {task.id()}},
                        /*with_task=*/false);
}

Result<void> ShowJobDetails(Session& session, Client& client, const v1::JobView& job) {
  const WallTime now = client.Wall();
  std::string out;
  Line(out, "Job", job.name());
  Line(out, "Type", JobTypeText(job));
  Line(out, "Status", JobSentence(job));
  Line(out, "Up", ReadyText(job));
  if (job.failed() > 0) Line(out, "Failed", std::to_string(job.failed()));
  Line(out, "Version", std::to_string(job.version()));
  if (const auto spec = wire::FromProto(job.task())) SpecLines(out, *spec);
  Line(out, "Created", AtText(job.created_at_ns(), now));
  Line(out, "Ended", AtText(job.ended_at_ns(), now));
  session.terminal().out << out;

  v1::QueryRequest request;
  request.set_job(job.name());
  request.set_include_finished(JobHasEnded(job));
  CUBE_TRY(const auto tasks, client.Tasks(request));
  if (!tasks.empty()) {
    CUBE_TRY(const auto cluster, client.Cluster());
    session.terminal().out << "\n"
                           << TaskTable(tasks, {.now = now, .cluster = cluster.cluster()})
                                  .Render(LayoutOf(session.args(), session.terminal()));
  }
  return ShowLastEvents(session, client, LogFilter{.name = job.name()});
}

Result<void> ShowNodeDetails(Session& session, Client& client, const v1::NodeView& node) {
  const WallTime now = client.Wall();
  const auto& about = node.description();
  std::string out;
  Line(out, "Node", node.name());
  Line(out, "Status", node.reason().empty() ? node.status() : node.status() + ": " + node.reason());
  Line(out, "Capacity",
       ResourcesText(wire::FromProto(about.capacity())) +
           fmt::format(", {} tasks", about.tasks_max()));
  Line(out, "Promised", ResourcesText(wire::FromProto(node.allocated())));
  CUBE_TRY(const auto metrics, client.Metrics({node.name()}));
  UsageLines(out, MetricsOf(metrics, node.name()), now);
  Line(out, "Tasks", std::to_string(node.tasks()));
  for (const auto& engine : about.engines()) {
    // A version begins with the kind; an engine that has never answered has none.
    Line(out, "Engine",
         fmt::format("{}{}{}", engine.version().empty() ? engine.kind() : engine.version(),
                     engine.up() ? "" : " (down)",
                     engine.limits() || engine.version().empty() ? "" : " (limits: none)"));
  }
  const std::map<std::string, std::string> sorted(about.labels().begin(), about.labels().end());
  std::vector<std::string> labels;
  for (const auto& [key, value] : sorted) labels.push_back(key + "=" + value);
  Line(out, "Labels", fmt::format("{}", fmt::join(labels, ", ")));
  Line(out, "Address", about.address());
  Line(out, "Version", about.version());
  Line(out, "Joined", AtText(node.joined_at_ns(), now));
  session.terminal().out << Fitted(out, LayoutOf(session.args(), session.terminal()).width);

  v1::QueryRequest request;
  request.set_node(node.name());
  CUBE_TRY(const auto tasks, client.Tasks(request));
  if (!tasks.empty()) {
    CUBE_TRY(const auto cluster, client.Cluster());
    session.terminal().out << "\n"
                           << TaskTable(tasks, {.now = now, .cluster = cluster.cluster()})
                                  .Render(LayoutOf(session.args(), session.terminal()));
  }
  return ShowLastEvents(session, client, LogFilter{.node = node.name()});
}

}  // namespace cube::cli
