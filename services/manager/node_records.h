// Nodes of a view as records of its store. A part of view_store.h.
#pragma once

#include <cube/v1/records.pb.h>

#include <string_view>

#include "shared/base/error.h"
#include "shared/cluster/view.h"

namespace cube::manager {

// Without what follows from its tasks.
[[nodiscard]] v1::NodeRecord NodeRecordOf(const Node& node);
// The other way round. kDataLoss: the bytes are no record; kInvalid: a field is not valid.
[[nodiscard]] Result<Node> NodeFrom(std::string_view bytes);

}  // namespace cube::manager
