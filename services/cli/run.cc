// cube run: submits tasks and shows them come up.
#include <fmt/format.h>

#include "services/cli/attach.h"
#include "services/cli/commands.h"
#include "services/cli/exit_code.h"
#include "services/cli/intents.h"
#include "services/cli/interrupt.h"
#include "services/cli/job.h"
#include "services/cli/session.h"
#include "services/cli/spec_file.h"
#include "services/cli/spec_flags.h"
#include "services/cli/views.h"
#include "services/cli/watch.h"

namespace cube::cli {
namespace {

// What to submit: a job, or tasks, each with an id.
Result<SpecFile> WhatToRun(Session& session) {
  const Args& args = session.args();
  SpecFile what;
  if (const auto file = args.Get("file")) {
    const auto given = SpecFlagsGiven(args);
    if (!given.empty() || !args.operands.empty()) {
      return Fail(Code::kInvalid, fmt::format("-f takes all of it from the file: leave out {}",
                                              given.empty() ? "the image" : "--" + given.front()));
    }
    CUBE_TRY(what, ReadSpecFile(*file));
  } else if (args.operands.empty()) {
    return Fail(Code::kInvalid,
                "'cube run' needs an image or -f FILE: 'cube run nginx:1.25'; see 'cube run "
                "--help'");
  } else if (IsJob(args)) {
    CUBE_TRY(what.job, JobFromFlags(args, session.environment()));
  } else {
    CUBE_TRY(SubmitTask task, SpecFromFlags(args, session.environment()));
    what.tasks.push_back(std::move(task));
  }
  for (auto& task : what.tasks) {
    if (task.id.empty()) task.id = RandomTaskId(task.spec->name);
  }
  return what;
}

std::vector<std::string> IdsOf(const std::vector<SubmitTask>& tasks) {
  std::vector<std::string> ids;
  for (const auto& task : tasks) ids.push_back(task.id.str());
  return ids;
}

// Says what was refused; the exit code for it, kExitDone if nothing was.
int ReportRefused(const Terminal& terminal, const IntentResult& sent) {
  int exit_code = kExitDone;
  for (const auto& [id, item] : sent.items) {
    if (item.status != "refused") continue;
    terminal.Say(
        fmt::format("{} was refused: {}", id.empty() ? "the task" : id, item.error.Text()));
    const int code = item.error.code == Code::kConflict ? kExitConflict : kExitFailed;
    if (exit_code == kExitDone) exit_code = code;
  }
  return exit_code;
}

std::string NoManagerText(const std::vector<std::string>& ids) {
  return fmt::format(
      "{} in the log and will be decided on, but no manager answers now. Is one running? Start it "
      "with 'cube manager'; 'cube status {}' will tell",
      ids.size() == 1 ? ids.front() + " is" : fmt::format("{} tasks are", ids.size()), ids.front());
}

// What became of the tasks after the waiting; the exit code for it.
int ReportStates(const Terminal& terminal, const TaskWatch& watch,
                 const std::vector<std::string>& ids) {
  int exit_code = kExitDone;
  for (const auto& id : ids) {
    const auto it = watch.tasks().find(id);
    if (it == watch.tasks().end()) continue;
    const auto& task = it->second;
    const bool good = task.status() == "running" || task.status() == "completed";
    if (!good && IsFinished(task.status())) {
      const std::string hint =
          task.started_at_ns() == 0 ? "" : fmt::format(". 'cube logs {}' shows its output", id);
      terminal.Say(fmt::format("{}: {}{}", id, StatusSentence(task), hint));
      exit_code = kExitFailed;
    } else if (!task.ports().empty()) {
      terminal.err << id << ": " << PortsText(task) << std::endl;
    }
  }
  return exit_code;
}

int ReportTimeout(const Terminal& terminal, const TaskWatch& watch, std::string_view timeout) {
  for (const auto& id : watch.waiting()) {
    const auto it = watch.tasks().find(id);
    terminal.Say(fmt::format(
        "{} is not {} after {}: {}. It stays: 'cube status {}' follows it, 'cube stop {}' ends it",
        id, MissedGoal(it == watch.tasks().end() ? v1::TaskView{} : it->second), timeout,
        it == watch.tasks().end() ? "nothing is known of it yet" : StatusSentence(it->second), id,
        id));
  }
  const bool heard = !watch.tasks().empty();
  return heard ? kExitNotConverged : kExitUnreachable;
}

int ReportInterrupt(const Terminal& terminal, const std::vector<std::string>& ids) {
  terminal.Say(fmt::format(
      "stopped watching; {} on. 'cube status {}' follows, 'cube stop {}' ends "
      "it",
      ids.size() == 1 ? ids.front() + " goes" : "the tasks go", ids.front(), ids.front()));
  return kExitInterrupted;
}

Result<int> RunTasks(Session& session, const std::vector<SubmitTask>& tasks) {
  const Args& args = session.args();
  const Terminal& terminal = session.terminal();
  const std::vector<std::string> ids = IdsOf(tasks);
  if (args.Has("attach") && (args.Has("detach") || ids.size() != 1)) {
    return Fail(Code::kInvalid, "--attach needs exactly one task, and cannot go with --detach");
  }
  CUBE_TRY(const auto timeout, args.Time("timeout"));
  CUBE_TRY(Client * client, session.client());
  const MonoTime deadline =
      timeout && *timeout > Duration{0} ? client->In(*timeout) : MonoTime::max();

  Progress progress(terminal);
  TaskWatch watch(*client, progress, args.Has("attach") ? Goal::kEnded : Goal::kUp, ids);
  CUBE_TRY(const IntentResult sent, SubmitTasks(*client, tasks));
  const int refused = ReportRefused(terminal, sent);
  std::vector<std::string> accepted;
  for (const auto& id : ids) {
    const auto item = sent.items.find(id);
    if (item != sent.items.end() && item->second.status == "refused") {
      watch.Forget(id);
      continue;
    }
    accepted.push_back(id);
    (args.Has("attach") ? terminal.err : terminal.out) << id << std::endl;
  }
  if (accepted.empty()) return refused;
  if (!sent.manager_heard) {
    terminal.Say(NoManagerText(accepted));
    return args.Has("detach") ? kExitDone : kExitUnreachable;
  }
  if (args.Has("detach")) return refused;
  if (args.Has("attach")) return AttachTask(session, *client, accepted.front(), deadline);
  const auto up = watch.Wait(deadline, sent.last_intent);
  progress.Clear();
  if (Interrupted()) return ReportInterrupt(terminal, accepted);
  if (!up) return std::unexpected(up.error());
  const int exit_code = ReportStates(terminal, watch, accepted);
  if (!*up) return ReportTimeout(terminal, watch, args.Text("timeout"));
  return exit_code != kExitDone ? exit_code : refused;
}

Result<int> Run(Session& session) {
  CUBE_TRY(const SpecFile what, WhatToRun(session));
  return what.job ? RunJob(session, *what.job) : RunTasks(session, what.tasks);
}

}  // namespace

CommandSpec RunCommand() {
  CommandSpec command{
      .name = "run",
      .summary = "Run a task or a job: submit it, show it come up, and return when it runs.",
      .operands = "IMAGE [COMMAND...]  |  -f [FILE]",
      .flags = {{.name = "file",
                 .letter = 'f',
                 .value = "FILE",
                 .help = "take the task, a list of tasks, or a job from a YAML or JSON file; - "
                         "reads standard input",
                 .value_if_bare = "task.json",
                 .word = Word::kFile},
                {.name = "detach", .letter = 'd', .help = "return as soon as it is accepted"},
                {.name = "attach",
                 .help = "stream its output until it ends, and return its exit code"},
                {.name = "timeout",
                 .value = "TIME",
                 .help = "how long to wait until it runs; 0 = for ever",
                 .fallback = "5m"}},
      .examples =
          {{"a web server, its port 80 published on port 8080 of its node",
            "cube run --name web -p 8080:80 -m 256m nginx:1.25"},
           {"three of them, kept alive as one job; -f web.yaml takes tasks or a job from a file",
            "cube run --name web --replicas 3 -p 80 nginx:1.25"}},
      .exit_codes = {kExitDone, kExitFailed, kExitNotConverged, kExitConflict, kExitUsage,
                     kExitUnreachable, kExitNotStarted, kExitNotExecutable, kExitNoSuchCommand,
                     kExitInterrupted},
      .operands_max = kOperandsMany,
      .flags_end_at_operand = true,
      .run = Run};
  const auto more = SpecFlags();
  command.flags.insert(command.flags.end(), more.begin(), more.end());
  return command;
}

}  // namespace cube::cli
