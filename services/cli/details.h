// All about one task or node, for people: what `cube status NAME` and `inspect` print.
#pragma once

#include "services/cli/session.h"

namespace cube::cli {

// With its last events and, while it waits, why.
[[nodiscard]] Result<void> ShowTaskDetails(Session& session, Client& client,
                                           const v1::TaskView& task);
// With its tasks and last events.
[[nodiscard]] Result<void> ShowNodeDetails(Session& session, Client& client,
                                           const v1::NodeView& node);

}  // namespace cube::cli
