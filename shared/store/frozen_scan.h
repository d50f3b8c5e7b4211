// What a store held at one instant, read piece by piece while commits go on. A read transaction of
// LMDB would do the same, but keep its map from growing and its pages from being used again; this
// keeps, in memory, the old values of the rows that were changed before the scan came to them.
//
// Threads: that of the store.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "shared/store/store.h"

namespace cube::store {

struct Row {
  TableId table = 0;
  std::string key;
  std::string value;
  friend bool operator==(const Row&, const Row&) = default;
};

class FrozenScan {
 public:
  // The instant is now. `store` must outlive the scan; `tables` is the number of its tables.
  FrozenScan(const Store& store, std::size_t tables) : store_(&store), tables_(tables) {}

  // To be called before each commit to the store.
  void BeforeCommit(const WriteBatch& batch);

  // The next rows, by table and key, in all of about `bytes_max` (one row at least). None = that
  // were all. kAborted: a table was cleared, which would have had to be kept as a whole. kDataLoss:
  // the store is damaged. After an error each call gives it again.
  [[nodiscard]] Result<std::vector<Row>> Next(std::size_t bytes_max);

 private:
  using Place = std::pair<TableId, std::string>;

  [[nodiscard]] Result<void> ReadTable(std::size_t bytes_max, std::size_t& bytes,
                                       std::vector<Row>& rows);

  const Store* store_;
  std::size_t tables_;
  // Everything before it was read.
  TableId table_ = 0;
  std::string from_;
  std::optional<Error> failed_;
  // Rows behind that place as they were; nullopt = there was none.
  std::map<Place, std::optional<std::string>> old_;
};

}  // namespace cube::store
