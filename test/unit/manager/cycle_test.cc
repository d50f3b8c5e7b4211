// When a leader's cycle begins, and when what it has changed is saved.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>

#include "test/support/manager/loop_rig.h"

namespace cube::manager {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

View EmptyCluster() {
  View view;
  view.decision_seq = view.valid_seq = 7;
  view.term = {3, 33};
  view.stamp = {33, 5};
  view.decided_at = WallFromNanos(1'700'000'000'000'000'000);
  view.term_start = TermStart{"testcluster", "other", 1, {}, {}};
  return view;
}

// Leads, is alone, and has had nothing to do for a second.
class CycleTest : public testing::Test {
 protected:
  CycleTest() : rig_(EmptyCluster(), WallFromNanos(1'700'000'001'000'000'000)) {
    rig_.Lead();
    rig_.Pass(seconds(1));
  }
  // One that cannot be read: it is skipped, and every reader of the log has to pass it all the
  // same.
  void FeedFact() { rig_.Feed({rig_.Read(rig_.facts(), "cube.facts.n1", "?")}); }
  // -> whether a cycle took it.
  bool FactIsTakenAtOnce() {
    FeedFact();
    if (!rig_.sent()) return false;
    rig_.Acknowledge();
    return true;
  }
  static std::ptrdiff_t CommitsIn(const std::vector<Operation>& operations) {
    return std::count_if(operations.begin(), operations.end(), [](const Operation& operation) {
      return std::holds_alternative<Commit>(operation);
    });
  }

  test::LoopRig rig_;
};

TEST_F(CycleTest, FactsOfAQuietClusterAreTakenAtOnceAndThoseOfABusyOneGather) {
  for (int i = 0; i < kFactsAtOnce; ++i) EXPECT_TRUE(FactIsTakenAtOnce()) << i;
  EXPECT_FALSE(FactIsTakenAtOnce());
  EXPECT_FALSE(FactIsTakenAtOnce());
  EXPECT_GT(rig_.loop().NextDeadline(), rig_.now().mono);
  EXPECT_LE(rig_.loop().NextDeadline(), rig_.now().mono + kFactsInterval);
  rig_.Pass(kFactsInterval);
  ASSERT_TRUE(rig_.sent());
  EXPECT_EQ(rig_.batch().facts.seq, rig_.facts().last_seq) << "all that have gathered";
  rig_.Acknowledge();
  EXPECT_FALSE(FactIsTakenAtOnce());
  rig_.Pass(seconds(1));
  ASSERT_TRUE(rig_.sent());
  rig_.Acknowledge();
  EXPECT_TRUE(FactIsTakenAtOnce()) << "quiet again";
}

TEST_F(CycleTest, AnIntentTakesTheFactsWithIt) {
  for (int i = 0; i < kFactsAtOnce; ++i) ASSERT_TRUE(FactIsTakenAtOnce());
  FeedFact();
  EXPECT_FALSE(rig_.sent());
  rig_.Feed({rig_.Read(rig_.intents(), wire::Subjects().TasksSubmit(), "{}")});
  ASSERT_TRUE(rig_.sent());
  EXPECT_EQ(rig_.batch().facts.seq, rig_.facts().last_seq);
}

TEST_F(CycleTest, WhatSeveralCyclesHaveChangedIsSavedOnce) {
  const std::uint64_t commits = rig_.commits();
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(FactIsTakenAtOnce());
  EXPECT_EQ(rig_.commits(), commits);
  EXPECT_GT(rig_.loop().NextDeadline(), rig_.now().mono);
  EXPECT_LE(rig_.loop().NextDeadline(), rig_.now().mono + kSaveAfter);
  rig_.Pass(kSaveAfter);
  EXPECT_EQ(rig_.commits(), commits + 1);
  rig_.Pass(seconds(5));
  EXPECT_EQ(rig_.commits(), commits + 1) << "nothing has changed since";
}

TEST_F(CycleTest, NothingIsSavedWhileADecisionIsUnderWay) {
  EXPECT_TRUE(FactIsTakenAtOnce());
  FeedFact();
  ASSERT_TRUE(rig_.sent());
  const std::uint64_t commits = rig_.commits();
  rig_.Pass(seconds(1));
  EXPECT_EQ(rig_.commits(), commits) << "what is folded for it is not the log's yet";
  rig_.Acknowledge();
  EXPECT_EQ(rig_.commits(), commits + 1);
}

TEST_F(CycleTest, WhoVerifiesIsAnsweredAsOfWhatIsSaved) {
  EXPECT_TRUE(FactIsTakenAtOnce());
  const std::uint64_t commits = rig_.commits();
  rig_.Feed({rig_.Verify("", "_INBOX.x")});
  EXPECT_EQ(rig_.commits(), commits + 1);
}

TEST_F(CycleTest, AManagerThatIsToldToEndGivesItsLeaseAwayAndSaves) {
  EXPECT_TRUE(FactIsTakenAtOnce());
  EXPECT_EQ(CommitsIn(rig_.loop().Shutdown()), 1);
  EXPECT_EQ(CommitsIn(rig_.loop().Shutdown()), 0) << "the store has all";
}

TEST_F(CycleTest, AManagerThatEndsWhileADecisionIsUnderWaySavesNothing) {
  EXPECT_TRUE(FactIsTakenAtOnce());
  FeedFact();
  ASSERT_TRUE(rig_.sent());
  EXPECT_EQ(CommitsIn(rig_.loop().Shutdown()), 0);
}

}  // namespace
}  // namespace cube::manager
