// The Store port: ordered tables of bytes, changed by whole batches. LmdbStore is the real one,
// MemoryStore (test/support) the twin; both pass test/support/store/contract.h.
//
// Threads: one at a time uses a Store. Calls return when done; a commit is local and short, so
// loops list it as one operation among others (whether others wait for it: the service's
// operation.h).
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <ranges>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "shared/base/check.h"
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

// One change; its texts are the batch's, until that changes.
struct Write {
  enum class Kind : std::uint8_t { kPut, kDelete, kClear };
  Kind kind = Kind::kPut;
  TableId table = 0;
  std::string_view key;    // unused by kClear
  std::string_view value;  // kPut only
};

// Changes applied in order, all or none. Deleting a missing key is not an error. A batch of a busy
// manager has a hundred thousand of them: all keys and values are one text, without a string each.
class WriteBatch {
 public:
  void Put(TableId table, std::string_view key, std::string_view value) {
    std::ranges::copy(value, PutRoom(table, key, value.size()).begin());
  }
  // Puts a value of so many bytes, which the caller fills before the batch changes again.
  [[nodiscard]] std::span<char> PutRoom(TableId table, std::string_view key,
                                        std::size_t value_bytes) {
    Add(Write::Kind::kPut, table, key, value_bytes);
    bytes_.resize(bytes_.size() + value_bytes);
    return std::span(bytes_).last(value_bytes);
  }
  // Room for so many changes, whose keys and values take that together: a batch that has to grow
  // copies what it has.
  void Reserve(std::size_t writes, std::size_t bytes) {
    heads_.reserve(std::max(writes, kFirstWrites));
    bytes_.reserve(std::max(bytes, kFirstBytes));
  }
  void Delete(TableId table, std::string_view key) { Add(Write::Kind::kDelete, table, key, 0); }
  void Clear(TableId table) { Add(Write::Kind::kClear, table, {}, 0); }
  [[nodiscard]] bool empty() const { return heads_.empty(); }
  [[nodiscard]] std::size_t size() const { return heads_.size(); }

  // In order.
  [[nodiscard]] auto writes() const& {
    return std::views::transform(heads_, [bytes = std::string_view(bytes_)](const Head& head) {
      return Write{head.kind, head.table, bytes.substr(head.from, head.key_bytes),
                   bytes.substr(head.from + head.key_bytes, head.value_bytes)};
    });
  }
  void writes() && = delete;  // they point into the batch

 private:
  // Enough for a worker's step about one task.
  static constexpr std::size_t kFirstWrites = 8;
  static constexpr std::size_t kFirstBytes = 2048;

  struct Head {
    std::size_t from = 0;  // of its key, which its value follows
    std::uint32_t key_bytes = 0;
    std::uint32_t value_bytes = 0;
    Write::Kind kind = Write::Kind::kPut;
    TableId table = 0;
  };
  void Add(Write::Kind kind, TableId table, std::string_view key, std::size_t value_bytes) {
    CUBE_CHECK(key.size() <= kTextBytesMax && value_bytes <= kTextBytesMax);
    if (heads_.capacity() == 0) {
      heads_.reserve(kFirstWrites);
      bytes_.reserve(kFirstBytes);
    }
    heads_.push_back({bytes_.size(), static_cast<std::uint32_t>(key.size()),
                      static_cast<std::uint32_t>(value_bytes), kind, table});
    bytes_.append(key);
  }
  // What a head can say. A store takes less, and says so (kKeyBytesMax, kValueBytesMax).
  static constexpr std::size_t kTextBytesMax = std::numeric_limits<std::uint32_t>::max();

  std::vector<Head> heads_;
  std::string bytes_;
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
