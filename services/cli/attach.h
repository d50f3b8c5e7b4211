// Streaming the output of one task until it ends: `cube run --attach`.
#pragma once

#include <string>

#include "services/cli/session.h"

namespace cube::cli {

// The task's own exit code; kExitNotStarted if it never ran; kExitInterrupted on Ctrl-C (the task
// goes on).
[[nodiscard]] Result<int> AttachTask(Session& session, Client& client, const std::string& id);

}  // namespace cube::cli
