#include "services/manager/core/decide.h"

#include <algorithm>
#include <optional>

#include "shared/base/check.h"

namespace cube::manager {
namespace {

// Bounds above the encoded size of items; fixed-width parts rounded up generously.
constexpr std::size_t kItemBytes = 96;
// A start names its node, spec and explanation by their places in the message's tables: framing and
// four small numbers.
constexpr std::size_t kStartBytes = 40;
constexpr std::size_t kSpecBytes = 256;
constexpr std::size_t kEntryBytes = 16;

std::size_t SizeOf(const std::vector<std::string>& texts) {
  std::size_t size = 0;
  for (const std::string& text : texts) size += text.size() + kEntryBytes;
  return size;
}

std::size_t SizeOf(const std::map<std::string, std::string>& entries) {
  std::size_t size = 0;
  for (const auto& [key, value] : entries) size += key.size() + value.size() + kEntryBytes;
  return size;
}

std::size_t SizeOf(const TaskSpec& spec) {
  std::size_t size = kSpecBytes + spec.name.str().size() + spec.image.size() + spec.user.size() +
                     spec.workdir.size() + spec.engine.size() + SizeOf(spec.command) +
                     SizeOf(spec.entrypoint) + SizeOf(spec.env) + SizeOf(spec.labels);
  for (const PortSpec& port : spec.ports) size += port.name.size() + 2 * kEntryBytes;
  for (const Constraint& rule : spec.constraints) {
    size += rule.label.size() + SizeOf(rule.values) + kEntryBytes;
  }
  if (spec.health)
    size += kSpecBytes + SizeOf(spec.health->command) + spec.health->http_path.size();
  return size;
}

std::size_t SizeOf(const Explanation& explanation) {
  std::size_t size = kItemBytes + explanation.runner_up.str().size();
  for (const FilterCount& count : explanation.filtered) size += count.filter.size() + kEntryBytes;
  return size;
}

}  // namespace

// One call of Decide.
class Planner::Cycle {
 public:
  Cycle(Planner& planner, const View& view, const Verdicts& verdicts, WallTime now)
      : planner_(planner), view_(view), verdicts_(verdicts), now_(now), overlay_(view) {}

  std::vector<DecisionItem> Run() {
    Refusals();
    Nodes();
    Loads();
    Stops();
    Starts();
    Forgets();
    return std::move(items_);
  }

 private:
  // False when the message is full: the rest is decided in the next cycle.
  bool Add(DecisionItem item, std::size_t size) {
    if (items_.size() >= kDecisionItemsMax || bytes_ + size > kDecisionBytesMax) return false;
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
      Add(NodeDown{name, reason}, kItemBytes + reason.size());
    }
    for (const NodeName& name : verdicts_.heard) Add(NodeUp{name}, kItemBytes);
    for (const NodeName& name : verdicts_.join_ok) {
      const Node& node = view_.nodes.at(name);
      Add(WelcomeNode{name, node.joining_instance, node.incarnation + 1}, kItemBytes);
    }
    for (const NodeName& name : verdicts_.join_refused) {
      const Node& node = view_.nodes.at(name);
      Add(RefuseNode{name, node.joining_instance,
                     "a worker named '" + name.str() +
                         "' is running already; give this one "
                         "another --name"},
          2 * kItemBytes);
    }
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
      const Task& task = view_.tasks.at(number);
      const bool live = IsLive(task);
      if (live && verdicts_.silent.contains(task.node)) continue;  // ends with its node, next cycle
      StopAttempt stop{task.id, live ? task.attempt : 0, live ? task.node : NodeName(),
                       task.stop_grace};
      if (!Add(std::move(stop), kItemBytes + task.id.str().size())) return;
    }
  }

  void Starts() {
    NodeName last = view_.last_node;
    for (const auto& [shape, waiting] : Shapes()) {
      const auto full = planner_.full_since_.find(*shape);
      if (full != planner_.full_since_.end() && full->second == view_.room_version) continue;
      for (const PendingKey& key : *waiting) {
        const Task& task = view_.tasks.at(key.number);
        Choice choice = planner_.scheduler_->Pick(overlay_, *task.spec, last);
        if (choice.node.empty()) {
          planner_.full_since_[*shape] = view_.room_version;
          break;
        }
        if (verdicts_.silent.contains(choice.node)) break;  // known to be gone: next cycle
        if (!AddStart(task, std::move(choice), last)) return;
      }
    }
  }

  // Shapes by their most urgent task, so that priorities hold between shapes too.
  [[nodiscard]] std::vector<std::pair<const std::string*, const std::set<PendingKey>*>> Shapes()
      const {
    std::vector<std::pair<const std::string*, const std::set<PendingKey>*>> shapes;
    shapes.reserve(view_.pending.size());
    for (const auto& [shape, waiting] : view_.pending) shapes.emplace_back(&shape, &waiting);
    std::sort(shapes.begin(), shapes.end(),
              [](const auto& a, const auto& b) { return *a.second->begin() < *b.second->begin(); });
    return shapes;
  }

  bool AddStart(const Task& task, Choice choice, NodeName& last) {
    std::size_t size = kStartBytes + task.id.str().size();
    // Each table entry is paid for once; a spec may be shared by many tasks.
    const bool new_spec = !specs_.contains(task.spec.get());
    if (new_spec) size += SizeOf(*task.spec);
    const bool new_node = !nodes_.contains(choice.node);
    if (new_node) size += choice.node.str().size() + kEntryBytes;
    // Tasks of one shape follow each other, mostly with one explanation for all.
    const bool new_reason = !explained_ || *explained_ != choice.explanation;
    if (new_reason) size += SizeOf(choice.explanation);
    const Node& node = view_.nodes.at(choice.node);
    StartAttempt start{task.id, task.attempt + 1, choice.node, task.spec,
                       std::move(choice.explanation)};
    if (!Add(std::move(start), size)) return false;
    if (new_spec) specs_.insert(task.spec.get());
    if (new_node) nodes_.insert(node.name);
    if (new_reason) explained_ = std::get<StartAttempt>(items_.back()).explanation;
    overlay_.Take(node, *task.spec);
    last = node.name;
    return true;
  }

  void Forgets() {
    const Settings& settings = planner_.settings_;
    std::size_t left = view_.finished.size();
    std::size_t count = 0;
    for (const auto& [ended_at, number] : view_.finished) {
      const bool old = now_ - ended_at > settings.finished_age_max;
      if (!old && left <= settings.finished_count_max) return;
      const Task& task = view_.tasks.at(number);
      if (++count > kForgetsMax) return;
      if (!Add(ForgetTask{task.id}, kItemBytes + task.id.str().size())) return;
      --left;
    }
  }

  Planner& planner_;
  const View& view_;
  const Verdicts& verdicts_;
  const WallTime now_;
  Overlay overlay_;
  std::vector<DecisionItem> items_;
  std::size_t bytes_ = 0;
  std::set<const TaskSpec*> specs_;  // only asked whether it contains, never iterated
  std::set<NodeName> nodes_;
  std::optional<Explanation> explained_;  // of the last start
};

Result<Planner> Planner::Make(const Settings& settings) {
  CUBE_TRY(std::unique_ptr<Scheduler> scheduler, MakeScheduler(settings.scheduler));
  return Planner(settings, std::move(scheduler));
}

std::vector<DecisionItem> Planner::Decide(const View& view, const Verdicts& verdicts,
                                          WallTime now) {
  // Shapes come from users: those that nobody waits for any more are not kept.
  std::erase_if(full_since_,
                [&view](const auto& entry) { return entry.second != view.room_version; });
  return Cycle(*this, view, verdicts, now).Run();
}

std::string Planner::WhyPending(const View& view, const Task& task) const {
  const Choice choice = scheduler_->Pick(Overlay(view), *task.spec, view.last_node);
  if (choice.node.empty()) return DescribeWait(choice.explanation);
  return "its turn has not come yet";
}

}  // namespace cube::manager
