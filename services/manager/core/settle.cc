#include "services/manager/core/settle.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "shared/cluster/fold.h"
#include "shared/cluster/status.h"
#include "shared/domain/assign.h"
#include "shared/domain/job.h"

namespace cube::manager {
namespace {

// A bound above an item's encoded size without its names, specification and reason.
constexpr std::size_t kHeldBytes = 128;

// Starts wait so long for nodes that have joined again and not told all they have yet.
constexpr Duration kTellMax = std::chrono::seconds(60);
static_assert(kVouchTime > kResetInterval + kTellMax);

// Where a task is held.
struct Holder {
  std::uint32_t attempt = 0;
  bool runs = false;
  NodeName node;
  friend bool operator==(const Holder&, const Holder&) = default;
};

bool HasEnded(const AttemptHeld& held) {
  return held.spec == nullptr || (held.observed && held.observed->final);
}

class Settler {
 public:
  Settler(const View& view, WallTime now, const std::set<NodeName>& back,
          const std::function<bool(DecisionItem, std::size_t)>& add)
      : view_(view), now_(now), back_(back), add_(add) {}

  void Run() {
    FindBest();
    for (const NodeName& name : view_.holding) {
      const Node& node = view_.nodes.at(name);
      if (IsToSettle(node) && !Settle(node)) return;
    }
  }

 private:
  [[nodiscard]] bool IsToSettle(const Node& node) const {
    return node.all_held && (!node.down || back_.contains(node.name));
  }

  // Of several holders of a task that may have it, that with the newest attempt counts.
  void FindBest() {
    for (const NodeName& name : view_.holding) {
      const Node& node = view_.nodes.at(name);
      if (!IsToSettle(node)) continue;
      for (const auto& [key, held] : node.held) {
        const Task* task = view_.Find(held.task);
        if (task == nullptr ? !MayVouch(node) : !WhyNotHere(*task, node, held).empty()) continue;
        Holder holder{held.attempt, !HasEnded(held), name};
        const auto [it, is_new] = best_.try_emplace(held.task, holder);
        Holder& best = it->second;
        if (std::tie(best.attempt, best.runs) < std::tie(holder.attempt, holder.runs)) {
          best = std::move(holder);
        }
      }
    }
  }

  // False: the message is full.
  bool Settle(const Node& node) {
    anew_here_ = 0;
    for (const auto& [key, held] : node.held) {
      const std::size_t size = kHeldBytes + held.task.str().size() + node.name.str().size();
      const std::string why = WhyNot(node, held);
      if (why.empty()) {
        const bool unknown = view_.Find(held.task) == nullptr;
        ReadoptAttempt readopt{node.name, held.task, held.attempt, held.placement,
                               unknown ? held.spec : nullptr};
        const std::size_t spec = unknown ? EncodedBytesMax(*held.spec) : 0;
        if (!add_(std::move(readopt), size + spec)) return false;
        if (unknown) {
          ++anew_;
          ++anew_here_;
        }
      } else if (!HasEnded(held)) {
        if (!add_(DropAttempt{node.name, held.task, held.attempt, why}, size + why.size())) {
          return false;
        }
      }
    }
    return add_(SettleNode{node.name}, kHeldBytes + node.name.str().size());
  }

  // Why the attempt does not count; empty = it does.
  [[nodiscard]] std::string WhyNot(const Node& node, const AttemptHeld& held) const {
    const std::string lost = "the log had lost this attempt, and ";
    const Task* task = view_.Find(held.task);
    if (task != nullptr) {
      if (std::string why = WhyNotHere(*task, node, held); !why.empty()) return lost + why;
    }
    const auto best = best_.find(held.task);
    if (best != best_.end() && best->second != Holder{held.attempt, !HasEnded(held), node.name}) {
      return lost + "node " + best->second.node.str() + " has attempt " +
             std::to_string(best->second.attempt);
    }
    if (task == nullptr) return WhyNotAnew(node, held, lost);
    if (IsLive(*task)) {
      return lost + "attempt " + std::to_string(task->attempt) + " is on node " + task->node.str();
    }
    if (!IsPending(*task)) {
      return lost + "its task is " + std::string(StatusName(StatusOf(*task)));
    }
    if (held.attempt <= task->attempt) {
      return lost + "the log has ended attempt " + std::to_string(task->attempt);
    }
    return {};
  }

  // Why no attempt that the node holds can be of this task; empty = it can.
  static std::string WhyNotHere(const Task& task, const Node& node, const AttemptHeld& held) {
    if (held.spec != nullptr && *held.spec != *task.spec) return "its task is another one by now";
    if (task.seldom->pinned && *task.seldom->pinned != node.name) {
      return "its task is for node " + task.seldom->pinned->str() + " only";
    }
    return {};
  }

  // Whether a task that the log does not know may come from what the node says alone: only where
  // the log may have lost one since it heard all of the node. Else whoever has the worker's key
  // could bring tasks in at any time.
  [[nodiscard]] bool MayVouch(const Node& node) const {
    if (node.settled_epoch == 0 || node.settled_epoch < view_.reset_epoch) return true;
    return IsSet(view_.reset_at) && now_ - view_.reset_at < kVouchTime;
  }

  // Of a task that the log has lost too.
  [[nodiscard]] std::string WhyNotAnew(const Node& node, const AttemptHeld& held,
                                       const std::string& lost) const {
    if (HasEnded(held)) return lost + "its task, which is over";
    if (!MayVouch(node)) return lost + "its task, and has lost nothing since this node told all";
    const auto vouched = view_.vouched.find(node.name);
    const std::size_t known_here = vouched == view_.vouched.end() ? 0 : vouched->second;
    if (known_here + anew_here_ >= kVouchedMax) {
      return lost + "its task, and has the limit of " + std::to_string(kVouchedMax) +
             " such tasks from this node";
    }
    if (view_.tasks.size() + anew_ >= kTasksMax) {
      return lost + "its task, and holds " + std::to_string(kTasksMax) + " tasks, its limit";
    }
    const auto slot = ParseJobTaskId(held.task);
    if (!slot) return {};
    if (slot->version > kCounterMax) return lost + "no job has come to that version";
    const auto job = view_.jobs.find(slot->job);
    // A job that is known starts what it needs. Of one that the log has lost the tasks run on.
    const bool known = job != view_.jobs.end() && IsSet(job->second.submitted_at);
    if (known) return lost + "job " + slot->job.str() + " fills the slot anew, if it needs it";
    return {};
  }

  const View& view_;
  const WallTime now_;
  const std::set<NodeName>& back_;
  const std::function<bool(DecisionItem, std::size_t)>& add_;
  std::size_t anew_ = 0;       // tasks that this cycle makes
  std::size_t anew_here_ = 0;  // of them from the node that is looked at
  std::map<TaskId, Holder> best_;
};

}  // namespace

WallTime SettledAt(const View& view) {
  if (!IsSet(view.reset_at)) return {};
  return view.reset_at + kSettleTime +
         2 * HeartbeatInterval(static_cast<std::uint32_t>(view.nodes.size()));
}

std::uint32_t IncarnationFloor(const View& view) {
  // More than a term that was lost has given to one node; with so many terms the numbers end.
  constexpr std::uint64_t kPerTerm = 256;
  constexpr std::uint64_t kEpochMax = 1u << 22;
  return static_cast<std::uint32_t>(std::min(view.reset_epoch, kEpochMax) * kPerTerm);
}

bool HoldsStarts(const View& view, WallTime now) {
  if (now < SettledAt(view)) return true;
  const bool telling = IsSet(view.reset_at) && now < SettledAt(view) + kTellMax;
  return std::any_of(view.holding.begin(), view.holding.end(), [&](const NodeName& name) {
    const Node& node = view.nodes.at(name);
    return !node.down && (node.all_held || telling);
  });
}

void DecideHeld(const View& view, WallTime now, const std::set<NodeName>& back,
                const std::function<bool(DecisionItem, std::size_t size)>& add) {
  if (view.holding.empty() || now < SettledAt(view)) return;
  Settler(view, now, back, add).Run();
}

}  // namespace cube::manager
