#include "shared/cluster/task.h"

#include <algorithm>

#include "shared/base/check.h"
#include "shared/cluster/status.h"

namespace cube {

TaskIdText::TaskIdText(const Task& task) {
  if (task.job != nullptr) {
    size_ = WriteJobTaskId(task.job->name, task.job->version, task.slot, text_);
    return;
  }
  const std::string_view id = task.own_id.view();
  CUBE_CHECK(id.size() <= sizeof(text_));
  size_ = id.size();
  std::copy(id.begin(), id.end(), text_);
}

TaskId IdOf(const Task& task) { return TaskId::Trusted(std::string(TaskIdText(task).view())); }

namespace {

// Without its task and placement.
LaunchFact WholeOf(const ObservedLaunch& observed) {
  LaunchFact fact;
  fact.key.launch = observed.launch;
  fact.state = observed.state;
  fact.cause = observed.cause;
  fact.exit_code = observed.exit_code;
  fact.container_id = observed.container_id.view();
  fact.started_at = observed.started_at;
  fact.final = observed.final;
  fact.stop_asked = observed.stop_asked;
  if (!observed.rest) return fact;
  fact.detail = observed.rest->detail;
  fact.ports = observed.rest->ports;
  fact.finished_at = observed.rest->finished_at;
  fact.restart_at = observed.rest->restart_at;
  return fact;
}

}  // namespace

ObservedLaunch::ObservedLaunch(const LaunchFact& fact)
    : launch(fact.key.launch),
      exit_code(fact.exit_code),
      state(fact.state),
      cause(fact.cause),
      final(fact.final),
      stop_asked(fact.stop_asked),
      started_at(fact.started_at),
      container_id(std::string_view(fact.container_id)) {
  Rest others{fact.detail, fact.ports, fact.finished_at, fact.restart_at};
  if (others != Rest{}) rest = std::move(others);
}

bool MovesForward(const ObservedLaunch& last, const LaunchFact& next) {
  if (last.launch == next.key.launch && last.state == next.state) {
    return MovesForward(WholeOf(last), next);
  }
  return std::pair(next.key.launch, next.state) > std::pair(last.launch, last.state);
}

LaunchFact FactOf(const Task& task) {
  CUBE_CHECK(task.observed.has_value());
  LaunchFact fact = WholeOf(*task.observed);
  fact.key = {IdOf(task), task.attempt, task.observed->launch};
  fact.placement = task.placement;
  return fact;
}

std::span<const Move> MovesOf(const Task& task) {
  return task.seldom->moves ? std::span<const Move>(*task.seldom->moves) : std::span<const Move>();
}

bool IsLive(const Task& task) {
  return task.placed == Placed::kThere && !(task.observed && task.observed->final);
}

bool IsEvicted(const Task& task) {
  return task.placed == Placed::kThere && task.seldom->eviction &&
         task.seldom->eviction->attempt == task.attempt;
}

bool MayMove(const Task& task) {
  const bool bound = task.job != nullptr && task.seldom->pinned;
  return task.spec->reschedule.mode != ReschedulePolicy::Mode::kNever && !bound;
}

bool MovesOn(const Task& task) {
  if (task.over || task.placed != Placed::kThere || !task.observed || !task.observed->final ||
      task.spec->reschedule.mode != ReschedulePolicy::Mode::kOnFailure) {
    return false;
  }
  if (IsEvicted(task) && task.seldom->eviction->ends) return false;
  const ObservedLaunch& end = *task.observed;
  return !end.stop_asked && !(end.cause == ExitCause::kExited && end.exit_code == 0);
}

WallTime MovesAt(const Task& task) {
  const std::uint32_t moves_max = task.spec->reschedule.moves_max;
  const std::span<const Move> moves = MovesOf(task);
  if (!MovesOn(task) || moves_max == 0 || moves.size() < moves_max) return {};
  return moves[moves.size() - moves_max].at + kMovesWindow;
}

const HealthFact* HealthOf(const Task& task) {
  const bool running =
      IsLive(task) && task.observed && task.observed->state == LaunchState::kRunning;
  return running && task.health && task.health->key.launch == task.observed->launch ? &*task.health
                                                                                    : nullptr;
}

namespace {

// The last attempt has left its node and the task goes on elsewhere. What ended by itself before
// the stop reached it has ended; and a user's stop is a stop.
bool HasLeft(const Task& task) {
  return IsEvicted(task) && !task.seldom->eviction->ends && !task.stop_wanted && task.observed &&
         task.observed->final && task.observed->stop_asked;
}

}  // namespace

bool IsFinished(const Task& task) {
  if (task.over) return true;
  switch (task.placed) {
    case Placed::kNever:
      return false;
    case Placed::kThere:
      return task.observed && task.observed->final && !MovesOn(task) && !HasLeft(task);
    case Placed::kLost:
      return !MayMove(task);
  }
  return false;
}

bool IsPending(const Task& task) { return !IsFinished(task) && !IsLive(task) && !task.stop_wanted; }

bool NeedsStop(const Task& task) {
  // What was told to an attempt that is over by now, and is none the less no end of the task, is
  // carried on by ending the task itself.
  return task.stop_wanted && !(task.stop_told && IsLive(task)) && !IsFinished(task);
}

bool IsMoving(const Task& task) {
  if (!task.seldom->eviction || task.seldom->eviction->ends || task.stop_wanted || IsFinished(task))
    return false;
  if (task.attempt == task.seldom->eviction->attempt) return true;
  if (task.attempt != task.seldom->eviction->attempt + 1 || task.placed != Placed::kThere)
    return false;
  // Its first launch decides: whatever becomes of it then, it has arrived.
  const bool first = !task.observed ||
                     (task.observed->launch == 0 && task.observed->state != LaunchState::kExited);
  return first && !IsHealthy(task);
}

}  // namespace cube
