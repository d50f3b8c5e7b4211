// Streaming the output of one task until it ends: `cube run --attach`.
#pragma once

#include <string>

#include "services/cli/session.h"

namespace cube::cli {

// The task's own exit code; kExitNotStarted if it never ran; kExitNotConverged if it was on no node
// by `placed_by`; kExitInterrupted on Ctrl-C (the task goes on).
[[nodiscard]] Result<int> AttachTask(Session& session, Client& client, const std::string& id,
                                     MonoTime placed_by);

}  // namespace cube::cli
