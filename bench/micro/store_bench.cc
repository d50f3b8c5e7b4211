// cube-bench-store: what the Store costs above plain LMDB. See bench/README.md.
#include <fmt/core.h>
#include <lmdb.h>
#include <stdlib.h>

#include <filesystem>

#include "shared/base/check.h"
#include "shared/base/random.h"
#include "shared/store/key_codec.h"
#include "shared/store/lmdb_store.h"
#include "shared/store/memory_store.h"

namespace cube::store {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kRecordBytes = 300;   // a task's record on disk, about
constexpr std::uint64_t kTransitions = 5;   // submitted, scheduled, pulling, running, completed
constexpr std::uint64_t kLiveTasks = 1000;  // so far is one transition from the same task's next
constexpr int kSamples = 7;
constexpr std::chrono::milliseconds kSample{150};
constexpr std::uint64_t kRecordsRead = 100'000;
constexpr std::size_t kMapBytes = std::size_t{4} << 30;  // large: growth is not measured here
constexpr TableId kTasks = 0;
constexpr TableId kCursors = 1;

Schema BenchSchema() { return {1, {"tasks", "cursors"}}; }

void Check(int code) { CUBE_CHECK(code == MDB_SUCCESS); }

// The records of the lives of ever new tasks, kLiveTasks of them at a time.
class Lives {
 public:
  struct Record {
    std::string key;
    std::string value;
  };
  Record Next() {
    const std::uint64_t wave = step_ / (kLiveTasks * kTransitions);
    const std::uint64_t task = wave * kLiveTasks + step_ % kLiveTasks;
    ++step_;
    std::string value(kRecordBytes, '\0');
    std::memcpy(value.data(), &step_, sizeof(step_));
    return {EncodeKey(task), std::move(value)};
  }
  [[nodiscard]] std::string Cursor() const { return std::to_string(step_); }

 private:
  std::uint64_t step_ = 0;
};

// Something that takes a commit of so many records.
class Side {
 public:
  virtual ~Side() = default;
  virtual void Commit(std::uint64_t records) = 0;
};

class StoreSide final : public Side {
 public:
  explicit StoreSide(std::unique_ptr<Store> store) : store_(std::move(store)) {}
  void Commit(std::uint64_t records) override {
    WriteBatch batch;
    for (std::uint64_t i = 0; i < records; ++i) {
      Lives::Record record = lives_.Next();
      batch.Put(kTasks, std::move(record.key), std::move(record.value));
    }
    batch.Put(kCursors, "cursor", lives_.Cursor());
    CUBE_CHECK(store_->Commit(batch));
  }

 private:
  std::unique_ptr<Store> store_;
  Lives lives_;
};

class PlainLmdb final : public Side {
 public:
  PlainLmdb(const std::string& dir, Durability durability) {
    std::filesystem::create_directories(dir);
    Check(mdb_env_create(&env_));
    Check(mdb_env_set_maxdbs(env_, 2));
    Check(mdb_env_set_mapsize(env_, kMapBytes));
    const unsigned sync = durability == Durability::kRelaxed ? MDB_NOSYNC : 0u;
    Check(mdb_env_open(env_, dir.c_str(), MDB_NOLOCK | MDB_NOTLS | sync, 0600));
    MDB_txn* txn = nullptr;
    Check(mdb_txn_begin(env_, nullptr, 0, &txn));
    Check(mdb_dbi_open(txn, "tasks", MDB_CREATE, &tasks_));
    Check(mdb_dbi_open(txn, "cursors", MDB_CREATE, &cursors_));
    Check(mdb_txn_commit(txn));
  }
  ~PlainLmdb() override { mdb_env_close(env_); }
  PlainLmdb(const PlainLmdb&) = delete;
  PlainLmdb& operator=(const PlainLmdb&) = delete;

  void Commit(std::uint64_t records) override {
    MDB_txn* txn = nullptr;
    Check(mdb_txn_begin(env_, nullptr, 0, &txn));
    for (std::uint64_t i = 0; i < records; ++i) {
      const Lives::Record record = lives_.Next();
      Put(txn, tasks_, record.key, record.value);
    }
    Put(txn, cursors_, "cursor", lives_.Cursor());
    Check(mdb_txn_commit(txn));
  }

 private:
  static void Put(MDB_txn* txn, MDB_dbi table, std::string key, std::string value) {
    MDB_val k{key.size(), key.data()};
    MDB_val v{value.size(), value.data()};
    Check(mdb_put(txn, table, &k, &v, 0));
  }

  MDB_env* env_ = nullptr;
  MDB_dbi tasks_ = 0;
  MDB_dbi cursors_ = 0;
  Lives lives_;
};

// Commits per second in one slice of time.
double Sample(Side& side, std::uint64_t records) {
  const auto start = Clock::now();
  std::uint64_t commits = 0;
  std::chrono::duration<double> passed{};
  do {
    side.Commit(records);
    ++commits;
    passed = Clock::now() - start;
  } while (passed < kSample);
  return static_cast<double>(commits) / passed.count();
}

double Median(std::vector<double> samples) {
  std::sort(samples.begin(), samples.end());
  return samples[samples.size() / 2];
}

std::unique_ptr<Store> OpenStore(const std::string& dir, Durability durability) {
  auto opened = LmdbStore::Open(
      dir, BenchSchema(),
      {.durability = durability, .map_bytes_start = kMapBytes, .map_bytes_max = kMapBytes});
  CUBE_CHECK(opened && opened->opening.reason.empty());
  return std::move(opened->store);
}

void BenchCommits(const std::string& dir, Durability durability, const char* name) {
  for (const std::uint64_t records : {1u, 16u, 256u}) {
    const std::string place = fmt::format("{}/{}-{}", dir, name, records);
    StoreSide ours(OpenStore(place + "-store", durability));
    PlainLmdb plain(place + "-plain", durability);
    std::vector<double> our_samples;
    std::vector<double> plain_samples;
    for (int i = 0; i < kSamples; ++i) {
      our_samples.push_back(Sample(ours, records));
      plain_samples.push_back(Sample(plain, records));
    }
    const double our = Median(our_samples);
    const double limit = Median(plain_samples);
    fmt::print(
        "commit {:<7} {:>4} records  {:>9.0f} commits/s  {:>9.0f} records/s"
        "  plain LMDB {:>9.0f} commits/s  ratio {:.2f}\n",
        name, records, our, our * static_cast<double>(records), limit, our / limit);
  }
}

void BenchMemory() {
  for (const std::uint64_t records : {1u, 16u, 256u}) {
    StoreSide side(std::make_unique<MemoryStore>(BenchSchema()));
    const double commits = Sample(side, records);
    fmt::print("commit {:<7} {:>4} records  {:>9.0f} commits/s  {:>9.0f} records/s\n", "memory",
               records, commits, commits * static_cast<double>(records));
  }
}

double SecondsOf(const std::function<void()>& body) {
  const auto start = Clock::now();
  body();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void BenchReads(const std::string& dir) {
  const std::string place = dir + "/reads";
  {
    const auto store = OpenStore(place, Durability::kRelaxed);
    for (std::uint64_t task = 0; task < kRecordsRead;) {
      WriteBatch batch;
      for (int i = 0; i < 1000; ++i, ++task) {
        batch.Put(kTasks, EncodeKey(task), std::string(kRecordBytes, 'r'));
      }
      CUBE_CHECK(store->Commit(batch));
    }
  }
  const auto bytes = static_cast<double>(std::filesystem::file_size(place + "/data.mdb"));
  std::unique_ptr<Store> store;
  const double open = SecondsOf([&] { store = OpenStore(place, Durability::kRelaxed); });
  fmt::print("open   {:.0f} MB of {} records: {:.0f} ms, {:.0f} MB/s\n", bytes / 1e6, kRecordsRead,
             open * 1e3, bytes / 1e6 / open);
  const double scan = SecondsOf([&] {
    std::uint64_t seen = 0;
    CUBE_CHECK(store->Scan(kTasks, {}, [&](std::string_view, std::string_view) {
      ++seen;
      return true;
    }));
    CUBE_CHECK(seen == kRecordsRead);
  });
  fmt::print("scan   {:.2f} million records/s\n", kRecordsRead / scan / 1e6);
  Random random(1);
  const double get = SecondsOf([&] {
    for (std::uint64_t i = 0; i < kRecordsRead; ++i) {
      CUBE_CHECK(store->Get(kTasks, EncodeKey(random.Below(kRecordsRead))).value().has_value());
    }
  });
  fmt::print("get    {:.2f} million records/s, at random\n", kRecordsRead / get / 1e6);
}

int Main(const std::string& parent) {
  std::string dir = parent + "/cube-bench-store-XXXXXX";
  if (::mkdtemp(dir.data()) == nullptr) {
    fmt::print(stderr, "cube-bench-store: no folder can be made in '{}'\n", parent);
    return 1;
  }
  BenchCommits(dir, Durability::kRelaxed, "relaxed");
  BenchCommits(dir, Durability::kFull, "full");
  BenchMemory();
  BenchReads(dir);
  std::filesystem::remove_all(dir);
  return 0;
}

}  // namespace
}  // namespace cube::store

int main(int argc, char** argv) {
  return cube::store::Main(argc > 1 ? argv[1] : std::filesystem::temp_directory_path().string());
}
