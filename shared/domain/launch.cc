#include "shared/domain/launch.h"

#include "shared/base/base32.h"
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

bool HasExitCode(ExitCause cause, std::int32_t exit_code) {
  if (cause == ExitCause::kExited || cause == ExitCause::kSignaled) return true;
  return (cause == ExitCause::kStartFailed || cause == ExitCause::kOutOfMemory) && exit_code > 0;
}

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
      text = "vanished";
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

std::string_view LaunchStateName(LaunchState state) {
  switch (state) {
    case LaunchState::kPulling:
      return "pulling";
    case LaunchState::kStarting:
      return "starting";
    case LaunchState::kRunning:
      return "running";
    case LaunchState::kExited:
      return "exited";
  }
  return "unknown";
}

std::string ContainerName(std::string_view cluster, const LaunchKey& key) {
  constexpr int kClusterDigits = 7;
  // FNV-1a: the same on every machine and in every release, unlike std::hash.
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : cluster) {
    hash ^= static_cast<std::uint8_t>(c);
    hash *= 0x100000001b3ULL;
  }
  return "cube-" + key.task.str() + "-" + std::to_string(key.attempt) + "-" +
         std::to_string(key.launch) + "-" + Base32(hash, kClusterDigits);
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
