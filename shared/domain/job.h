// What a user wishes of a job: a named, versioned wish for tasks of one template.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "shared/base/error.h"
#include "shared/base/time.h"
#include "shared/domain/ids.h"
#include "shared/domain/task_spec.h"

namespace cube {

enum class JobType : std::uint8_t {
  kService,  // N tasks that are kept alive
  kBatch,    // N tasks that run to their end
  kSystem,   // one task on each eligible node
};
// "service", "batch", "system".
[[nodiscard]] std::string_view JobTypeName(JobType type);
// kInvalid names the types.
[[nodiscard]] Result<JobType> ParseJobType(std::string_view text, std::string_view field);

// Tasks of one job: a quarter of what a cluster holds.
inline constexpr std::uint32_t kReplicasMax = 1'000'000;
// Tasks of one job that an update may take down at one time: more is no rolling update.
inline constexpr std::uint32_t kUpdateParallelMax = 1000;
inline constexpr Duration kUpdateTimeoutMax = std::chrono::hours(24);  // beyond any start

// How tasks of one version replace those of another.
struct UpdatePolicy {
  std::uint32_t parallel = 1;                  // tasks that may be down at one time
  Duration timeout = std::chrono::minutes(5);  // it has failed if none comes up for so long
  friend bool operator==(const UpdatePolicy&, const UpdatePolicy&) = default;
};

struct JobSpec {
  TaskName name;
  JobType type = JobType::kService;
  std::uint32_t replicas = 1;  // kSystem: 0
  UpdatePolicy update;
  TaskSpecPtr task;  // the template; its name is the job's
};

// Where the template says nothing.
[[nodiscard]] RestartPolicy DefaultRestart(JobType type);
[[nodiscard]] ReschedulePolicy DefaultReschedule(JobType type);

// What a task's record says of its job. Shared by all tasks of a version.
struct JobRef {
  TaskName name;
  std::uint32_t version = 0;
  JobType type = JobType::kService;
  friend bool operator==(const JobRef&, const JobRef&) = default;
};
using JobRefPtr = std::shared_ptr<const JobRef>;

// <job>-v<version>-<slot>.
[[nodiscard]] TaskId JobTaskId(const TaskName& job, std::uint32_t version, std::uint32_t slot);
// The same into `text`. -> its length.
std::size_t WriteJobTaskId(const TaskName& job, std::uint32_t version, std::uint32_t slot,
                           std::span<char, kTokenLengthMax> text);
// The other way round; none if the id is not of that form.
struct JobSlot {
  TaskName job;
  std::uint32_t version = 0;
  std::uint32_t slot = 0;
};
[[nodiscard]] std::optional<JobSlot> ParseJobTaskId(const TaskId& id);
// "-v", ten digits, "-", and the digits of the last slot.
static_assert(kTaskNameLengthMax + 2 + 10 + 1 + 6 <= kTokenLengthMax);
static_assert(kReplicasMax <= 1'000'000);

enum class JobEnd : std::uint8_t {
  kNone,       // it has not
  kCompleted,  // all tasks of a batch job have completed
  kFailed,     // all tasks of a batch job have ended, not all of them well
  kStopped,    // a stop was asked for, and nothing of it runs any more
};

// The rules that accept a job, its template's included. kInvalid with the field's path
// ("task.ports[1].host_port").
[[nodiscard]] Result<void> Validate(const JobSpec& spec);
// The number of tasks of a service or batch job; the error names `field`.
[[nodiscard]] Result<void> CheckReplicas(JobType type, std::int64_t replicas,
                                         const std::string& field);

}  // namespace cube
