// cube wait: returns when tasks and jobs have ended.
#include <fmt/format.h>

#include <algorithm>

#include "services/cli/commands.h"
#include "services/cli/exit_code.h"
#include "services/cli/interrupt.h"
#include "services/cli/job.h"
#include "services/cli/job_watch.h"
#include "services/cli/session.h"
#include "services/cli/views.h"
#include "services/cli/watch.h"

namespace cube::cli {
namespace {

// A line for programs, and whether it ended well.
struct Ended {
  std::string line;
  bool good = false;
};

// As docker wait: the exit code.
Ended EndOf(const v1::TaskView& task) {
  return {task.has_exit_code() ? std::to_string(task.exit_code()) : "-",
          task.status() == "completed"};
}

using Ends = std::map<std::string, Ended>;

Result<void> WaitForTasks(Client& client, Progress& progress, const std::vector<std::string>& ids,
                          MonoTime deadline, Ends& ends) {
  if (ids.empty()) return {};
  TaskWatch watch(client, progress, Goal::kEnded, ids);
  CUBE_TRY_VOID(watch.Wait(deadline, 0));
  for (const auto& [id, task] : watch.tasks()) {
    if (!watch.waiting().contains(id)) ends.emplace(id, EndOf(task));
  }
  return {};
}

Result<void> WaitForJob(Client& client, Progress& progress, const std::string& name,
                        MonoTime deadline, Ends& ends) {
  JobWatch watch(client, progress, Goal::kEnded, name);
  CUBE_TRY(const bool ended, watch.Wait(deadline, 0));
  if (ended) ends.emplace(name, Ended{watch.job()->status(), watch.job()->status() == "completed"});
  return {};
}

Result<void> WaitForAll(Client& client, Progress& progress, const std::vector<std::string>& ids,
                        const std::vector<std::string>& jobs, MonoTime deadline, Ends& ends) {
  CUBE_TRY_VOID(WaitForTasks(client, progress, ids, deadline, ends));
  for (const auto& job : jobs) {
    CUBE_TRY_VOID(WaitForJob(client, progress, job, deadline, ends));
  }
  return {};
}

Result<int> Wait(Session& session) {
  const Terminal& terminal = session.terminal();
  CUBE_TRY(const auto timeout, session.args().Time("timeout"));
  CUBE_TRY(Client * client, session.client());
  std::vector<std::string> all;  // what the operands mean, in their order
  std::vector<std::string> ids;
  std::vector<std::string> jobs;
  for (const auto& word : session.args().operands) {
    CUBE_TRY(const auto job, JobMeant(*client, word));
    if (job) {
      jobs.push_back(job->name());
      all.push_back(job->name());
      continue;
    }
    CUBE_TRY(const auto task, client->Find(word));
    ids.push_back(task.id());
    all.push_back(task.id());
  }
  Progress progress(terminal);
  const MonoTime deadline =
      timeout && *timeout > Duration{0} ? client->In(*timeout) : MonoTime::max();
  Ends ends;
  const auto waited = WaitForAll(*client, progress, ids, jobs, deadline, ends);
  progress.Clear();
  if (Interrupted()) {
    terminal.Say("stopped waiting; what was waited for goes on");
    return kExitInterrupted;
  }
  CUBE_TRY_VOID(waited);
  int exit_code = kExitDone;
  if (std::ranges::any_of(all, [&ends](const auto& name) { return !ends.contains(name); })) {
    exit_code = kExitNotConverged;
  }
  for (const auto& name : all) {
    const auto end = ends.find(name);
    if (end == ends.end()) {
      terminal.Say(fmt::format("{} has not ended within {}", name, session.args().Text("timeout")));
      continue;
    }
    terminal.out << end->second.line << std::endl;
    if (!end->second.good && exit_code == kExitDone) exit_code = kExitFailed;
  }
  return exit_code;
}

}  // namespace

CommandSpec WaitCommand() {
  return {
      .name = "wait",
      .summary = "Wait until tasks or jobs have ended; print a task's exit code, a job's status.",
      .operands = "TASK|JOB...",
      .flags = {{.name = "timeout",
                 .value = "TIME",
                 .help = "how long to wait; 0 = for ever",
                 .fallback = "0"}},
      .examples = {{"one task", "cube wait backup-k3x7q2ab"},
                   {"two tasks, ten minutes at most", "cube wait --timeout 10m load index"}},
      .exit_codes = {kExitDone, kExitFailed, kExitNotConverged, kExitNotFound, kExitConflict,
                     kExitUsage, kExitUnreachable, kExitInterrupted},
      .operands_min = 1,
      .operands_max = kOperandsMany,
      .word = Word::kTask,
      .run = Wait};
}

}  // namespace cube::cli
