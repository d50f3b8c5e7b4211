// The laws of jobs, looked at slot by slot; deciding goes by counts and runs.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "shared/cluster/view.h"
#include "shared/domain/decision.h"

namespace cube::sim {

// An update takes down no more slots at a time than it may, goes on only while the tasks of the new
// version are up and none has failed, and never after it has failed; a job is called over only when
// its tasks are.
class JobLaws {
 public:
  // A decision, against the view that it was made from. -> the broken law, or empty.
  [[nodiscard]] std::string Check(const View& view, const DecisionBatch& batch);

 private:
  [[nodiscard]] std::string Replaces(const View& view, const Job& job, std::uint32_t first,
                                     std::uint32_t count);
  [[nodiscard]] std::string CheckEmpty(const View& view, const EmptySlots& empty);
  [[nodiscard]] std::string CheckFill(const View& view, const FillSlots& fill);
  [[nodiscard]] std::string CheckEnd(const View& view, const EndUpdate& end);
  [[nodiscard]] static std::string CheckEnd(const View& view, const EndJob& end);

  std::map<TaskName, std::uint32_t> failed_;          // the version whose update has failed
  std::map<TaskName, std::set<std::uint32_t>> down_;  // slots, for the decision that is looked at
};

// What is still to be done about the jobs of a cluster at rest; empty = nothing.
[[nodiscard]] std::string UnsettledJobs(const View& view);

}  // namespace cube::sim
