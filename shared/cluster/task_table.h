// All tasks of a view, found by number, in the order of numbers, and by id. A task stays where it
// is in memory until it is erased; its number and id must not change. Tasks lie in slabs, so that
// one costs little more than its record: some nine bytes for its place in the order, eleven to
// twenty-two for its id. What was erased is used again, and given back with the table only. Not
// thread-safe.
#pragma once

#include <absl/container/btree_set.h>

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <string_view>
#include <vector>

#include "shared/base/place_table.h"
#include "shared/cluster/task.h"
#include "shared/domain/ids.h"

namespace cube {

class TaskTable {
  struct ByNumber {
    using is_transparent = void;
    static TaskNumber Of(const Task* task) { return task->number; }
    static TaskNumber Of(const TaskNumber& number) { return number; }
    bool operator()(const auto& a, const auto& b) const { return Of(a) < Of(b); }
  };
  using Order = absl::btree_set<Task*, ByNumber>;

 public:
  // Ends with the next task that is added or erased.
  template <class T>
  class Iterator {
   public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = T;
    using difference_type = std::ptrdiff_t;
    using pointer = T*;
    using reference = T&;

    Iterator() = default;
    explicit Iterator(Order::const_iterator at) : at_(at) {}
    reference operator*() const { return **at_; }
    pointer operator->() const { return *at_; }
    Iterator& operator++() {
      ++at_;
      return *this;
    }
    Iterator operator++(int) { return Iterator(at_++); }
    friend bool operator==(const Iterator&, const Iterator&) = default;

   private:
    Order::const_iterator at_;
  };
  using iterator = Iterator<Task>;
  using const_iterator = Iterator<const Task>;

  TaskTable() = default;
  TaskTable(const TaskTable& other);
  TaskTable(TaskTable&& other) noexcept;
  TaskTable& operator=(const TaskTable&) = delete;
  TaskTable& operator=(TaskTable&& other) noexcept;
  ~TaskTable();

  // No task of the table has its number or its id.
  Task& Add(Task task);
  // Its number is above all others'. It is found by its id when IndexIds has been called.
  void Append(Task task);
  void IndexIds();
  void Erase(const Task& task);

  // nullptr = there is none.
  [[nodiscard]] Task* Find(const TaskNumber& number);
  [[nodiscard]] const Task* Find(const TaskNumber& number) const;
  // Likewise of many in ascending order: `near` is where the one before was found.
  [[nodiscard]] Task* FindNext(const TaskNumber& number, iterator& near);
  [[nodiscard]] Task* FindId(std::string_view id);
  [[nodiscard]] const Task* FindId(std::string_view id) const;
  // There is one.
  [[nodiscard]] Task& At(const TaskNumber& number);
  [[nodiscard]] const Task& At(const TaskNumber& number) const;

  // The first task with that number or a higher one; end() = there is none.
  [[nodiscard]] const_iterator From(const TaskNumber& number) const;
  // The first task with a higher number.
  [[nodiscard]] const_iterator Behind(const TaskNumber& number) const;
  // The last task with a lower number; nullptr = there is none.
  [[nodiscard]] const Task* Before(const TaskNumber& number) const;

  [[nodiscard]] iterator begin() { return iterator(order_.begin()); }
  [[nodiscard]] iterator end() { return iterator(order_.end()); }
  [[nodiscard]] const_iterator begin() const { return const_iterator(order_.begin()); }
  [[nodiscard]] const_iterator end() const { return const_iterator(order_.end()); }
  [[nodiscard]] std::size_t size() const { return order_.size(); }
  [[nodiscard]] bool empty() const { return order_.empty(); }

 private:
  // Large enough that slabs cost nothing, small enough for a cluster with few tasks: what was never
  // written to is no memory yet.
  static constexpr std::uint32_t kSlabTasks = 1024;
  union Slot {
    // There is no task in it.
    Slot() {}   // NOLINT(modernize-use-equals-default,cppcoreguidelines-pro-type-member-init)
    ~Slot() {}  // NOLINT(modernize-use-equals-default)
    Task task;
    std::uint32_t next_free;
  };

  Slot& SlotAt(std::uint32_t place) const { return slabs_[place / kSlabTasks][place % kSlabTasks]; }
  std::uint32_t Put(Task task);
  [[nodiscard]] Task* Lookup(std::string_view id) const;
  void Destroy();

  std::vector<std::unique_ptr<Slot[]>> slabs_;
  std::uint32_t used_ = 0;                  // slots that ever held a task
  std::uint32_t free_ = PlaceTable::kNone;  // the first of those that hold none any more
  Order order_;
  PlaceTable ids_;
};

}  // namespace cube
