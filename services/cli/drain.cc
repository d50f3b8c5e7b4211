#include "services/cli/drain.h"

#include <fmt/format.h>

#include <algorithm>

#include "services/cli/exit_code.h"
#include "services/cli/intents.h"
#include "services/cli/interrupt.h"
#include "services/cli/render/values.h"
#include "services/cli/resolve.h"
#include "shared/domain/rules.h"

namespace cube::cli {
namespace {

// How often a manager is asked how far a drain is.
constexpr Duration kLookInterval = std::chrono::milliseconds(300);

// The nodes that were named, each once: exact names only.
Result<std::vector<NodeName>> NodesOf(Session& session, Client& client) {
  CUBE_TRY(const auto nodes, client.Nodes());
  std::vector<std::string> known;
  for (const auto& node : nodes) known.push_back(node.name());
  std::vector<NodeName> named;
  for (const auto& word : session.args().operands) {
    CUBE_TRY(const std::string name, ResolveNode(word, known));
    if (name != word) {
      return Fail(
          Code::kInvalid,
          fmt::format("'{}' is not a whole name: it means {} today. Give that name", word, name));
    }
    NodeName node = NodeName::Trusted(name);
    if (std::ranges::find(named, node) == named.end()) named.push_back(std::move(node));
  }
  return named;
}

// Says what was refused; -> the exit code, kExitDone if nothing was.
int Report(const Terminal& terminal, const IntentResult& sent) {
  int exit_code = kExitDone;
  for (const auto& [name, item] : sent.items) {
    if (item.status != "refused") continue;
    terminal.Say(fmt::format("{}: {}", name, item.error.Text()));
    if (exit_code == kExitDone) exit_code = ExitCodeOf(item.error);
  }
  if (!sent.manager_heard) {
    terminal.Say("it is in the log and will be decided on, but no manager answers now");
    if (exit_code == kExitDone) exit_code = kExitUnreachable;
  }
  return exit_code;
}

Result<int> Cordon(Session& session, bool cordon) {
  CUBE_TRY(Client * client, session.client());
  CUBE_TRY(const auto nodes, NodesOf(session, *client));
  CUBE_TRY(const IntentResult sent, SendCordon(*client, nodes, cordon));
  const int exit_code = Report(session.terminal(), sent);
  if (exit_code != kExitDone) return exit_code;
  for (const NodeName& node : nodes) session.terminal().out << node.str() << std::endl;
  return kExitDone;
}

// Follows the drains of some nodes.
class DrainWatch {
 public:
  DrainWatch(Session& session, Client& client, std::vector<NodeName> nodes)
      : session_(session),
        client_(client),
        progress_(session.terminal()),
        waiting_(std::move(nodes)) {}

  // -> the exit code.
  Result<int> Wait(MonoTime deadline, std::uint64_t min_intent) {
    const Terminal& terminal = session_.terminal();
    const MonoTime started = client_.Mono();
    bool lifted = false;
    for (;;) {
      CUBE_TRY_VOID(Look(min_intent, started, lifted));
      if (waiting_.empty()) break;
      if (Interrupted()) {
        progress_.Clear();
        terminal.Say("stopped watching; the drain goes on. 'cube node uncordon' ends it");
        return kExitInterrupted;
      }
      if (client_.Mono() >= deadline) return TimedOut();
      const auto woken = client_.Next(std::min(deadline, client_.In(kLookInterval)));
      if (!woken && !Interrupted()) return std::unexpected(woken.error());
    }
    progress_.Clear();
    return lifted ? kExitFailed : kExitDone;
  }

 private:
  Result<void> Look(std::uint64_t min_intent, MonoTime started, bool& lifted) {
    const auto nodes = client_.Nodes(min_intent);
    if (!nodes) {
      const Code code = nodes.error().code;
      const bool later = code == Code::kUnavailable || code == Code::kTimedOut ||
                         (code == Code::kAborted && Interrupted());
      if (!later) return std::unexpected(nodes.error());
      if (!Interrupted()) progress_.Step("no manager answers; waiting for one");
      return {};
    }
    std::string now;
    for (const v1::NodeView& node : *nodes) {
      const NodeName name = NodeName::Trusted(node.name());
      if (std::ranges::find(waiting_, name) == waiting_.end()) continue;
      if (!node.cordoned()) {
        session_.terminal().Say(node.name() + ": the drain was called off");
        lifted = true;
      } else if (node.tasks() == 0) {
        progress_.Step(fmt::format("{}: drained", node.name()));
        session_.terminal().out << node.name() << std::endl;
      } else {
        const std::string left = fmt::format("{}: {} task{} left", node.name(), node.tasks(),
                                             node.tasks() == 1 ? "" : "s");
        if (shown_[name] != node.tasks()) progress_.Step(left);
        shown_[name] = node.tasks();
        now =
            left + (node.tasks_moving() > 0 ? fmt::format(", {} moving", node.tasks_moving()) : "");
        continue;
      }
      std::erase(waiting_, name);
    }
    if (!now.empty()) {
      progress_.Waiting(fmt::format("{} ({})", now, FormatSpan(client_.Mono() - started)));
    }
    return {};
  }

  int TimedOut() {
    progress_.Clear();
    for (const NodeName& name : waiting_) {
      session_.terminal().Say(fmt::format(
          "{} is not drained after {}: {} tasks are left. The drain goes on; 'cube ps --node {}' "
          "shows them",
          name.str(), session_.args().Text("timeout"), shown_[name], name.str()));
    }
    return kExitNotConverged;
  }

  Session& session_;
  Client& client_;
  Progress progress_;
  std::vector<NodeName> waiting_;
  std::map<NodeName, std::uint32_t> shown_;  // tasks left
};

}  // namespace

Result<int> CordonNodes(Session& session) { return Cordon(session, true); }
Result<int> UncordonNodes(Session& session) { return Cordon(session, false); }

Result<int> DrainNodes(Session& session) {
  const Args& args = session.args();
  CUBE_TRY(const auto tasks_may_stay, args.Time("deadline"));
  CUBE_TRY(const auto timeout, args.Time("timeout"));
  if (tasks_may_stay) {
    if (auto good = CheckDrainDeadline(*tasks_may_stay, "--deadline"); !good) {
      return std::unexpected(std::move(good).error());
    }
  }
  CUBE_TRY(Client * client, session.client());
  CUBE_TRY(const auto nodes, NodesOf(session, *client));
  std::vector<DrainNode> drains;
  for (const NodeName& node : nodes) drains.push_back({node, tasks_may_stay});
  CUBE_TRY(const IntentResult sent, SendDrain(*client, drains));
  const int exit_code = Report(session.terminal(), sent);
  if (exit_code != kExitDone) {
    return args.Has("detach") && !sent.manager_heard ? kExitDone : exit_code;
  }
  if (args.Has("detach")) {
    for (const NodeName& node : nodes) session.terminal().out << node.str() << std::endl;
    return kExitDone;
  }
  const MonoTime deadline =
      timeout && *timeout > Duration{0} ? client->In(*timeout) : MonoTime::max();
  return DrainWatch(session, *client, nodes).Wait(deadline, sent.last_intent);
}

}  // namespace cube::cli
