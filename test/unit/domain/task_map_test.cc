#include "shared/domain/task_map.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "shared/base/random.h"

namespace cube {
namespace {

LaunchKey Key(std::uint64_t task, std::uint32_t attempt, std::uint32_t launch) {
  return {TaskId::Trusted("task-" + std::to_string(task)), attempt, launch};
}

using Entries = std::vector<std::pair<LaunchKey, int>>;

template <class Walk>
Entries EntriesOf(const Walk& walk) {
  Entries entries;
  for (const auto& [key, value] : walk) entries.emplace_back(key, value);
  return entries;
}

// Does the same to a map and to a std::map.
class Twins {
 public:
  explicit Twins(std::uint64_t seed) : random_(seed) {}
  void Change() {
    const LaunchKey key = Some();
    if (random_.Below(5) < 3) {
      const int value = ++values_;
      const auto& added = map_.Add(key, value);
      EXPECT_EQ(added.second, model_.emplace(key, value).first->second);
      EXPECT_EQ(added.first, key);
    } else {
      map_.Erase(key);
      model_.erase(key);
    }
  }
  void Compare() {
    EXPECT_EQ(map_.size(), model_.size());
    EXPECT_EQ(EntriesOf(map_), Entries(model_.begin(), model_.end()));
    const TaskId task = Some().task;
    const auto first = model_.lower_bound({task, 0, 0});
    EXPECT_EQ(EntriesOf(map_.From(task)), Entries(first, model_.end()));
    Entries of_task;
    for (auto it = first; it != model_.end() && it->first.task == task; ++it) {
      of_task.emplace_back(*it);
    }
    EXPECT_EQ(EntriesOf(map_.Of(task)), of_task);
    const LaunchKey key = Some();
    const int* found = map_.Find(key);
    ASSERT_EQ(found != nullptr, model_.contains(key));
    if (found != nullptr) {
      EXPECT_EQ(*found, model_.at(key));
    }
  }

 private:
  LaunchKey Some() {
    return Key(random_.Below(20), static_cast<std::uint32_t>(random_.Below(3)),
               static_cast<std::uint32_t>(random_.Below(3)));
  }

  Random random_;
  int values_ = 0;
  TaskMap<LaunchKey, int> map_;
  std::map<LaunchKey, int> model_;
};

TEST(TaskMap, IsAMapInTheOrderOfKeys) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    Twins twins(seed);
    for (int i = 0; i < 300; ++i) {
      twins.Change();
      twins.Compare();
    }
  }
}

TEST(TaskMap, EntriesStayWhereTheyAre) {
  TaskMap<LaunchKey, int> map;
  int* const first = &map.Add(Key(1, 1, 1), 7).second;
  for (std::uint64_t task = 0; task < 1000; ++task) map.Add(Key(task, 1, 0), 0);
  for (std::uint64_t task = 0; task < 1000; task += 2) map.Erase(Key(task, 1, 0));
  EXPECT_EQ(map.Find(Key(1, 1, 1)), first);
  EXPECT_EQ(*first, 7);
}

TEST(TaskMap, ErasesByAnEntrysOwnKey) {
  TaskMap<LaunchKey, int> map;
  map.Add(Key(1, 1, 0), 1);
  map.Add(Key(1, 1, 1), 2);
  map.Erase(map.begin()->first);
  map.Erase(map.begin()->first);
  EXPECT_TRUE(map.empty());
}

}  // namespace
}  // namespace cube
