// The view's records in a Store: what a manager reads back after a restart instead of the whole
// log. A cache: when in doubt it is set aside and the log is read again.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "services/manager/task_loader.h"
#include "services/manager/view_records.h"
#include "shared/base/error.h"
#include "shared/cluster/view.h"
#include "shared/store/store.h"

namespace cube::manager {

[[nodiscard]] store::Schema ViewSchema();
// Records since this version are read as they are: fields were only added.
inline constexpr std::uint32_t kViewSchemaOldest = 4;
// The table with the view's position: a store without it counts as empty.
inline constexpr store::TableId kViewMetaTable = 0;

// Specifications that no task has any more are looked for when so many tasks were forgotten, or a
// quarter as many as there are specifications: looking costs a glance at each.
inline constexpr std::size_t kSpecSweepAfter = 1024;

// Writes a view's records and reads them back. A specification is stored once, however many tasks
// and jobs have it: their records name its number. One for each store, and for each view that is
// saved there: Save relies on what Load, or the Saves since, have seen.
class ViewRecords {
 public:
  // The view as of the last commit; empty if the store is. kDataLoss: a record cannot be read.
  // Of many tasks on several cores; other threads have ended when it returns.
  [[nodiscard]] Result<View> Load(const store::Store& store, const LoadOptions& options = {});

  // What changed since the last call, with the positions; clears the view's dirty marks. Tasks of
  // equal specifications share one value afterwards.
  [[nodiscard]] store::WriteBatch Save(View& view);

  // Forgets everything but the cluster's name: the next load gives an empty view.
  [[nodiscard]] store::WriteBatch Clear(const std::string& cluster);
  // The name that the last Clear before the last load has kept; empty = none.
  [[nodiscard]] const std::string& cluster() const { return cluster_; }

 private:
  struct Spec {
    TaskSpecPtr spec;
    std::size_t hash = 0;
  };
  void Keep(std::uint64_t number, TaskSpecPtr spec, std::size_t hash);
  // Stores it if it is new; makes it the one that is kept.
  std::uint64_t NumberOf(TaskSpecPtr& spec, store::WriteBatch& batch);
  void Sweep(store::WriteBatch& batch);
  [[nodiscard]] Result<View> Read(const store::Store& store, const LoadOptions& options);
  [[nodiscard]] Result<void> LoadSpecs(const store::Store& store);
  [[nodiscard]] Result<void> LoadTasks(const store::Store& store, const LoadOptions& options,
                                       View& view) const;
  [[nodiscard]] Result<void> LoadUntold(const store::Store& store, View& view);
  void SaveUntold(const View& view, store::WriteBatch& batch);
  [[nodiscard]] Result<void> LoadJobs(const store::Store& store, View& view) const;
  void SaveJobs(View& view, store::WriteBatch& batch);

  std::string cluster_;
  std::map<std::uint64_t, Spec> specs_;  // by number; what the store holds
  std::unordered_map<const TaskSpec*, std::uint64_t> numbers_;
  std::unordered_multimap<std::size_t, std::uint64_t> by_hash_;  // of the encoded bytes
  std::uint64_t next_number_ = 1;
  std::size_t forgotten_ = 0;  // tasks, since the last sweep
  // Numbers of the untold transitions that the store holds: [from, end), of which those from
  // `settled` on had no stamp yet.
  struct {
    std::uint64_t from = 1;
    std::uint64_t settled = 1;
    std::uint64_t end = 1;
  } untold_;
};

}  // namespace cube::manager
