#include "shared/domain/launch.h"

#include <array>
#include <utility>

namespace cube {
namespace {

// Linux's numbers of the signals that end containers in practice.
constexpr std::array<std::pair<int, std::string_view>, 11> kSignals{{{1, "SIGHUP"},
                                                                     {2, "SIGINT"},
                                                                     {3, "SIGQUIT"},
                                                                     {4, "SIGILL"},
                                                                     {6, "SIGABRT"},
                                                                     {7, "SIGBUS"},
                                                                     {8, "SIGFPE"},
                                                                     {9, "SIGKILL"},
                                                                     {11, "SIGSEGV"},
                                                                     {13, "SIGPIPE"},
                                                                     {15, "SIGTERM"}}};
constexpr int kSignalExitBase = 128;  // shells' convention, which Docker follows

std::string SignalText(int signal) {
  for (const auto& [number, name] : kSignals) {
    if (number == signal) return std::to_string(signal) + " (" + std::string(name) + ")";
  }
  return std::to_string(signal);
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
      text = "killed by signal " + SignalText(fact.exit_code - kSignalExitBase);
      break;
    case ExitCause::kOutOfMemory:
      text = "out of memory";
      break;
    case ExitCause::kVanished:
      text = "its container was removed by somebody else";
      break;
    case ExitCause::kStartFailed:
      text = "could not start";
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
