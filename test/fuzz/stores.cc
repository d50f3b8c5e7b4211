// What services read back from their disks, and managers from snapshots: records of every table,
// and LMDB's file itself.
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

#include "services/manager/view_store.h"
#include "services/worker/worker_store.h"
#include "shared/base/check.h"
#include "shared/store/lmdb_check.h"
#include "shared/store/lmdb_store.h"
#include "shared/store/memory_store.h"
#include "test/fuzz/framed.h"
#include "test/fuzz/target.h"
#include "test/support/cluster/log_writer.h"
#include "test/support/worker/loop_rig.h"

namespace cube::fuzz {
namespace {

// ---- rows: kind = table, "<size of the key><key><value>"
// -----------------------------------------

std::string RowsOf(const store::MemoryStore& store) {
  std::string input;
  for (std::size_t table = 0; table < store.contents().size(); ++table) {
    for (const auto& [key, value] : store.contents()[table]) {
      std::string row(1, static_cast<char>(key.size()));
      row += key;
      row += value;
      Frame(static_cast<std::uint8_t>(table), row, input);
    }
  }
  return input;
}

void PutRows(std::string_view input, std::size_t tables, store::MemoryStore& store) {
  store::WriteBatch batch;
  for (const Framed& row : Unframed(input)) {
    if (row.bytes.empty()) continue;
    const auto size =
        std::min<std::size_t>(static_cast<unsigned char>(row.bytes.front()), row.bytes.size() - 1);
    const std::string key(row.bytes.substr(1, size));
    if (key.empty()) continue;  // no store takes that
    batch.Put(static_cast<store::TableId>(row.kind % tables), key,
              std::string(row.bytes.substr(1 + size)));
  }
  CUBE_CHECK(store.Commit(batch).has_value());
}

// ---- the manager's view -------------------------------------------------------------------------

std::string ViewSeed(Random& random) {
  test::LogWriter log;
  log.Join("n1", {4000, 1 << 30, 0});
  log.Submit("web-1", test::Spec("web"));
  if (random.Below(2) == 0) log.SubmitJob(test::JobOf("job", JobType::kBatch, 2, "image"));
  log.Decide({log.Start("web-1", "n1")});
  if (random.Below(2) == 0) log.Launch("web-1", LaunchState::kRunning);
  if (random.Below(2) == 0) log.Drain("n1");
  log.Decide({});
  store::MemoryStore store(manager::ViewSchema());
  manager::ViewRecords records;
  CUBE_CHECK(store.Commit(records.Save(log.view())).has_value());
  return RowsOf(store);
}

CUBE_FUZZ_TARGET(view_records, &ViewSeed, [](std::string_view input) {
  store::MemoryStore store(manager::ViewSchema());
  PutRows(input, manager::ViewSchema().table_names.size(), store);
  manager::ViewRecords records;
  auto view = records.Load(store);
  if (!view) {
    CheckError(view.error());
    CUBE_CHECK(view.error().code == Code::kDataLoss);  // else it would not be set aside
    return;
  }
  // What was taken can be stored, and is read back as the same.
  for (const Task& task : view->tasks) view->dirty_tasks.push_back(task.number);
  for (const auto& [name, node] : view->nodes) view->dirty_nodes.insert(name);
  for (const auto& [name, job] : view->jobs) view->dirty_jobs.insert(name);
  store::MemoryStore other(manager::ViewSchema());
  manager::ViewRecords fresh;
  CUBE_CHECK(other.Commit(fresh.Save(*view)).has_value());
  const auto again = manager::ViewRecords().Load(other);
  CUBE_CHECK(again.has_value());
  CUBE_CHECK(manager::ViewBytes(*again) == manager::ViewBytes(*view));
  (void)manager::ViewLines(*view);
});

// ---- the worker's state -------------------------------------------------------------------------

std::string WorkerSeed(Random& random) {
  worker::LoopRig rig;
  rig.BecomeReady();
  (void)rig.Assign(worker::Batch(11, 10, {worker::Start("web"), worker::Start("other")}));
  if (random.Below(2) == 0) {
    (void)rig.Engine(engine::Changed{worker::Status(worker::Key("web"), LaunchState::kRunning)});
  }
  if (random.Below(2) == 0) {
    (void)rig.Engine(engine::Changed{worker::Exited(worker::Key("other"), 3)});
  }
  return RowsOf(rig.store());
}

CUBE_FUZZ_TARGET(worker_records, &WorkerSeed, [](std::string_view input) {
  store::MemoryStore store(worker::WorkerSchema());
  PutRows(input, worker::WorkerSchema().table_names.size(), store);
  const auto state = worker::LoadState(store, worker::kNode);
  if (!state) {
    CheckError(state.error());
    CUBE_CHECK(state.error().code == Code::kDataLoss);
    return;
  }
  if (const auto facts = worker::ReadOutboxFrom(store, worker::kNode, 0, 10); !facts) {
    CheckError(facts.error());
  } else {
    CUBE_CHECK(facts->size() <= 10);
  }
});

// ---- LMDB's file: "<offset, three bytes><size><bytes>", written over a sound one
// ------------------

// A folder of this process, gone with it.
class Folder {
 public:
  Folder() {
    const bool memory = ::access("/dev/shm/", W_OK) == 0;
    path_ = std::string(memory ? "/dev/shm/" : "/tmp/") + "cube-fuzz-XXXXXX";
    CUBE_CHECK(::mkdtemp(path_.data()) != nullptr);
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] std::string File(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
void WriteAll(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

struct SoundFile {
  Folder folder;
  std::string bytes;
  std::string mark;

  static store::Schema Schema() { return {1, {"a", "b"}}; }
  static store::LmdbOptions Options() {
    return {.durability = store::Durability::kRelaxed, .boot_id = "boot"};
  }
  SoundFile() {
    {
      const auto opened = store::LmdbStore::Open(folder.File("s"), Schema(), Options());
      CUBE_CHECK(opened.has_value());
      for (int i = 0; i < 4; ++i) {
        store::WriteBatch batch;
        for (int k = 0; k < 40; ++k) {
          batch.Put(static_cast<store::TableId>(k % 2), "key-" + std::to_string(100 * i + k),
                    std::string(static_cast<std::size_t>(k == 7 ? 9000 : 40), 'v'));
        }
        CUBE_CHECK(opened->store->Commit(batch).has_value());
      }
    }
    bytes = ReadAll(folder.File("s/data.mdb"));
    mark = ReadAll(folder.File("s/mark"));
    CUBE_CHECK(!bytes.empty() && !mark.empty());
  }
};

void RunFile(std::string_view input) {
  static const SoundFile sound;
  std::string bytes = sound.bytes;
  while (input.size() >= 4) {
    const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(input[at]); };
    const std::size_t offset =
        (byte(0) | std::size_t{byte(1)} << 8 | std::size_t{byte(2)} << 16) % bytes.size();
    const std::size_t size = std::min<std::size_t>(byte(3), input.size() - 4);
    const std::string_view patch = input.substr(4, std::min(size, bytes.size() - offset));
    bytes.replace(offset, patch.size(), patch);
    input.remove_prefix(4 + size);
  }
  if (!input.empty())
    bytes.resize(bytes.size() - std::min<std::size_t>(bytes.size(), input.size()));
  const std::string dir = sound.folder.File("s");
  WriteAll(dir + "/data.mdb", bytes);
  WriteAll(dir + "/mark", sound.mark);
  const auto checked = store::CheckLmdbFile(dir + "/data.mdb", SoundFile::Schema());
  if (!checked) return CheckError(checked.error());
  // What is found sound, LMDB reads from end to end.
  const auto opened = store::LmdbStore::Open(dir, SoundFile::Schema(), SoundFile::Options());
  CUBE_CHECK(opened.has_value() && opened->opening.set_aside.empty());
  std::uint64_t entries = 0;
  for (const store::TableId table : {store::TableId{0}, store::TableId{1}}) {
    const auto scanned = opened->store->Scan(table, "", [&](std::string_view, std::string_view) {
      ++entries;
      return true;
    });
    CUBE_CHECK(scanned.has_value());
  }
  CUBE_CHECK(entries == checked->entries);
}

CUBE_FUZZ_TARGET(
    lmdb_file,
    [](Random& random) {
      std::string input;
      for (std::uint64_t i = random.Below(4); i > 0; --i) {
        const std::uint64_t offset = random.Below(1u << 17);
        input += static_cast<char>(offset & 0xff);
        input += static_cast<char>(offset >> 8 & 0xff);
        input += static_cast<char>(offset >> 16 & 0xff);
        const std::uint64_t size = 1 + random.Below(8);
        input += static_cast<char>(size);
        for (std::uint64_t k = 0; k < size; ++k) input += static_cast<char>(random.Next());
      }
      return input;
    },
    &RunFile);

}  // namespace
}  // namespace cube::fuzz
