#include "shared/base/check.h"
#include "shared/cluster/fold.h"
#include "shared/cluster/fold_jobs.h"
#include "shared/cluster/fold_support.h"
#include "shared/cluster/recent_explanations.h"

namespace cube {
namespace {

// Folds one item; `batch` gives stamp and time, `seq` the position for the nodes concerned.
class Folder {
 public:
  Folder(View& view, std::uint64_t seq, const DecisionBatch& batch)
      : view_(view), seq_(seq), batch_(batch) {}

  void operator()(const StartAttempt& start) {
    Task* task = view_.Find(start.task);
    Node* node = FindNode(start.node);
    if (task == nullptr || node == nullptr || !IsPending(*task)) return;
    fold::ChangeTask(view_, *task, [&](Task& t) {
      NoteMove(t);
      t.attempt = start.attempt;
      t.placed = Placed::kThere;
      t.node = node->ref;
      t.placement = batch_.stamp();
      t.placed_at = batch_.decided_at;
      t.stop_told = false;
      t.seldom.Drop(&Seldom::lost_reason);
      t.explanation = explanations_.Same(start.explanation);
      t.observed.reset();
      t.health.reset();
    });
    if (!task->seldom->pinned) view_.last_node = start.node;
    Concern(*node);
  }

  void operator()(const StopAttempt& stop) {
    Task* task = view_.Find(stop.task);
    if (task == nullptr || !NeedsStop(*task)) return;
    if (stop.attempt == 0) {
      if (!IsLive(*task)) fold::ChangeTask(view_, *task, [](Task& t) { t.over = true; });
      return;
    }
    Node* node = FindNode(stop.node);
    if (node == nullptr || !IsLive(*task) || task->attempt != stop.attempt) return;
    fold::ChangeTask(view_, *task, [](Task& t) { t.stop_told = true; });
    Concern(*node);
  }

  void operator()(const RefuseIntent& refuse) {
    std::erase_if(view_.refusals, [&refuse](const RefuseIntent& due) {
      return due.intent == refuse.intent && due.index == refuse.index;
    });
    Transition told;
    told.task = std::to_string(refuse.intent);
    told.name = "-refused";
    told.status = "refused";
    told.reason = (refuse.task.empty() ? "" : refuse.task + ": ") + refuse.error.Text();
    view_.untold.push_back(std::move(told));
  }

  void operator()(const NodeDown& down) {
    Node* node = FindNode(down.node);
    if (node == nullptr || node->down) return;
    node->down = true;
    node->down_reason = down.reason;
    node->reported = false;
    Concern(*node);
    index::NodeChanged(view_, *node);
    // Taken out at once: one after the other each would move all that lie behind it.
    const FlatSet<TaskNumber> attempts = std::exchange(node->attempts, {});
    for (const TaskNumber& number : attempts) {
      fold::ChangeTask(view_, view_.tasks.At(number), [&down](Task& t) {
        t.placed = Placed::kLost;
        t.stop_told = false;  // a wanted stop is carried on by ending the task itself
        t.seldom.Edit().lost_reason = "node " + down.node.str() + " is down: " + down.reason;
      });
    }
  }

  void operator()(const NodeUp& up) {
    Node* node = FindNode(up.node);
    if (node == nullptr || !node->down) return;
    node->down = false;
    node->down_reason.clear();
    node->up = batch_.stamp();
    node->reported = false;
    Concern(*node);
    index::NodeChanged(view_, *node);
  }

  void operator()(const WelcomeNode& welcome) {
    const auto [it, is_new] = view_.nodes.try_emplace(welcome.node);
    Node& node = it->second;
    node.name = welcome.node;
    if (is_new) index::AddNode(view_, node);
    if (node.joining_instance == welcome.instance) index::Describe(view_, node, node.joining);
    EndJoining(node);
    node.instance = welcome.instance;
    node.incarnation = welcome.incarnation;
    SetHolding(node, welcome.hold);
    if (!welcome.hold) node.settled_epoch = batch_.term.epoch;
    node.down = false;
    node.down_reason.clear();
    node.up = batch_.stamp();
    node.reported = false;
    node.last_fact = 0;
    node.facts_missing = false;
    node.load = {};
    node.left = false;
    node.leaving.reset();
    fold::NoteDrain(view_, node);
    if (!IsSet(node.joined_at)) node.joined_at = batch_.decided_at;
    Concern(node);
    index::NodeChanged(view_, node);
  }

  void operator()(const RefuseNode& refuse) {
    Node* node = FindNode(refuse.node);
    if (node == nullptr || node->joining_instance != refuse.instance) return;
    EndJoining(*node);
    view_.dirty_nodes.insert(node->name);
  }

  void operator()(const EvictAttempt& evict) {
    Task* task = view_.Find(evict.task);
    Node* node = FindNode(evict.node);
    if (task == nullptr || node == nullptr || !IsLive(*task) || task->attempt != evict.attempt ||
        task->node != evict.node || IsEvicted(*task)) {
      return;
    }
    fold::ChangeTask(view_, *task, [&evict](Task& t) {
      t.seldom.Edit().eviction =
          Eviction{evict.attempt, evict.node, evict.grace, evict.reason, evict.ends};
    });
    Concern(*node);
  }

  void operator()(const ForgetTask& forget) {
    Task* task = view_.Find(forget.task);
    if (task == nullptr || !IsFinished(*task)) return;
    const TaskNumber number = task->number;
    const JobRefPtr job = task->job;
    if (job != nullptr) fold::NoteForgotten(view_, *task);
    index::Leave(view_, *task);
    view_.tasks.Erase(*task);
    view_.dirty_tasks.push_back(number);
    if (job != nullptr) fold::DropVersions(view_, job->name);
  }

  void operator()(const SetLoad& set) {
    Node* node = FindNode(set.node);
    if (node == nullptr || node->load == set.load) return;
    node->load = set.load;
    index::NodeChanged(view_, *node);
    ++view_.room_version;
    view_.dirty_nodes.insert(node->name);
  }
  void operator()(const ReadoptAttempt& readopt) {
    Node* node = FindNode(readopt.node);
    if (node == nullptr) return;
    const auto found = node->held.find({readopt.task, readopt.attempt});
    if (found == node->held.end() || found->second.placement != readopt.placement) return;
    const AttemptHeld held = index::TakeHeld(*node, found);
    Concern(*node);
    Task* task = view_.Find(readopt.task);
    if (task == nullptr && readopt.spec != nullptr) task = AddReadopted(readopt);
    if (task == nullptr || !IsPending(*task)) return;
    Explanation why;
    why.scheduler = "readopted";
    fold::ChangeTask(view_, *task, [&](Task& t) {
      t.attempt = readopt.attempt;
      t.placed = Placed::kThere;
      t.node = node->ref;
      t.placement = readopt.placement;
      t.placed_at = batch_.decided_at;
      t.stop_told = false;
      t.seldom.Drop(&Seldom::lost_reason);
      t.explanation = std::make_shared<const Explanation>(std::move(why));
      t.seldom.Drop(&Seldom::eviction);
      t.observed.reset();
      if (held.observed) t.observed = *held.observed;
      t.health = held.health;
      fold::LoseIfUnasked(t);
    });
  }

  void operator()(const DropAttempt& drop) {
    Node* node = FindNode(drop.node);
    if (node == nullptr) return;
    const auto found = node->held.find({drop.task, drop.attempt});
    if (found == node->held.end()) return;
    const Task* task = view_.Find(drop.task);
    Transition told;
    told.task = drop.task.str();
    told.name = task != nullptr                 ? task->spec->name.str()
                : found->second.spec != nullptr ? found->second.spec->name.str()
                                                : drop.task.str();
    told.status = StatusName(Status::kLost);
    told.node = drop.node;
    told.attempt = drop.attempt;
    told.reason = drop.reason;
    view_.untold.push_back(std::move(told));
    index::TakeHeld(*node, found);
    Concern(*node);
  }

  void operator()(const SettleNode& settle) {
    Node* node = FindNode(settle.node);
    if (node == nullptr || !node->holding) return;
    SetHolding(*node, false);
    node->settled_epoch = batch_.term.epoch;
    Concern(*node);
  }

  // The log has lost messages: what was known of the workers may not hold any more.
  void Reset(const std::string& reason) {
    view_.reset_at = batch_.decided_at;
    view_.reset_epoch = batch_.term.epoch;
    for (auto& [name, node] : view_.nodes) {
      node.instance = 0;
      node.reported = false;
      SetHolding(node, false);
      index::NodeChanged(view_, node);
      view_.dirty_nodes.insert(name);
    }
    Transition told;
    told.task = std::to_string(batch_.term.epoch);
    told.name = "-reset";
    told.status = "reset";
    told.reason = reason;
    view_.untold.push_back(std::move(told));
  }

  void operator()(const FillSlots& fill) { fold::Fill(view_, batch_.decided_at, fill); }
  void operator()(const EmptySlots& empty) { fold::Empty(view_, batch_.decided_at, empty); }
  void operator()(const EndUpdate& end) { fold::End(view_, end); }
  void operator()(const EndJob& end) { fold::End(view_, batch_.decided_at, end); }

 private:
  // It is about to be placed again; older moves do not count any more.
  void NoteMove(Task& task) const {
    if (!task.seldom->moves && !MovesOn(task)) return;
    std::vector<Move> moves(MovesOf(task).begin(), MovesOf(task).end());
    if (MovesOn(task)) moves.push_back({task.node, batch_.decided_at});
    std::erase_if(moves,
                  [&](const Move& move) { return move.at <= batch_.decided_at - kMovesWindow; });
    task.seldom.Drop(&Seldom::moves);
    if (!moves.empty()) task.seldom.Edit().moves = std::move(moves);
  }

  Node* FindNode(const NodeName& name) {
    const auto it = view_.nodes.find(name);
    return it == view_.nodes.end() ? nullptr : &it->second;
  }

  void SetHolding(Node& node, bool holding) {
    node.holding = holding;
    node.all_held = false;
    index::DropAllHeld(node);
    if (holding) {
      view_.holding.insert(node.name);
    } else {
      view_.holding.erase(node.name);
    }
  }

  // A task that the log has lost. Its number is one that no intent gives.
  Task* AddReadopted(const ReadoptAttempt& readopt) {
    if (view_.tasks.size() >= kTasksMax) return nullptr;
    constexpr std::uint32_t kFirst = 1u << 31;
    TaskNumber number{view_.intents.seq, kFirst};
    const Task* last = view_.tasks.Before({view_.intents.seq + 1, 0});
    if (last != nullptr && last->number >= number) number.index = last->number.index + 1;
    Task task;
    task.own_id = std::string_view(readopt.task.str());
    task.number = number;
    task.spec = readopt.spec;
    task.submitted_at = batch_.decided_at;
    task.seldom.Edit().pinned = readopt.node;
    Task& added = view_.tasks.Add(std::move(task));
    index::Enter(view_, added);
    view_.dirty_tasks.push_back(number);
    if (const auto slot = ParseJobTaskId(readopt.task)) fold::NoteLostVersion(view_, *slot);
    return &added;
  }

  void EndJoining(Node& node) {
    node.joining_instance = 0;
    node.joining_incarnation = 0;
    node.joining = {};
    view_.joining.erase(node.name);
  }

  void Concern(Node& node) {
    node.last_decision = seq_;
    view_.dirty_nodes.insert(node.name);
  }

  View& view_;
  std::uint64_t seq_;
  const DecisionBatch& batch_;
  RecentExplanations explanations_;
};

// Tasks that have come to their end since the last decision now have a time for it.
void SetEnds(View& view, WallTime now) {
  const std::vector<TaskNumber> ended = std::exchange(view.ended_now, {});
  for (const TaskNumber& number : ended) {
    Task* task = view.tasks.Find(number);
    if (task == nullptr) continue;
    task->ended_at = now;
    view.finished.insert({now, number});
    view.dirty_tasks.push_back(number);
  }
}

// Drains that were asked for since the last decision begin now.
void BeginDrains(View& view, WallTime now) {
  for (const NodeName& name : view.draining) {
    Node& node = view.nodes.at(name);
    for (std::optional<Drain>* drain : {&node.drain, &node.leaving}) {
      if (!*drain || IsSet((*drain)->since)) continue;
      (*drain)->since = now;
      view.dirty_nodes.insert(name);
    }
  }
}

// Drops what has been told, and stamps what this message makes valid.
void SetTransitions(View& view, const DecisionBatch& batch, std::size_t known_before) {
  for (std::size_t i = known_before; i < view.untold.size(); ++i) {
    view.untold[i].stamp = batch.stamp();
    view.untold[i].time = batch.decided_at;
  }
  if (batch.told == Stamp{}) return;
  // Transitions are in the order of their messages, so what was told is a prefix. A leader that
  // has told a message of its own term has told all of the terms before.
  const bool own_term = batch.told.term_id == batch.term.id;
  std::size_t told = 0;
  for (std::size_t i = 0; i < known_before; ++i) {
    const Stamp& stamp = view.untold[i].stamp;
    const bool same_term = stamp.term_id == batch.told.term_id;
    if (same_term ? stamp.cycle <= batch.told.cycle : own_term) told = i + 1;
  }
  view.untold.erase(view.untold.begin(), view.untold.begin() + static_cast<std::ptrdiff_t>(told));
  view.untold_first += told;
}

}  // namespace

namespace fold {

void NoteDrain(View& view, const Node& node) {
  if (IsDraining(node)) {
    view.draining.insert(node.name);
  } else {
    view.draining.erase(node.name);
  }
}

void NoteTransition(View& view, const Task& task) {
  Transition& step = view.untold.emplace_back();
  step.task = TaskIdText(task).view();
  step.name = task.spec->name.str();
  if (task.job != nullptr) {
    step.job = task.job->name.str();
    step.slot = task.slot;
  }
  step.status = StatusName(StatusOf(task));
  step.node = task.node;
  step.attempt = task.attempt;
  step.reason = ReasonOf(task);
  step.healthy = IsHealthy(task);
  if (task.observed) {
    step.launch = task.observed->launch;
    const ObservedLaunch& observed = *task.observed;
    if (observed.rest) step.ports = observed.rest->ports;
    if (HasExitCode(observed.cause, observed.exit_code)) step.exit_code = observed.exit_code;
  }
}

}  // namespace fold

bool MayFollow(const View& view, const DecisionBatch& batch) {
  if (batch.prev != view.stamp || batch.intents.seq < view.intents.seq ||
      batch.facts.generation < view.facts.generation ||
      (batch.facts.generation == view.facts.generation && batch.facts.seq < view.facts.seq)) {
    return false;
  }
  if (batch.term_start) {
    return batch.term.epoch > view.term.epoch && batch.term.id != 0 && batch.cycle == 1;
  }
  return batch.term == view.term && batch.cycle == view.stamp.cycle + 1;
}

bool IsNext(const View& view, const DecisionBatch& batch) {
  return MayFollow(view, batch) && batch.intents == view.intents && batch.facts == view.facts;
}

void FoldDecisions(View& view, std::uint64_t seq, const DecisionBatch& batch) {
  CUBE_CHECK(IsNext(view, batch));
  if (batch.term_start) {
    view.term = batch.term;
    view.term_start = batch.term_start;
    view.term_began = batch.decided_at;
    view.terms.push_back({batch.term, seq});
    if (view.terms.size() > kTermsKept) view.terms.erase(view.terms.begin());
  }
  // What the intents and facts of this cycle added carries no stamp yet.
  std::size_t known_before = view.untold.size();
  while (known_before > 0 && view.untold[known_before - 1].stamp == Stamp{}) --known_before;
  Folder folder(view, seq, batch);
  if (batch.term_start && !batch.term_start->reset.empty()) folder.Reset(batch.term_start->reset);
  for (const DecisionItem& item : batch.items) std::visit(folder, item);
  SetEnds(view, batch.decided_at);
  BeginDrains(view, batch.decided_at);
  SetTransitions(view, batch, known_before);
  view.decision_seq = seq;
  view.valid_seq = seq;
  view.stamp = batch.stamp();
  view.decided_at = batch.decided_at;
  view.told = batch.told;
}

void SkipDecisions(View& view, std::uint64_t seq) {
  view.decision_seq = seq;
  ++view.foreign_messages;
}

}  // namespace cube
