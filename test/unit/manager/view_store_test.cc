#include "services/manager/view_store.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "shared/store/memory_store.h"
#include "test/support/cluster/log_writer.h"

namespace cube::manager {
namespace {

constexpr store::TableId kTasks = 1;
constexpr store::TableId kNodes = 2;
constexpr store::TableId kSpecs = 3;
constexpr store::TableId kUntold = 4;
constexpr store::TableId kJobs = 5;

class ViewStoreTest : public testing::Test {
 protected:
  void Save() { ASSERT_TRUE(store_.Commit(records_.Save(log_.view())).has_value()); }
  // As a process that starts now would see it.
  View Loaded() {
    Result<View> view = ViewRecords().Load(store_);
    EXPECT_TRUE(view.has_value()) << view.error().Text();
    return std::move(*view);
  }
  std::uint64_t Specs() { return *store_.Count(kSpecs); }
  static TaskSpec SpecOf(int number) {
    TaskSpec spec = test::Spec("a");
    spec.env["NUMBER"] = std::to_string(number);
    return spec;
  }

  test::LogWriter log_;
  store::MemoryStore store_{ViewSchema()};
  ViewRecords records_;
};

TEST_F(ViewStoreTest, WhatIsSavedIsReadBack) {
  log_.Join("n1", {4000, 1 << 30, 0});
  log_.Submit("a-1", SpecOf(1));
  log_.Decide({log_.Start("a-1", "n1")});
  log_.Launch("a-1", LaunchState::kRunning);
  log_.Decide({});
  Save();
  log_.Submit("b-1", SpecOf(2));
  log_.Submit("b-2", SpecOf(1));
  log_.Stop("a-1");
  log_.Decide({});
  Save();
  EXPECT_EQ(ViewBytes(Loaded()), ViewBytes(log_.view()));
}

TEST_F(ViewStoreTest, WhatANodeVouchesForIsReadBack) {
  log_.Join("n1", {4000, 1 << 30, 0});
  const NodeName n1 = NodeName::Trusted("n1");
  log_.SayJoined("n1", 200, {4000, 1 << 30, 0});
  log_.Decide({WelcomeNode{n1, 200, 9, true}});
  AttemptHeld held{TaskId::Trusted("gone-1"), 3, {77, 3}, {}, {}, {}};
  held.spec = std::make_shared<const TaskSpec>(SpecOf(1));
  log_.Fact("n1", held);
  AttemptHeld other = held;
  other.task = TaskId::Trusted("gone-2");
  log_.Fact("n1", other);
  log_.Decide({ReadoptAttempt{n1, held.task, 3, held.placement, held.spec}});
  Save();
  const View view = Loaded();
  EXPECT_EQ(ViewBytes(view), ViewBytes(log_.view()));
  EXPECT_EQ(view.Find(held.task)->seldom->pinned, n1);
  EXPECT_EQ(view.vouched, log_.view().vouched);
  EXPECT_EQ(view.nodes.at(n1).settled_epoch, 1u);
  EXPECT_EQ(view.nodes.at(n1).held_bytes, EncodedBytesMax(*held.spec));
}

TEST_F(ViewStoreTest, StepsThatWereNotToldAreWrittenOnce) {
  log_.Join("n1", {4000, 1 << 30, 0});
  for (int i = 0; i < 100; ++i) log_.Submit("a-" + std::to_string(i), SpecOf(1));
  const auto puts = [this] {
    const store::WriteBatch batch = records_.Save(log_.view());
    EXPECT_TRUE(store_.Commit(batch).has_value());
    return std::ranges::count_if(batch.writes(), [](const store::Write& write) {
      return write.table == kUntold && write.kind == store::Write::Kind::kPut;
    });
  };
  EXPECT_EQ(puts(), 100) << "before a decision has stamped them";
  EXPECT_EQ(ViewBytes(Loaded()), ViewBytes(log_.view()));
  log_.Decide({log_.Start("a-1", "n1")});
  EXPECT_EQ(puts(), 101) << "with their stamps, and one more";
  const Stamp first = log_.view().stamp;
  log_.Decide({log_.Start("a-2", "n1")});
  EXPECT_EQ(puts(), 1);
  EXPECT_EQ(*store_.Count(kUntold), 102u);
  EXPECT_EQ(ViewBytes(Loaded()), ViewBytes(log_.view()));
  // Another process goes on from there.
  ViewRecords next;
  log_.view() = *next.Load(store_);
  log_.told = first;
  log_.Decide({log_.Start("a-3", "n1")});
  ASSERT_TRUE(store_.Commit(next.Save(log_.view())).has_value());
  EXPECT_EQ(*store_.Count(kUntold), 2u);
  EXPECT_EQ(ViewBytes(Loaded()), ViewBytes(log_.view()));
  EXPECT_EQ(Loaded().untold_first, 102u);
}

TEST_F(ViewStoreTest, StepsThatWereStampedAndToldBetweenTwoSavesGo) {
  for (int i = 0; i < 5; ++i) log_.Submit("a-" + std::to_string(i), SpecOf(1));
  Save();
  log_.Decide({});
  log_.told = log_.view().stamp;
  log_.Decide({});
  log_.Submit("b-1", SpecOf(1));
  Save();
  EXPECT_EQ(*store_.Count(kUntold), 1u);
  EXPECT_EQ(ViewBytes(Loaded()), ViewBytes(log_.view()));
}

TEST_F(ViewStoreTest, AStepThatIsMissingIsDamage) {
  for (int i = 0; i < 3; ++i) log_.Submit("a-" + std::to_string(i), SpecOf(1));
  log_.Decide({});
  Save();
  store::WriteBatch damage;
  damage.Delete(kUntold, std::string("\0\0\0\0\0\0\0\2", 8));
  ASSERT_TRUE(store_.Commit(damage).has_value());
  const Result<View> view = ViewRecords().Load(store_);
  ASSERT_FALSE(view.has_value());
  EXPECT_EQ(view.error().code, Code::kDataLoss);
}

TEST_F(ViewStoreTest, LinesSayWhichRecordAFieldIsOf) {
  log_.Join("n1", {4000, 1 << 30, 0});
  log_.Submit("a-1", SpecOf(1));
  log_.Decide({});
  const std::vector<std::string> before = ViewLines(log_.view());
  EXPECT_EQ(std::ranges::count(before, "task a-1: id: \"a-1\""), 1);
  EXPECT_EQ(std::ranges::count(before, "node n1: name: \"n1\""), 1);
  log_.view().tasks.At({1, 0}).stop_wanted = true;
  std::vector<std::string> after = ViewLines(log_.view());
  EXPECT_EQ(std::erase(after, "task a-1: stop_wanted: true"), 1u);
  EXPECT_EQ(after, before);
}

TEST_F(ViewStoreTest, EqualSpecificationsAreStoredAndHeldOnce) {
  for (int i = 0; i < 10; ++i) {
    log_.Submit("a-" + std::to_string(i), SpecOf(i % 2));
    log_.Decide({});
    Save();
  }
  EXPECT_EQ(Specs(), 2u);
  const auto& tasks = log_.view().tasks;
  EXPECT_EQ(tasks.At({1, 0}).spec, tasks.At({9, 0}).spec);
  const View loaded = Loaded();
  EXPECT_EQ(loaded.tasks.At({1, 0}).spec, loaded.tasks.At({9, 0}).spec);
  EXPECT_EQ(loaded.tasks.size(), 10u);
}

TEST_F(ViewStoreTest, SpecificationsOfForgottenTasksGoAndOthersStay) {
  const auto count = static_cast<int>(kSpecSweepAfter);
  for (int i = 0; i < count; ++i) log_.Submit("old-" + std::to_string(i), SpecOf(i));
  log_.Decide({});
  Save();
  log_.view() = *records_.Load(store_);  // the log's writer keeps what it has submitted
  log_.Submit("new-1", SpecOf(5));       // also that of a task that goes
  EXPECT_EQ(Specs(), kSpecSweepAfter);
  std::vector<DecisionItem> stops;
  std::vector<DecisionItem> forgets;
  for (int i = 0; i < count; ++i) {
    const TaskId id = TaskId::Trusted("old-" + std::to_string(i));
    log_.Stop(id.str());
    stops.emplace_back(StopAttempt{id, 0, {}, {}});
    forgets.emplace_back(ForgetTask{id});
  }
  log_.Decide(stops);
  log_.Decide(forgets);
  Save();
  EXPECT_EQ(Specs(), 1u);
  EXPECT_EQ(ViewBytes(Loaded()), ViewBytes(log_.view()));
  // Numbers of what is gone are not taken for something else.
  log_.Submit("new-2", SpecOf(7));
  log_.Decide({});
  Save();
  EXPECT_EQ(ViewBytes(Loaded()), ViewBytes(log_.view()));
}

TEST_F(ViewStoreTest, GoesOnWithWhatAnotherProcessHasStored) {
  log_.Submit("a-1", SpecOf(1));
  log_.Decide({});
  Save();
  ViewRecords next;
  View view = *next.Load(store_);
  view.dirty_tasks.push_back({1, 0});
  ASSERT_TRUE(store_.Commit(next.Save(view)).has_value());
  EXPECT_EQ(Specs(), 1u);
  EXPECT_EQ(ViewBytes(Loaded()), ViewBytes(view));
}

TEST_F(ViewStoreTest, ClearedItIsEmptyAndBeginsAgain) {
  log_.Submit("a-1", SpecOf(1));
  log_.Decide({});
  Save();
  ASSERT_TRUE(store_.Commit(records_.Clear("name")).has_value());
  EXPECT_EQ(Specs(), 0u);
  EXPECT_TRUE(Loaded().tasks.empty());
  ViewRecords other;
  ASSERT_TRUE(other.Load(store_).has_value());
  EXPECT_EQ(other.cluster(), "name");
  log_.view().dirty_tasks.push_back({1, 0});
  Save();
  EXPECT_EQ(ViewBytes(Loaded()), ViewBytes(log_.view()));
}

// Values that decode, and that no message could have brought: a later save would fail on them, or
// the manager would not start.
TEST_F(ViewStoreTest, ARecordWithAValueThatIsNoneIsALossOfData) {
  log_.Join("n1", {4000, 1 << 30, 0});
  log_.Submit("a-1", SpecOf(1));
  log_.SubmitJob(test::JobOf("job", JobType::kService, 1, "image"));
  log_.Decide({});
  Save();
  // The only text of that length in its table.
  const std::vector<std::pair<store::TableId, std::string>> names = {
      {kTasks, "a-1"}, {kNodes, "n1"}, {kJobs, "job"}};
  for (const auto& [table, name] : names) {
    store::WriteBatch batch;
    ASSERT_TRUE(store_.Scan(
        table, "", [&, of = table, text = name](std::string_view key, std::string_view value) {
          std::string changed(value);
          changed.replace(changed.find(text), text.size(), std::string(text.size(), '.'));
          batch.Put(of, std::string(key), changed);
          return false;
        }));
    store::MemoryStore damaged{ViewSchema()};
    damaged.Restore(store_.contents());
    ASSERT_TRUE(damaged.Commit(batch).has_value());
    const auto view = ViewRecords().Load(damaged);
    ASSERT_FALSE(view) << name;
    EXPECT_EQ(view.error().code, Code::kDataLoss) << view.error().Text();
  }
}

TEST_F(ViewStoreTest, ARecordThatCannotBeReadIsALossOfData) {
  log_.Submit("a-1", SpecOf(1));
  log_.Decide({});
  Save();
  for (const store::TableId table : {kSpecs, kTasks}) {
    store::MemoryStore damaged{ViewSchema()};
    for (const store::TableId from : {store::TableId{0}, kTasks, kSpecs}) {
      store::WriteBatch batch;
      ASSERT_TRUE(store_.Scan(from, "", [&](std::string_view key, std::string_view value) {
        batch.Put(from, std::string(key), from == table ? "\xff" : std::string(value));
        return true;
      }));
      ASSERT_TRUE(damaged.Commit(batch).has_value());
    }
    EXPECT_EQ(ViewRecords().Load(damaged).error().code, Code::kDataLoss);
  }
  store::WriteBatch no_spec;
  no_spec.Clear(kSpecs);
  ASSERT_TRUE(store_.Commit(no_spec).has_value());
  EXPECT_EQ(ViewRecords().Load(store_).error().code, Code::kDataLoss);
}

}  // namespace
}  // namespace cube::manager
