#include "services/manager/core/decide.h"

#include <functional>
#include <queue>
#include <unordered_set>

#include "shared/base/check.h"

namespace cube::manager {
namespace {

// Bounds above the encoded size of items; fixed-width parts rounded up generously.
constexpr std::size_t kItemBytes = 96;
// A start names its node, spec and explanation by their places in the message's tables: framing and
// four small numbers.
constexpr std::size_t kStartBytes = 40;
// An explanation's framing, three numbers of nodes, two scores, and an index.
constexpr std::size_t kReasonBytes = 56;
constexpr std::size_t kEntryBytes = 16;

std::size_t SizeOf(const Explanation& explanation) {
  std::size_t size =
      kReasonBytes + explanation.scheduler.size() + explanation.runner_up.str().size();
  for (const FilterCount& count : explanation.filtered) size += count.filter.size() + kEntryBytes;
  return size;
}

}  // namespace

// One call of Decide.
class Planner::Cycle {
 public:
  Cycle(Planner& planner, const View& view, const Verdicts& verdicts, WallTime now)
      : planner_(planner), view_(view), verdicts_(verdicts), now_(now) {}

  std::vector<DecisionItem> Run() {
    planner_.scheduler_.Begin(view_);
    Refusals();
    Nodes();
    Loads();
    Held();
    Welcomes();
    FillJobs();
    Stops();
    EmptyNodes();
    // Of a node that is down, and comes back by this message, the view does not hold starts.
    if (!held_decided_ && !HoldsStarts(view_, now_)) {
      PinnedStarts();
      Starts();
    }
    Forgets();
    return std::move(items_);
  }

 private:
  // False when the message is full: the rest is decided in the next cycle.
  bool Add(DecisionItem item, std::size_t size) {
    if (items_.size() >= planner_.items_max_ || bytes_ + size > kDecisionBytesMax) {
      planner_.cut_off_ = true;
      return false;
    }
    bytes_ += size;
    items_.push_back(std::move(item));
    return true;
  }

  void Refusals() {
    for (const RefuseIntent& due : view_.refusals) {
      const std::size_t size =
          kItemBytes + due.task.size() + due.error.message.size() + due.error.field.size();
      if (!Add(due, size)) return;
    }
  }

  void Nodes() {
    for (const auto& [name, reason] : verdicts_.silent) {
      // One that has to join again beats, but nobody counts it.
      if (view_.nodes.at(name).instance == 0 && now_ < SettledAt(view_)) continue;
      Add(NodeDown{name, reason}, kItemBytes + reason.size());
    }
    for (const NodeName& name : verdicts_.heard) Add(NodeUp{name}, kItemBytes);
    for (const NodeName& name : verdicts_.join_refused) {
      const Node& node = view_.nodes.at(name);
      Add(RefuseNode{name, node.joining_instance,
                     "a worker named '" + name.str() +
                         "' is running already; give this one "
                         "another --name"},
          2 * kItemBytes);
    }
  }

  void Held() {
    DecideHeld(view_, now_, verdicts_.join_ok, [this](DecisionItem item, std::size_t size) {
      const auto* settle = std::get_if<SettleNode>(&item);
      const std::optional<NodeName> settled =
          settle == nullptr ? std::nullopt : std::optional(settle->node);
      if (!Add(std::move(item), size)) return false;
      if (settled) settled_.insert(*settled);
      held_decided_ = true;
      return true;
    });
  }

  // Behind what is decided on what they hold: one that has told all may come back without its
  // store, and cannot tell it again.
  void Welcomes() {
    for (const NodeName& name : verdicts_.join_ok) {
      const Node& node = view_.nodes.at(name);
      if (node.all_held && node.joining_incarnation == 0 && !settled_.contains(name)) continue;
      const std::uint32_t known =
          std::max({node.incarnation, node.joining_incarnation, IncarnationFloor(view_)});
      // After a reset its request may be an old one, of before all that it has.
      const bool hold = node.joining_incarnation > 0 || now_ < SettledAt(view_);
      Add(WelcomeNode{name, node.joining_instance, known + 1, hold}, kItemBytes);
    }
  }

  // As the view has it the node is up; it is about to go down, or to be another worker's, which
  // must report first. What it leaves to others is seen in the next cycle.
  [[nodiscard]] bool IsChanging(const NodeName& node) const {
    return verdicts_.silent.contains(node) || verdicts_.join_ok.contains(node);
  }

  void Loads() {
    std::size_t count = 0;
    for (const auto& [name, load] : verdicts_.loads) {
      const auto it = view_.nodes.find(name);
      if (it == view_.nodes.end() || it->second.incarnation == 0 || it->second.down) continue;
      if (it->second.load == load) continue;
      if (++count > kLoadsMax || !Add(SetLoad{name, load}, kItemBytes)) return;
    }
  }

  void Stops() {
    for (const TaskNumber& number : view_.stops_due) {
      const Task& task = view_.tasks.At(number);
      const bool live = IsLive(task);
      if (live && verdicts_.silent.contains(task.node)) continue;  // ends with its node, next cycle
      StopAttempt stop{IdOf(task), live ? task.attempt : 0, live ? task.node.name() : NodeName(),
                       task.stop_grace};
      const std::size_t size = kItemBytes + stop.task.str().size();
      if (!Add(std::move(stop), size)) return;
    }
  }

  // Slots of jobs that get or lose a task; the task itself is started or stopped in the next cycle.
  void FillJobs() {
    planner_.jobs_.Decide(
        {view_, verdicts_.silent, now_,
         [this](DecisionItem item, std::size_t size) { return Add(std::move(item), size); },
         emptied_});
  }

  // Tasks that belong to one node each: the policy has nothing to choose.
  void PinnedStarts() {
    for (const TaskNumber& number : view_.pinned) {
      const Task& task = view_.tasks.At(number);
      if (emptied_.contains(number) || MovesAt(task) > now_) continue;
      if (IsChanging(*task.seldom->pinned)) continue;
      Choice choice = planner_.scheduler_.PickOnly(*task.spec, *task.seldom->pinned);
      if (choice.node == nullptr) continue;
      if (!AddStart(task, std::move(choice))) return;
    }
  }

  // Attempts that have to leave draining nodes.
  void EmptyNodes() {
    if (view_.draining.empty()) return;
    planner_.drains_.Decide(
        {view_, verdicts_.silent, now_, [this](const Task& task) { return FitsElsewhere(task); },
         [this](DecisionItem item, std::size_t size) { return Add(std::move(item), size); }});
  }

  Drains::Fit FitsElsewhere(const Task& task) {
    if (task.seldom->pinned) return Drains::Fit::kNo;
    const std::string shape = ShapeOf(*task.spec);
    if (planner_.full_since_.contains(shape)) return Drains::Fit::kNo;
    const Choice choice = planner_.scheduler_.Pick(*task.spec, shape);
    if (choice.node == nullptr) {
      planner_.full_since_[shape] = view_.room_version;
      return Drains::Fit::kNo;
    }
    if (IsChanging(choice.node->name)) return Drains::Fit::kAskAgain;
    planner_.scheduler_.Reserve(choice, *task.spec);
    return Drains::Fit::kYes;
  }

  // Across shapes: the most urgent task first, then the order of acceptance. Of a shape that does
  // not fit none is tried again in this cycle.
  void Starts() {
    std::priority_queue<Turn, std::vector<Turn>, std::greater<>> turns(std::greater<>(), Turns());
    while (!turns.empty()) {
      Turn turn = turns.top();
      turns.pop();
      const Task& task = view_.tasks.At(turn.key.number);
      // One that has moved too often within the hour waits, and holds up nobody.
      if (!emptied_.contains(task.number) && MovesAt(task) <= now_) {
        Choice choice = PickFor(task, *turn.shape);
        if (choice.node == nullptr) {
          planner_.full_since_[*turn.shape] = view_.room_version;
          continue;
        }
        if (IsChanging(choice.node->name)) continue;
        if (!AddStart(task, std::move(choice))) return;
      }
      if (++turn.next == turn.waiting->end()) continue;
      turn.key = *turn.next;
      turns.push(turn);
    }
  }

  // Where a task has failed it goes again only if nothing else fits, and to where it failed last
  // only if nothing else is left at all.
  Choice PickFor(const Task& task, const std::string& shape) {
    if (!task.seldom->moves && !MovesOn(task)) return planner_.scheduler_.Pick(*task.spec, shape);
    std::vector<NodeName> failed_on;
    for (const Move& move : MovesOf(task)) failed_on.push_back(move.node);
    if (MovesOn(task)) failed_on.push_back(task.node);
    std::sort(failed_on.begin(), failed_on.end());
    failed_on.erase(std::unique(failed_on.begin(), failed_on.end()), failed_on.end());
    if (!failed_on.empty()) {
      for (const std::vector<NodeName>& avoided : {failed_on, std::vector<NodeName>{task.node}}) {
        Choice choice = planner_.scheduler_.Pick(*task.spec, shape, avoided);
        if (choice.node != nullptr) return choice;
      }
    }
    return planner_.scheduler_.Pick(*task.spec, shape);
  }

  // One shape's place in the queue: that of its most urgent task that has not been looked at.
  struct Turn {
    PendingKey key;
    const std::string* shape = nullptr;
    const absl::btree_set<PendingKey>* waiting = nullptr;
    absl::btree_set<PendingKey>::const_iterator next;
    friend bool operator>(const Turn& a, const Turn& b) { return a.key > b.key; }
  };
  [[nodiscard]] std::vector<Turn> Turns() const {
    std::vector<Turn> turns;
    for (const auto& [shape, waiting] : view_.pending) {
      if (planner_.full_since_.contains(shape)) continue;
      turns.push_back({*waiting.begin(), &shape, &waiting, waiting.begin()});
    }
    return turns;
  }

  bool AddStart(const Task& task, Choice choice) {
    TaskId id = IdOf(task);
    std::size_t size = kStartBytes + id.str().size();
    // Each table entry is paid for once; a spec may be shared by many tasks.
    const bool new_spec = !specs_.contains(task.spec.get());
    if (new_spec) size += EncodedBytesMax(*task.spec);
    if (choice.row >= named_rows_.size()) named_rows_.resize(choice.row + 1);
    const bool new_node = !named_rows_[choice.row];
    if (new_node) size += choice.node->name.str().size() + kEntryBytes;
    // Tasks of one shape follow each other, under some policies with one explanation for all.
    const StartAttempt* last = items_.empty() ? nullptr : std::get_if<StartAttempt>(&items_.back());
    if (last == nullptr || last->explanation != choice.explanation) {
      size += SizeOf(*choice.explanation);
    }
    StartAttempt start{std::move(id), task.attempt + 1, choice.node->name, task.spec,
                       std::move(choice.explanation)};
    if (!Add(std::move(start), size)) return false;
    if (new_spec) specs_.insert(task.spec.get());
    if (new_node) named_rows_[choice.row] = true;
    if (!task.seldom->pinned) {
      planner_.scheduler_.Take(choice, *task.spec);
    } else {
      planner_.scheduler_.Reserve(choice, *task.spec);
    }
    return true;
  }

  // The end of a system job's task says that its node needs no other one.
  [[nodiscard]] bool KeepsItsSlot(const Task& task) const {
    if (task.job == nullptr || task.job->type != JobType::kSystem) return false;
    const Job& job = view_.jobs.at(task.job->name);
    return IsLive(job) && task.slot < job.filled &&
           VersionOfSlot(job, task.slot) == task.job->version;
  }

  void Forgets() {
    const Settings& settings = planner_.settings_;
    std::size_t left = view_.finished.size();
    std::size_t count = 0;
    for (const auto& [ended_at, number] : view_.finished) {
      const bool old = now_ - ended_at > settings.finished_age_max;
      if (!old && left <= settings.finished_count_max) return;
      const Task& task = view_.tasks.At(number);
      if (KeepsItsSlot(task)) continue;
      if (++count > kForgetsMax) return;
      ForgetTask forget{IdOf(task)};
      const std::size_t size = kItemBytes + forget.task.str().size();
      if (!Add(std::move(forget), size)) return;
      --left;
    }
  }

  Planner& planner_;
  const View& view_;
  const Verdicts& verdicts_;
  const WallTime now_;
  std::vector<DecisionItem> items_;
  std::size_t bytes_ = 0;
  // Only asked whether they contain, never iterated.
  std::unordered_set<const TaskSpec*> specs_;
  std::vector<bool> named_rows_;  // of the scheduler's table: nodes that the message names
  std::set<NodeName> settled_;    // nodes of which all that they hold is decided on by this cycle
  bool held_decided_ = false;     // this cycle readopts, drops or settles
  std::set<TaskNumber> emptied_;  // tasks that this cycle's decisions on jobs end
};

Result<Planner> Planner::Make(const Settings& settings, std::size_t items_max) {
  CUBE_TRY(Scheduler scheduler, Scheduler::Make(settings.scheduler));
  return Planner(settings, std::move(scheduler), items_max);
}

std::vector<DecisionItem> Planner::Decide(const View& view, const Verdicts& verdicts,
                                          WallTime now) {
  cut_off_ = false;
  // Shapes come from users: those that nobody waits for any more are not kept.
  std::erase_if(full_since_,
                [&view](const auto& entry) { return entry.second != view.room_version; });
  return Cycle(*this, view, verdicts, now).Run();
}

std::string Planner::WhyPending(const View& view, const Task& task) {
  if (const WallTime at = MovesAt(task); at > view.decided_at) {
    return "moved " + std::to_string(task.spec->reschedule.moves_max) +
           " times within the hour; the next move is due at " + FormatRfc3339(at);
  }
  scheduler_.Begin(view);
  if (task.seldom->pinned) {
    const Choice choice = scheduler_.PickOnly(*task.spec, *task.seldom->pinned);
    if (choice.node != nullptr) return "its turn has not come yet";
    std::string until;
    if (task.job == nullptr) {  // the log had lost its submission
      const auto slot = ParseJobTaskId(IdOf(task));
      until = " until " + (slot ? "job " + slot->job.str() : std::string("it")) +
              " is submitted again (the log had lost that)";
    }
    return "only for node " + task.seldom->pinned->str() + until + ": " +
           choice.explanation->filtered.front().filter;
  }
  const Choice choice = scheduler_.Pick(*task.spec, ShapeOf(*task.spec));
  if (choice.node == nullptr) return DescribeWait(*choice.explanation);
  return "its turn has not come yet";
}

void Planner::ForgetView() {
  full_since_.clear();
  drains_.Forget();
  jobs_.Forget();
  scheduler_.ForgetView();
}

}  // namespace cube::manager
