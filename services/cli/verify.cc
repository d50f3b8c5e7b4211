// cube verify: replays the log, and compares every service's view with it.
#include "services/cli/commands.h"
#include "services/cli/exit_code.h"
#include "services/cli/render/format.h"
#include "services/cli/session.h"
#include "services/cli/show.h"
#include "services/cli/verify/verifier.h"

namespace cube::cli {
namespace {

Result<int> Verify(Session& session) {
  CUBE_TRY(const auto timeout, session.args().Time("timeout"));
  CUBE_TRY(Client * client, session.client());
  Progress progress(session.terminal());
  Verifier verifier(*client, progress, timeout.value_or(std::chrono::minutes(1)));
  CUBE_TRY(const VerifyReport report, verifier.Run(session.args().Has("offline")));
  const Format format = FormatOf(session.args());
  if (format == Format::kJson || format == Format::kYaml) {
    ShowJson(session, ToJson(report));
  } else if (format == Format::kName) {
    for (const Compared& compared : report.compared) {
      if (compared.verdict == Verdict::kDiffers) {
        session.terminal().out << compared.kind << "/" << compared.name << "\n";
      }
    }
  } else {
    session.terminal().out << ToText(report, LayoutOf(session.args(), session.terminal()));
  }
  return ExitCodeOf(report);
}

}  // namespace

CommandSpec VerifyCommand() {
  CommandSpec spec = {
      .name = "verify",
      .summary =
          "Replay the log, compare every service's view with it, and show what differs "
          "first.",
      .flags = ShowFlags(),
      .examples = {{"is everybody of one mind?", "cube verify"},
                   {"only what is stored: the log, complete sets, snapshots",
                    "cube verify --offline"}},
      .exit_codes = {kExitDone, kExitFailed, kExitNotConverged, kExitUsage, kExitUnreachable,
                     kExitInterrupted},
      .run = Verify};
  spec.flags.insert(spec.flags.begin(),
                    {{.name = "offline", .help = "ask no manager and no worker"},
                     {.name = "timeout",
                      .value = "TIME",
                      .help = "how long one of them may take for its answer",
                      .fallback = "1m"}});
  return spec;
}

}  // namespace cube::cli
