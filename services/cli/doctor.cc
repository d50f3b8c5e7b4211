// cube doctor: looks at server, streams, managers and nodes, and says what is wrong and what to do.
#include <fmt/format.h>

#include "services/cli/commands.h"
#include "services/cli/doctor_checks.h"
#include "services/cli/exit_code.h"
#include "services/cli/render/format.h"
#include "services/cli/render/text.h"
#include "services/cli/session.h"
#include "services/cli/show.h"
#include "shared/wire/codec.h"

namespace cube::cli {
namespace {

constexpr int kGreen = 32;
constexpr int kYellow = 33;
constexpr int kRed = 31;
constexpr std::size_t kLevelWidth = 9;   // "warning" and a gap
constexpr std::size_t kCheckWidth = 12;  // "durability" and a gap
// Heartbeats are asked for one node at a time; more nodes than this say no more about clocks.
constexpr std::size_t kBeatsMax = 1'000;

Result<DoctorSight> Look(Client& client) {
  DoctorSight sight;
  const wire::Subjects& names = client.subjects();
  sight.server = client.ServerUrl();
  sight.version = client.ServerVersion();
  sight.decisions_stream = names.DecisionsStream();
  sight.sized = {names.IntentsStream(), names.DecisionsStream(), names.FactsStream()};
  for (const auto& stream :
       {names.IntentsStream(), names.DecisionsStream(), names.FactsStream(), names.DesiredStream(),
        names.SnapshotsStream(), names.HeartbeatsStream(), names.MetricsStream(),
        names.LeaseStream()}) {
    const MonoTime asked = client.Mono();
    auto state = client.State(stream);
    if (!state && state.error().code == Code::kAborted) return std::unexpected(state.error());
    if (sight.streams.empty()) sight.round_trip = client.Mono() - asked;
    sight.streams.push_back({stream, std::move(state)});
  }
  sight.cluster = client.Query("cluster", {});
  if (!sight.cluster) {
    if (sight.cluster.error().code == Code::kAborted) return std::unexpected(sight.cluster.error());
    return sight;
  }
  // Whatever fails from here on leaves the rest to be diagnosed.
  auto nodes = client.Nodes();
  if (!nodes) {
    if (nodes.error().code == Code::kAborted) return std::unexpected(nodes.error());
    sight.cluster = std::unexpected(nodes.error());
    return sight;
  }
  sight.nodes = *std::move(nodes);
  for (const auto& node : sight.nodes) {
    if (node.status() == "down" || sight.beats.size() >= kBeatsMax) continue;
    const auto got = client.GetLast(names.HeartbeatsStream(), names.Heartbeat(node.name()));
    if (!got && got.error().code == Code::kAborted) return std::unexpected(got.error());
    if (!got) break;
    const auto& message = *got;
    if (!message) continue;
    if (const auto beat = wire::DecodeHeartbeat(message->payload)) {
      sight.beats.push_back({node.name(), beat->sent_at, message->time});
    }
  }
  return sight;
}

// Below each other on a terminal, in its width; a line each when piped.
void PrintText(const Terminal& terminal, std::string_view text, std::size_t width) {
  constexpr std::size_t kIndent = kLevelWidth + kCheckWidth;
  const std::size_t room = width > 2 * kIndent ? width - kIndent : 0;
  bool first = true;
  for (const auto& line : Wrap(Printable(text), room)) {
    if (!first) terminal.out << std::string(kIndent, ' ');
    first = false;
    terminal.out << line << "\n";
  }
}

void Print(const Terminal& terminal, const Finding& finding, std::size_t width) {
  const int color = finding.level == Level::kOk        ? kGreen
                    : finding.level == Level::kWarning ? kYellow
                                                       : kRed;
  std::string level = fmt::format("{:<{}}", LevelName(finding.level), kLevelWidth);
  if (terminal.color) level = fmt::format("\x1b[{}m{}\x1b[0m", color, level);
  terminal.out << level << fmt::format("{:<{}}", finding.check, kCheckWidth);
  PrintText(terminal, finding.text, width);
  if (finding.remedy.empty()) return;
  terminal.out << std::string(kLevelWidth + kCheckWidth, ' ');
  PrintText(terminal, "-> " + finding.remedy, width);
}

Result<int> Doctor(Session& session) {
  CUBE_TRY(Client * client, session.client());
  CUBE_TRY(const DoctorSight sight, Look(*client));
  const auto findings = Diagnose(sight);
  const Format format = FormatOf(session.args());
  if (format == Format::kJson || format == Format::kYaml) {
    ShowJson(session, ToJson(findings));
  } else {
    for (const auto& finding : findings) {
      if (format == Format::kName) {
        session.terminal().out << finding.check << "\n";
      } else {
        Print(session.terminal(), finding, LayoutOf(session.args(), session.terminal()).width);
      }
    }
  }
  return AllWell(findings) ? kExitDone : kExitFailed;
}

}  // namespace

CommandSpec DoctorCommand() {
  return {.name = "doctor",
          .summary = "Check server, streams, managers, nodes and clocks, and say what to do.",
          .flags = ShowFlags(),
          .examples = {{"is everything well?", "cube doctor"},
                       {"the same for a program", "cube doctor -o json"}},
          .exit_codes = {kExitDone, kExitFailed, kExitUsage, kExitUnreachable, kExitInterrupted},
          .run = Doctor};
}

}  // namespace cube::cli
