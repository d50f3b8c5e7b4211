#include "shared/cluster/status.h"

namespace cube {
namespace {

Status EndedStatus(const Task& task) {
  if (task.over) return Status::kStopped;
  if (!task.observed || !task.observed->final) return Status::kLost;
  const ObservedLaunch& end = *task.observed;
  if (end.stop_asked) return Status::kStopped;
  const bool clean = end.cause == ExitCause::kExited && end.exit_code == 0;
  return clean ? Status::kCompleted : Status::kFailed;
}

Status PlacedStatus(const Task& task) {
  if (task.stop_wanted || IsEvicted(task)) return Status::kStopping;
  if (!task.observed) return Status::kScheduled;
  switch (task.observed->state) {
    case LaunchState::kPulling:
      return Status::kPulling;
    case LaunchState::kStarting:
      return Status::kStarting;
    case LaunchState::kRunning: {
      const HealthFact* health = HealthOf(task);
      return health == nullptr || health->healthy ? Status::kRunning : Status::kUnhealthy;
    }
    case LaunchState::kExited:
      return Status::kRestarting;
  }
  return Status::kScheduled;
}

}  // namespace

std::string_view StatusName(Status status) {
  switch (status) {
    case Status::kPending:
      return "pending";
    case Status::kScheduled:
      return "scheduled";
    case Status::kPulling:
      return "pulling";
    case Status::kStarting:
      return "starting";
    case Status::kRunning:
      return "running";
    case Status::kUnhealthy:
      return "unhealthy";
    case Status::kRestarting:
      return "restarting";
    case Status::kStopping:
      return "stopping";
    case Status::kCompleted:
      return "completed";
    case Status::kFailed:
      return "failed";
    case Status::kStopped:
      return "stopped";
    case Status::kLost:
      return "lost";
  }
  return "unknown";
}

Status StatusOf(const Task& task) {
  if (IsFinished(task)) return EndedStatus(task);
  if (IsLive(task)) return PlacedStatus(task);
  return task.stop_wanted ? Status::kStopping : Status::kPending;
}

std::string ReasonOf(const Task& task) {
  switch (StatusOf(task)) {
    case Status::kPending:
      if (MovesOn(task)) return "failed on " + task.node.str() + ": " + DescribeEnd(FactOf(task));
      if (IsEvicted(task)) return task.seldom->eviction->reason;
      [[fallthrough]];
    case Status::kLost:
      return task.seldom->lost_reason ? *task.seldom->lost_reason : std::string();
    case Status::kUnhealthy:
      return HealthOf(task)->reason;
    case Status::kStopping:
      return IsEvicted(task) && !task.stop_wanted ? task.seldom->eviction->reason : std::string();
    case Status::kStopped: {
      if (task.over) return task.attempt == 0 ? "stopped before it ran" : "stopped";
      const bool asked = task.stop_wanted || !IsEvicted(task);
      return (asked ? "stop asked" : task.seldom->eviction->reason) + "; " +
             DescribeEnd(FactOf(task));
    }
    case Status::kRestarting:
    case Status::kFailed:
      return DescribeEnd(FactOf(task));
    case Status::kPulling:
    case Status::kStarting:
      return task.observed->rest ? task.observed->rest->detail : std::string();
    default:
      return {};
  }
}

bool IsHealthy(const Task& task) {
  if (StatusOf(task) != Status::kRunning) return false;
  const HealthFact* health = HealthOf(task);
  return health != nullptr ? health->healthy : !task.spec->health;
}

}  // namespace cube
