#include "test/support/store/faulty_store.h"

#include "shared/store/batch_check.h"

namespace cube::store {

FaultyStore::FaultyStore(Schema schema, Durability durability)
    : MemoryStore(std::move(schema)), durability_(durability) {}

Result<void> FaultyStore::Commit(const WriteBatch& batch) {
  CUBE_TRY_VOID(CheckBatch(batch, schema()));
  if (next_failure_) {
    Error error = std::move(*next_failure_);
    next_failure_.reset();
    return std::unexpected(std::move(error));
  }
  if (standing_failure_) return std::unexpected(*standing_failure_);
  if (durability_ == Durability::kRelaxed) unsynced_.push_back(UndoOf(batch));
  ++commits_;
  return MemoryStore::Commit(batch);
}

Result<void> FaultyStore::Sync() {
  unsynced_.clear();
  return {};
}

FaultyStore::Undo FaultyStore::UndoOf(const WriteBatch& batch) const {
  Undo undo;
  for (const Write write : batch.writes()) {
    const Entries& entries = contents()[write.table];
    if (write.kind == Write::Kind::kClear) {
      for (const auto& [key, value] : entries) undo.push_back({write.table, key, value});
      continue;
    }
    const auto found = entries.find(write.key);
    undo.push_back({write.table, std::string(write.key),
                    found == entries.end() ? std::nullopt : std::optional(found->second)});
  }
  return undo;
}

std::size_t FaultyStore::LoseNewest(std::size_t commits) {
  const std::size_t lost = std::min(commits, unsynced_.size());
  Contents contents = this->contents();
  for (std::size_t i = 0; i < lost; ++i) {
    // All values are from before the commit, so the order of one commit's entries is no matter.
    for (Before& before : unsynced_.back()) {
      Entries& entries = contents[before.table];
      if (before.value) {
        entries.insert_or_assign(before.key, std::move(*before.value));
      } else {
        entries.erase(before.key);
      }
    }
    unsynced_.pop_back();
  }
  Restore(std::move(contents));
  return lost;
}

bool FaultyStore::IsEmpty() const {
  return std::all_of(contents().begin(), contents().end(),
                     [](const Entries& entries) { return entries.empty(); });
}

Opening FaultyStore::ReopenAfterProcessEnd() const { return {IsEmpty(), {}, {}}; }

Opening FaultyStore::ReopenAfterPowerCut() {
  if (durability_ == Durability::kFull || IsEmpty()) return ReopenAfterProcessEnd();
  Restore(Contents(contents().size()));
  unsynced_.clear();
  return {true, "aside", "the machine went down before it was closed"};
}

}  // namespace cube::store
