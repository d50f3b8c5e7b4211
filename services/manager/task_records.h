// Tasks of a view as records of its store. A part of view_store.h.
#pragma once

#include <cube/v1/records.pb.h>

#include <string_view>

#include "shared/base/error.h"
#include "shared/cluster/view.h"

namespace cube::manager {

// Without its specification. What `record` held before is dropped; its memory is used again.
void TaskRecordOf(const Task& task, v1::TaskRecord& record);
// The other way round: neither the specification nor the node is filled in. kInvalid: a field is
// not valid; kDataLoss: it is of a job that is not there.
[[nodiscard]] Result<Task> TaskFrom(const v1::TaskRecord& record, const Jobs& jobs);

// kDataLoss: "the view's record of <what> cannot be read".
[[nodiscard]] std::unexpected<Error> DamagedRecord(std::string_view what);

}  // namespace cube::manager
