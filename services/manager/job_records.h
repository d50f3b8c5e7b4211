// Jobs of a view as records of its store. A part of view_store.h.
#pragma once

#include <cube/v1/jobs.pb.h>

#include "shared/base/error.h"
#include "shared/cluster/job.h"

namespace cube::manager {

// Without the versions' templates.
[[nodiscard]] v1::JobRecord JobRecordOf(const Job& job);
// The other way round: templates and counts are not filled in. kInvalid: it is of a later version.
[[nodiscard]] Result<Job> JobFrom(const v1::JobRecord& record);

}  // namespace cube::manager
