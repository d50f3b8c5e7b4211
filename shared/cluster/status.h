// What people read of a task: a pure function of its record, stored nowhere.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "shared/cluster/view.h"

namespace cube {

enum class Status : std::uint8_t {
  kPending,
  kScheduled,
  kPulling,
  kStarting,
  kRunning,
  kUnhealthy,
  kRestarting,
  kStopping,
  kCompleted,
  kFailed,
  kStopped,
  kLost,
};

// "pending", "scheduled", ...
[[nodiscard]] std::string_view StatusName(Status status);
[[nodiscard]] Status StatusOf(const Task& task);
// One sentence on why it is in that status; empty where the status says it all. For a pending
// task, why it waits is the scheduler's to say.
[[nodiscard]] std::string ReasonOf(const Task& task);
// Running, and healthy where a check exists.
[[nodiscard]] bool IsHealthy(const Task& task);

}  // namespace cube
