// cube-edit-view FOLDER TASK: damages the view of a manager that is down, for tests: the record of
// the task is on another attempt than the log has. 0 = done, 1 = it could not be.
#include <cube/v1/records.pb.h>

#include <cstdio>
#include <string>

#include "services/manager/view_store.h"
#include "shared/store/lmdb_store.h"

namespace {

constexpr cube::store::TableId kTasks = 1;

int Run(const std::string& folder, const std::string& id) {
  cube::store::LmdbOptions options;
  options.durability = cube::store::Durability::kRelaxed;
  auto opened = cube::store::LmdbStore::Open(folder, cube::manager::ViewSchema(), options);
  if (!opened || opened->opening.fresh) {
    std::fprintf(stderr, "no view there\n");
    return 1;
  }
  cube::store::WriteBatch batch;
  const auto scanned =
      opened->store->Scan(kTasks, "", [&](std::string_view key, std::string_view value) {
        cube::v1::TaskRecord record;
        if (!record.ParseFromArray(value.data(), static_cast<int>(value.size()))) return false;
        if (record.id() != id) return true;
        record.set_attempt(record.attempt() + 5);
        batch.Put(kTasks, std::string(key), record.SerializeAsString());
        return false;
      });
  if (!scanned || batch.empty() || !opened->store->Commit(batch)) {
    std::fprintf(stderr, "no such task\n");
    return 1;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) { return argc == 3 ? Run(argv[1], argv[2]) : 1; }
