#include "services/manager/core/drains.h"

#include <algorithm>

namespace cube::manager {
namespace {

// A bound above an item's encoded size without its id and reason.
constexpr std::size_t kEvictBytes = 192;

std::string WhyDrained(const Node& node) {
  return node.leaving && !node.drain ? "the worker of node " + node.name.str() + " ends"
                                     : "node " + node.name.str() + " is drained";
}

bool Evict(const Drains::Cycle& cycle, const Node& node, const Task& task, std::string reason) {
  const bool ends = !MayMove(task);
  if (ends && task.seldom->pinned) {
    reason += ", and the task is that node's only";
  } else if (ends) {
    reason += ", and the task must not move (reschedule: never)";
  }
  TaskId id = IdOf(task);
  const std::size_t size = kEvictBytes + id.str().size() + reason.size();
  return cycle.add(EvictAttempt{std::move(id), task.attempt, node.name, task.spec->stop_grace,
                                std::move(reason), ends},
                   size);
}

std::size_t MovingFrom(const View& view, const NodeName& name) {
  const auto moving = view.moving.find(name);
  return moving == view.moving.end() ? 0 : moving->second.size();
}

}  // namespace

void Drains::Decide(const Cycle& cycle) {
  for (const NodeName& name : cycle.view.draining) {
    const Node& node = cycle.view.nodes.at(name);
    if (node.attempts.empty() || node.down || cycle.silent.contains(name)) continue;
    DecideNode(cycle, node);
  }
  std::erase_if(stuck_, [&](const auto& entry) { return entry.second != cycle.view.room_version; });
}

void Drains::DecideNode(const Cycle& cycle, const Node& node) {
  const WallTime deadline = DrainDeadline(node);
  const bool over = IsSet(deadline) && cycle.now >= deadline;
  std::size_t moving = MovingFrom(cycle.view, node.name);
  const auto stuck = stuck_.find(node.name);
  const bool nothing_moves = stuck != stuck_.end() && stuck->second == cycle.view.room_version;
  if (!over && (moving >= kDrainMovesMax || nothing_moves)) return;
  bool complete = true;  // everything that could go was looked at
  for (const TaskNumber& number : node.attempts) {
    const Task& task = cycle.view.tasks.At(number);
    if (IsEvicted(task) || task.stop_wanted) continue;
    if (over) {
      if (!Evict(cycle, node, task, WhyDrained(node) + " and the deadline has passed")) return;
      continue;
    }
    if (MayMove(task)) {
      if (moving >= kDrainMovesMax) {
        complete = false;
        continue;
      }
      const Fit fit = cycle.fits_elsewhere(task);
      complete = complete && fit != Fit::kAskAgain;
      if (fit != Fit::kYes) continue;
      ++moving;
    }
    if (!Evict(cycle, node, task, WhyDrained(node))) return;
    complete = false;
  }
  if (complete) stuck_[node.name] = cycle.view.room_version;
}

}  // namespace cube::manager
