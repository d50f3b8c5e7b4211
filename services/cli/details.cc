#include "services/cli/details.h"

#include "services/cli/event_lines.h"
#include "services/cli/history.h"
#include "services/cli/job.h"
#include "services/cli/job_views.h"
#include "services/cli/render/format.h"
#include "services/cli/summaries.h"
#include "services/cli/views.h"

namespace cube::cli {
namespace {

// "with its last events": a screenful.
constexpr std::size_t kLastEventsMax = 12;
// They are looked for in so many of the newest decisions: some MB at most.
constexpr std::uint64_t kDecisionsLookedAt = 2'000;

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

// A table of the tasks that the question means, if there are any.
Result<void> ShowTasksBelow(Session& session, Client& client, const v1::QueryRequest& request) {
  CUBE_TRY(const auto tasks, client.Tasks(request));
  if (tasks.empty()) return {};
  CUBE_TRY(const auto cluster, client.Cluster());
  session.terminal().out << "\n"
                         << TaskTable(tasks, {.now = client.Wall(), .cluster = cluster.cluster()})
                                .Render(LayoutOf(session.args(), session.terminal()));
  return {};
}

}  // namespace

Result<void> ShowTaskDetails(Session& session, Client& client, const v1::TaskView& task) {
  CUBE_TRY(const auto cluster, client.Cluster());
  session.terminal().out << TaskSummary(
      task, {.now = client.Wall(),
             .width = LayoutOf(session.args(), session.terminal()).width,
             .cluster = cluster.cluster()});
  return ShowLastEvents(session, client, LogFilter{.tasks = {task.id()}},
                        /*with_task=*/false);
}

Result<void> ShowJobDetails(Session& session, Client& client, const v1::JobView& job) {
  session.terminal().out << JobSummary(
      job, {.now = client.Wall(), .width = LayoutOf(session.args(), session.terminal()).width});
  v1::QueryRequest request;
  request.set_job(job.name());
  request.set_include_finished(JobHasEnded(job));
  CUBE_TRY_VOID(ShowTasksBelow(session, client, request));
  return ShowLastEvents(session, client, LogFilter{.name = job.name()});
}

Result<void> ShowNodeDetails(Session& session, Client& client, const v1::NodeView& node) {
  CUBE_TRY(const auto metrics, client.Metrics({node.name()}));
  session.terminal().out << NodeSummary(
      node, MetricsOf(metrics, node.name()),
      {.now = client.Wall(), .width = LayoutOf(session.args(), session.terminal()).width});
  v1::QueryRequest request;
  request.set_node(node.name());
  CUBE_TRY_VOID(ShowTasksBelow(session, client, request));
  return ShowLastEvents(session, client, LogFilter{.node = node.name()});
}

}  // namespace cube::cli
