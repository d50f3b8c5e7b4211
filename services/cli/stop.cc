// cube stop: ends tasks and jobs and waits until they have ended.
#include <fmt/format.h>

#include <algorithm>

#include "services/cli/commands.h"
#include "services/cli/exit_code.h"
#include "services/cli/intents.h"
#include "services/cli/interrupt.h"
#include "services/cli/job.h"
#include "services/cli/resolve.h"
#include "services/cli/session.h"
#include "services/cli/views.h"
#include "services/cli/watch.h"

namespace cube::cli {
namespace {

// The first failure decides the exit code; the other tasks are stopped all the same.
class Outcomes {
 public:
  explicit Outcomes(const Terminal& terminal) : terminal_(terminal) {}
  void Failed(const std::string& text, int code) {
    terminal_.Say(text);
    if (exit_code_ == kExitDone) exit_code_ = code;
  }
  [[nodiscard]] int exit_code() const { return exit_code_; }

 private:
  const Terminal& terminal_;
  int exit_code_ = kExitDone;
};

// Which tasks are meant. What cannot be resolved is reported; the error is for the whole command.
Result<std::vector<StopTask>> Resolve(Session& session, Client& client,
                                      const std::vector<std::string>& words, Outcomes& outcomes) {
  const Terminal& terminal = session.terminal();
  CUBE_TRY(const auto grace, session.args().Time("time"));
  std::vector<StopTask> tasks;
  std::set<std::string> seen;
  for (const auto& word : words) {
    const auto task = client.Find(word);
    if (!task) {
      const Code code = task.error().code;
      if (code != Code::kNotFound && code != Code::kConflict) return std::unexpected(task.error());
      outcomes.Failed(task.error().Text(), ExitCodeOf(task.error()));
      continue;
    }
    const auto exact = CheckExactEnough(word, {task->id(), task->spec().name()});
    if (!exact) {
      outcomes.Failed(exact.error().Text(), kExitUsage);
      continue;
    }
    if (!task->job().empty()) {
      outcomes.Failed(fmt::format("{} is a task of job {}, which keeps it running: 'cube job scale "
                                  "{} N' changes their number, 'cube stop {}' ends them all",
                                  task->id(), task->job(), task->job(), task->job()),
                      kExitFailed);
      continue;
    }
    if (!seen.insert(task->id()).second) continue;
    if (IsFinished(task->status())) {
      terminal.err << fmt::format("{} had ended already: {}", task->id(), StatusSentence(*task))
                   << std::endl;
      terminal.out << task->id() << std::endl;
      continue;
    }
    tasks.push_back({TaskId::Trusted(task->id()), grace});
  }
  return tasks;
}

int ReportWaiting(const Terminal& terminal, const TaskWatch& watch, std::string_view timeout) {
  for (const auto& id : watch.waiting()) {
    const auto it = watch.tasks().find(id);
    terminal.Say(fmt::format(
        "{} has not ended after {}: {}. The stop stands; 'cube status {}' follows it", id, timeout,
        it == watch.tasks().end() ? "nothing is known of it" : StatusSentence(it->second), id));
  }
  return kExitNotConverged;
}

// Words that mean jobs; the others stay.
Result<std::vector<std::string>> JobsOf(Client& client, std::vector<std::string>& words) {
  std::vector<std::string> jobs;
  for (const auto& word : words) {
    CUBE_TRY(const auto job, JobMeant(client, word));
    if (job) jobs.push_back(word);
  }
  std::erase_if(words, [&jobs](const std::string& word) {
    return std::ranges::find(jobs, word) != jobs.end();
  });
  return jobs;
}

Result<int> StopTasksAndWait(Session& session, Client* client,
                             const std::vector<std::string>& words) {
  const Args& args = session.args();
  const Terminal& terminal = session.terminal();
  CUBE_TRY(const auto timeout, args.Time("timeout"));
  Outcomes outcomes(terminal);
  CUBE_TRY(const auto tasks, Resolve(session, *client, words, outcomes));
  if (tasks.empty()) return outcomes.exit_code();

  std::vector<std::string> ids;
  for (const auto& task : tasks) ids.push_back(task.id.str());
  Progress progress(terminal);
  TaskWatch watch(*client, progress, Goal::kEnded, ids);
  CUBE_TRY(const IntentResult sent, StopTasks(*client, tasks));
  for (const auto& [id, item] : sent.items) {
    if (item.status != "refused") continue;
    watch.Forget(id);
    std::erase(ids, id);
    outcomes.Failed(fmt::format("{} cannot be stopped: {}", id, item.error.Text()),
                    item.error.code == Code::kInvalid ? kExitFailed : ExitCodeOf(item.error));
  }
  if (!sent.manager_heard) {
    terminal.Say("the stop is in the log and will be decided on, but no manager answers now");
    return args.Has("detach") ? outcomes.exit_code() : kExitUnreachable;
  }
  if (!args.Has("detach")) {
    const MonoTime deadline =
        timeout && *timeout > Duration{0} ? client->In(*timeout) : MonoTime::max();
    const auto ended = watch.Wait(deadline, sent.last_intent);
    progress.Clear();
    if (Interrupted()) {
      terminal.Say("stopped watching; the stop goes on. 'cube ps -a' shows the tasks");
      return kExitInterrupted;
    }
    if (!ended) return std::unexpected(ended.error());
    if (!*ended) return ReportWaiting(terminal, watch, args.Text("timeout"));
  }
  for (const auto& id : ids) terminal.out << id << std::endl;
  return outcomes.exit_code();
}

Result<int> Stop(Session& session) {
  CUBE_TRY(const auto grace, session.args().Time("time"));
  CUBE_TRY(Client * client, session.client());
  std::vector<std::string> words = session.args().operands;
  CUBE_TRY(const auto jobs, JobsOf(*client, words));
  int exit_code = kExitDone;
  if (!words.empty()) {
    CUBE_TRY(exit_code, StopTasksAndWait(session, client, words));
  }
  for (const auto& job : jobs) {
    CUBE_TRY(const int code, StopJobAndWait(session, *client, job, grace));
    if (exit_code == kExitDone) exit_code = code;
  }
  return exit_code;
}

}  // namespace

CommandSpec StopCommand() {
  return {
      .name = "stop",
      .summary = "Stop tasks or jobs, in whatever state they are, and wait until they have ended.",
      .operands = "TASK|JOB...",
      .flags = {{.name = "time",
                 .letter = 't',
                 .value = "SECONDS",
                 .help = "time between the stop signal and SIGKILL (default: the task's own, "
                         "10 s)"},
                {.name = "detach", .letter = 'd', .help = "return as soon as it is accepted"},
                {.name = "timeout",
                 .value = "TIME",
                 .help = "how long to wait for the end; 0 = for ever",
                 .fallback = "5m"}},
      .examples =
          {{"by name, by id (its beginning will do, if it is more than the name), or a whole job",
            "cube stop web"},
           {"two at once, killed if they have not ended after 2 seconds",
            "cube stop -t 2 web-k3x7 worker-7f2m5tzc"}},
      .exit_codes = {kExitDone, kExitFailed, kExitNotConverged, kExitNotFound, kExitConflict,
                     kExitUsage, kExitUnreachable, kExitInterrupted},
      .operands_min = 1,
      .operands_max = kOperandsMany,
      .word = Word::kTask,
      .run = Stop};
}

}  // namespace cube::cli
