// What every Store checks before it touches anything, so that all of them refuse the same batches.
#pragma once

#include "shared/store/store.h"

namespace cube::store {

// kResource: a key or value over the limits. kInvalid: an empty key, which LMDB has not.
// A table that the schema does not have is a programmer's error (CUBE_CHECK).
[[nodiscard]] Result<void> CheckBatch(const WriteBatch& batch, const Schema& schema);

// False for keys that no store can hold: a Get of one finds nothing.
[[nodiscard]] bool IsPossibleKey(std::string_view key);

// CUBE_CHECKs that there are 1 to kTablesMax tables with different, non-empty names of [a-z0-9_].
void CheckSchema(const Schema& schema);

}  // namespace cube::store
