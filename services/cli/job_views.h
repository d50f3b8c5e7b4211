// Jobs as the command line shows them: JSON with stable names, a table. Pure.
#pragma once

#include <cube/v1/queries.pb.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "services/cli/render/table.h"
#include "services/cli/views.h"

namespace cube::cli {

// completed, failed, stopped: nothing further happens to the job.
[[nodiscard]] bool JobHasEnded(const v1::JobView& job);
// "service", "batch", "system".
[[nodiscard]] std::string JobTypeText(const v1::JobView& job);
// "3/5": tasks that are up, of a batch job also those that have completed, of how many.
[[nodiscard]] std::string ReadyText(const v1::JobView& job);
// "updating, 2/5 replaced", "failed: 1 of 3 tasks did not complete".
[[nodiscard]] std::string JobSentence(const v1::JobView& job);

[[nodiscard]] nlohmann::ordered_json JobJson(const v1::JobView& job);
// Those, and the specification as a spec file has it.
[[nodiscard]] nlohmann::ordered_json JobDetailJson(const v1::JobView& job);
// NAME TYPE READY STATUS VERSION CREATED IMAGE, REASON if any job has one.
[[nodiscard]] Table JobTable(const std::vector<v1::JobView>& jobs, const ViewOptions& options);

}  // namespace cube::cli
