#include "shared/cluster/fold.h"
#include "shared/cluster/fold_support.h"

namespace cube {
namespace {

using fold::NoteDrain;

void FoldJoined(View& view, const FactBatch& batch, const NodeJoined& joined) {
  const auto [it, is_new] = view.nodes.try_emplace(batch.node);
  Node& node = it->second;
  if (is_new) {
    node.name = batch.node;
    index::AddNode(view, node);
  }
  // Said again, unless the leader has asked for it, and no welcome has followed since.
  const bool again = joined.again && joined.incarnation >= node.incarnation;
  if (node.incarnation > 0 && node.instance == batch.instance && !again) return;
  if (node.joining_instance == batch.instance && node.joining == joined.description &&
      node.joining_incarnation == joined.incarnation) {
    return;
  }
  node.joining_instance = batch.instance;
  node.joining = joined.description;
  node.joining_incarnation = joined.incarnation;
  view.joining.insert(batch.node);
  view.dirty_nodes.insert(batch.node);
}

// What the node holds goes on until it is decided on. -> nullptr if it is none of that.
template <class AnyFact>
AttemptHeld* FindHeld(Node& node, const AnyFact& fact) {
  const auto held = node.held.find({fact.key.task, fact.key.attempt});
  const bool same = held != node.held.end() && held->second.placement == fact.placement;
  return same ? &held->second : nullptr;
}

// What a worker says when it has joined is what its machine has: another one of the name may have
// said more. The ends of older launches, which it tells again first, say nothing of that.
bool Counts(const Node& node, const std::optional<ObservedLaunch>& before, const LaunchFact& fact) {
  if (!before || MovesForward(*before, fact)) return true;
  const bool older_end =
      fact.state == LaunchState::kExited && !fact.final && fact.key.launch < before->launch;
  return !node.reported && *before != ObservedLaunch(fact) && !older_end;
}

void FoldLaunch(View& view, Node& node, const LaunchFact& fact) {
  if (AttemptHeld* held = FindHeld(node, fact)) {
    if (!held->observed || MovesForward(*held->observed, fact)) held->observed = fact;
    return;
  }
  Task* task = view.Find(fact.key.task);
  const bool counts = task != nullptr && IsLive(*task) && task->node == node.name &&
                      task->attempt == fact.key.attempt && task->placement == fact.placement &&
                      Counts(node, task->observed, fact);
  if (!counts) {
    ++view.stale_facts;
    return;
  }
  fold::ChangeTask(view, *task, [&fact](Task& t) {
    t.observed = fact;
    fold::LoseIfUnasked(t);
  });
}

void FoldHealth(View& view, Node& node, const HealthFact& fact) {
  if (AttemptHeld* held = FindHeld(node, fact)) {
    held->health = fact;
    return;
  }
  Task* task = view.Find(fact.key.task);
  const bool counts = task != nullptr && IsLive(*task) && task->node == node.name &&
                      task->attempt == fact.key.attempt && task->placement == fact.placement &&
                      task->observed && task->observed->launch == fact.key.launch &&
                      task->observed->state == LaunchState::kRunning;
  if (!counts) {
    ++view.stale_facts;
    return;
  }
  if (task->health == fact) return;  // said again, by a new incarnation
  fold::ChangeTask(view, *task, [&fact](Task& t) { t.health = fact; });
}

// What the log knows as well needs no decision: the facts on it say how far it is.
void FoldHeld(View& view, Node& node, const AttemptHeld& held) {
  const Task* task = view.Find(held.task);
  const bool known = task != nullptr && IsLive(*task) && task->node == node.name &&
                     task->attempt == held.attempt && task->placement == held.placement;
  if (known) return;
  const bool full = node.held.size() >= kHeldMax || node.held_bytes > kHeldBytesMax;
  if (!node.holding || node.all_held || full) {
    ++view.stale_facts;
    return;
  }
  index::Hold(node, held);
}

void FoldOne(View& view, Node& node, const Fact& fact) {
  if (const auto* launch = std::get_if<LaunchFact>(&fact.what)) {
    FoldLaunch(view, node, *launch);
  } else if (const auto* health = std::get_if<HealthFact>(&fact.what)) {
    FoldHealth(view, node, *health);
  } else if (const auto* described = std::get_if<NodeDescribed>(&fact.what)) {
    // A worker says it first when it starts: it is back.
    node.left = false;
    node.leaving.reset();
    NoteDrain(view, node);
    index::Describe(view, node, described->description);
    ++view.room_version;
    ++view.system_version;
  } else if (const auto* reported = std::get_if<NodeReported>(&fact.what)) {
    if (reported->up != node.up) return;  // the answer to an older welcome
    node.reported = true;
    index::NodeChanged(view, node);
    ++view.room_version;
    ++view.system_version;
  } else if (std::holds_alternative<NodeLeft>(fact.what)) {
    node.left = true;  // that the node is down is for the leader to decide
    index::NodeChanged(view, node);
  } else if (const auto* leaving = std::get_if<NodeLeaving>(&fact.what)) {
    node.leaving = Drain{leaving->deadline, {}};
    NoteDrain(view, node);
    index::NodeChanged(view, node);
  } else if (const auto* held = std::get_if<AttemptHeld>(&fact.what)) {
    FoldHeld(view, node, *held);
  } else if (std::holds_alternative<AllHeld>(fact.what)) {
    node.all_held = node.holding;
  }
}

}  // namespace

namespace fold {

void LoseIfUnasked(Task& task) {
  const bool stopped = task.observed && task.observed->final && task.observed->stop_asked;
  if (!stopped || task.stop_wanted || IsEvicted(task)) return;
  task.placed = Placed::kLost;
  task.seldom.Edit().lost_reason =
      std::string("it was stopped, and the log has lost the decision that asked for it");
}

}  // namespace fold

void FoldFacts(View& view, const Position& at, const FactBatch& batch) {
  if (at.generation == view.facts.generation && at.seq <= view.facts.seq) return;
  view.facts = at;
  std::uint64_t number = batch.first_number;
  bool dirty = false;
  for (const Fact& fact : batch.facts) {
    const std::uint64_t this_number = number++;
    if (const auto* joined = std::get_if<NodeJoined>(&fact.what)) {
      FoldJoined(view, batch, *joined);
      continue;
    }
    const auto it = view.nodes.find(batch.node);
    if (it == view.nodes.end() || it->second.incarnation == 0 ||
        it->second.instance != batch.instance || it->second.incarnation != batch.incarnation ||
        this_number <= it->second.last_fact) {
      ++view.stale_facts;  // another instance's, or repeated
      continue;
    }
    if (this_number != it->second.last_fact + 1) it->second.facts_missing = true;
    it->second.last_fact = this_number;
    if (!dirty) view.dirty_nodes.insert(batch.node);
    dirty = true;
    FoldOne(view, it->second, fact);
  }
}

void SkipFacts(View& view, const Position& at) {
  if (at.generation == view.facts.generation && at.seq <= view.facts.seq) return;
  view.facts = at;
  ++view.stale_facts;
}

}  // namespace cube
