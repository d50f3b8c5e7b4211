#include "services/manager/view_digest.h"

#include <gtest/gtest.h>

#include "test/support/cluster/log_writer.h"

namespace cube::manager {
namespace {

constexpr std::size_t kTasks = 300;

class ViewDigestTest : public testing::Test {
 protected:
  ViewDigestTest() {
    log_.Join("n1", {400'000, 1LL << 40, 0});
    for (std::size_t i = 0; i < kTasks; ++i) Submit(i);
    log_.Decide({});
    Clean();
  }
  void Submit(std::size_t number) { log_.Submit("a-" + std::to_string(number), test::Spec("a")); }
  // As a manager does after each change.
  void Save() {
    digest_.BeforeSave(log_.view());
    Clean();
  }
  void Clean() {
    log_.view().dirty_tasks.clear();
    log_.view().dirty_nodes.clear();
    log_.view().dirty_jobs.clear();
  }
  void WalkToEnd() {
    while (!digest_.whole()) digest_.Walk(log_.view(), 7);
  }
  void ExpectRight() {
    const std::vector<RangeDigest> ranges = digest_.Ranges(log_.view());
    EXPECT_EQ(DigestsLike(log_.view(), ranges), ranges);
    EXPECT_LE(ranges.size(), kDigestRangesMax);
  }

  test::LogWriter log_;
  ViewDigest digest_;
};

TEST_F(ViewDigestTest, SumsUpEveryRecord) {
  digest_.Begin(log_.view());
  WalkToEnd();
  std::uint64_t tasks = 0;
  std::size_t ranges = 0;
  for (const RangeDigest& range : digest_.Ranges(log_.view())) {
    if (range.kind != RecordKind::kTask) continue;
    tasks += range.records;
    ++ranges;
  }
  EXPECT_EQ(tasks, kTasks);
  EXPECT_GT(ranges, 3u);
  ExpectRight();
}

TEST_F(ViewDigestTest, TheViewGoesOnWhileItIsWalked) {
  digest_.Begin(log_.view());
  digest_.Walk(log_.view(), kTasks / 2);
  // Changed before and behind the walk, new, and gone.
  for (const char* id : {"a-3", "a-290"}) log_.Decide({log_.Start(id, "n1")});
  Save();
  Submit(kTasks);
  log_.Stop("a-5");
  log_.Stop("a-280");
  const auto over = [this](const std::string& id) {
    const Task& task = *log_.view().Find(TaskId::Trusted(id));
    return StopAttempt{IdOf(task), task.attempt, task.node, {}};
  };
  log_.Decide({over("a-5"), over("a-280")});
  Save();
  log_.Decide({ForgetTask{TaskId::Trusted("a-5")}, ForgetTask{TaskId::Trusted("a-280")}});
  Save();
  WalkToEnd();
  log_.Launch("a-3", LaunchState::kRunning);
  log_.Decide({});
  Save();
  EXPECT_EQ(log_.view().tasks.size(), kTasks + 1 - 2);
  ExpectRight();
}

TEST_F(ViewDigestTest, AChangeWithoutAMarkShows) {
  digest_.Begin(log_.view());
  WalkToEnd();
  const std::vector<RangeDigest> before = digest_.Ranges(log_.view());
  log_.view().Find(TaskId::Trusted("a-200"))->slot = 7;
  const std::vector<RangeDigest> after = DigestsLike(log_.view(), before);
  std::size_t different = 0;
  for (std::size_t i = 0; i < before.size(); ++i) different += before[i] != after[i] ? 1U : 0U;
  EXPECT_EQ(different, 0u) << "the slot of a plain task is not in its record";
  log_.view().Find(TaskId::Trusted("a-200"))->attempt = 7;
  EXPECT_NE(DigestsLike(log_.view(), before), before);
}

TEST(ViewRecords, FieldsThatDiffer) {
  test::LogWriter log;
  log.Join("n1", {4000, 1 << 30, 0});
  log.Submit("a-1", test::Spec("a"));
  log.Decide({log.Start("a-1", "n1")});
  Task& task = *log.view().Find(TaskId::Trusted("a-1"));
  const std::string key = RecordKey(task.number);
  const std::string before = *FindRecord(log.view(), RecordKind::kTask, key);
  EXPECT_EQ(RecordName(RecordKind::kTask, key, before), "task a-1");
  EXPECT_TRUE(CompareRecords(RecordKind::kTask, before, before).empty());
  log.Launch("a-1", LaunchState::kRunning);
  task.attempt = 2;
  const std::string after = *FindRecord(log.view(), RecordKind::kTask, key);
  const auto found = CompareRecords(RecordKind::kTask, before, after);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0], (FieldDifference{"attempt", "1", "2"}));
  EXPECT_EQ(found[1].field, "observed");
  EXPECT_EQ(found[1].left, "");
  EXPECT_EQ(CompareRecords(RecordKind::kTask, before, "\xff").at(0).field, "(bytes)");
}

TEST(ViewRecords, TheHashIsTheSameForEver) {
  EXPECT_EQ(HashOf(RecordKind::kNode, "a", "b"), HashOf(RecordKind::kNode, "a", "b"));
  EXPECT_NE(HashOf(RecordKind::kNode, "a", "b"), HashOf(RecordKind::kJob, "a", "b"));
  EXPECT_NE(HashOf(RecordKind::kNode, "ab", ""), HashOf(RecordKind::kNode, "a", "b"));
}

}  // namespace
}  // namespace cube::manager
