// RebuildIndexes (view.h) in two parts, none of which changes what the other one looks at: a shell
// that has read very many records may have two threads do them at the same time.
#pragma once

#include "shared/cluster/view.h"

namespace cube {

// Finding tasks by id.
void RebuildIds(View& view);
// Of all others.
void RebuildRest(View& view);

}  // namespace cube
