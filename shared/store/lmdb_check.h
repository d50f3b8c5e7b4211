// Reads an LMDB data file from end to end before LMDB maps it.
//
// LMDB 0.9 trusts its file: it has no checksums, and a damaged page number, offset or free list
// makes it read outside of its map, abort, or write over live pages; a file that is shorter than
// its map ends the process with SIGBUS. So this walks the newest tree with plain reads and accepts
// the file only if every reachable page is where it should be, every node inside its page, all
// keys in order, all counts right, each page used once and none of them free, and each record's
// checksum right. It costs about one read of the used pages, which the owner, who loads all
// of it into memory, is about to do anyway.
//
// Page layout: LMDB 0.9's mdb.c (MDB_meta, MDB_db, MDB_page, MDB_node), data version 1.
#pragma once

#include <cstdint>
#include <string>

#include "shared/store/store.h"

namespace cube::store {

struct LmdbFileSummary {
  std::uint64_t entries = 0;     // in all tables of the schema
  std::uint64_t pages_used = 0;  // reachable, without the two meta pages
};

// kDataLoss: damaged, foreign, or without exactly the tables of the schema, with the reason.
// Other codes: the file could not be read at all. The caller holds the store's lock.
[[nodiscard]] Result<LmdbFileSummary> CheckLmdbFile(const std::string& path, const Schema& schema);

}  // namespace cube::store
