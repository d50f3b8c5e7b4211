// The life of one launch, as workers report it and everybody reads it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/time.h"
#include "shared/domain/ids.h"
#include "shared/domain/task_spec.h"

namespace cube {

// Only moves forward (docs/STATE_MACHINES.md).
enum class LaunchState : std::uint8_t {
  kPulling,   // the image is being fetched
  kStarting,  // created, not yet started
  kRunning,
  kExited,
};

// How a launch ended; kNone while it has not.
enum class ExitCause : std::uint8_t {
  kNone,
  kExited,    // exit_code says
  kSignaled,  // exit_code = 128 + signal
  kOutOfMemory,
  kVanished,     // somebody else removed it
  kStartFailed,  // it never ran: image, command, port or engine (detail says)
  kUnhealthy,    // its checks failed, and the worker ended it (detail says which)
};

// What became of a launch: the worker's words.
struct LaunchFact {
  LaunchKey key;
  Stamp placement;  // the decision that placed the attempt
  LaunchState state = LaunchState::kPulling;
  ExitCause cause = ExitCause::kNone;
  std::int32_t exit_code = -1;  // see HasExitCode; -1 = unknown
  std::string detail;           // one sentence: the engine's error or progress
  std::string container_id;
  std::vector<BoundPort> ports;
  WallTime started_at;
  WallTime finished_at;
  bool final = false;       // kExited: no further launch of this attempt follows
  bool stop_asked = false;  // kExited: a stop had been asked for
  WallTime restart_at;      // kExited and not final: when the next launch is due
  friend bool operator==(const LaunchFact&, const LaunchFact&) = default;
};

// Exit codes of a command that never ran, as shells and docker have them.
inline constexpr std::int32_t kExitNotExecutable = 126;
inline constexpr std::int32_t kExitNoSuchCommand = 127;

// kExited and kSignaled have an exit code, kOutOfMemory if the engine knows it, and kStartFailed
// has one of the two above if the command is what could not be started.
[[nodiscard]] bool HasExitCode(ExitCause cause, std::int32_t exit_code);

// What its checks say of a running launch: the worker's words, and the newest of them in a task's
// record.
struct HealthFact {
  LaunchKey key;
  Stamp placement;
  bool healthy = false;
  std::string reason;  // not healthy: one sentence, "GET /health: status 500"
  friend bool operator==(const HealthFact&, const HealthFact&) = default;
};

// "exit code 1", "killed by SIGKILL", "out of memory (limit 64Mi)", ...; empty while it has not
// ended.
[[nodiscard]] std::string DescribeEnd(const LaunchFact& fact);

// "pulling", "starting", "running", "exited".
[[nodiscard]] std::string_view LaunchStateName(LaunchState state);

// "cube-<task>-<attempt>-<launch>-<hash of the cluster id>", the name of a launch's container:
// unique on an engine that several clusters share, and computed from the launch alone, so that a
// lost answer can be looked up.
[[nodiscard]] std::string ContainerName(std::string_view cluster, const LaunchKey& key);

// True if `next` is later in the life of the same attempt than `last`: (launch, state) grows.
[[nodiscard]] bool MovesForward(const LaunchFact& last, const LaunchFact& next);

}  // namespace cube
