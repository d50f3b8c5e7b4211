// Tasks as answers tell them, encoded.
#pragma once

#include <cstddef>
#include <string>

#include "shared/cluster/view.h"
#include "shared/domain/task_spec.h"

namespace cube::manager {

// The field `tasks` of one QueryReply, to be put behind its other fields: of a message the fields
// may come in any order. Written task by task, since a page of messages would first be made, then
// measured and written, each with a specification that thousands may share.
class TaskPage {
 public:
  // `waits`: why a pending task waits; of another it is not looked at. False, and nothing is added,
  // if there is a task already and the field would have more than `bytes_max` bytes.
  bool Add(const View& view, const Task& task, const std::string& waits, std::size_t bytes_max);

  [[nodiscard]] std::size_t count() const { return count_; }
  // The tasks in the order in which they were added.
  [[nodiscard]] const std::string& bytes() const { return bytes_; }

 private:
  // As a field of a TaskView.
  const std::string& SpecOf(const TaskSpecPtr& spec);

  std::string bytes_;
  std::size_t count_ = 0;
  TaskSpecPtr spec_;  // of the last task: those of one job follow each other
  std::string spec_bytes_;
};

}  // namespace cube::manager
