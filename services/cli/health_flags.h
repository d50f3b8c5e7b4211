// Flags of `cube run` about health and what follows failures, named as docker's.
#pragma once

#include <vector>

#include "services/cli/args.h"
#include "shared/domain/task_spec.h"

namespace cube::cli {

[[nodiscard]] std::vector<FlagSpec> HealthFlags();
// Sets health and reschedule. kInvalid names the flag.
[[nodiscard]] Result<void> ReadHealthFlags(const Args& args, TaskSpec& spec);

}  // namespace cube::cli
