// The view's records in a Store: what a manager reads back after a restart instead of the whole
// log. A cache: when in doubt it is set aside and the log is read again.
#pragma once

#include "shared/base/error.h"
#include "shared/cluster/view.h"
#include "shared/store/store.h"

namespace cube::manager {

[[nodiscard]] store::Schema ViewSchema();

// The view as of the last commit; empty if the store is. kDataLoss: a record cannot be read.
[[nodiscard]] Result<View> LoadView(const store::Store& store);

// What changed since the last call, with the positions; clears the view's dirty marks.
[[nodiscard]] store::WriteBatch SaveView(View& view);

// Forgets everything: the next load gives an empty view.
[[nodiscard]] store::WriteBatch ClearView();

// All records of a view as bytes, in key order: equal views have equal bytes.
[[nodiscard]] std::string ViewBytes(const View& view);

}  // namespace cube::manager
