// TaskTable against std::maps.
#include "shared/cluster/task_table.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "shared/base/random.h"

namespace cube {
namespace {

Task Plain(TaskNumber number, const std::string& id) {
  Task task;
  task.number = number;
  task.own_id = std::string_view(id);
  return task;
}

Task OfJob(TaskNumber number, const JobRefPtr& job, std::uint32_t slot) {
  Task task;
  task.number = number;
  task.job = job;
  task.slot = slot;
  return task;
}

std::vector<TaskNumber> NumbersIn(const TaskTable& table) {
  std::vector<TaskNumber> numbers;
  for (const Task& task : table) numbers.push_back(task.number);
  return numbers;
}

TEST(TaskTable, IsAMapByNumberAndById) {
  Random random(9);
  const auto job =
      std::make_shared<const JobRef>(JobRef{TaskName::Trusted("a-job"), 3, JobType::kService});
  TaskTable table;
  std::map<TaskNumber, Task*> model;  // where each was when it was added
  for (int i = 0; i < 20000; ++i) {
    const TaskNumber number{1 + random.Below(4), static_cast<std::uint32_t>(random.Below(900))};
    const bool of_job = number.intent == 2;
    const std::string id =
        of_job ? "a-job-v3-" + std::to_string(number.index)
               : "t-" + std::to_string(number.intent) + "-" + std::to_string(number.index);
    const auto known = model.find(number);
    ASSERT_EQ(table.Find(number), known == model.end() ? nullptr : known->second);
    ASSERT_EQ(table.FindId(id), table.Find(number)) << id;
    if (known != model.end()) {
      ASSERT_EQ(IdOf(*known->second).str(), id);
      table.Erase(*known->second);
      model.erase(known);
    } else {
      Task task = of_job ? OfJob(number, job, number.index) : Plain(number, id);
      model.emplace(number, &table.Add(std::move(task)));
    }
    ASSERT_EQ(table.size(), model.size());
    ASSERT_EQ(table.empty(), model.empty());
    const auto from = table.From(number);
    const auto from_model = model.lower_bound(number);
    ASSERT_EQ(from == std::as_const(table).end(), from_model == model.end());
    if (from_model != model.end()) {
      ASSERT_EQ(&*from, from_model->second);
    }
    ASSERT_EQ(table.Before(number),
              from_model == model.begin() ? nullptr : std::prev(from_model)->second);
  }
  std::vector<TaskNumber> numbers;
  for (const auto& [number, task] : model) numbers.push_back(number);
  EXPECT_EQ(NumbersIn(table), numbers);
  EXPECT_GT(numbers.size(), 1024U);  // more than one slab
  for (const auto& [number, task] : model) EXPECT_EQ(&table.At(number), task);
}

TEST(TaskTable, ManyAreFoundInTheirOrder) {
  Random random(11);
  TaskTable table;
  for (std::uint32_t i = 0; i < 2'000; ++i) {
    if (random.Below(3) == 0) continue;
    table.Add(Plain({i / 7, i % 7}, "t" + std::to_string(i)));
  }
  for (const std::uint64_t stride : {1U, 2U, 40U}) {
    auto near = table.begin();
    for (std::uint32_t i = 0; i < 2'100;
         i += 1 + static_cast<std::uint32_t>(random.Below(stride))) {
      const TaskNumber number{i / 7, i % 7};
      ASSERT_EQ(table.FindNext(number, near), table.Find(number)) << i;
    }
  }
  TaskTable none;
  auto near = none.begin();
  EXPECT_EQ(none.FindNext({1, 1}, near), nullptr);
}

TEST(TaskTable, ACopyHasTasksOfItsOwn) {
  TaskTable table;
  for (std::uint32_t i = 0; i < 5; ++i) table.Add(Plain({1, i}, "t-" + std::to_string(i)));
  table.Erase(table.At({1, 2}));
  const TaskTable copy(table);
  table.At({1, 3}).attempt = 7;
  EXPECT_EQ(NumbersIn(copy), NumbersIn(table));
  EXPECT_EQ(copy.FindId("t-3"), copy.Find({1, 3}));
  EXPECT_EQ(copy.At({1, 3}).attempt, 0u);
  EXPECT_EQ(copy.FindId("t-2"), nullptr);
}

TEST(TaskTable, MovingItLeavesTasksWhereTheyAre) {
  TaskTable table;
  const Task* task = &table.Add(Plain({1, 0}, "a"));
  TaskTable moved(std::move(table));
  EXPECT_EQ(moved.FindId("a"), task);
  TaskTable other;
  other.Add(Plain({1, 0}, "b"));
  other = std::move(moved);
  EXPECT_EQ(other.Find({1, 0}), task);
  EXPECT_EQ(other.FindId("b"), nullptr);
}

TEST(TaskTable, WhatIsAppendedIsFoundByIdOnceIdsAreIndexed) {
  TaskTable table;
  for (std::uint32_t i = 0; i < 3; ++i) table.Append(Plain({4, i}, "t-" + std::to_string(i)));
  EXPECT_EQ(table.FindId("t-1"), nullptr);
  table.IndexIds();
  EXPECT_EQ(table.FindId("t-1"), table.Find({4, 1}));
  EXPECT_EQ(table.Behind({4, 1})->number.index, 2u);
}

}  // namespace
}  // namespace cube
