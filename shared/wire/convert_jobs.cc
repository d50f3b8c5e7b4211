#include "shared/wire/convert_jobs.h"

#include "shared/wire/convert.h"
#include "shared/wire/internal.h"

namespace cube::wire {

v1::JobType ToProto(JobType type) {
  switch (type) {
    case JobType::kService:
      return v1::JOB_TYPE_SERVICE;
    case JobType::kBatch:
      return v1::JOB_TYPE_BATCH;
    case JobType::kSystem:
      return v1::JOB_TYPE_SYSTEM;
  }
  return v1::JOB_TYPE_UNSPECIFIED;
}

Result<JobType> FromProto(v1::JobType type) {
  switch (type) {
    case v1::JOB_TYPE_UNSPECIFIED:
    case v1::JOB_TYPE_SERVICE:
      return JobType::kService;
    case v1::JOB_TYPE_BATCH:
      return JobType::kBatch;
    case v1::JOB_TYPE_SYSTEM:
      return JobType::kSystem;
    default:
      break;
  }
  return internal::UnknownEnum(type, "type");
}

v1::JobEnd ToProto(JobEnd end) {
  switch (end) {
    case JobEnd::kNone:
      break;
    case JobEnd::kCompleted:
      return v1::JOB_END_COMPLETED;
    case JobEnd::kFailed:
      return v1::JOB_END_FAILED;
    case JobEnd::kStopped:
      return v1::JOB_END_STOPPED;
  }
  return v1::JOB_END_UNSPECIFIED;
}

Result<JobEnd> FromProto(v1::JobEnd end) {
  switch (end) {
    case v1::JOB_END_UNSPECIFIED:
      return JobEnd::kNone;
    case v1::JOB_END_COMPLETED:
      return JobEnd::kCompleted;
    case v1::JOB_END_FAILED:
      return JobEnd::kFailed;
    case v1::JOB_END_STOPPED:
      return JobEnd::kStopped;
    default:
      break;
  }
  return internal::UnknownEnum(end, "end");
}

void ToProto(const UpdatePolicy& from, v1::UpdatePolicy& to) {
  const UpdatePolicy absent;
  if (from.parallel != absent.parallel) to.set_parallel(from.parallel);
  if (from.timeout != absent.timeout) to.set_timeout_ns(from.timeout.count());
}

UpdatePolicy FromProto(const v1::UpdatePolicy& from) {
  UpdatePolicy policy;
  if (from.parallel() != 0) policy.parallel = from.parallel();
  if (from.has_timeout_ns()) policy.timeout = Duration(from.timeout_ns());
  return policy;
}

void ToProto(const JobSpec& from, v1::JobSpec& to) {
  to.set_name(from.name.str());
  to.set_type(ToProto(from.type));
  if (from.type != JobType::kSystem) to.set_replicas(from.replicas);
  ToProto(*from.task, *to.mutable_task());
  // What is absent means another policy here than in a plain task.
  if (!to.task().has_restart()) {
    internal::RestartToProto(from.task->restart, *to.mutable_task()->mutable_restart());
  }
  if (!to.task().has_reschedule()) {
    to.mutable_task()->mutable_reschedule()->set_mode(v1::ReschedulePolicy::MODE_ON_LOST);
  }
  if (from.update != UpdatePolicy{}) ToProto(from.update, *to.mutable_update());
}

Result<JobSpec> FromProto(const v1::JobSpec& from) {
  JobSpec spec;
  CUBE_TRY(spec.name, TaskName::Parse(from.name(), "name"));
  CUBE_TRY(spec.type, FromProto(from.type()));
  spec.replicas = spec.type == JobType::kSystem ? 0 : 1;
  if (from.has_replicas()) spec.replicas = from.replicas();
  if (from.has_update()) spec.update = FromProto(from.update());
  if (!from.has_task()) return Fail(Code::kInvalid, "is required", "task");
  v1::TaskSpec proto = from.task();
  if (proto.name().empty()) proto.set_name(from.name());
  auto task = FromProto(proto);
  if (!task) return internal::At(std::move(task).error(), "task");
  if (!proto.has_restart()) task->restart = DefaultRestart(spec.type);
  if (!proto.reschedule_never() &&
      proto.reschedule().mode() == v1::ReschedulePolicy::MODE_UNSPECIFIED) {
    task->reschedule = DefaultReschedule(spec.type);
  }
  spec.task = std::make_shared<const TaskSpec>(*std::move(task));
  CUBE_TRY_VOID(Validate(spec));
  return spec;
}

}  // namespace cube::wire
