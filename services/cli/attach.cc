#include "services/cli/attach.h"

#include <fmt/format.h>

#include "services/cli/exit_code.h"
#include "services/cli/interrupt.h"
#include "services/cli/line_writer.h"
#include "services/cli/log_streams.h"
#include "services/cli/views.h"

namespace cube::cli {
namespace {

// 125 to 127 as docker run has them: what never ran has no code of its own.
int ExitCodeOfTask(const v1::TaskView& task) {
  if (task.status() == "completed") return kExitDone;
  if (task.has_exit_code() && task.exit_code() > 0) return task.exit_code() & 0xff;
  return task.started_at_ns() == 0 ? kExitNotStarted : kExitFailed;
}

}  // namespace

Result<int> AttachTask(Session& session, Client& client, const std::string& id,
                       MonoTime placed_by) {
  const Terminal& terminal = session.terminal();
  LineWriter writer(terminal, {});
  LogStreams streams(
      client, {.follow = true, .tail = std::nullopt, .since_ns = 0},
      [&](const std::string& task, const v1::LogsChunk& chunk) {
        writer.Write(task, chunk.is_stderr(), chunk.time_ns(), chunk.data());
      },
      [&](const std::string& text, bool) { terminal.Say(text); });
  CUBE_TRY(auto task, client.Task(id));
  streams.Add(task);
  const auto ended = streams.Run([&] {
    return !Interrupted() && terminal.out.good() && (streams.placed() || client.Mono() < placed_by);
  });
  if (Interrupted()) {
    terminal.Say(
        fmt::format("detached; {} goes on. 'cube logs -f {}' shows its output again, "
                    "'cube stop {}' ends it",
                    id, id, id));
    return kExitInterrupted;
  }
  CUBE_TRY_VOID(ended);
  CUBE_TRY(task, client.Task(id));
  if (!IsFinished(task.status())) {
    terminal.Say(fmt::format("{} has not been placed: {}. It stays: 'cube stop {}' ends it", id,
                             StatusSentence(task), id));
    return kExitNotConverged;
  }
  if (task.status() != "completed") {
    terminal.Say(fmt::format("{}: {}", id, StatusSentence(task)));
  }
  return ExitCodeOfTask(task);
}

}  // namespace cube::cli
