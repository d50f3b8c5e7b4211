#include "shared/cluster/fold.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "shared/cluster/recent_explanations.h"
#include "shared/cluster/status.h"
#include "test/support/cluster/log_writer.h"

namespace cube {
namespace {

using test::LogWriter;

TEST(FoldTest, SubmittedTaskIsPendingUntilPlacedAndRunsWhenTheNodeSaysSo) {
  LogWriter log;
  log.Join("n1", {4000, 1 << 30, 0});
  log.Submit("web-1", test::Spec("web"));
  EXPECT_EQ(log.StatusOf("web-1"), Status::kPending);
  log.Decide({log.Start("web-1", "n1")});
  EXPECT_EQ(log.StatusOf("web-1"), Status::kScheduled);
  log.Launch("web-1", LaunchState::kPulling);
  EXPECT_EQ(log.StatusOf("web-1"), Status::kPulling);
  log.Launch("web-1", LaunchState::kRunning);
  EXPECT_EQ(log.StatusOf("web-1"), Status::kRunning);
  log.Exit("web-1", 0, /*final=*/true);
  EXPECT_EQ(log.StatusOf("web-1"), Status::kCompleted);
  EXPECT_TRUE(log.view().nodes.at(NodeName::Trusted("n1")).attempts.empty());
}

TEST(FoldTest, TheSameSubmitAgainChangesNothingAndAnotherSpecIsAConflict) {
  LogWriter log;
  log.Submit("web-1", test::Spec("web"));
  const auto again = log.Submit("web-1", test::Spec("web"));
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].kind, IntentResult::Kind::kUnchanged);
  const auto other = log.Submit("web-1", test::Spec("other"));
  ASSERT_EQ(other.size(), 1u);
  EXPECT_EQ(other[0].kind, IntentResult::Kind::kRefused);
  EXPECT_EQ(other[0].error.code, Code::kConflict);
  EXPECT_EQ(log.view().refusals.size(), 1u);
  EXPECT_EQ(log.view().tasks.size(), 1u);
}

TEST(FoldTest, ARefusalIsDueUntilADecisionNamesIt) {
  LogWriter log;
  log.Stop("nobody");
  ASSERT_EQ(log.view().refusals.size(), 1u);
  const RefuseIntent due = log.view().refusals.front();
  EXPECT_EQ(due.error.code, Code::kNotFound);
  log.Decide({due});
  EXPECT_TRUE(log.view().refusals.empty());
  ASSERT_FALSE(log.view().untold.empty());
  EXPECT_EQ(log.view().untold.back().status, "refused");
}

TEST(FoldTest, EqualExplanationsOfOneMessageAreHeldOnce) {
  LogWriter log;
  log.Join("n0", {64'000, 1 << 30, 0});
  std::vector<DecisionItem> starts;
  const std::map<std::string, SharedExplanation> whys{{"a", test::By("spread")},
                                                      {"b", test::By("greedy")},
                                                      {"c", test::By("spread")},
                                                      {"d", test::By("greedy")},
                                                      {"e", {}}};
  for (const auto& [id, told] : whys) {
    log.Submit(id, test::Spec(id));
    StartAttempt start = log.Start(id, "n0");
    start.explanation = told;
    starts.emplace_back(start);
  }
  log.Decide(starts);
  const auto why = [&log](const char* id) {
    return log.view().Find(TaskId::Trusted(id))->explanation;
  };
  EXPECT_EQ(why("a"), why("c"));
  EXPECT_EQ(why("b"), why("d"));
  EXPECT_NE(why("a"), why("b"));
  EXPECT_EQ(why("a")->scheduler, "spread");
  EXPECT_EQ(why("b")->scheduler, "greedy");
  ASSERT_NE(why("e"), nullptr) << "it was placed";
  EXPECT_EQ(*why("e"), Explanation());
}

TEST(RecentExplanations, AreTheLastEight) {
  RecentExplanations recent;
  std::vector<std::shared_ptr<const Explanation>> kept;
  for (int i = 0; i < 8; ++i) kept.push_back(recent.Same(test::By(std::to_string(i))));
  for (int i = 0; i < 8; ++i) {
    EXPECT_EQ(recent.Same(test::By(std::to_string(i))), kept[static_cast<std::size_t>(i)]);
  }
  EXPECT_EQ(recent.Same(test::By("another"))->scheduler, "another");
  EXPECT_NE(recent.Same(test::By("0")), kept[0]) << "it had to go";
  EXPECT_EQ(recent.Same(test::By("2")), kept[2]);
}

TEST(FoldTest, FoldingAnyMessageTwiceChangesNothing) {
  LogWriter log;
  log.Join("n1", {4000, 1 << 30, 0});
  log.Submit("web-1", test::Spec("web"));
  log.Decide({log.Start("web-1", "n1")});
  log.Launch("web-1", LaunchState::kRunning);
  const std::size_t untold = log.view().untold.size();
  const std::size_t stale = log.view().stale_facts;
  log.RepeatEverything();
  EXPECT_EQ(log.view().untold.size(), untold);
  EXPECT_EQ(log.view().stale_facts, stale);
  EXPECT_EQ(log.StatusOf("web-1"), Status::kRunning);
}

TEST(FoldTest, AFactOfAnotherPlacementOrAnOlderNumberIsStale) {
  LogWriter log;
  log.Join("n1", {4000, 1 << 30, 0});
  log.Submit("web-1", test::Spec("web"));
  log.Decide({log.Start("web-1", "n1")});
  LaunchFact wrong = log.FactOf("web-1", LaunchState::kRunning);
  wrong.placement.cycle += 1;
  log.Fact("n1", wrong);
  EXPECT_EQ(log.StatusOf("web-1"), Status::kScheduled);
  log.FactNumbered("n1", 1, log.FactOf("web-1", LaunchState::kRunning));  // used by the report
  EXPECT_EQ(log.StatusOf("web-1"), Status::kScheduled);
  EXPECT_EQ(log.view().stale_facts, 2u);
  log.Launch("web-1", LaunchState::kRunning);
  EXPECT_EQ(log.StatusOf("web-1"), Status::kRunning);
}

TEST(FoldTest, StatesOnlyMoveForward) {
  LogWriter log;
  log.Join("n1", {4000, 1 << 30, 0});
  log.Submit("web-1", test::Spec("web"));
  log.Decide({log.Start("web-1", "n1")});
  log.Launch("web-1", LaunchState::kRunning);
  log.Launch("web-1", LaunchState::kPulling);
  EXPECT_EQ(log.StatusOf("web-1"), Status::kRunning);
  log.Exit("web-1", 1, /*final=*/false);
  EXPECT_EQ(log.StatusOf("web-1"), Status::kRestarting);
  log.Launch("web-1", LaunchState::kRunning, /*launch=*/1);
  EXPECT_EQ(log.StatusOf("web-1"), Status::kRunning);
}

TEST(FoldTest, ANodeThatGoesDownLosesItsTasksAndTheyAreFreeToBePlacedAgain) {
  LogWriter log;
  log.Join("n1", {4000, 1 << 30, 0});
  log.Join("n2", {4000, 1 << 30, 0});
  log.Submit("web-1", test::Spec("web"));
  TaskSpec pinned = test::Spec("pin");
  pinned.reschedule = {ReschedulePolicy::Mode::kNever, 0};
  log.Submit("pin-1", pinned);
  log.Decide({log.Start("web-1", "n1"), log.Start("pin-1", "n1")});
  log.Decide({NodeDown{NodeName::Trusted("n1"), "silent"}});
  EXPECT_EQ(log.StatusOf("web-1"), Status::kPending);
  EXPECT_EQ(log.StatusOf("pin-1"), Status::kLost);
  log.Launch("web-1", LaunchState::kRunning);  // what the lost attempt says is history
  EXPECT_EQ(log.StatusOf("web-1"), Status::kPending);
  log.Decide({log.Start("web-1", "n2")});
  EXPECT_EQ(log.view().Find(TaskId::Trusted("web-1"))->attempt, 2u);
}

TEST(FoldTest, AStopReachesATaskInEveryState) {
  LogWriter log;
  log.Join("n1", {4000, 1 << 30, 0});
  log.Submit("a-1", test::Spec("a"));
  log.Stop("a-1");
  EXPECT_EQ(log.StatusOf("a-1"), Status::kStopping);
  log.Decide({StopAttempt{TaskId::Trusted("a-1"), 0, {}, {}}});
  EXPECT_EQ(log.StatusOf("a-1"), Status::kStopped);

  log.Submit("b-1", test::Spec("b"));
  log.Decide({log.Start("b-1", "n1")});
  log.Stop("b-1");
  log.Decide({StopAttempt{TaskId::Trusted("b-1"), 1, NodeName::Trusted("n1"), {}}});
  EXPECT_EQ(log.StatusOf("b-1"), Status::kStopping);
  EXPECT_TRUE(log.view().stops_due.empty());
  log.Exit("b-1", 143, /*final=*/true, /*stop_asked=*/true);
  EXPECT_EQ(log.StatusOf("b-1"), Status::kStopped);

  // The node is lost while it stops: the task ends without it.
  log.Submit("c-1", test::Spec("c"));
  log.Decide({log.Start("c-1", "n1")});
  log.Stop("c-1");
  log.Decide({StopAttempt{TaskId::Trusted("c-1"), 1, NodeName::Trusted("n1"), {}}});
  log.Decide({NodeDown{NodeName::Trusted("n1"), "silent"}});
  EXPECT_EQ(log.view().stops_due.size(), 1u);
  log.Decide({StopAttempt{TaskId::Trusted("c-1"), 0, {}, {}}});
  EXPECT_EQ(log.StatusOf("c-1"), Status::kStopped);
}

TEST(FoldTest, AStopAskedAgainCanOnlyBecomeMoreUrgent) {
  LogWriter log;
  log.Join("n1", {4000, 1 << 30, 0});
  log.Submit("a-1", test::Spec("a"));
  log.Decide({log.Start("a-1", "n1")});
  const auto stop = [&log](int seconds) {
    IntentBatch batch;
    batch.items.emplace_back(
        StopTask{TaskId::Trusted("a-1"), Duration(std::chrono::seconds(seconds))});
    return log.Intend(batch).at(0).kind;
  };
  EXPECT_EQ(stop(60), IntentResult::Kind::kAccepted);
  log.Decide({StopAttempt{TaskId::Trusted("a-1"), 1, NodeName::Trusted("n1"), {}}});
  EXPECT_EQ(stop(90), IntentResult::Kind::kUnchanged);
  EXPECT_TRUE(log.view().stops_due.empty());
  EXPECT_EQ(stop(0), IntentResult::Kind::kAccepted);
  EXPECT_EQ(log.view().stops_due.size(), 1u) << "the node is told again";
}

TEST(FoldTest, AllocationFollowsTheLiveAttempts) {
  LogWriter log;
  log.Join("n1", {4000, 1 << 30, 0});
  TaskSpec spec = test::Spec("web");
  spec.resources = {500, 1 << 20, 0};
  spec.ports = {{80, 8080, Protocol::kTcp, ""}};
  log.Submit("web-1", spec);
  log.Decide({log.Start("web-1", "n1")});
  const Node& node = log.view().nodes.at(NodeName::Trusted("n1"));
  EXPECT_EQ(node.allocated, spec.resources);
  EXPECT_EQ(node.static_ports.size(), 1u);
  log.Exit("web-1", 1, /*final=*/true);
  EXPECT_EQ(node.allocated, Resources{});
  EXPECT_TRUE(node.static_ports.empty());
}

// Slots of the nodes that changed since `position`, and whether only their placements did.
std::map<std::uint32_t, bool> ChangesSince(const View& view, std::uint64_t position) {
  std::map<std::uint32_t, bool> changes;
  const NodeJournal& journal = view.node_journal;
  EXPECT_GE(position, journal.base);
  for (std::uint64_t at = position; at < journal.end(); ++at) {
    const NodeJournal::Change& change = journal.changes[at - journal.base];
    const auto [it, is_new] = changes.emplace(change.slot, change.placements);
    it->second = it->second && change.placements;
  }
  return changes;
}

TEST(FoldTest, TheJournalNamesTheNodesThatChanged) {
  LogWriter log;
  log.Join("n1", {1000, 1 << 20, 0});
  log.Join("n2", {1000, 1 << 20, 0});
  const View& view = log.view();
  const Node& n1 = view.nodes.at(NodeName::Trusted("n1"));
  const Node& n2 = view.nodes.at(NodeName::Trusted("n2"));
  EXPECT_NE(n1.slot, n2.slot);
  using Changes = std::map<std::uint32_t, bool>;
  std::uint64_t position = view.node_journal.end();
  log.Submit("web-1", test::Spec("web"));
  EXPECT_EQ(ChangesSince(view, position), Changes());
  log.Decide({log.Start("web-1", "n1")});
  EXPECT_EQ(ChangesSince(view, position), (Changes{{n1.slot, true}}));
  position = view.node_journal.end();
  log.Launch("web-1", LaunchState::kRunning);
  EXPECT_EQ(ChangesSince(view, position), Changes()) << "nothing that placing looks at";
  log.Decide({SetLoad{n2.name, {1, 2, 3}}});
  EXPECT_EQ(n2.load, (NodeLoad{1, 2, 3}));
  EXPECT_EQ(ChangesSince(view, position), (Changes{{n2.slot, false}}));
  position = view.node_journal.end();
  log.Decide({SetLoad{n2.name, {1, 2, 3}}});
  EXPECT_EQ(ChangesSince(view, position), Changes());
  log.Exit("web-1", 0, /*final=*/true);
  EXPECT_EQ(ChangesSince(view, position), (Changes{{n1.slot, true}}));
  position = view.node_journal.end();
  log.Decide({NodeDown{n1.name, "silent"}});
  EXPECT_EQ(ChangesSince(view, position), (Changes{{n1.slot, false}}));
  // Another node, or a view that is read back: whoever reads begins anew.
  position = view.node_journal.end();
  log.Join("n0", {1000, 1 << 20, 0});
  EXPECT_LT(position, view.node_journal.base);
  position = view.node_journal.end();
  RebuildIndexes(log.view());
  EXPECT_LT(position, view.node_journal.base);
}

TEST(FoldTest, TheJournalIsBounded) {
  LogWriter log;
  log.Join("n1", {1000, 1 << 20, 0});
  const std::uint64_t position = log.view().node_journal.end();
  for (int i = 0; i < 10'000; ++i) {
    const auto load = static_cast<std::uint8_t>(i % 2);
    log.Decide({SetLoad{NodeName::Trusted("n1"), {load, 1, 1}}});
  }
  EXPECT_LT(log.view().node_journal.changes.size(), 5'000u);
  EXPECT_GT(log.view().node_journal.base, position);
  EXPECT_EQ(log.view().node_journal.end(), position + 10'000);
}

TEST(FoldTest, OnlyTheNextMessageOfTheLogIsTaken) {
  LogWriter log;
  log.Submit("web-1", test::Spec("web"));
  DecisionBatch next = log.Next({});
  EXPECT_TRUE(IsNext(log.view(), next));
  DecisionBatch other = next;
  other.prev.cycle += 1;
  EXPECT_FALSE(IsNext(log.view(), other)) << "another predecessor";
  other = next;
  other.cycle += 1;
  EXPECT_FALSE(IsNext(log.view(), other)) << "a cycle was left out";
  other = next;
  other.term.id += 1;
  EXPECT_FALSE(IsNext(log.view(), other)) << "another term that was never opened";
  other = next;
  other.intents.time += std::chrono::seconds(1);
  EXPECT_FALSE(IsNext(log.view(), other)) << "decided on another message at that sequence";
  other = next;
  other.term = {log.view().term.epoch, 77};
  other.cycle = 1;
  other.term_start = log.view().term_start;
  EXPECT_FALSE(IsNext(log.view(), other)) << "a new term with an old epoch";
}

TEST(FoldTest, JoiningIsADecisionAndOldInstancesAreDropped) {
  LogWriter log;
  log.Join("n1", {4000, 1 << 30, 0});
  const Node& node = log.view().nodes.at(NodeName::Trusted("n1"));
  EXPECT_TRUE(IsReady(node));
  const std::uint64_t old_instance = node.instance;
  log.SayJoined("n1", 999, {2000, 1 << 30, 0});
  EXPECT_EQ(node.instance, old_instance) << "asking is not being welcome";
  log.Decide({WelcomeNode{NodeName::Trusted("n1"), 999, node.incarnation + 1}});
  EXPECT_EQ(node.instance, 999u);
  EXPECT_FALSE(IsReady(node)) << "no work before the full report";
  EXPECT_EQ(node.description.capacity.cpu_millis, 2000);
  EXPECT_EQ(node.last_fact, 0u);
}

TEST(FoldTest, WhatWasToldLeavesTheView) {
  LogWriter log;
  log.Submit("web-1", test::Spec("web"));
  log.Decide({});
  ASSERT_EQ(log.view().untold.size(), 1u);
  EXPECT_EQ(log.view().untold[0].stamp, log.view().stamp);
  log.told = log.view().stamp;
  log.Decide({});
  EXPECT_TRUE(log.view().untold.empty());
}

TEST(FoldTest, FinishedTasksAreForgottenByDecision) {
  LogWriter log;
  log.Submit("web-1", test::Spec("web"));
  log.Stop("web-1");
  log.Decide({StopAttempt{TaskId::Trusted("web-1"), 0, {}, {}}});
  ASSERT_EQ(log.view().finished.size(), 1u);
  log.Decide({ForgetTask{TaskId::Trusted("web-1")}});
  EXPECT_TRUE(log.view().tasks.empty());
  EXPECT_TRUE(log.view().finished.empty());
  EXPECT_EQ(log.view().Find(TaskId::Trusted("web-1")), nullptr);
}

HealthFact HealthOfTask(LogWriter& log, const char* id, bool healthy, std::uint32_t launch = 0) {
  const LaunchFact about = log.FactOf(id, LaunchState::kRunning, launch);
  return {about.key, about.placement, healthy, healthy ? "" : "GET /: 500"};
}

// Task "web-1" runs on n1, with a check.
void RunWeb(LogWriter& log, ReschedulePolicy reschedule = {}) {
  TaskSpec spec = test::Spec("web");
  spec.health.emplace();
  spec.reschedule = reschedule;
  log.Join("n1", {4000, 1 << 30, 0});
  log.Submit("web-1", spec);
  log.Decide({log.Start("web-1", "n1")});
  log.Launch("web-1", LaunchState::kRunning);
}

const Task& Web(LogWriter& log) { return *log.view().Find(TaskId::Trusted("web-1")); }

TEST(FoldHealth, ACheckedTaskIsHealthyWhenTheFactSaysSo) {
  LogWriter log;
  RunWeb(log);
  EXPECT_EQ(log.StatusOf("web-1"), Status::kRunning);
  EXPECT_FALSE(IsHealthy(Web(log)));
  const std::size_t told = log.view().untold.size();
  log.Fact("n1", HealthOfTask(log, "web-1", true));
  EXPECT_EQ(log.StatusOf("web-1"), Status::kRunning);
  EXPECT_TRUE(IsHealthy(Web(log)));
  ASSERT_EQ(log.view().untold.size(), told + 1) << "the feed says it";
  EXPECT_TRUE(log.view().untold.back().healthy);
  log.Fact("n1", HealthOfTask(log, "web-1", false));
  EXPECT_EQ(log.StatusOf("web-1"), Status::kUnhealthy);
  EXPECT_FALSE(IsHealthy(Web(log)));
  EXPECT_EQ(ReasonOf(Web(log)), "GET /: 500");
  ASSERT_EQ(log.view().untold.size(), told + 2);
  EXPECT_EQ(log.view().untold.back().status, "unhealthy");
  log.Fact("n1", HealthOfTask(log, "web-1", false));
  EXPECT_EQ(log.view().untold.size(), told + 2) << "said again";
}

TEST(FoldHealth, OnlyOfTheLaunchThatRuns) {
  LogWriter log;
  RunWeb(log);
  log.Fact("n1", HealthOfTask(log, "web-1", true, 7));
  HealthFact elsewhere = HealthOfTask(log, "web-1", true);
  elsewhere.placement.cycle += 1;
  log.Fact("n1", elsewhere);
  EXPECT_FALSE(Web(log).health);
  EXPECT_EQ(log.view().stale_facts, 2U);
  log.Fact("n1", HealthOfTask(log, "web-1", true));
  log.Exit("web-1", 1, /*final=*/false);
  log.Launch("web-1", LaunchState::kRunning, 1);
  EXPECT_FALSE(IsHealthy(Web(log))) << "the next launch was not checked yet";
  EXPECT_EQ(log.StatusOf("web-1"), Status::kRunning);
}

TEST(FoldHealth, WithoutACheckRunningIsHealthy) {
  LogWriter log;
  log.Join("n1", {4000, 1 << 30, 0});
  log.Submit("web-1", test::Spec("web"));
  log.Decide({log.Start("web-1", "n1")});
  log.Launch("web-1", LaunchState::kRunning);
  EXPECT_TRUE(IsHealthy(Web(log)));
}

TEST(FoldHealth, ATaskThatMovesOnFailureWaitsForAPlaceAndKeepsItsReason) {
  LogWriter log;
  RunWeb(log, {ReschedulePolicy::Mode::kOnFailure, 2});
  log.Exit("web-1", 3, /*final=*/true);
  EXPECT_EQ(log.StatusOf("web-1"), Status::kPending);
  EXPECT_EQ(ReasonOf(Web(log)), "failed on n1: exit code 3");
  EXPECT_TRUE(log.view().nodes.at(NodeName::Trusted("n1")).attempts.empty()) << "its room is free";
  log.Stop("web-1");
  EXPECT_EQ(log.StatusOf("web-1"), Status::kStopping);
  log.Decide({StopAttempt{TaskId::Trusted("web-1"), 0, {}, Duration(0)}});
  EXPECT_EQ(log.StatusOf("web-1"), Status::kStopped);
}

TEST(FoldHealth, AStopThatMetAFailureStillEndsATaskThatMoves) {
  LogWriter log;
  RunWeb(log, {ReschedulePolicy::Mode::kOnFailure, 2});
  log.Stop("web-1");
  log.Decide({StopAttempt{TaskId::Trusted("web-1"), 1, NodeName::Trusted("n1"), Duration(0)}});
  EXPECT_FALSE(NeedsStop(Web(log)));
  log.Exit("web-1", 3, /*final=*/true);  // before the stop had reached the node
  EXPECT_TRUE(NeedsStop(Web(log))) << "nobody else would end it";
  log.Decide({StopAttempt{TaskId::Trusted("web-1"), 0, {}, Duration(0)}});
  EXPECT_EQ(log.StatusOf("web-1"), Status::kStopped);
}

TEST(FoldHealth, ACleanEndIsTheEndOfATaskThatMoves) {
  LogWriter log;
  RunWeb(log, {ReschedulePolicy::Mode::kOnFailure, 2});
  log.Exit("web-1", 0, /*final=*/true);
  EXPECT_EQ(log.StatusOf("web-1"), Status::kCompleted);
}

TEST(FoldHealth, AMoveIsNotedAndForgottenAfterAnHour) {
  LogWriter log;
  RunWeb(log, {ReschedulePolicy::Mode::kOnFailure, 2});
  EXPECT_TRUE(MovesOf(Web(log)).empty()) << "the first placement is none";
  log.Exit("web-1", 3, /*final=*/true);
  log.Join("n2", {4000, 1 << 30, 0});
  log.Decide({log.Start("web-1", "n2")});
  ASSERT_EQ(MovesOf(Web(log)).size(), 1U);
  EXPECT_EQ(MovesOf(Web(log))[0].node.str(), "n1");
  EXPECT_EQ(MovesAt(Web(log)), WallTime{}) << "it has not failed";
  log.Exit("web-1", 3, /*final=*/true);
  EXPECT_EQ(MovesAt(Web(log)), WallTime{}) << "one of two was used";
  log.Decide({log.Start("web-1", "n1")});
  log.Exit("web-1", 3, /*final=*/true);
  const WallTime first = MovesOf(Web(log))[0].at;
  EXPECT_EQ(MovesAt(Web(log)), first + kMovesWindow);
  DecisionBatch late = log.Next({log.Start("web-1", "n2")});
  late.decided_at = first + kMovesWindow;
  log.Append(late);
  ASSERT_EQ(MovesOf(Web(log)).size(), 2U) << "the oldest does not count any more";
  EXPECT_EQ(MovesOf(Web(log))[0].node.str(), "n2");
}

}  // namespace
}  // namespace cube
