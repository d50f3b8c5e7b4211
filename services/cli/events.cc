// cube events: the log, readable.
#include <fmt/format.h>

#include "services/cli/commands.h"
#include "services/cli/event_lines.h"
#include "services/cli/exit_code.h"
#include "services/cli/history.h"
#include "services/cli/interrupt.h"
#include "services/cli/render/format.h"
#include "services/cli/session.h"
#include "services/cli/since.h"

namespace cube::cli {
namespace {

// -f: how often the streams are looked at when the feed says nothing; a decision that nobody is
// told of (nodes, terms) shows up that late.
constexpr Duration kLookInterval = std::chrono::milliseconds(500);
// -f: what no decision covers after this time is shown all the same; no manager leads then.
constexpr Duration kOrderWait = std::chrono::seconds(2);

// Shows items in the format that is asked for.
class Printer {
 public:
  explicit Printer(Session& session)
      : out_(session.terminal().out),
        format_(FormatOf(session.args())),
        lines_(LayoutOf(session.args(), session.terminal()), /*task=*/true,
               [this](const std::string& line) { out_ << line; }) {}

  void Show(const LogItem& item) {
    if (format_ == Format::kJson) {
      out_ << ToJsonLine(item.ToJson());
    } else if (format_ == Format::kYaml) {
      out_ << "---\n" << ToYamlText(item.ToJson());
    } else if (format_ == Format::kName) {
      if (item.task.empty() && item.node.empty()) return;
      out_ << (item.task.empty() ? item.node : item.task) << "\n";
    } else {
      lines_.Add(item);
    }
  }
  void Flush() {
    if (format_ == Format::kTable || format_ == Format::kWide) lines_.Flush();
    out_.flush();
  }

 private:
  std::ostream& out_;
  const Format format_;
  EventLines lines_;
};

// Shows what comes, until Ctrl-C or until nobody reads our output any more.
Result<int> Follow(Session& session, Client& client, History& history,
                   const std::function<void(const LogItem&)>& show) {
  const bus::SubId feed = client.Listen(client.subjects().EventsAll());
  MonoTime waiting_since = MonoTime::max();  // max = nothing waits
  while (!Interrupted() && session.terminal().out.good()) {
    const auto woken = client.Next(client.In(kLookInterval));
    if (!woken && Interrupted()) break;
    CUBE_TRY_VOID(woken);
    const auto read = history.ReadOn(false, show);
    if (!read && Interrupted()) break;
    CUBE_TRY_VOID(read);
    if (!history.waiting()) {
      waiting_since = MonoTime::max();
    } else if (waiting_since == MonoTime::max()) {
      waiting_since = client.Mono();
    } else if (client.Mono() - waiting_since > kOrderWait) {
      history.Flush(show);
      waiting_since = MonoTime::max();
    }
    session.terminal().out.flush();
  }
  client.StopListening(feed);
  return Interrupted() ? kExitInterrupted : kExitDone;
}

Result<int> Events(Session& session) {
  const Args& args = session.args();
  CUBE_TRY(Client * client, session.client());
  CUBE_TRY(const auto since, SinceOf(args, client->Wall()));
  CUBE_TRY(auto history, since ? History::Since(*client, *since) : History::FromBeginning(*client));
  Printer printer(session);
  std::optional<LogFilter> filter;
  const auto show = [&](const LogItem& item) {
    if (!filter || filter->Matches(item)) printer.Show(item);
  };
  if (args.operands.empty()) {
    CUBE_TRY_VOID(history.ReadOn(!args.Has("follow"), show));
  } else {
    // What the word means is known only when all has been read.
    std::vector<LogItem> items;
    CUBE_TRY_VOID(
        history.ReadOn(!args.Has("follow"), [&](const LogItem& item) { items.push_back(item); }));
    auto found = FilterFor(args.operands.front(), items);
    if (!found && args.Has("follow") && found.error().code == Code::kNotFound) {
      const std::string& word = args.operands.front();
      found = LogFilter{.tasks = {word}, .name = word, .node = word};
    }
    CUBE_TRY(filter, std::move(found));
    for (const auto& item : items) show(item);
  }
  printer.Flush();
  if (!args.Has("follow")) return kExitDone;
  return Follow(session, *client, history, show);
}

}  // namespace

CommandSpec EventsCommand() {
  CommandSpec command{
      .name = "events",
      .summary = "Show the log: what was asked for, decided and seen, in the order that counts.",
      .operands = "[TASK|JOB|NODE]",
      .flags = {{.name = "follow", .letter = 'f', .help = "go on with what comes"}, SinceFlag()},
      .examples = {{"the story of one task", "cube events web-k3x7q2ab"},
                   {"what happens from now on, for a program",
                    "cube events -f --since 1s -o json"}},
      .exit_codes = {kExitDone, kExitNotFound, kExitConflict, kExitUsage, kExitUnreachable,
                     kExitInterrupted},
      .operands_max = 1,
      .word = Word::kTaskOrNode,
      .run = Events};
  const auto more = ShowFlags();
  command.flags.insert(command.flags.end(), more.begin(), more.end());
  return command;
}

}  // namespace cube::cli
