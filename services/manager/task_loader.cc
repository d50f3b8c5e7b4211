#include "services/manager/task_loader.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "services/manager/task_records.h"
#include "shared/cluster/recent_explanations.h"

namespace cube::manager {
namespace {

template <class T>
bool HasEnded(const std::future<T>& batch) {
  // One that is deferred, since no thread could be started, is done by whoever asks for it.
  return batch.wait_for(std::chrono::seconds(0)) != std::future_status::timeout;
}

Result<Task> TaskOf(std::string_view bytes, const View& view, const SpecFinder& specs,
                    v1::TaskRecord& record) {
  if (!record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return DamagedRecord("a task");
  }
  CUBE_TRY(Task task, TaskFrom(record, view.jobs));
  task.spec = specs(record.spec_number());
  if (task.spec == nullptr) return DamagedRecord("a task's specification");
  return task;
}

}  // namespace

unsigned LoadOptions::HelpersOfMachine() {
  constexpr unsigned kHelpersMax = 4;  // scanning is not faster than so many
  const unsigned cores = std::thread::hardware_concurrency();
  return cores < 2 ? 0 : std::min(cores, kHelpersMax);
}

bool TaskLoader::Add(std::string_view bytes) {
  rows_.bytes += bytes;
  rows_.ends.push_back(rows_.bytes.size());
  if (rows_.ends.size() >= options_.batch_rows) Dispatch();
  return !error_;
}

Result<TaskTable> TaskLoader::Finish() {
  Decoded last = Decode(std::exchange(rows_, {}));
  for (; !batches_.empty(); batches_.pop_front()) Collect(batches_.front().get());
  Collect(std::move(last));
  if (error_) return std::unexpected(*std::exchange(error_, std::nullopt));
  return std::move(tasks_);
}

void TaskLoader::Dispatch() {
  Rows rows = std::exchange(rows_, {});
  rows_.bytes.reserve(rows.bytes.size());
  rows_.ends.reserve(rows.ends.size());
  const auto busy = std::ranges::count_if(batches_, [](const auto& b) { return !HasEnded(b); });
  if (std::cmp_less(busy, options_.helpers)) {
    batches_.push_back(std::async(std::launch::async | std::launch::deferred,
                                  [this, batch = std::move(rows)] { return Decode(batch); }));
  } else {
    std::promise<Decoded> done;
    done.set_value(Decode(rows));
    batches_.push_back(done.get_future());
  }
  while (!batches_.empty() && HasEnded(batches_.front())) {
    Collect(batches_.front().get());
    batches_.pop_front();
  }
}

void TaskLoader::Collect(Decoded decoded) {
  if (error_) return;
  for (std::size_t i = 0; i < decoded.tasks.size(); ++i) {
    Task& task = decoded.tasks[i];
    if (decoded.nodes[i] != nullptr)
      task.node = decoded.nodes[i]->ref;  // shared by this thread only
    // One of an intent that has not come yet would be in the way of that intent's own.
    const bool known = task.number.intent <= view_.intents.seq;
    if (known && (tasks_.empty() || last_ < task.number)) {
      last_ = task.number;
      tasks_.Append(std::move(task));
      continue;
    }
    error_ = DamagedRecord("the number of task " + IdOf(task).str()).error();
    return;
  }
  error_ = std::move(decoded.error);
}

TaskLoader::Decoded TaskLoader::Decode(const Rows& rows) const {
  Decoded decoded;
  decoded.tasks.reserve(rows.ends.size());
  decoded.nodes.reserve(rows.ends.size());
  v1::TaskRecord record;  // keeps its memory from row to row
  RecentExplanations explanations;
  std::size_t begin = 0;
  for (const std::size_t end : rows.ends) {
    const std::string_view bytes = std::string_view(rows.bytes).substr(begin, end - begin);
    Result<Task> task = TaskOf(bytes, view_, specs_, record);
    if (!task) {
      decoded.error = std::move(task).error();
      return decoded;
    }
    if (task->explanation) {
      task->explanation = explanations.Same(SharedExplanation(std::move(task->explanation)));
    }
    const NodeName name = NodeName::Trusted(record.node());
    const auto node = view_.nodes.find(name);
    const bool known = node != view_.nodes.end();
    if (!known && task->placed == Placed::kThere) {
      decoded.error = DamagedRecord("the node of task " + IdOf(*task).str()).error();
      return decoded;
    }
    if (!known) task->node = name;
    decoded.nodes.push_back(known ? &node->second : nullptr);
    decoded.tasks.push_back(std::move(*task));
    begin = end;
  }
  return decoded;
}

}  // namespace cube::manager
