#include "shared/store/memory_store.h"

#include <utility>

#include "shared/base/check.h"
#include "shared/store/batch_check.h"

namespace cube::store {

MemoryStore::MemoryStore(Schema schema)
    : schema_(std::move(schema)), contents_(schema_.table_names.size()) {
  CheckSchema(schema_);
}

Result<void> MemoryStore::Commit(const WriteBatch& batch) {
  CUBE_CHECK(scans_running_ == 0);
  // Everything that can be wrong is found before the first change.
  CUBE_TRY_VOID(CheckBatch(batch, schema_));
  for (const Write write : batch.writes()) Apply(write);
  return {};
}

void MemoryStore::Apply(const Write& write) {
  Entries& entries = contents_[write.table];
  switch (write.kind) {
    case Write::Kind::kPut: {
      const auto at = entries.lower_bound(write.key);
      if (at != entries.end() && at->first == write.key) {
        at->second = std::string(write.value);  // a longer one's room would stay half empty
      } else {
        entries.emplace_hint(at, write.key, write.value);
      }
      return;
    }
    case Write::Kind::kDelete:
      if (const auto at = entries.find(write.key); at != entries.end()) entries.erase(at);
      return;
    case Write::Kind::kClear:
      entries.clear();
      return;
  }
}

Result<std::optional<std::string>> MemoryStore::Get(TableId table, std::string_view key) const {
  CUBE_CHECK(table < contents_.size());
  const auto found = contents_[table].find(key);
  if (found == contents_[table].end()) return std::nullopt;
  return std::optional<std::string>(found->second);
}

Result<void> MemoryStore::Scan(TableId table, std::string_view from, const Visitor& visit) const {
  CUBE_CHECK(table < contents_.size());
  const Entries& entries = contents_[table];
  ++scans_running_;
  for (auto entry = entries.lower_bound(from); entry != entries.end(); ++entry) {
    if (!visit(entry->first, entry->second)) break;
  }
  --scans_running_;
  return {};
}

Result<std::uint64_t> MemoryStore::Count(TableId table) const {
  CUBE_CHECK(table < contents_.size());
  return contents_[table].size();
}

Result<void> MemoryStore::Sync() { return {}; }

void MemoryStore::Restore(Contents contents) {
  CUBE_CHECK(contents.size() == contents_.size() && scans_running_ == 0);
  contents_ = std::move(contents);
}

}  // namespace cube::store
