// Single rules behind Validate, for what checks values other than a whole specification: the
// codecs, the command line, a node's own labels. Pure.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "shared/base/error.h"
#include "shared/base/time.h"
#include "shared/domain/task_spec.h"

namespace cube {

inline constexpr std::string_view kEngineDocker = "docker";
inline constexpr std::string_view kEngineProcess = "process";
inline constexpr std::string_view kEngineSim = "sim";
// Labels that workers put on containers: cube.cluster, cube.task, ...
inline constexpr std::string_view kOwnLabelPrefix = "cube.";
inline constexpr std::size_t kLabelKeyLengthMax =
    128;                                             // as long as anybody reads; keeps paths short
inline constexpr std::size_t kQuotedLengthMax = 64;  // bytes of input that an error repeats

// Scheduling policies (docs/SPEC.md), as the log spells them.
inline constexpr std::array<std::string_view, 6> kPolicies{"round-robin", "spread",    "binpack",
                                                           "epvm",        "epvm-book", "greedy"};
// The log's spelling of a policy's name; "roundrobin" is read too. kInvalid lists the policies.
[[nodiscard]] Result<std::string> ParsePolicy(std::string_view name, const std::string& field);

inline constexpr Duration kDrainDeadlineDefault = std::chrono::minutes(10);
inline constexpr Duration kDrainDeadlineMax = std::chrono::hours(24 * 7);  // beyond any maintenance

[[nodiscard]] bool IsEngine(std::string_view name);
// Keys of task labels, of node labels and of constraints. The error names `field`.
[[nodiscard]] Result<void> CheckLabelKey(std::string_view key, const std::string& field);
// Neither negative nor beyond any machine; fields "cpus", "memory", "disk".
[[nodiscard]] Result<void> CheckResources(const Resources& resources);
// The time between signal and kill: 0 to kStopGraceMax.
[[nodiscard]] Result<void> CheckGrace(Duration grace, const std::string& field);
// How long a draining node's tasks may stay: 0 to kDrainDeadlineMax.
[[nodiscard]] Result<void> CheckDrainDeadline(Duration deadline, const std::string& field);
// A token of the form NAME-v<digits>-<digits>: the id of a job's task.
[[nodiscard]] bool IsJobTaskId(std::string_view id);
// An id that a user may give a plain task, or stop: a token, but not NAME-v<digits>-<digits>, the
// form of a job's tasks.
[[nodiscard]] Result<void> CheckPlainTaskId(std::string_view id, const std::string& field);

}  // namespace cube
