// What commands do with jobs: submitting, stopping, showing. Shared by run, stop, status and job.
#pragma once

#include <optional>
#include <string>

#include "services/cli/client.h"
#include "services/cli/session.h"
#include "shared/domain/job.h"

namespace cube::cli {

// Submits and, unless --detach, waits until it is up. -> the exit code.
[[nodiscard]] Result<int> RunJob(Session& session, const JobSpec& spec);
// Stops and, unless --detach, waits until nothing of it runs. -> the exit code.
[[nodiscard]] Result<int> StopJobAndWait(Session& session, Client& client, const std::string& name,
                                         std::optional<Duration> grace);
// The job with exactly this name; nothing if there is none.
[[nodiscard]] Result<std::optional<v1::JobView>> FindJob(Client& client, const std::string& name);
// The job that a word means where tasks may be named too: a task's whole id is that task.
[[nodiscard]] Result<std::optional<v1::JobView>> JobMeant(Client& client, const std::string& word);
// All about it: itself, its tasks, its last events; or in another format that was asked for.
[[nodiscard]] Result<void> ShowJobDetails(Session& session, Client& client, const v1::JobView& job);

}  // namespace cube::cli
