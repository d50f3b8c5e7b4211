// cube node cordon, uncordon, drain: what users ask of nodes.
#pragma once

#include "services/cli/session.h"

namespace cube::cli {

[[nodiscard]] Result<int> CordonNodes(Session& session);
[[nodiscard]] Result<int> UncordonNodes(Session& session);
// Waits until nothing runs there any more, unless --detach.
[[nodiscard]] Result<int> DrainNodes(Session& session);

}  // namespace cube::cli
