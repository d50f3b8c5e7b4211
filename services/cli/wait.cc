// cube wait: returns when tasks have ended.
#include <fmt/format.h>

#include "services/cli/commands.h"
#include "services/cli/exit_code.h"
#include "services/cli/interrupt.h"
#include "services/cli/session.h"
#include "services/cli/views.h"
#include "services/cli/watch.h"

namespace cube::cli {
namespace {

Result<int> Wait(Session& session) {
  const Terminal& terminal = session.terminal();
  CUBE_TRY(const auto timeout, session.args().Time("timeout"));
  CUBE_TRY(Client * client, session.client());
  std::vector<std::string> ids;
  for (const auto& word : session.args().operands) {
    CUBE_TRY(const auto task, client->Find(word));
    ids.push_back(task.id());
  }
  Progress progress(terminal);
  TaskWatch watch(*client, progress, Goal::kEnded, ids);
  const MonoTime deadline =
      timeout && *timeout > Duration{0} ? client->In(*timeout) : MonoTime::max();
  const auto ended = watch.Wait(deadline, 0);
  progress.Clear();
  if (Interrupted()) {
    terminal.Say("stopped waiting; the tasks go on");
    return kExitInterrupted;
  }
  if (!ended) return std::unexpected(ended.error());
  int exit_code = *ended ? kExitDone : kExitNotConverged;
  for (const auto& id : ids) {
    const auto it = watch.tasks().find(id);
    if (watch.waiting().contains(id) || it == watch.tasks().end()) {
      terminal.Say(fmt::format("{} has not ended within {}", id, session.args().Text("timeout")));
      continue;
    }
    // As docker wait: the exit code, one a line.
    const auto& task = it->second;
    terminal.out << (task.has_exit_code() ? std::to_string(task.exit_code()) : "-") << std::endl;
    if (task.status() != "completed" && exit_code == kExitDone) exit_code = kExitFailed;
  }
  return exit_code;
}

}  // namespace

CommandSpec WaitCommand() {
  return {.name = "wait",
          .summary = "Wait until tasks have ended and print their exit codes.",
          .operands = "TASK...",
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
