// Reads the records of a view's tasks back, on several cores: whoever scans the store gives the
// rows one by one, which are gathered into batches; other threads make tasks of them, or, while
// those are busy, the giver's own. The outcome is that of reading row by row.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <future>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/error.h"
#include "shared/cluster/view.h"

namespace cube::manager {

struct LoadOptions {
  // Batches that other threads may have at a time; 0 = no other threads.
  unsigned helpers = HelpersOfMachine();
  // Rows of a batch: some milliseconds of work, so that starting a thread costs nothing beside it.
  // What is smaller is read without threads.
  std::size_t batch_rows = 4096;

  // One for each core, so that the giver need not wait for one to end; with one core none.
  [[nodiscard]] static unsigned HelpersOfMachine();
};

// Finds a specification by its number; null = there is none. Called by several threads at a time.
using SpecFinder = std::function<TaskSpecPtr(std::uint64_t number)>;

class TaskLoader {
 public:
  // `view` has its position, nodes and jobs, and must outlive the loader; nobody may change it, or
  // what `specs` looks at, before Finish.
  TaskLoader(const View& view, SpecFinder specs, const LoadOptions& options)
      : view_(view), specs_(std::move(specs)), options_(options) {}

  // The next row, in the order of keys. False: a record was found to be damaged, Finish says which.
  [[nodiscard]] bool Add(std::string_view bytes);
  // All tasks that were given, with their specifications, not yet found by their ids. The error is
  // that of the first damaged record.
  [[nodiscard]] Result<TaskTable> Finish();

 private:
  struct Rows {
    std::string bytes;              // of all, one behind the other
    std::vector<std::size_t> ends;  // where each ends
  };
  struct Decoded {
    std::vector<Task> tasks;
    std::vector<const Node*>
        nodes;  // of each task; null = none, or its record has a name of its own
    std::optional<Error> error;
  };

  [[nodiscard]] Decoded Decode(const Rows& rows) const;
  void Dispatch();
  void Collect(Decoded decoded);

  const View& view_;
  SpecFinder specs_;
  LoadOptions options_;
  Rows rows_;                                 // of the next batch
  std::deque<std::future<Decoded>> batches_;  // in the order of their rows
  TaskTable tasks_;                           // of those before
  TaskNumber last_;                           // of tasks_
  std::optional<Error> error_;
};

}  // namespace cube::manager
