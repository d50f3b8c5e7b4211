// The Store port: ordered tables of bytes, changed by whole batches. LmdbStore is the real one,
// MemoryStore (test/support) the twin; both pass test/support/store/contract.h.
//
// Threads: one thread uses a Store. Calls return when done; a commit is local and short, so loops
// list it as one operation among others, and what follows it in the list may rely on it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "shared/base/error.h"

namespace cube::store {

// A table's index in the schema that the store was opened with.
using TableId = std::uint8_t;

inline constexpr std::size_t kKeyBytesMax = 511;          // LMDB's compiled-in maximum
inline constexpr std::size_t kValueBytesMax = 16u << 20;  // well above any record we write
inline constexpr std::size_t kTablesMax = 32;

// The tables a store must have. A store written with another version is set aside.
struct Schema {
  std::uint32_t version = 0;             // of the records' meaning; changed when they change
  std::vector<std::string> table_names;  // index = TableId
};

struct Write {
  enum class Kind : std::uint8_t { kPut, kDelete, kClear };
  Kind kind = Kind::kPut;
  TableId table = 0;
  std::string key;    // unused by kClear
  std::string value;  // kPut only
};

// Changes applied in order, all or none. Deleting a missing key is not an error.
class WriteBatch {
 public:
  void Put(TableId table, std::string key, std::string value) {
    if (writes_.empty()) writes_.reserve(kFirstWrites);
    writes_.push_back({Write::Kind::kPut, table, std::move(key), std::move(value)});
  }
  void Delete(TableId table, std::string key) {
    writes_.push_back({Write::Kind::kDelete, table, std::move(key), {}});
  }
  void Clear(TableId table) { writes_.push_back({Write::Kind::kClear, table, {}, {}}); }
  [[nodiscard]] const std::vector<Write>& writes() const { return writes_; }
  [[nodiscard]] std::vector<Write> TakeWrites() && { return std::move(writes_); }
  [[nodiscard]] bool empty() const { return writes_.empty(); }

 private:
  static constexpr std::size_t kFirstWrites = 8;  // a step of a worker's about one task

  std::vector<Write> writes_;
};

// Called for each entry in key order; return false to end the scan.
using Visitor = std::function<bool(std::string_view key, std::string_view value)>;

class Store {
 public:
  virtual ~Store() = default;

  // Applies a batch atomically. After a failure the store holds what it held before.
  // kResource: disk full or a key or value over the limits; kDataLoss: the file is damaged.
  [[nodiscard]] virtual Result<void> Commit(const WriteBatch& batch) = 0;
  // nullopt = no such key.
  [[nodiscard]] virtual Result<std::optional<std::string>> Get(TableId table,
                                                               std::string_view key) const = 0;
  // Visits keys >= `from` in bytewise order, as of one instant. The visitor must not call Commit.
  [[nodiscard]] virtual Result<void> Scan(TableId table, std::string_view from,
                                          const Visitor& visit) const = 0;
  [[nodiscard]] virtual Result<std::uint64_t> Count(TableId table) const = 0;
  // Makes everything committed so far survive a power loss (a no-op where each commit does).
  [[nodiscard]] virtual Result<void> Sync() = 0;
};

// How a store came up.
struct Opening {
  bool fresh = false;     // it was empty, or had to be set aside
  std::string set_aside;  // where the unusable old files went; empty if nothing was wrong
  std::string reason;     // why, one sentence; empty if nothing was wrong
};

}  // namespace cube::store
