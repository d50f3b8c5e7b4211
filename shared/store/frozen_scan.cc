#include "shared/store/frozen_scan.h"

namespace cube::store {

void FrozenScan::BeforeCommit(const WriteBatch& batch) {
  for (const Write write : batch.writes()) {
    if (failed_) return;
    if (write.table < table_) continue;
    if (write.kind == Write::Kind::kClear) {
      failed_ = {Code::kAborted, "a table of the store was cleared", ""};
      return;
    }
    if (write.table == table_ && write.key < from_) continue;
    Place place{write.table, std::string(write.key)};
    if (old_.contains(place)) continue;
    auto value = store_->Get(write.table, write.key);
    if (value) {
      old_.emplace(std::move(place), *std::move(value));
    } else {
      failed_ = std::move(value).error();
    }
  }
}

// Rows of `table_` from `from_` on; moves both on.
Result<void> FrozenScan::ReadTable(std::size_t bytes_max, std::size_t& bytes,
                                   std::vector<Row>& rows) {
  bool full = false;
  const auto take = [&](std::string_view key, std::string_view value) {
    if (bytes > 0 && bytes + key.size() + value.size() > bytes_max) {
      full = true;
      from_ = std::string(key);
      return false;
    }
    bytes += key.size() + value.size();
    rows.push_back({table_, std::string(key), std::string(value)});
    return true;
  };
  auto kept = old_.lower_bound(Place{table_, from_});
  const auto of_table = [&] { return kept != old_.end() && kept->first.first == table_; };
  // Rows that have gone since, or were not there, up to a key.
  const auto take_kept = [&](std::optional<std::string_view> before) {
    for (; of_table() && (!before || kept->first.second < *before); ++kept) {
      if (kept->second && !take(kept->first.second, *kept->second)) return false;
    }
    return true;
  };
  CUBE_TRY_VOID(store_->Scan(table_, from_, [&](std::string_view key, std::string_view value) {
    if (!take_kept(key)) return false;
    if (!of_table() || kept->first.second != key) return take(key, value);
    const bool taken = !kept->second || take(key, *kept->second);
    if (taken) ++kept;
    return taken;
  }));
  if (!full) full = !take_kept(std::nullopt);
  if (!full) {
    ++table_;
    from_.clear();
  }
  old_.erase(old_.begin(), old_.lower_bound(Place{table_, from_}));
  return {};
}

Result<std::vector<Row>> FrozenScan::Next(std::size_t bytes_max) {
  std::vector<Row> rows;
  std::size_t bytes = 0;
  while (!failed_ && table_ < tables_) {
    const TableId table = table_;
    if (Result<void> read = ReadTable(bytes_max, bytes, rows); !read) {
      failed_ = std::move(read).error();
    } else if (table_ == table) {
      return rows;  // full
    }
  }
  if (failed_) return std::unexpected(*failed_);
  return rows;
}

}  // namespace cube::store
