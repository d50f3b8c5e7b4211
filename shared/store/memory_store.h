// A Store that lives and dies with its process: `--store memory`, and the twin of LmdbStore in
// tests. Faults are in test/support/store/faulty_store.h.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "shared/store/store.h"

namespace cube::store {

class MemoryStore : public Store {
 public:
  using Entries = std::map<std::string, std::string, std::less<>>;
  using Contents = std::vector<Entries>;  // index = TableId

  explicit MemoryStore(Schema schema);

  [[nodiscard]] Result<void> Commit(const WriteBatch& batch) override;
  [[nodiscard]] Result<std::optional<std::string>> Get(TableId table,
                                                       std::string_view key) const override;
  [[nodiscard]] Result<void> Scan(TableId table, std::string_view from,
                                  const Visitor& visit) const override;
  [[nodiscard]] Result<std::uint64_t> Count(TableId table) const override;
  [[nodiscard]] Result<void> Sync() override;

  // All entries, to compare with or to put back. Restore takes only what a store of the same
  // schema returned.
  [[nodiscard]] const Contents& contents() const { return contents_; }
  void Restore(Contents contents);

 protected:
  [[nodiscard]] const Schema& schema() const { return schema_; }

 private:
  void Apply(const Write& write);

  Schema schema_;
  Contents contents_;
  mutable int scans_running_ = 0;  // visitors on the stack; Commit checks that there are none
};

}  // namespace cube::store
