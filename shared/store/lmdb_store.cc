#include "shared/store/lmdb_store.h"

#include <lmdb.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "shared/base/check.h"
#include "shared/runtime/boot_id.h"
#include "shared/runtime/files.h"
#include "shared/runtime/os_error.h"
#include "shared/store/aside.h"
#include "shared/store/batch_check.h"
#include "shared/store/lmdb_check.h"
#include "shared/store/lmdb_mark.h"
#include "shared/store/record_sum.h"

namespace cube::store {
namespace {

constexpr mdb_mode_t kFileMode = 0600;

static_assert(kKeyBytesMax == 511, "mdb_env_get_maxkeysize of Debian's LMDB");

std::string DataPath(const std::string& dir) { return dir + "/data.mdb"; }
std::string MarkPath(const std::string& dir) { return dir + "/mark"; }
std::string LockPath(const std::string& dir) { return dir + ".lock"; }

void StripSlashes(std::string& dir) {
  while (dir.size() > 1 && dir.back() == '/') dir.pop_back();
}

MDB_val ToVal(std::string_view bytes) {
  return {bytes.size(), const_cast<char*>(bytes.data())};  // LMDB only reads through it
}

std::string_view FromVal(const MDB_val& value) {
  return {static_cast<const char*>(value.mv_data), value.mv_size};
}

Code CodeOf(int code) {
  switch (code) {
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
    case MDB_DBS_FULL:
    case MDB_READERS_FULL:
      return Code::kResource;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_PAGE_FULL:
    case MDB_CURSOR_FULL:
    case MDB_PANIC:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_INCOMPATIBLE:
      return Code::kDataLoss;
    default:
      return code > 0 ? runtime::CodeFromErrno(code) : Code::kInternal;
  }
}

struct TxnAbort {
  void operator()(MDB_txn* txn) const { mdb_txn_abort(txn); }
};
using TxnOwner = std::unique_ptr<MDB_txn, TxnAbort>;

struct CursorClose {
  void operator()(MDB_cursor* cursor) const { mdb_cursor_close(cursor); }
};
using CursorOwner = std::unique_ptr<MDB_cursor, CursorClose>;

// What the folder holds, found out without letting LMDB near it.
struct Inspection {
  bool present = false;
  std::uint64_t entries = 0;
  std::string reason;  // not empty: it is unusable
};

Result<Inspection> Inspect(const std::string& dir, const Schema& schema,
                           const std::string& boot_id) {
  Inspection found;
  struct stat info{};
  // LMDB makes the file before it writes to it; a process killed just then leaves it empty.
  if (::stat(DataPath(dir).c_str(), &info) != 0) {
    if (errno == ENOENT) return found;
    return runtime::FailErrno(errno, "looking at '" + DataPath(dir) + "'");
  }
  if (S_ISREG(info.st_mode) && info.st_size == 0) return found;
  found.present = true;
  const auto mark = runtime::ReadFile(MarkPath(dir), kMarkBytesMax);
  if (!mark && mark.error().code == Code::kPermission) return std::unexpected(mark.error());
  if (!mark) {
    found.reason = "it has no readable mark: something else wrote it";
    return found;
  }
  if (auto why = WhyUnusable(*mark, schema, boot_id)) {
    found.reason = std::move(*why);
    return found;
  }
  const auto checked = CheckLmdbFile(DataPath(dir), schema);
  if (checked) {
    found.entries = checked->entries;
  } else if (checked.error().code == Code::kDataLoss) {
    found.reason = "its file is damaged: " + checked.error().message;
  } else {
    return std::unexpected(checked.error());
  }
  return found;
}

}  // namespace

// The read transaction for the time of a call; nested calls see the same instant.
class LmdbStore::ReadScope {
 public:
  explicit ReadScope(const LmdbStore& store) : store_(store) {
    if (store_.reads_running_++ == 0) code_ = mdb_txn_renew(store_.read_txn_);
  }
  ~ReadScope() {
    if (--store_.reads_running_ == 0 && code_ == MDB_SUCCESS) mdb_txn_reset(store_.read_txn_);
  }
  ReadScope(const ReadScope&) = delete;
  ReadScope& operator=(const ReadScope&) = delete;
  [[nodiscard]] int code() const { return code_; }

 private:
  const LmdbStore& store_;
  int code_ = MDB_SUCCESS;
};

LmdbStore::LmdbStore(std::string dir, Schema schema, const LmdbOptions& options,
                     runtime::LockFile lock)
    : dir_(std::move(dir)),
      schema_(std::move(schema)),
      options_(options),
      lock_(std::move(lock)),
      map_bytes_(std::min(options.map_bytes_start, options.map_bytes_max)) {}

LmdbStore::~LmdbStore() {
  CUBE_CHECK(reads_running_ == 0);
  if (env_ == nullptr) return;
  const bool synced = mdb_env_sync(env_, 1) == MDB_SUCCESS;
  CloseEnvironment();
  // Without the mark the store is as good as after a kill: usable until the machine goes down.
  if (synced && options_.durability == Durability::kRelaxed) {
    [[maybe_unused]] const auto marked = WriteMark(ClosedMark(schema_));
  }
}

Result<LmdbStore::Opened> LmdbStore::Open(std::string dir, const Schema& schema,
                                          const LmdbOptions& options) {
  CheckSchema(schema);
  StripSlashes(dir);
  LmdbOptions settled = options;
  if (settled.boot_id.empty()) {
    CUBE_TRY(settled.boot_id, runtime::ReadBootId());
  }
  CUBE_TRY_VOID(runtime::MakeDirectories(runtime::ParentDirectory(dir)));
  CUBE_TRY(runtime::LockFile lock, runtime::LockFile::Acquire(LockPath(dir)));
  CUBE_TRY(const Inspection found, Inspect(dir, schema, settled.boot_id));
  Opened opened;
  opened.opening.fresh = !found.reason.empty() || found.entries == 0;
  if (!found.reason.empty()) {
    CUBE_TRY(opened.opening.set_aside, MoveAside(dir));
    opened.opening.reason = found.reason;
  }
  CUBE_TRY_VOID(runtime::MakeDirectories(dir));
  std::unique_ptr<LmdbStore> store(new LmdbStore(dir, schema, settled, std::move(lock)));
  CUBE_TRY_VOID(store->WriteMark(settled.durability == Durability::kFull
                                     ? DurableMark(schema)
                                     : OpenMark(schema, settled.boot_id)));
  CUBE_TRY_VOID(store->OpenEnvironment());
  // A new file's name must be as durable as what is written to it.
  CUBE_TRY_VOID(runtime::SyncDirectory(dir));
  opened.store = std::move(store);
  return opened;
}

Result<std::string> LmdbStore::SetAside(std::string dir) {
  StripSlashes(dir);
  if (!runtime::Exists(dir)) return std::string();
  CUBE_TRY(const runtime::LockFile lock, runtime::LockFile::Acquire(LockPath(dir)));
  return MoveAside(dir);
}

Result<void> LmdbStore::WriteMark(const std::string& text) const {
  return runtime::WriteFileAtomic(MarkPath(dir_), text, kFileMode);
}

Result<void> LmdbStore::OpenEnvironment() {
  if (const int code = mdb_env_create(&env_); code != MDB_SUCCESS) {
    env_ = nullptr;
    return Failed(code, "preparing");
  }
  // Our lock admits one process and our port one thread, so LMDB's own locking (MDB_NOLOCK) and
  // its per-thread readers (MDB_NOTLS) would only add files and mutexes that can be left behind.
  const unsigned flags =
      MDB_NOLOCK | MDB_NOTLS | (options_.durability == Durability::kRelaxed ? MDB_NOSYNC : 0u);
  int code = mdb_env_set_maxdbs(env_, static_cast<MDB_dbi>(schema_.table_names.size()));
  if (code == MDB_SUCCESS) code = mdb_env_set_mapsize(env_, map_bytes_);
  if (code == MDB_SUCCESS) code = mdb_env_open(env_, dir_.c_str(), flags, kFileMode);
  auto opened = code == MDB_SUCCESS ? OpenTables() : Result<void>(Failed(code, "opening"));
  if (!opened) {
    CloseEnvironment();
    return opened;
  }
  // LMDB takes at least what the file needs.
  MDB_envinfo info{};
  mdb_env_info(env_, &info);
  map_bytes_ = info.me_mapsize;
  return {};
}

Result<void> LmdbStore::OpenTables() {
  MDB_txn* raw = nullptr;
  if (const int code = mdb_txn_begin(env_, nullptr, 0, &raw); code != MDB_SUCCESS) {
    return Failed(code, "opening");
  }
  TxnOwner txn(raw);
  tables_.assign(schema_.table_names.size(), 0);
  for (std::size_t i = 0; i < tables_.size(); ++i) {
    const int code = mdb_dbi_open(raw, schema_.table_names[i].c_str(), MDB_CREATE, &tables_[i]);
    if (code != MDB_SUCCESS) return Failed(code, "opening table " + schema_.table_names[i] + " of");
  }
  if (const int code = mdb_txn_commit(txn.release()); code != MDB_SUCCESS) {
    return Failed(code, "making the tables of");
  }
  if (const int code = mdb_txn_begin(env_, nullptr, MDB_RDONLY, &read_txn_); code != MDB_SUCCESS) {
    read_txn_ = nullptr;
    return Failed(code, "reading");
  }
  mdb_txn_reset(read_txn_);
  return {};
}

void LmdbStore::CloseEnvironment() {
  if (read_txn_ != nullptr) mdb_txn_abort(std::exchange(read_txn_, nullptr));
  if (env_ != nullptr) mdb_env_close(std::exchange(env_, nullptr));
}

Result<void> LmdbStore::Commit(const WriteBatch& batch) {
  CUBE_CHECK(reads_running_ == 0);
  CUBE_TRY_VOID(CheckBatch(batch, schema_));
  if (env_ == nullptr) return Failed(MDB_PANIC, "committing to");
  if (batch.empty()) return {};
  while (true) {
    const int code = TryCommit(batch);
    if (code == MDB_SUCCESS) return {};
    if (code != MDB_MAP_FULL) {
      CUBE_TRY_VOID(RecoverFromPanic());
      return Failed(code, "committing to");
    }
    CUBE_TRY_VOID(GrowMap());
  }
}

// One attempt; LMDB's code if the transaction did not come about.
int LmdbStore::TryCommit(const WriteBatch& batch) {
  MDB_txn* raw = nullptr;
  if (const int code = mdb_txn_begin(env_, nullptr, 0, &raw); code != MDB_SUCCESS) return code;
  TxnOwner txn(raw);
  // Most of a batch are puts in the order of keys: from where one went the next is near.
  CursorOwner cursor;
  TableId cursor_table = 0;
  for (const Write write : batch.writes()) {
    if (write.kind != Write::Kind::kPut || write.table != cursor_table) cursor.reset();
    int code = MDB_SUCCESS;
    if (write.kind != Write::Kind::kPut) {
      code = Remove(raw, write);
    } else {
      if (cursor == nullptr) {
        MDB_cursor* opened = nullptr;
        code = mdb_cursor_open(raw, tables_[write.table], &opened);
        cursor.reset(opened);
        cursor_table = write.table;
      }
      if (code == MDB_SUCCESS) code = Put(cursor.get(), write);
    }
    if (code != MDB_SUCCESS) return code;
  }
  cursor.reset();
  return mdb_txn_commit(txn.release());
}

// When LMDB cannot write its meta page it writes the old one back and then refuses everything
// until it is opened again. Should that fail too, the store stays closed: all calls are kDataLoss.
Result<void> LmdbStore::RecoverFromPanic() {
  MDB_txn* raw = nullptr;
  const int code = mdb_txn_begin(env_, nullptr, 0, &raw);
  if (code == MDB_SUCCESS) mdb_txn_abort(raw);
  if (code != MDB_PANIC) return {};
  CloseEnvironment();
  if (auto checked = CheckLmdbFile(DataPath(dir_), schema_); !checked) {
    return Annotate(std::move(checked).error(), "after a failed commit to '" + dir_ + "'");
  }
  return OpenEnvironment();
}

int LmdbStore::Put(MDB_cursor* cursor, const Write& write) {
  MDB_val key = ToVal(write.key);
  MDB_val room{write.value.size() + kSumBytes, nullptr};
  const int code = mdb_cursor_put(cursor, &key, &room, MDB_RESERVE);
  if (code != MDB_SUCCESS) return code;
  const std::uint32_t sum = RecordSum(write.table, write.key, write.value);
  auto* target = static_cast<char*>(room.mv_data);
  std::memcpy(target, write.value.data(), write.value.size());
  std::memcpy(target + write.value.size(), &sum, kSumBytes);
  return MDB_SUCCESS;
}

int LmdbStore::Remove(MDB_txn* txn, const Write& write) const {
  const MDB_dbi table = tables_[write.table];
  if (write.kind == Write::Kind::kClear) return mdb_drop(txn, table, 0);
  MDB_val key = ToVal(write.key);
  const int code = mdb_del(txn, table, &key, nullptr);
  return code == MDB_NOTFOUND ? MDB_SUCCESS : code;
}

Result<void> LmdbStore::GrowMap() {
  if (map_bytes_ >= options_.map_bytes_max) {
    return Fail(Code::kResource, "committing to '" + dir_ + "': it has reached its maximum of " +
                                     std::to_string(options_.map_bytes_max) + " bytes");
  }
  const std::size_t wanted =
      map_bytes_ > options_.map_bytes_max / 2 ? options_.map_bytes_max : map_bytes_ * 2;
  if (const int code = mdb_env_set_mapsize(env_, wanted); code != MDB_SUCCESS) {
    return Failed(code, "growing the map of");
  }
  map_bytes_ = wanted;
  return {};
}

Result<std::optional<std::string>> LmdbStore::Get(TableId table, std::string_view key) const {
  CUBE_CHECK(table < tables_.size());
  if (!IsPossibleKey(key)) return std::nullopt;
  if (env_ == nullptr) return Failed(MDB_PANIC, "reading");
  const ReadScope scope(*this);
  if (scope.code() != MDB_SUCCESS) return Failed(scope.code(), "reading");
  MDB_val lookup = ToVal(key);
  MDB_val found{};
  const int code = mdb_get(read_txn_, tables_[table], &lookup, &found);
  if (code == MDB_NOTFOUND) return std::nullopt;
  if (code != MDB_SUCCESS) return Failed(code, "reading");
  const auto value = CheckedValue(table, key, FromVal(found));
  if (!value) return Failed(MDB_CORRUPTED, "reading table " + schema_.table_names[table] + " of");
  return std::optional<std::string>(*value);
}

Result<void> LmdbStore::Scan(TableId table, std::string_view from, const Visitor& visit) const {
  CUBE_CHECK(table < tables_.size());
  if (env_ == nullptr) return Failed(MDB_PANIC, "reading");
  const ReadScope scope(*this);
  if (scope.code() != MDB_SUCCESS) return Failed(scope.code(), "reading");
  MDB_cursor* raw = nullptr;
  int code = mdb_cursor_open(read_txn_, tables_[table], &raw);
  if (code != MDB_SUCCESS) return Failed(code, "reading");
  const CursorOwner cursor(raw);
  // LMDB refuses to look for keys longer than any it can hold; the loop skips what is too low then.
  MDB_val key = ToVal(from.substr(0, kKeyBytesMax));
  MDB_val stored{};
  code = mdb_cursor_get(raw, &key, &stored, from.empty() ? MDB_FIRST : MDB_SET_RANGE);
  while (code == MDB_SUCCESS) {
    const auto value = CheckedValue(table, FromVal(key), FromVal(stored));
    if (!value) {
      return Failed(MDB_CORRUPTED, "reading table " + schema_.table_names[table] + " of");
    }
    if (FromVal(key) >= from && !visit(FromVal(key), *value)) return {};
    code = mdb_cursor_get(raw, &key, &stored, MDB_NEXT);
  }
  if (code != MDB_NOTFOUND) return Failed(code, "reading");
  return {};
}

Result<std::uint64_t> LmdbStore::Count(TableId table) const {
  CUBE_CHECK(table < tables_.size());
  if (env_ == nullptr) return Failed(MDB_PANIC, "counting");
  const ReadScope scope(*this);
  if (scope.code() != MDB_SUCCESS) return Failed(scope.code(), "counting");
  MDB_stat stat{};
  const int code = mdb_stat(read_txn_, tables_[table], &stat);
  if (code != MDB_SUCCESS) return Failed(code, "counting");
  return stat.ms_entries;
}

Result<void> LmdbStore::Sync() {
  if (env_ == nullptr) return Failed(MDB_PANIC, "syncing");
  const int code = mdb_env_sync(env_, 1);
  if (code != MDB_SUCCESS) return Failed(code, "syncing");
  return {};
}

std::unexpected<Error> LmdbStore::Failed(int code, const std::string& what) const {
  // LMDB says EIO of a write that was cut short, which is how most disks first are full. It never
  // reads with a call that could say EIO.
  if (code == EIO) {
    return Fail(Code::kResource, what + " the store '" + dir_ + "': the disk is full or failing");
  }
  return Fail(CodeOf(code), what + " the store '" + dir_ + "': " + mdb_strerror(code));
}

}  // namespace cube::store
