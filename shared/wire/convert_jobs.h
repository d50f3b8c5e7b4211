// Protobuf <-> domain for jobs; as convert.h.
#pragma once

#include <cube/v1/jobs.pb.h>

#include "shared/base/error.h"
#include "shared/domain/job.h"

namespace cube::wire {

void ToProto(const JobSpec& from, v1::JobSpec& to);
// Checks everything that Validate checks; the error's field is relative to the job.
[[nodiscard]] Result<JobSpec> FromProto(const v1::JobSpec& from);

void ToProto(const UpdatePolicy& from, v1::UpdatePolicy& to);
[[nodiscard]] UpdatePolicy FromProto(const v1::UpdatePolicy& from);  // unchecked amounts
[[nodiscard]] v1::JobType ToProto(JobType type);
[[nodiscard]] Result<JobType> FromProto(v1::JobType type);
[[nodiscard]] v1::JobEnd ToProto(JobEnd end);
[[nodiscard]] Result<JobEnd> FromProto(v1::JobEnd end);

}  // namespace cube::wire
