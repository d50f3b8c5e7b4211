// cube exec: a command in a running task.
#include <fmt/format.h>
#include <unistd.h>

#include "services/cli/commands.h"
#include "services/cli/exec_end.h"
#include "services/cli/exec_session.h"
#include "services/cli/exit_code.h"
#include "services/cli/session.h"
#include "services/cli/spec_flags.h"
#include "services/cli/views.h"
#include "services/cli/write_some.h"
#include "shared/domain/text.h"

namespace cube::cli {
namespace {

// Between looks at what else there is to do while our own output takes nothing.
constexpr Duration kOutputWait = std::chrono::milliseconds(200);

// What a message can carry.
Result<void> CheckTexts(const ExecOptions& options) {
  bool good = IsUtf8(options.workdir) && IsUtf8(options.user);
  for (const std::string& word : options.command) good = good && IsUtf8(word);
  for (const auto& [name, value] : options.env) good = good && IsUtf8(name) && IsUtf8(value);
  if (good) return {};
  return Fail(Code::kInvalid, "the command and its variables must be UTF-8");
}

Result<int> Exec(Session& session) {
  const Args& args = session.args();
  const Terminal& terminal = session.terminal();
  ExecOptions options;
  // The end of the flags may be said behind the task too, as kubectl has it.
  const bool marked = args.operands.size() > 2 && args.operands[1] == "--";
  options.command.assign(args.operands.begin() + (marked ? 2 : 1), args.operands.end());
  options.workdir = args.Text("workdir");
  options.user = args.Text("user");
  options.input = args.Has("interactive");
  for (const auto& text : args.All("env")) {
    CUBE_TRY_VOID(AddVariable("env", text, session.environment(), options.env));
  }
  CUBE_TRY_VOID(CheckTexts(options));
  CUBE_TRY(Client * client, session.client());
  CUBE_TRY(const auto task, client->Find(args.operands.front()));
  if (task.node().empty() || IsFinished(task.status())) {
    terminal.Say(fmt::format("{} does not run: {}", task.id(), StatusSentence(task)));
    return kExitNotStarted;
  }
  options.task = task.id();
  options.attempt = task.attempt();
  options.node = task.node();
  terminal.out.flush();
  ExecSession exec(*client, std::move(options),
                   {.on_output =
                        [](bool is_stderr, std::string_view bytes) {
                          return WriteSome(is_stderr ? STDERR_FILENO : STDOUT_FILENO, bytes,
                                           kOutputWait);
                        },
                    .on_notice = [&](const std::string& text) { terminal.Say(text); }});
  const ExecEnd end = exec.Run();
  if (!end.text.empty()) terminal.Say(end.text);
  return end.exit_code;
}

}  // namespace

CommandSpec ExecCommand() {
  return {.name = "exec",
          .summary = "Run a command in a running task, wherever that is; Ctrl-C ends it.",
          .operands = "TASK COMMAND [ARGUMENT...]",
          .flags = {{.name = "interactive",
                     .letter = 'i',
                     .help = "pass standard input on to the command"},
                    {.name = "env",
                     .letter = 'e',
                     .value = "NAME[=VALUE]",
                     .help = "set a variable; without a value it comes from this environment",
                     .repeated = true},
                    {.name = "user",
                     .letter = 'u',
                     .value = "USER[:GROUP]",
                     .help = "user that it runs as (default: the task's)"},
                    {.name = "workdir",
                     .letter = 'w',
                     .value = "PATH",
                     .help = "folder that it starts in (default: the task's)"}},
          .examples = {{"a look at a task's processes", "cube exec web ps aux"},
                       {"a dump into a database", "cube exec -i db psql -U shop <dump.sql"}},
          .exit_codes = {kExitFailed, kExitNotFound, kExitConflict, kExitUsage, kExitUnreachable,
                         kExitNotStarted, kExitNotExecutable, kExitNoSuchCommand, kExitInterrupted,
                         kExitOther},
          .interrupted = "interrupted by Ctrl-C, which ends the command",
          .operands_min = 2,
          .operands_max = kOperandsMany,
          .flags_end_at_operand = true,
          .word = Word::kTask,
          .run = Exec};
}

}  // namespace cube::cli
