// Views with many tasks are read on several threads: the outcome is that of reading row by row.
#include "services/manager/task_loader.h"

#include <cube/v1/records.pb.h>
#include <gtest/gtest.h>

#include <set>

#include "services/manager/view_store.h"
#include "shared/base/random.h"
#include "shared/store/memory_store.h"
#include "test/support/cluster/log_writer.h"

namespace cube::manager {
namespace {

constexpr store::TableId kTasks = 1;
constexpr LoadOptions kSerial{.helpers = 0, .batch_rows = 4096};

class TaskLoaderTest : public testing::Test {
 protected:
  // Tasks of all kinds, on three nodes.
  void Fill(Random& random, std::uint64_t tasks) {
    for (const char* node : {"n0", "n1", "n2"}) log_.Join(node, {64'000, 1 << 30, 0});
    log_.SubmitJob(test::JobOf("job", JobType::kBatch, 20, "image"));
    log_.Decide({FillSlots{TaskName::Trusted("job"), 1, 0, 20, {}, false}});
    for (std::uint64_t i = 0; i < tasks; ++i) {
      const std::string id = "task-" + std::to_string(i);
      log_.Submit(id, test::Spec("name-" + std::to_string(random.Below(3))));
      if (random.Below(4) == 0) continue;
      if (random.Below(4) == 0) {
        log_.Stop(id);
        continue;
      }
      StartAttempt start = log_.Start(id, "n" + std::to_string(random.Below(3)));
      start.explanation = test::By(random.Below(2) == 0 ? "spread" : "greedy");
      log_.Decide({start});
      if (random.Below(2) == 0) log_.Launch(id, LaunchState::kRunning);
      if (random.Below(4) == 0) log_.Exit(id, 1, random.Below(2) == 0);
      if (random.Below(20) == 0) log_.Decide({NodeDown{start.node, "silent"}});
    }
    log_.Decide({});
    ViewRecords records;
    ASSERT_TRUE(store_.Commit(records.Save(log_.view())).has_value());
  }

  // The keys of all tasks.
  std::vector<std::string> Keys() {
    std::vector<std::string> keys;
    EXPECT_TRUE(store_.Scan(kTasks, "", [&keys](std::string_view key, std::string_view) {
      keys.emplace_back(key);
      return true;
    }));
    return keys;
  }

  static std::string ErrorOf(const store::Store& store, const LoadOptions& options) {
    const Result<View> view = ViewRecords().Load(store, options);
    if (view) return "none";
    EXPECT_EQ(view.error().code, Code::kDataLoss);
    return view.error().Text();
  }

  test::LogWriter log_;
  store::MemoryStore store_{ViewSchema()};
};

TEST_F(TaskLoaderTest, ThreadsGiveTheViewThatOneGives) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Random random(seed);
    log_ = {};
    store_.Restore(store::MemoryStore(ViewSchema()).contents());
    Fill(random, 10 + random.Below(60));
    const std::string wanted = ViewBytes(log_.view());
    for (const unsigned helpers : {0u, 1u, 4u}) {
      for (const std::size_t rows : {1u, 3u, 16u, 1000u}) {
        const Result<View> view = ViewRecords().Load(store_, {helpers, rows});
        ASSERT_TRUE(view) << view.error().Text();
        EXPECT_EQ(ViewBytes(*view), wanted) << "seed " << seed << ", batches of " << rows;
        EXPECT_EQ(test::WrongIndex(*view), "") << "seed " << seed << ", batches of " << rows;
      }
    }
  }
}

TEST_F(TaskLoaderTest, DamageIsFoundWhereverItIs) {
  Random random(1);
  Fill(random, 30);
  for (const std::string& key : Keys()) {
    store::MemoryStore damaged{ViewSchema()};
    damaged.Restore(store_.contents());
    store::WriteBatch batch;
    batch.Put(kTasks, key, "\xff");
    ASSERT_TRUE(damaged.Commit(batch).has_value());
    for (const unsigned helpers : {0u, 1u, 4u}) {
      EXPECT_EQ(ErrorOf(damaged, {helpers, 4}), "the view's record of a task cannot be read");
    }
  }
}

TEST_F(TaskLoaderTest, ATaskUnderAnotherOnesKeyIsDamage) {
  Random random(3);
  Fill(random, 20);
  const std::vector<std::string> keys = Keys();
  const auto first = store_.Get(kTasks, keys.front());
  ASSERT_TRUE(first && *first);
  store::WriteBatch batch;
  batch.Put(kTasks, keys.back(), **first);
  ASSERT_TRUE(store_.Commit(batch).has_value());
  for (const unsigned helpers : {0u, 2u}) {
    EXPECT_EQ(ErrorOf(store_, {helpers, 4}),
              "the view's record of the number of task job-v1-0 cannot be read");
  }
}

// It would have the number of what is submitted next.
TEST_F(TaskLoaderTest, ATaskOfAnIntentToComeIsDamage) {
  Random random(3);
  Fill(random, 20);
  const std::string key = Keys().back();
  const auto bytes = store_.Get(kTasks, key);
  ASSERT_TRUE(bytes && *bytes);
  v1::TaskRecord record;
  ASSERT_TRUE(record.ParseFromString(**bytes));
  record.mutable_number()->set_intent(record.number().intent() + 100);
  store::WriteBatch batch;
  batch.Put(kTasks, key, record.SerializeAsString());
  ASSERT_TRUE(store_.Commit(batch).has_value());
  EXPECT_EQ(ErrorOf(store_, kSerial),
            "the view's record of the number of task " + record.id() + " cannot be read");
}

TEST_F(TaskLoaderTest, ATaskOfAJobHasTheIdOfItsSlot) {
  Random random(3);
  Fill(random, 0);
  const std::string key = Keys().front();
  const auto bytes = store_.Get(kTasks, key);
  ASSERT_TRUE(bytes && *bytes);
  v1::TaskRecord record;
  ASSERT_TRUE(record.ParseFromString(**bytes));
  record.set_slot(record.slot() + 1);
  store::WriteBatch batch;
  batch.Put(kTasks, key, record.SerializeAsString());
  ASSERT_TRUE(store_.Commit(batch).has_value());
  EXPECT_EQ(ErrorOf(store_, kSerial),
            "the view's record of the id of task job-v1-0 cannot be read");
}

// Each record has a damage of its own.
TEST_F(TaskLoaderTest, TheFirstDamagedRecordIsTheOneThatIsTold) {
  Random random(1);
  Fill(random, 30);
  store::WriteBatch batch;
  int number = 0;
  for (const std::string& key : Keys()) {
    if (++number <= 5) continue;
    // Field 1, the id, and field 31, the job.
    const std::string id = "t" + std::to_string(10 + number);
    batch.Put(kTasks, key, "\x0a\x03" + id + "\xfa\x01\x04gone");
  }
  ASSERT_TRUE(store_.Commit(batch).has_value());
  const std::string wanted = ErrorOf(store_, kSerial);
  EXPECT_EQ(wanted, "the view's record of the job of task t16 cannot be read");
  for (const std::size_t rows : {1u, 2u, 4u, 7u, 100u}) {
    EXPECT_EQ(ErrorOf(store_, {4, rows}), wanted);
  }
}

TEST_F(TaskLoaderTest, EqualExplanationsNearEachOtherAreHeldOnce) {
  log_.Join("n0", {64'000, 1 << 30, 0});
  for (const std::string id : {"a", "b", "c", "d"}) {
    log_.Submit(id, test::Spec(id));
    StartAttempt start = log_.Start(id, "n0");
    start.explanation = test::By(id == "c" ? "spread" : "greedy");
    log_.Decide({start});
  }
  ViewRecords records;
  ASSERT_TRUE(store_.Commit(records.Save(log_.view())).has_value());
  const Result<View> view = ViewRecords().Load(store_, kSerial);
  ASSERT_TRUE(view);
  std::set<const Explanation*> held;
  for (const Task& task : view->tasks) held.insert(task.explanation.get());
  EXPECT_EQ(held.size(), 2u);
  EXPECT_EQ(ViewBytes(*view), ViewBytes(log_.view()));
}

}  // namespace
}  // namespace cube::manager
