#include "shared/domain/job.h"

#include <algorithm>
#include <charconv>

#include "shared/base/check.h"
#include "shared/domain/rules.h"
#include "shared/domain/text.h"
#include "shared/domain/validate.h"

namespace cube {

std::string_view JobTypeName(JobType type) {
  switch (type) {
    case JobType::kService:
      return "service";
    case JobType::kBatch:
      return "batch";
    case JobType::kSystem:
      return "system";
  }
  return "unknown";
}

Result<JobType> ParseJobType(std::string_view text, std::string_view field) {
  for (const JobType type : {JobType::kService, JobType::kBatch, JobType::kSystem}) {
    if (JobTypeName(type) == text) return type;
  }
  constexpr std::size_t kShownMax = 32;
  return Fail(
      Code::kInvalid,
      "'" + CleanText(text, kShownMax) + "' is no type; there are service, batch and system",
      std::string(field));
}

RestartPolicy DefaultRestart(JobType type) {
  if (type == JobType::kBatch) return {};
  return {RestartMode::kAlways, 0};
}

ReschedulePolicy DefaultReschedule(JobType type) {
  if (type != JobType::kService) return {};
  return {ReschedulePolicy::Mode::kOnFailure, kMovesDefault};
}

TaskId JobTaskId(const TaskName& job, std::uint32_t version, std::uint32_t slot) {
  char text[kTokenLengthMax];
  return TaskId::Trusted(std::string(text, WriteJobTaskId(job, version, slot, text)));
}

// Whatever the numbers are: "-v", ten digits, "-", ten digits.
static_assert(kTaskNameLengthMax + 2 + 10 + 1 + 10 <= kTokenLengthMax);

std::size_t WriteJobTaskId(const TaskName& job, std::uint32_t version, std::uint32_t slot,
                           std::span<char, kTokenLengthMax> text) {
  char* const end = text.data() + text.size();
  char* at = std::copy(job.str().begin(), job.str().end(), text.data());
  *at++ = '-';
  *at++ = 'v';
  at = std::to_chars(at, end, version).ptr;
  *at++ = '-';
  const std::to_chars_result last = std::to_chars(at, end, slot);
  CUBE_CHECK(last.ec == std::errc{});
  return static_cast<std::size_t>(last.ptr - text.data());
}

std::optional<JobSlot> ParseJobTaskId(const TaskId& id) {
  const std::string_view text = id.str();
  if (!IsJobTaskId(text)) return std::nullopt;
  const std::size_t slot = text.rfind('-') + 1;
  const std::size_t version = text.rfind("-v", slot - 2) + 2;
  JobSlot parsed{TaskName::Trusted(std::string(text.substr(0, version - 2)))};
  auto read = [](std::string_view digits, std::uint32_t& number) {
    const auto end = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    return end.ec == std::errc{};
  };
  const bool good = read(text.substr(version, slot - 1 - version), parsed.version) &&
                    read(text.substr(slot), parsed.slot);
  if (!good || parsed.job.str().size() > kTaskNameLengthMax) return std::nullopt;
  return parsed;
}

Result<void> CheckReplicas(JobType type, std::int64_t replicas, const std::string& field) {
  // A batch job of no tasks would have ended before it began.
  const std::int64_t least = type == JobType::kBatch ? 1 : 0;
  if (replicas >= least && replicas <= kReplicasMax) return {};
  return Fail(Code::kInvalid,
              "must be " + std::to_string(least) + " to " + std::to_string(kReplicasMax), field);
}

Result<void> Validate(const JobSpec& spec) {
  CUBE_TRY_VOID(CheckToken(spec.name.str(), "name", kTaskNameLengthMax));
  if (spec.type != JobType::kSystem) {
    CUBE_TRY_VOID(CheckReplicas(spec.type, spec.replicas, "replicas"));
  } else if (spec.replicas != 0) {
    return Fail(Code::kInvalid, "a system job has one task on each node; leave it out", "replicas");
  }
  if (spec.update.parallel < 1 || spec.update.parallel > kUpdateParallelMax) {
    return Fail(Code::kInvalid, "must be 1 to " + std::to_string(kUpdateParallelMax),
                "update.parallel");
  }
  if (spec.update.timeout <= Duration(0) || spec.update.timeout > kUpdateTimeoutMax) {
    return Fail(Code::kInvalid,
                "must be more than 0s and at most " + FormatDuration(kUpdateTimeoutMax),
                "update.timeout");
  }
  if (spec.task == nullptr) return Fail(Code::kInvalid, "is required", "task");
  if (spec.task->name != spec.name) {
    return Fail(Code::kInvalid, "is the job's; leave it out or give the same one", "task.name");
  }
  if (auto good = Validate(*spec.task); !good) {
    Error error = std::move(good).error();
    error.field = error.field.empty() ? "task" : "task." + error.field;
    return std::unexpected(std::move(error));
  }
  return {};
}

}  // namespace cube
