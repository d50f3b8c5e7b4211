// cube status: the cluster at a glance, or all about one task, job or node.
#include <fmt/format.h>

#include "services/cli/commands.h"
#include "services/cli/details.h"
#include "services/cli/exit_code.h"
#include "services/cli/job.h"
#include "services/cli/job_views.h"
#include "services/cli/render/format.h"
#include "services/cli/session.h"
#include "services/cli/show.h"
#include "services/cli/summaries.h"

namespace cube::cli {
namespace {

using Json = nlohmann::ordered_json;

// What all nodes' machines use together.
Result<Totals> UsedTogether(Client& client) {
  CUBE_TRY(const auto nodes, client.Nodes());
  std::vector<std::string> names;
  for (const auto& node : nodes) names.push_back(node.name());
  CUBE_TRY(const auto metrics, client.Metrics(names));
  return SumOf(metrics, client.Wall());
}

Result<int> ShowAll(Session& session, Client& client) {
  CUBE_TRY(const auto reply, client.Query("cluster", {}));
  const Format format = FormatOf(session.args());
  if (format == Format::kJson || format == Format::kYaml) {
    Json json = ClusterJson(reply.cluster());
    CUBE_TRY(const Totals totals, UsedTogether(client));
    json["used"] = totals.nodes == 0
                       ? Json(nullptr)
                       : Json{{"cpus", static_cast<double>(totals.cpu_millis_used) / 1000.0},
                              {"memory", totals.memory_bytes_used},
                              {"disk", totals.disk_bytes_used},
                              {"nodes", totals.nodes}};
    json["manager"] = reply.manager();
    json["leading"] = reply.leading();
    json["behind"] = reply.behind();
    json["decision_seq"] = reply.decision_seq();
    json["intent_seq"] = reply.intent_seq();
    ShowJson(session, json);
    return kExitDone;
  }
  CUBE_TRY(const auto tasks, client.Tasks({}));
  if (format != Format::kName) {
    CUBE_TRY(const Totals totals, UsedTogether(client));
    const std::string server =
        fmt::format("{} (nats-server {})", client.settings().ServersText(), client.ServerVersion());
    session.terminal().out << ClusterSummary(
                                  reply, totals, server,
                                  {.now = client.Wall(),
                                   .width = LayoutOf(session.args(), session.terminal()).width})
                           << "\n";
  }
  CUBE_TRY_VOID(ShowTasks(session, client, tasks));
  return kExitDone;
}

Result<int> ShowJob(Session& session, Client& client, const v1::JobView& job) {
  const Format format = FormatOf(session.args());
  if (format == Format::kTable || format == Format::kWide) {
    CUBE_TRY_VOID(ShowJobDetails(session, client, job));
  } else if (format == Format::kName) {
    session.terminal().out << job.name() << "\n";
  } else {
    ShowJson(session, JobDetailJson(job));
  }
  return kExitDone;
}

// A task's exact id, then a job's name, then a task's name, then a node's name, then prefixes of
// tasks, then of nodes.
Result<int> ShowNamed(Session& session, Client& client, const std::string& word) {
  const Format format = FormatOf(session.args());
  const bool people = format == Format::kTable || format == Format::kWide;
  CUBE_TRY(const auto job, JobMeant(client, word));
  if (job) return ShowJob(session, client, *job);
  auto task = client.FindKnown(word);
  if (!task && task.error().code != Code::kNotFound && task.error().code != Code::kConflict) {
    return std::unexpected(task.error());
  }
  const bool exact = task && (task->id() == word || task->spec().name() == word);
  CUBE_TRY(const auto nodes, client.Nodes());
  const v1::NodeView* node = nullptr;
  if (!exact) {
    for (const auto& candidate : nodes) {
      const bool fits = task || task.error().code == Code::kConflict
                            ? candidate.name() == word
                            : candidate.name().starts_with(word);
      if (!fits) continue;
      if (candidate.name() == word || node == nullptr) node = &candidate;
    }
  }
  if (node != nullptr) {
    if (people) {
      CUBE_TRY_VOID(ShowNodeDetails(session, client, *node));
    } else if (format == Format::kName) {
      session.terminal().out << node->name() << "\n";
    } else {
      CUBE_TRY(const auto metrics, client.Metrics({node->name()}));
      ShowJson(session, NodeDetailJson(*node, MetricsOf(metrics, node->name()), client.Wall()));
    }
    return kExitDone;
  }
  if (!task && task.error().code == Code::kNotFound) task = client.Find(word);
  if (!task) {
    if (task.error().code != Code::kNotFound) return std::unexpected(task.error());
    return Fail(Code::kNotFound,
                fmt::format("there is no task, no job and no node '{}'. 'cube ps -a' lists "
                            "tasks, 'cube job ls -a' jobs, 'cube node ls' nodes",
                            word));
  }
  if (people) {
    CUBE_TRY_VOID(ShowTaskDetails(session, client, *task));
  } else if (format == Format::kName) {
    session.terminal().out << task->id() << "\n";
  } else {
    ShowJson(session, TaskDetailJson(*task));
  }
  return kExitDone;
}

Result<int> Status(Session& session) {
  CUBE_TRY(Client * client, session.client());
  if (session.args().operands.empty()) return ShowAll(session, *client);
  return ShowNamed(session, *client, session.args().operands.front());
}

}  // namespace

CommandSpec StatusCommand() {
  return {.name = "status",
          .summary = "Show the cluster at a glance, or all about one task, job or node.",
          .operands = "[TASK|JOB|NODE]",
          .flags = ReadFlags(),
          .examples = {{"the cluster and what runs on it", "cube status"},
                       {"a task: its state, its last events and, while it waits, why",
                        "cube status web"}},
          .exit_codes = {kExitDone, kExitNotFound, kExitConflict, kExitUsage, kExitUnreachable},
          .operands_max = 1,
          .word = Word::kTaskOrNode,
          .run = Status};
}

}  // namespace cube::cli
