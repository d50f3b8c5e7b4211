#include "shared/domain/launch.h"

#include "shared/domain/signals.h"

namespace cube {
namespace {

constexpr int kSignalExitBase = 128;  // shells' convention, which Docker follows
constexpr int kSignalMax = 64;

std::string SignalText(int signal) {
  if (signal < 1 || signal > kSignalMax) return "killed by a signal";
  return "killed by " + SignalName(signal);
}

}  // namespace

std::string DescribeEnd(const LaunchFact& fact) {
  std::string text;
  switch (fact.cause) {
    case ExitCause::kNone:
      return {};
    case ExitCause::kExited:
      text = "exit code " + std::to_string(fact.exit_code);
      break;
    case ExitCause::kSignaled:
      text = SignalText(fact.exit_code - kSignalExitBase);
      break;
    case ExitCause::kOutOfMemory:
      return fact.detail.empty() ? "out of memory" : "out of memory (" + fact.detail + ")";
    case ExitCause::kVanished:
      text = "its container was removed by somebody else";
      break;
    case ExitCause::kStartFailed:
      text = "could not start";
      break;
    case ExitCause::kUnhealthy:
      text = "unhealthy";
      break;
  }
  if (!fact.detail.empty()) text += ": " + fact.detail;
  return text;
}

bool MovesForward(const LaunchFact& last, const LaunchFact& next) {
  if (last.key.launch != next.key.launch) return next.key.launch > last.key.launch;
  if (last.state != next.state) return next.state > last.state;
  // The end of a launch may become final later (its restart was called off), never the reverse.
  if (last.state == LaunchState::kExited) return next.final && !last.final;
  // Progress within a state: new detail (pull progress) or ports.
  return last.detail != next.detail || last.ports != next.ports;
}

}  // namespace cube
