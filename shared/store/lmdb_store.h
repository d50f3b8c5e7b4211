// The Store on LMDB: one folder with LMDB's `data.mdb`, and `mark` (lmdb_mark.h).
//
// What cannot be trusted is never read: at Open the mark and then the whole file are checked
// (lmdb_check.h); if they are wrong (another schema, foreign, damaged, cut off, a relaxed store
// after a power cut) the folder is renamed to `<dir>.aside-<n>` and a fresh one is made. Every
// value carries a checksum, looked at by each read: damage done to the file while it is open is
// kDataLoss, and so are LMDB's own complaints. The owner then destroys the store, calls SetAside
// and opens a fresh one.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "shared/runtime/lock_file.h"
#include "shared/store/store.h"

struct MDB_cursor;
struct MDB_env;
struct MDB_txn;

namespace cube::store {

enum class Durability : std::uint8_t {
  // A commit has returned only when it survives a power cut. For what exists nowhere else.
  kFull,
  // A commit survives the end of the process, in whatever way, not that of the machine: then the
  // store comes up fresh. For what can be rebuilt. (MDB_NOSYNC without MDB_WRITEMAP.)
  kRelaxed,
};

struct LmdbOptions {
  Durability durability = Durability::kFull;
  // Address space for the map, not memory or disk. It doubles when it is full, up to the maximum;
  // beyond that, commits are kResource.
  std::size_t map_bytes_start = 64u << 20;
  std::size_t map_bytes_max = std::size_t{64} << 30;
  // The kernel's boot id; empty = ask the kernel. Tests say another one.
  std::string boot_id{};
};

class LmdbStore final : public Store {
 public:
  struct Opened {
    std::unique_ptr<Store> store;
    Opening opening;
  };
  // Makes the folder (and those above it) if missing. One store at a time per folder, in any
  // process: kConflict names the holder of `<dir>.lock`. kPermission, kResource: as the system
  // says; nothing is set aside then. Takes a read of the whole file.
  [[nodiscard]] static Result<Opened> Open(std::string dir, const Schema& schema,
                                           const LmdbOptions& options);
  // Renames the folder of a store that is not open to `<dir>.aside-<n>`, and returns that path
  // (empty if there was no folder). The newest kAsideFoldersMax of them are kept.
  [[nodiscard]] static Result<std::string> SetAside(std::string dir);

  // Closes properly: a relaxed store is synced and marked, so that it is good after a reboot.
  ~LmdbStore() override;
  LmdbStore(const LmdbStore&) = delete;
  LmdbStore& operator=(const LmdbStore&) = delete;

  [[nodiscard]] Result<void> Commit(const WriteBatch& batch) override;
  [[nodiscard]] Result<std::optional<std::string>> Get(TableId table,
                                                       std::string_view key) const override;
  [[nodiscard]] Result<void> Scan(TableId table, std::string_view from,
                                  const Visitor& visit) const override;
  [[nodiscard]] Result<std::uint64_t> Count(TableId table) const override;
  [[nodiscard]] Result<void> Sync() override;

 private:
  class ReadScope;

  LmdbStore(std::string dir, Schema schema, const LmdbOptions& options, runtime::LockFile lock);
  [[nodiscard]] Result<void> OpenEnvironment();
  [[nodiscard]] Result<void> OpenTables();
  void CloseEnvironment();
  [[nodiscard]] Result<void> WriteMark(const std::string& text) const;
  [[nodiscard]] int TryCommit(const WriteBatch& batch);
  [[nodiscard]] Result<void> RecoverFromPanic();
  [[nodiscard]] static int Put(MDB_cursor* cursor, const Write& write);
  [[nodiscard]] int Remove(MDB_txn* txn, const Write& write) const;
  [[nodiscard]] Result<void> GrowMap();
  [[nodiscard]] std::unexpected<Error> Failed(int code, const std::string& what) const;

  std::string dir_;
  Schema schema_;
  LmdbOptions options_;
  runtime::LockFile lock_;
  std::size_t map_bytes_ = 0;
  MDB_env* env_ = nullptr;
  std::vector<unsigned> tables_;  // LMDB's handles (MDB_dbi), by TableId
  // One read transaction, renewed by the outermost of nested reads.
  mutable MDB_txn* read_txn_ = nullptr;
  mutable int reads_running_ = 0;
};

}  // namespace cube::store
