// The Store of simulated machines: a MemoryStore that outlives its process, with faults. It is
// the disk; a simulated process gets a pointer to it and comes back to it after a crash.
#pragma once

#include <deque>
#include <optional>

#include "shared/store/memory_store.h"

namespace cube::store {

class FaultyStore final : public MemoryStore {
 public:
  enum class Durability : std::uint8_t { kFull, kRelaxed };  // as LmdbStore's

  FaultyStore(Schema schema, Durability durability);

  // The next Commit that is not refused for other reasons changes nothing and returns `error`.
  void FailNextCommit(Error error) { next_failure_ = std::move(error); }
  // Every Commit from now on fails so, until called with nullopt: a full disk.
  void FailAllCommits(std::optional<Error> error) { standing_failure_ = std::move(error); }

  // The process dies, or stops in good order: nothing that was committed is lost.
  [[nodiscard]] Opening ReopenAfterProcessEnd() const;
  // The power fails. Full: nothing is lost. Relaxed: the store cannot be trusted and comes up
  // fresh, as LmdbStore does.
  Opening ReopenAfterPowerCut();
  // A crueler disk than LmdbStore admits, for owners that must cope with an older state: a
  // relaxed store forgets its newest commits, up to `commits`, back to the last Sync at most.
  // A full one forgets nothing. Returns how many were forgotten.
  std::size_t LoseNewest(std::size_t commits);

  [[nodiscard]] Result<void> Commit(const WriteBatch& batch) override;
  [[nodiscard]] Result<void> Sync() override;

  [[nodiscard]] std::uint64_t commits() const { return commits_; }

 private:
  // What a commit changed, as it was before: enough to take it back.
  struct Before {
    TableId table;
    std::string key;
    std::optional<std::string> value;
  };
  using Undo = std::vector<Before>;
  [[nodiscard]] Undo UndoOf(const WriteBatch& batch) const;
  [[nodiscard]] bool IsEmpty() const;

  Durability durability_;
  std::optional<Error> next_failure_;
  std::optional<Error> standing_failure_;
  std::deque<Undo> unsynced_;  // relaxed only; oldest first
  std::uint64_t commits_ = 0;
};

}  // namespace cube::store
