// The small text file `mark` beside LMDB's: what wrote the folder, and whether it may be trusted.
// It is read before LMDB's file is touched, and replaced atomically.
//
//   cube-store 1
//   schema 3 tasks,nodes,cursors
//   open 392ad79a-eae9-4aa8-825f-9b58539c9bab
//
// The last line is `durable` (each commit is synced), `closed` (relaxed, and closed properly) or
// `open` with the kernel's boot id (relaxed, in use): found by another boot, the newest commits
// may be half on the disk, and LMDB cannot tell.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "shared/store/store.h"

namespace cube::store {

inline constexpr std::size_t kMarkBytesMax = 32u << 10;  // kTablesMax long names and some words

[[nodiscard]] std::string DurableMark(const Schema& schema);
[[nodiscard]] std::string ClosedMark(const Schema& schema);
[[nodiscard]] std::string OpenMark(const Schema& schema, std::string_view boot_id);

// nullopt: a store with this mark may be used now. Else one sentence that says why not.
[[nodiscard]] std::optional<std::string> WhyUnusable(std::string_view mark, const Schema& schema,
                                                     std::string_view boot_id);

}  // namespace cube::store
