#include "services/cli/commands.h"

#include <fmt/format.h>

#include "services/cli/exit_code.h"
#include "services/cli/help.h"
#include "services/cli/interrupt.h"
#include "services/cli/session.h"
#include "shared/wire/codec.h"

namespace cube::cli {

CommandSpec RootCommand() {
  return {.name = "cube",
          .summary =
              "Run containers on many machines. The log is the control plane: every intent, "
              "decision and fact is a message in NATS JetStream.",
          .examples = {{"a cluster on this machine, until Ctrl-C", "cube dev"},
                       {"a task on it", "cube run --name web -p 8080:80 nginx:1.25"}},
          .exit_codes = {kExitDone, kExitFailed, kExitNotConverged, kExitNotFound, kExitConflict,
                         kExitUsage, kExitUnreachable, kExitInterrupted},
          .children = {RunCommand(),     StopCommand(),   StatusCommand(),     PsCommand(),
                       JobCommand(),     NodeCommand(),   TopCommand(),        EventsCommand(),
                       LogsCommand(),    ExecCommand(),   WhyCommand(),        TaskCommand(),
                       WaitCommand(),    DoctorCommand(), VerifyCommand(),     DevCommand(),
                       ManagerCommand(), WorkerCommand(), CompletionCommand(), VersionCommand(),
                       CompleteCommand()}};
}

int Main(std::vector<std::string> words, const Terminal& terminal, Environment environment) {
  wire::QuietProtobuf();
  const CommandSpec root = RootCommand();
  // What people of other tools try first.
  if (words == std::vector<std::string>{"--version"} || words == std::vector<std::string>{"-v"}) {
    terminal.out << "cube " << CUBE_VERSION << "\n";
    return kExitDone;
  }
  if (!words.empty() && words.front() == "help") {
    words.erase(words.begin());
    words.emplace_back("--help");
  }
  if (words.empty()) {
    terminal.err << RenderHelp({&root});
    return kExitUsage;
  }
  auto invocation = Parse(root, words);
  if (!invocation) {
    terminal.Say(invocation.error().Text());
    return kExitUsage;
  }
  if (invocation->help) {
    terminal.out << RenderHelp(invocation->path);
    return kExitDone;
  }
  const CommandSpec& command = *invocation->path.back();
  Terminal shown = terminal;
  if (invocation->args.Has("no-color")) shown.color = false;
  Session session(root, std::move(*invocation), shown, std::move(environment));
  const auto result = command.run(session);
  shown.out.flush();
  if (result) return *result;
  if (Interrupted()) return kExitInterrupted;
  shown.Say(result.error().Text());
  return ExitCodeOf(result.error());
}

}  // namespace cube::cli
