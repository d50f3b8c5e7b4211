// Folders of stores that cannot be used any more: kept beside for who wants to look, not for ever.
#pragma once

#include <string>

#include "shared/base/error.h"

namespace cube::store {

// Beyond this many the oldest is removed: a store that is damaged again and again (a dying disk)
// must not fill what is left of the disk.
inline constexpr int kAsideFoldersMax = 3;

// Renames `<dir>` to `<dir>.aside-<n>`, n growing, and returns that path. The caller holds the
// store's lock.
[[nodiscard]] Result<std::string> MoveAside(const std::string& dir);

}  // namespace cube::store
