// cube logs: the output of tasks, wherever they run.
#include <fmt/format.h>

#include "services/cli/commands.h"
#include "services/cli/exit_code.h"
#include "services/cli/interrupt.h"
#include "services/cli/job.h"
#include "services/cli/job_views.h"
#include "services/cli/line_writer.h"
#include "services/cli/log_streams.h"
#include "services/cli/session.h"
#include "services/cli/since.h"

namespace cube::cli {
namespace {

// A task, or the tasks of a job: those that have not ended, unless they are meant to.
Result<void> AddTasks(Client& client, const std::string& word, std::vector<v1::TaskView>& tasks) {
  CUBE_TRY(const auto job, JobMeant(client, word));
  if (!job) {
    CUBE_TRY(auto task, client.Find(word));
    tasks.push_back(std::move(task));
    return {};
  }
  v1::QueryRequest request;
  request.set_job(job->name());
  request.set_include_finished(job->type() == v1::JOB_TYPE_BATCH || JobHasEnded(*job));
  CUBE_TRY(auto found, client.Tasks(request));
  tasks.insert(tasks.end(), std::make_move_iterator(found.begin()),
               std::make_move_iterator(found.end()));
  return {};
}

Result<int> Logs(Session& session) {
  const Args& args = session.args();
  const Terminal& terminal = session.terminal();
  CUBE_TRY(const auto tail, args.Integer("tail", 0, std::numeric_limits<std::uint32_t>::max()));
  CUBE_TRY(Client * client, session.client());
  CUBE_TRY(const auto since, SinceOf(args, client->Wall()));
  LogOptions options{.follow = args.Has("follow"), .tail = std::nullopt, .since_ns = 0};
  if (tail) options.tail = static_cast<std::uint32_t>(*tail);
  if (since) options.since_ns = ToNanos(*since);

  std::vector<v1::TaskView> tasks;
  for (const auto& word : args.operands) {
    CUBE_TRY_VOID(AddTasks(*client, word, tasks));
  }
  LineWriter writer(terminal, {.times = args.Has("timestamps"), .prefixes = tasks.size() > 1});
  for (const auto& task : tasks) writer.Expect(task.id());
  bool complete = true;
  LogStreams streams(
      *client, options,
      [&](const std::string& task, const v1::LogsChunk& chunk) {
        writer.Write(task, chunk.is_stderr(), chunk.time_ns(), chunk.data());
      },
      [&](const std::string& text, bool failed) {
        terminal.Say(text);
        complete = complete && !failed;
      });
  for (const auto& task : tasks) streams.Add(task);
  const auto ended = streams.Run([&] { return !Interrupted() && terminal.out.good(); });
  writer.Finish();
  if (Interrupted()) return kExitInterrupted;
  CUBE_TRY_VOID(ended);
  return complete ? kExitDone : kExitFailed;
}

}  // namespace

CommandSpec LogsCommand() {
  return {.name = "logs",
          .summary = "Show the output of tasks, wherever they run or ran.",
          .operands = "TASK|JOB...",
          .flags = {{.name = "follow", .letter = 'f', .help = "go on until the tasks have ended"},
                    {.name = "tail",
                     .letter = 'n',
                     .value = "N",
                     .help = "only the last lines, so many of each task"},
                    SinceFlag(),
                    {.name = "timestamps", .letter = 't', .help = "the time before each line"}},
          .examples = {{"all output of a task, or of all tasks of a job", "cube logs web"},
                       {"two tasks from their last ten lines on, each line with its task",
                        "cube logs -f --tail 10 web worker"}},
          .exit_codes = {kExitDone, kExitFailed, kExitNotFound, kExitConflict, kExitUsage,
                         kExitUnreachable, kExitInterrupted},
          .operands_min = 1,
          .operands_max = kOperandsMany,
          .word = Word::kTask,
          .run = Logs};
}

}  // namespace cube::cli
