#include "shared/cluster/task_table.h"

#include <functional>
#include <new>
#include <utility>

#include "shared/base/check.h"

namespace cube {
namespace {

std::uint32_t HashOf(std::string_view id) {
  const std::uint64_t hash = std::hash<std::string_view>()(id);
  return static_cast<std::uint32_t>(hash ^ hash >> 32);
}

std::uint32_t HashOf(const Task& task) { return HashOf(TaskIdText(task).view()); }

}  // namespace

TaskTable::TaskTable(const TaskTable& other) {
  for (const Task& task : other) Append(task);
  IndexIds();
}

TaskTable::TaskTable(TaskTable&& other) noexcept { *this = std::move(other); }

TaskTable& TaskTable::operator=(TaskTable&& other) noexcept {
  if (this == &other) return *this;
  Destroy();
  slabs_ = std::exchange(other.slabs_, {});
  used_ = std::exchange(other.used_, 0);
  free_ = std::exchange(other.free_, PlaceTable::kNone);
  order_ = std::exchange(other.order_, {});
  ids_ = std::exchange(other.ids_, {});
  return *this;
}

TaskTable::~TaskTable() { Destroy(); }

void TaskTable::Destroy() {
  for (Task* task : order_) task->~Task();
}

std::uint32_t TaskTable::Put(Task task) {
  std::uint32_t place = free_;
  if (place != PlaceTable::kNone) {
    free_ = SlotAt(place).next_free;
  } else {
    place = used_++;
    if (place / kSlabTasks == slabs_.size()) {
      slabs_.push_back(std::make_unique_for_overwrite<Slot[]>(kSlabTasks));
    }
  }
  Task* const at = new (&SlotAt(place).task) Task(std::move(task));
  const std::size_t before = order_.size();
  order_.insert(order_.end(), at);
  CUBE_CHECK(order_.size() == before + 1);  // else it had the number of another one
  return place;
}

Task& TaskTable::Add(Task task) {
  const std::uint32_t place = Put(std::move(task));
  Task& added = SlotAt(place).task;
  ids_.Add(HashOf(added), place);
  return added;
}

void TaskTable::Append(Task task) {
  CUBE_CHECK(order_.empty() || (*order_.rbegin())->number < task.number);
  Put(std::move(task));
}

void TaskTable::IndexIds() {
  std::vector<bool> is_free(used_);
  for (std::uint32_t at = free_; at != PlaceTable::kNone; at = SlotAt(at).next_free) {
    is_free[at] = true;
  }
  ids_.Clear();
  ids_.Reserve(order_.size());
  for (std::uint32_t place = 0; place < used_; ++place) {
    if (!is_free[place]) ids_.Add(HashOf(SlotAt(place).task), place);
  }
}

void TaskTable::Erase(const Task& task) {
  const std::uint32_t hash = HashOf(task);
  const std::uint32_t place =
      ids_.Find(hash, [&](std::uint32_t at) { return &SlotAt(at).task == &task; });
  CUBE_CHECK(place != PlaceTable::kNone);
  ids_.Drop(hash, place);
  order_.erase(task.number);
  Slot& slot = SlotAt(place);
  slot.task.~Task();
  slot.next_free = std::exchange(free_, place);
}

const Task* TaskTable::Find(const TaskNumber& number) const {
  const auto it = order_.find(number);
  return it == order_.end() ? nullptr : *it;
}

Task* TaskTable::Find(const TaskNumber& number) {
  const auto it = order_.find(number);
  return it == order_.end() ? nullptr : *it;
}

Task* TaskTable::FindNext(const TaskNumber& number, iterator& near) {
  // Mostly the next one, or one of those behind it.
  constexpr int kSteps = 4;
  for (int i = 0; i < kSteps && near != end() && near->number < number; ++i) ++near;
  if (near == end() || near->number != number) near = iterator(order_.lower_bound(number));
  return near == end() || near->number != number ? nullptr : &*near;
}

Task* TaskTable::Lookup(std::string_view id) const {
  const std::uint32_t place = ids_.Find(
      HashOf(id), [&](std::uint32_t at) { return TaskIdText(SlotAt(at).task).view() == id; });
  return place == PlaceTable::kNone ? nullptr : &SlotAt(place).task;
}

Task* TaskTable::FindId(std::string_view id) { return Lookup(id); }
const Task* TaskTable::FindId(std::string_view id) const { return Lookup(id); }

Task& TaskTable::At(const TaskNumber& number) {
  Task* const task = Find(number);
  CUBE_CHECK(task != nullptr);
  return *task;
}

const Task& TaskTable::At(const TaskNumber& number) const {
  const Task* const task = Find(number);
  CUBE_CHECK(task != nullptr);
  return *task;
}

TaskTable::const_iterator TaskTable::From(const TaskNumber& number) const {
  return const_iterator(order_.lower_bound(number));
}

TaskTable::const_iterator TaskTable::Behind(const TaskNumber& number) const {
  return const_iterator(order_.upper_bound(number));
}

const Task* TaskTable::Before(const TaskNumber& number) const {
  const auto at = order_.lower_bound(number);
  return at == order_.begin() ? nullptr : *std::prev(at);
}

}  // namespace cube
