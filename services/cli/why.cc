// cube why: what was decided about a task and why, and the way through the log.
#include <fmt/format.h>

#include "services/cli/commands.h"
#include "services/cli/exit_code.h"
#include "services/cli/history.h"
#include "services/cli/job.h"
#include "services/cli/job_views.h"
#include "services/cli/render/format.h"
#include "services/cli/render/text.h"
#include "services/cli/session.h"
#include "services/cli/show.h"
#include "services/cli/story.h"
#include "services/cli/views.h"

namespace cube::cli {
namespace {

using Json = nlohmann::ordered_json;

// What the log says about the task, from its submission on.
Result<std::vector<LogItem>> Read(Client& client, const v1::TaskView& task) {
  CUBE_TRY(auto history, History::Since(client, WallFromNanos(task.created_at_ns())));
  std::vector<LogItem> items;
  CUBE_TRY_VOID(history.ReadOn(true, [&](const LogItem& item) {
    if (item.task == task.id()) items.push_back(item);
  }));
  return items;
}

// A task that no manager knows any more may still be in the log.
Result<Story> Forgotten(Client& client, const std::string& word, const Error& error) {
  CUBE_TRY(auto history, History::FromBeginning(client));
  std::vector<LogItem> items;
  CUBE_TRY_VOID(history.ReadOn(true, [&](const LogItem& item) {
    if (item.task == word) items.push_back(item);
  }));
  if (items.empty()) return std::unexpected(error);
  return StoryOf(word, items);
}

// A job is no task, even if its tasks bear its name: says where to look.
Result<void> CheckIsNoJob(Client& client, const std::string& word, const Error& error) {
  CUBE_TRY(const auto job, JobMeant(client, word));
  if (!job) return {};
  v1::QueryRequest request;
  request.set_job(job->name());
  request.set_include_finished(JobHasEnded(*job));
  CUBE_TRY(const auto tasks, client.Tasks(request));
  const std::string one =
      tasks.empty() ? "" : fmt::format(", and 'cube why {}' one of its tasks", tasks[0].id());
  return Fail(error.code, fmt::format("'{0}' is a job: 'cube job inspect {0}' shows it with its "
                                      "tasks and last events{1}",
                                      word, one));
}

Result<int> Why(Session& session) {
  CUBE_TRY(Client * client, session.client());
  const std::string& word = session.args().operands.front();
  const auto task = client->Find(word);
  Story story;
  std::string now = "forgotten: the log is all that is left";
  if (task) {
    CUBE_TRY(const auto items, Read(*client, *task));
    story = StoryOf(task->id(), items);
    now = StatusSentence(*task);
  } else {
    const Code code = task.error().code;
    if (code != Code::kNotFound && code != Code::kConflict) return std::unexpected(task.error());
    CUBE_TRY_VOID(CheckIsNoJob(*client, word, task.error()));
    if (code == Code::kConflict) return std::unexpected(task.error());
    CUBE_TRY(story, Forgotten(*client, word, task.error()));
  }
  const Format format = FormatOf(session.args());
  if (format == Format::kName) {
    session.terminal().out << story.task << "\n";
    return kExitDone;
  }
  if (format == Format::kJson || format == Format::kYaml) {
    Json json = ToJson(story);
    json["status"] = task ? Json(task->status()) : Json(nullptr);
    json["reason"] = task && !task->reason().empty() ? Json(task->reason()) : Json(nullptr);
    ShowJson(session, json);
    return kExitDone;
  }
  const TableLayout layout = LayoutOf(session.args(), session.terminal());
  for (const auto& line : Wrap(Printable(story.task + ": " + now), layout.width)) {
    session.terminal().out << line << "\n";
  }
  session.terminal().out << "\n" << RenderStory(story, layout.width);
  return kExitDone;
}

}  // namespace

CommandSpec WhyCommand() {
  return {.name = "why",
          .summary = "Show why a task is where it is: each decision about it, and each step since.",
          .operands = "TASK",
          .flags = ShowFlags(),
          .examples = {{"why a task runs where it runs, or why it waits", "cube why web"},
                       {"the same for a program", "cube why -o json web-k3x7q2ab"}},
          .exit_codes = {kExitDone, kExitNotFound, kExitConflict, kExitUsage, kExitUnreachable,
                         kExitInterrupted},
          .operands_min = 1,
          .operands_max = 1,
          .word = Word::kTask,
          .run = Why};
}

}  // namespace cube::cli
