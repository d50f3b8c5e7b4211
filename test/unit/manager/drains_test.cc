#include "services/manager/core/drains.h"

#include <gtest/gtest.h>

#include "services/manager/core/decide.h"
#include "shared/cluster/status.h"
#include "test/support/cluster/log_writer.h"

namespace cube::manager {
namespace {

using test::LogWriter;

constexpr std::int64_t kGi = std::int64_t{1} << 30;

TaskSpec Spec(std::int64_t cpu_millis = 100) {
  TaskSpec spec = test::Spec("t");
  spec.resources.cpu_millis = cpu_millis;
  return spec;
}

// A cluster whose decisions are really taken, and whose nodes obey.
class DrainTest : public testing::Test {
 protected:
  LogWriter log;
  Planner planner = std::move(*Planner::Make({}));
  WallTime now = WallFromNanos(1);

  // One cycle; -> the evictions in it.
  std::vector<EvictAttempt> Cycle() {
    const std::vector<DecisionItem> items = planner.Decide(log.view(), {}, now);
    std::vector<EvictAttempt> evicted;
    for (const DecisionItem& item : items) {
      if (const auto* evict = std::get_if<EvictAttempt>(&item)) evicted.push_back(*evict);
    }
    log.Decide(items);
    now = log.view().decided_at;
    return evicted;
  }
  void Runs(const std::string& id) { log.Launch(id, LaunchState::kRunning); }
  void Ends(const std::string& id) { log.Exit(id, 143, /*final=*/true, /*stop_asked=*/true); }
  std::string NodeOf(const std::string& id) {
    return log.view().Find(TaskId::Trusted(id))->node.str();
  }
  const Task& TaskOf(const std::string& id) { return *log.view().Find(TaskId::Trusted(id)); }
};

TEST_F(DrainTest, ACordonedNodeGetsNoTaskAndIsCounted) {
  log.Join("a", {1000, kGi, 0});
  log.Cordon("a", true);
  log.Submit("t-1", Spec());
  Cycle();
  EXPECT_EQ(log.StatusOf("t-1"), Status::kPending);
  EXPECT_EQ(planner.WhyPending(log.view(), TaskOf("t-1")), "no fit on 1 node: cordoned 1");
  log.Cordon("a", false);
  Cycle();
  EXPECT_EQ(log.StatusOf("t-1"), Status::kScheduled);
}

TEST_F(DrainTest, TasksMoveOneByOneAndTheNextWaitsUntilTheOneBeforeIsUp) {
  log.Join("a", {1000, kGi, 0});
  for (const char* id : {"t-1", "t-2", "t-3"}) log.Submit(id, Spec());
  Cycle();
  for (const char* id : {"t-1", "t-2", "t-3"}) Runs(id);
  log.Join("b", {1000, kGi, 0});
  log.Drain("a");
  Cycle();
  const auto first = TaskOf("t-1");
  EXPECT_EQ(log.StatusOf("t-1"), Status::kStopping);
  EXPECT_EQ(ReasonOf(first), "node a is drained");
  EXPECT_EQ(log.StatusOf("t-2"), Status::kRunning);
  EXPECT_TRUE(Cycle().empty()) << "one at a time";
  Ends("t-1");
  EXPECT_EQ(log.StatusOf("t-1"), Status::kPending);
  EXPECT_TRUE(Cycle().empty());
  EXPECT_EQ(NodeOf("t-1"), "b");
  EXPECT_EQ(TaskOf("t-1").attempt, 2u);
  EXPECT_TRUE(Cycle().empty()) << "placed, not up yet";
  Runs("t-1");
  const auto next = Cycle();
  ASSERT_EQ(next.size(), 1u);
  EXPECT_EQ(next[0].task.str(), "t-2");
  Ends("t-2");
  Cycle();
  log.Exit("t-2", 1, /*final=*/false);  // it crashes over there: not the drain's business
  ASSERT_EQ(Cycle().size(), 1u);
  Ends("t-3");
  Cycle();
  EXPECT_TRUE(log.view().nodes.at(NodeName::Trusted("a")).attempts.empty());
  EXPECT_EQ(NodeOf("t-3"), "b");
}

TEST_F(DrainTest, WhatFitsNowhereElseStaysUntilTheDeadlineAndThenWaitsWithTheReason) {
  log.Join("a", {1000, kGi, 0});
  log.Submit("t-1", Spec(800));
  log.Submit("t-2", Spec(200));
  Cycle();
  Runs("t-1");
  Runs("t-2");
  log.Join("b", {500, kGi, 0});
  log.Drain("a", std::chrono::seconds(60));
  auto moved = Cycle();
  ASSERT_EQ(moved.size(), 1u);
  EXPECT_EQ(moved[0].task.str(), "t-2");
  Ends("t-2");
  Cycle();
  Runs("t-2");
  EXPECT_TRUE(Cycle().empty());
  EXPECT_TRUE(Cycle().empty());
  EXPECT_EQ(log.StatusOf("t-1"), Status::kRunning);
  now = DrainDeadline(log.view().nodes.at(NodeName::Trusted("a"))) - Duration(1);
  EXPECT_TRUE(planner.Decide(log.view(), {}, now).empty());
  now += Duration(1);
  moved = Cycle();
  ASSERT_EQ(moved.size(), 1u);
  Ends("t-1");
  Cycle();
  EXPECT_EQ(log.StatusOf("t-1"), Status::kPending);
  EXPECT_EQ(ReasonOf(TaskOf("t-1")), "node a is drained and the deadline has passed");
  EXPECT_EQ(planner.WhyPending(log.view(), TaskOf("t-1")), "no fit on 2 nodes: cordoned 1, cpu 1");
  log.Cordon("a", false);
  Cycle();
  EXPECT_EQ(NodeOf("t-1"), "a");
}

TEST_F(DrainTest, WhatMustNotMoveEndsWithTheReason) {
  log.Join("a", {1000, kGi, 0});
  TaskSpec stays = Spec();
  stays.reschedule = {ReschedulePolicy::Mode::kNever, 0};
  log.Submit("t-1", stays);
  log.Submit("t-2", Spec());
  Cycle();
  Runs("t-1");
  Runs("t-2");
  log.Join("b", {1000, kGi, 0});
  log.Drain("a");
  ASSERT_EQ(Cycle().size(), 2u) << "it holds up nobody";
  Ends("t-1");
  EXPECT_EQ(log.StatusOf("t-1"), Status::kStopped);
  EXPECT_EQ(ReasonOf(TaskOf("t-1")),
            "node a is drained, and the task must not move (reschedule: never); exit code 143");
  Cycle();
  EXPECT_EQ(log.StatusOf("t-1"), Status::kStopped);
}

TEST_F(DrainTest, WhatEndsByItselfBeforeTheStopReachesItHasEnded) {
  log.Join("a", {1000, kGi, 0});
  log.Join("b", {1000, kGi, 0});
  log.Submit("t-1", Spec());
  Cycle();
  Runs("t-1");
  log.Drain("a");
  Cycle();
  log.Exit("t-1", 0, /*final=*/true);
  EXPECT_EQ(log.StatusOf("t-1"), Status::kCompleted);
}

TEST_F(DrainTest, AUsersStopDuringTheMoveIsAStop) {
  log.Join("a", {1000, kGi, 0});
  log.Submit("t-1", Spec());
  Cycle();
  Runs("t-1");
  log.Join("b", {1000, kGi, 0});
  log.Drain("a");
  Cycle();
  log.Stop("t-1");
  Cycle();
  Ends("t-1");
  EXPECT_EQ(log.StatusOf("t-1"), Status::kStopped);
  EXPECT_TRUE(log.view().moving.empty());
}

TEST_F(DrainTest, AStopBetweenTheTwoPlacesIsAStopToo) {
  log.Join("a", {1000, kGi, 0});
  log.Submit("t-1", Spec());
  Cycle();
  Runs("t-1");
  log.Drain("a", Duration(0));
  Cycle();  // the drain begins
  Cycle();
  Ends("t-1");
  Cycle();
  ASSERT_EQ(log.StatusOf("t-1"), Status::kPending);
  log.Stop("t-1");
  Cycle();
  EXPECT_EQ(log.StatusOf("t-1"), Status::kStopped);
}

TEST_F(DrainTest, AnUncordonedNodeIsNotDrainedAnyMore) {
  log.Join("a", {1000, kGi, 0});
  log.Submit("t-1", Spec());
  log.Submit("t-2", Spec());
  Cycle();
  Runs("t-1");
  Runs("t-2");
  log.Join("b", {1000, kGi, 0});
  log.Drain("a");
  ASSERT_EQ(Cycle().size(), 1u);
  log.Cordon("a", false);
  Ends("t-1");
  Cycle();
  Runs("t-1");
  EXPECT_TRUE(Cycle().empty());
  EXPECT_EQ(log.StatusOf("t-2"), Status::kRunning);
}

TEST_F(DrainTest, ALeavingWorkersTasksMoveAndTheNodeIsOpenAgainWhenItIsBack) {
  log.Join("a", {1000, kGi, 0});
  log.Submit("t-1", Spec());
  Cycle();
  Runs("t-1");
  log.Fact("a", NodeLeaving{std::chrono::seconds(30)});
  log.Join("b", {1000, kGi, 0});
  ASSERT_EQ(Cycle().size(), 1u);
  EXPECT_EQ(ReasonOf(TaskOf("t-1")), "the worker of node a ends");
  Ends("t-1");
  Cycle();
  EXPECT_EQ(NodeOf("t-1"), "b");
  log.Fact("a", NodeLeft{});
  EXPECT_FALSE(IsEligible(log.view().nodes.at(NodeName::Trusted("a"))));
  log.Fact("a", NodeDescribed{log.view().nodes.at(NodeName::Trusted("a")).description});
  EXPECT_TRUE(IsEligible(log.view().nodes.at(NodeName::Trusted("a"))));
}

TEST_F(DrainTest, ANodeThatGoesDownWhileItIsDrainedLosesItsTasksAsAnyOther) {
  log.Join("a", {1000, kGi, 0});
  log.Submit("t-1", Spec());
  Cycle();
  Runs("t-1");
  log.Join("b", {1000, kGi, 0});
  log.Drain("a");
  Cycle();
  log.Decide({NodeDown{NodeName::Trusted("a"), "silent"}});
  Cycle();
  EXPECT_EQ(NodeOf("t-1"), "b");
  log.Decide({NodeUp{NodeName::Trusted("a")}});
  EXPECT_FALSE(IsEligible(log.view().nodes.at(NodeName::Trusted("a")))) << "still drained";
}

TEST_F(DrainTest, IntentsAboutUnknownNodesAreRefusedAndRepeatsChangeNothing) {
  EXPECT_EQ(log.Drain("nobody")[0].error.code, Code::kNotFound);
  EXPECT_EQ(log.Cordon("nobody", true)[0].error.field, "name");
  log.Join("a", {1000, kGi, 0});
  EXPECT_EQ(log.Cordon("a", false)[0].kind, IntentResult::Kind::kUnchanged);
  EXPECT_EQ(log.Cordon("a", true)[0].kind, IntentResult::Kind::kAccepted);
  EXPECT_EQ(log.Cordon("a", true)[0].kind, IntentResult::Kind::kUnchanged);
  EXPECT_EQ(log.Drain("a")[0].kind, IntentResult::Kind::kAccepted);
  log.Decide({});
  log.RepeatEverything();
  EXPECT_TRUE(log.view().draining.contains(NodeName::Trusted("a")));
}

TEST_F(DrainTest, TheMemoryOfStuckDrainsChangesNoAnswer) {
  log.Join("a", {1000, kGi, 0});
  log.Submit("t-1", Spec(800));
  Cycle();
  Runs("t-1");
  log.Drain("a");
  EXPECT_TRUE(Cycle().empty());
  EXPECT_TRUE(Cycle().empty());
  log.Join("b", {1000, kGi, 0});
  EXPECT_EQ(Cycle().size(), 1u) << "there is room now";
}

}  // namespace
}  // namespace cube::manager
