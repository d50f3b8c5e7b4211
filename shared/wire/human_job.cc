// Jobs in the human form.
#include "shared/domain/validate.h"
#include "shared/wire/fields.h"
#include "shared/wire/human.h"
#include "shared/wire/internal.h"

namespace cube::wire {
namespace {

using internal::DurationFromHuman;
using internal::Integer;
using internal::Text;
using internal::WrongKind;
using nlohmann::json;

Result<UpdatePolicy> ReadUpdate(const json& value) {
  if (!value.is_object()) return WrongKind("a map with parallel and timeout", value, "update");
  UpdatePolicy policy;
  for (const auto& [field, member] : value.items()) {
    if (field == "parallel") {
      CUBE_TRY(const std::int64_t parallel,
               Integer(member, "update.parallel", 1, kUpdateParallelMax));
      policy.parallel = static_cast<std::uint32_t>(parallel);
    } else if (field == "timeout") {
      CUBE_TRY(policy.timeout, DurationFromHuman(member, "update.timeout"));
    } else {
      return internal::UnknownField(field, "update", {"parallel", "timeout"});
    }
  }
  return policy;
}

// What the job says, the template need not; what depends on the type is filled in.
Result<TaskSpecPtr> ReadTemplate(json task, const JobSpec& job) {
  if (!task.is_object()) return WrongKind("a map with the fields of a task", task, "task");
  if (task.contains("id")) {
    return Fail(Code::kInvalid, "the tasks of a job get their ids from it; leave it out",
                "task.id");
  }
  if (!task.contains("name")) task["name"] = job.name.str();
  if (!task.contains("restart")) task["restart"] = FormatRestart(DefaultRestart(job.type));
  if (!task.contains("reschedule")) {
    task["reschedule"] = FormatReschedule(DefaultReschedule(job.type));
  }
  auto read = TaskFromHuman(task);
  if (!read) return internal::At(std::move(read).error(), "task");
  return std::move(read->spec);
}

Result<void> ReadHead(const json& value, JobSpec& job) {
  if (value.contains("name")) {
    CUBE_TRY(const std::string name, Text(value["name"], "name"));
    CUBE_TRY(job.name, TaskName::Parse(name, "name"));
  } else {
    return Fail(Code::kInvalid, "is required", "name");
  }
  if (value.contains("type")) {
    CUBE_TRY(const std::string type, Text(value["type"], "type"));
    CUBE_TRY(job.type, ParseJobType(type, "type"));
  }
  job.replicas = job.type == JobType::kSystem ? 0 : 1;
  return {};
}

}  // namespace

bool LooksLikeJob(const json& value) {
  return value.is_object() &&
         (value.contains("task") || value.contains("type") || value.contains("replicas"));
}

Result<JobSpec> JobFromHuman(const json& value) {
  if (!value.is_object()) return WrongKind("a map with the fields of a job", value, {});
  JobSpec job;
  CUBE_TRY_VOID(ReadHead(value, job));
  for (const auto& [field, member] : value.items()) {
    if (field == "replicas") {
      CUBE_TRY(const std::int64_t replicas, Integer(member, "replicas", 0, kReplicasMax));
      job.replicas = static_cast<std::uint32_t>(replicas);
    } else if (field == "task") {
      CUBE_TRY(job.task, ReadTemplate(member, job));
    } else if (field == "update") {
      CUBE_TRY(job.update, ReadUpdate(member));
    } else if (field != "name" && field != "type") {
      return internal::UnknownField(field, {}, {"name", "type", "replicas", "task", "update"});
    }
  }
  CUBE_TRY_VOID(Validate(job));
  return job;
}

nlohmann::ordered_json JobToHuman(const JobSpec& job) {
  nlohmann::ordered_json to = nlohmann::ordered_json::object();
  to["name"] = job.name.str();
  to["type"] = JobTypeName(job.type);
  if (job.type != JobType::kSystem) to["replicas"] = job.replicas;
  nlohmann::ordered_json task = SpecToHuman(*job.task);
  task.erase("name");
  if (job.task->restart == DefaultRestart(job.type)) {
    task.erase("restart");
  } else {
    task["restart"] = FormatRestart(job.task->restart);
  }
  task.erase("reschedule");
  if (job.task->reschedule != DefaultReschedule(job.type)) {
    task["reschedule"] = FormatReschedule(job.task->reschedule);
  }
  to["task"] = std::move(task);
  if (job.update != UpdatePolicy{}) {
    to["update"] = {{"parallel", job.update.parallel},
                    {"timeout", FormatDuration(job.update.timeout)}};
  }
  return to;
}

}  // namespace cube::wire
