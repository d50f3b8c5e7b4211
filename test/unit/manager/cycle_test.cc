// When a leader's cycle begins, and when what it has changed is saved.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>

#include "test/support/cluster/log_writer.h"
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

// Nodes with more to start than one message can say: each task has a specification of some 60 KB.
View MuchToStart() {
  test::LogWriter log;
  for (int i = 0; i < 6; ++i) log.Join("n" + std::to_string(i), {1000, 1 << 30, 1 << 30});
  for (int i = 0; i < 6; ++i) {
    TaskSpec spec = test::BulkySpec("t" + std::to_string(i));
    spec.resources.cpu_millis = 600;  // one on each node
    log.Submit("task-" + std::to_string(i), spec);
  }
  log.Decide({});
  return log.view().Copy();
}

class FullMessagesTest : public testing::Test {
 protected:
  FullMessagesTest() { rig_.Lead(); }
  // Starts that were told since the last call.
  std::size_t Told() {
    std::size_t told = 0;
    for (int i = 0; i < 6; ++i) {
      for (const AssignBatch& copy : rig_.Assigned("n" + std::to_string(i))) {
        told += copy.items.size();
      }
    }
    return told;
  }

  test::LoopRig rig_{MuchToStart(), WallFromNanos(1'800'000'000'000'000'000)};
};

TEST_F(FullMessagesTest, AreToldWithTheLastOne) {
  ASSERT_TRUE(rig_.sent());
  ASSERT_EQ(rig_.view().pending.size(), 1u) << "all of one shape";
  EXPECT_EQ(rig_.view().pending.begin()->second.size(), 2u) << "four of six were in the first";
  EXPECT_EQ(Told(), 0u);
  rig_.Acknowledge();
  EXPECT_EQ(Told(), 6u);
}

TEST_F(FullMessagesTest, WaitForANextOneThatDoesNotComeNotForEver) {
  ASSERT_TRUE(rig_.sent());
  EXPECT_LE(rig_.loop().NextDeadline(), rig_.now().mono + kHeldMin);
  rig_.Pass(kHeldMin);
  EXPECT_EQ(Told(), 4u);
  rig_.Acknowledge();
  EXPECT_EQ(Told(), 2u);
}

TEST_F(FullMessagesTest, AreNotMissedByTheirNodes) {
  const View before = MuchToStart();
  for (const auto& [name, node] : rig_.view().nodes) {
    Heartbeat beat;
    beat.node = name.str();
    beat.instance = node.instance;
    beat.incarnation = node.incarnation;
    beat.position = before.nodes.at(name).last_decision;
    for (int i = 0; i < 5; ++i) rig_.Feed({rig_.Beat(beat)});
  }
  EXPECT_EQ(Told(), 0u);
  rig_.Acknowledge();  // between cycles heartbeats are answered
  for (const auto& [name, node] : rig_.view().nodes) EXPECT_EQ(rig_.SetsOf(name.str()), 0u);
}

TEST_F(FullMessagesTest, AreToldWhenTheNextOneFails) {
  rig_.FailAppend(Code::kAborted);
  EXPECT_EQ(Told(), 4u);
}

// Submissions one by one, faster than they are taken: behind each lie others in the log.
class BacklogTest : public testing::Test {
 protected:
  BacklogTest() { rig_.Lead(); }
  // One comes, and is decided on. `behind`: so many lay behind it when the server sent it.
  void Submit(std::uint64_t behind) {
    TaskSpec spec = test::Spec("t");
    const auto submit = std::make_shared<const TaskSpec>(spec);
    bus::Event event = rig_.Read(rig_.intents(), wire::Subjects().TasksSubmit(),
                                 wire::EncodeSubmit({{TaskId(), submit}}));
    std::get<bus::Read>(event).behind = behind;
    rig_.Feed({std::move(event)});
    ASSERT_TRUE(rig_.sent());
    rig_.Acknowledge();
  }
  std::vector<std::size_t> Told() {
    std::vector<std::size_t> told;
    for (const AssignBatch& copy : rig_.Assigned("n0")) told.push_back(copy.items.size());
    return told;
  }
  static View OneNode() {
    test::LogWriter log;
    log.Join("n0", {1000, 1 << 30, 1 << 30});
    log.Decide({});
    return log.view().Copy();
  }

  using Sizes = std::vector<std::size_t>;
  test::LoopRig rig_{OneNode(), WallFromNanos(1'800'000'000'000'000'000)};
};

TEST_F(BacklogTest, IsToldTogether) {
  Submit(100'000);
  Submit(99'999);
  Submit(99'998);
  EXPECT_EQ(Told(), Sizes()) << "though no decision is under way: the next intents are";
  Submit(0);
  EXPECT_EQ(Told(), Sizes({4}));
  Submit(0);
  EXPECT_EQ(Told(), Sizes({1})) << "nothing follows, so nothing waits";
}

TEST_F(BacklogTest, ThatTheNextMessageTakesIsNone) {
  Submit(10);
  EXPECT_EQ(Told(), Sizes({1}));
}

TEST_F(BacklogTest, ThatDoesNotComeIsNotWaitedForForEver) {
  Submit(100'000);
  EXPECT_LE(rig_.loop().NextDeadline(), rig_.now().mono + kHeldMin);
  rig_.Pass(kHeldMin);
  EXPECT_EQ(Told(), Sizes({1}));
}

TEST_F(BacklogTest, EndsWithTheConnection) {
  Submit(100'000);
  rig_.Feed({bus::Disconnected{}});
  EXPECT_EQ(Told(), Sizes({1}));
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
