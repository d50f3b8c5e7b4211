// A log that has lost its end: nobody speaks for a node, workers tell what they have, and decisions
// make it count again.
#include <gtest/gtest.h>

#include "test/support/cluster/log_writer.h"

namespace cube {
namespace {

const NodeName kA = NodeName::Trusted("a");
constexpr Stamp kLostPlacement{77, 3};

class ResetTest : public testing::Test {
 protected:
  ResetTest() {
    log.Join("a", {4000, 1 << 30, 0});
    log.Submit("t-1", test::Spec("t"));
  }
  // The first message of a term that says that the log has lost messages.
  void Reset() {
    DecisionBatch batch = log.Next({});
    batch.term = {log.view().term.epoch + 1, log.view().term.id + 1};
    batch.cycle = 1;
    batch.term_start = TermStart{"cluster", "test", kValidationVersion, {}, "a power cut"};
    log.Append(batch);
  }
  // The worker has joined again, and is to tell what it has.
  void JoinAgain() {
    log.SayJoined("a", 200, {4000, 1 << 30, 0});
    log.Decide({WelcomeNode{kA, 200, 9, true}});
  }
  AttemptHeld Held(const std::string& id, std::uint32_t attempt, LaunchState state) {
    AttemptHeld held{TaskId::Trusted(id), attempt, kLostPlacement, {}, {}, {}};
    held.spec = std::make_shared<const TaskSpec>(test::Spec("t"));
    held.observed = FactOf(held, state);
    return held;
  }
  LaunchFact FactOf(const AttemptHeld& held, LaunchState state) {
    LaunchFact fact;
    fact.key = {held.task, held.attempt, 0};
    fact.placement = held.placement;
    fact.state = state;
    return fact;
  }
  // A task that the log has lost, and the node runs: it counts again.
  AttemptHeld Vouched(const std::string& id) {
    Reset();
    JoinAgain();
    AttemptHeld held = Held(id, 4, LaunchState::kRunning);
    log.Fact("a", held);
    log.Decide({ReadoptAttempt{kA, held.task, 4, held.placement, held.spec}, SettleNode{kA}});
    return held;
  }
  const Node& node() { return log.view().nodes.at(kA); }
  const Task& task(const std::string& id) { return *log.view().Find(TaskId::Trusted(id)); }

  test::LogWriter log;
};

TEST_F(ResetTest, NobodySpeaksForANodeAnyMore) {
  ASSERT_TRUE(IsReady(node()));
  const std::uint64_t before = node().instance;
  const std::uint64_t said = node().last_fact;
  Reset();
  EXPECT_FALSE(IsReady(node()));
  EXPECT_EQ(log.view().reset_epoch, 2u);
  EXPECT_TRUE(IsSet(log.view().reset_at));
  EXPECT_EQ(log.view().untold.back().status, "reset");
  EXPECT_EQ(log.view().untold.back().reason, "a power cut");
  EXPECT_EQ(node().instance, 0u);
  EXPECT_EQ(node().last_fact, said);
  EXPECT_NE(before, 0u);
}

TEST_F(ResetTest, WhatANodeHoldsIsKeptUntilItIsDecidedOn) {
  Reset();
  JoinAgain();
  EXPECT_TRUE(log.view().holding.contains(kA));
  const AttemptHeld held = Held("t-1", 1, LaunchState::kStarting);
  log.Fact("a", held);
  EXPECT_FALSE(node().all_held);
  log.Fact("a", AllHeld{});
  EXPECT_TRUE(node().all_held);
  // It goes on meanwhile.
  log.Fact("a", FactOf(held, LaunchState::kRunning));
  log.Fact("a", HealthFact{{held.task, 1, 0}, held.placement, true, ""});
  log.Fact("a", FactOf(held, LaunchState::kPulling));  // and not back
  ASSERT_EQ(node().held.size(), 1u);
  EXPECT_EQ(node().held.begin()->second.observed->state, LaunchState::kRunning);
  EXPECT_TRUE(node().held.begin()->second.health->healthy);

  log.Decide({ReadoptAttempt{kA, held.task, 1, held.placement, {}}, SettleNode{kA}});
  EXPECT_TRUE(node().held.empty());
  EXPECT_FALSE(node().holding);
  EXPECT_TRUE(log.view().holding.empty());
  EXPECT_TRUE(IsLive(task("t-1")));
  EXPECT_EQ(task("t-1").node, kA);
  EXPECT_EQ(task("t-1").attempt, 1u);
  EXPECT_EQ(task("t-1").placement, kLostPlacement);
  EXPECT_EQ(log.StatusOf("t-1"), Status::kRunning);
  EXPECT_TRUE(node().attempts.contains(task("t-1").number));
}

TEST_F(ResetTest, WhatTheLogKnowsIsNotHeld) {
  log.Decide({log.Start("t-1", "a")});
  Reset();
  JoinAgain();
  AttemptHeld held = Held("t-1", 1, LaunchState::kRunning);
  held.placement = task("t-1").placement;
  log.Fact("a", held);
  EXPECT_TRUE(node().held.empty());
}

// Two machines had the name, and the log says what the other one's launch did.
TEST_F(ResetTest, WhatAWorkerSaysWhenItHasJoinedIsWhatItsMachineHas) {
  log.Submit("t-9", test::Spec("t"));
  log.Decide({log.Start("t-9", "a")});
  LaunchFact fact;
  fact.key = {TaskId::Trusted("t-9"), 1, 0};
  fact.placement = task("t-9").placement;
  fact.state = LaunchState::kExited;
  log.Fact("a", fact);
  EXPECT_EQ(log.StatusOf("t-9"), Status::kRestarting);
  fact.state = LaunchState::kRunning;
  log.Fact("a", fact);  // nothing goes back
  EXPECT_EQ(log.StatusOf("t-9"), Status::kRestarting);
  log.SayJoined("a", 200, {4000, 1 << 30, 0});
  log.Decide({WelcomeNode{kA, 200, 9, false}});
  log.Fact("a", fact);
  EXPECT_EQ(log.StatusOf("t-9"), Status::kRunning);
}

// A worker that has joined tells the ends of all launches again, the oldest first.
TEST_F(ResetTest, TheEndOfAnOlderLaunchSaysNothingOfTheNewest) {
  log.Submit("t-9", test::Spec("t"));
  log.Decide({log.Start("t-9", "a")});
  log.Launch("t-9", LaunchState::kRunning, 1);
  log.SayJoined("a", 200, {4000, 1 << 30, 0});
  log.Decide({WelcomeNode{kA, 200, 9, false}});
  log.Exit("t-9", 1, /*final=*/false);
  EXPECT_EQ(log.StatusOf("t-9"), Status::kRunning);
  EXPECT_EQ(task("t-9").observed->launch, 1u);
}

TEST_F(ResetTest, WhatANodeVouchedForAndHasEndedIsNotItsUsersAgain) {
  const AttemptHeld held = Vouched("gone-x");
  log.Exit("gone-x", 0, /*final=*/true);
  EXPECT_TRUE(IsFinished(task("gone-x")));
  EXPECT_EQ(log.Submit("gone-x", *held.spec).at(0).kind, IntentResult::Kind::kUnchanged);
}

TEST_F(ResetTest, TheNewestTermsAreKept) {
  const TermBegin first{log.view().term, 1};
  EXPECT_EQ(log.view().terms, std::vector{first});
  for (std::size_t i = 0; i < kTermsKept; ++i) Reset();
  EXPECT_EQ(log.view().terms.size(), kTermsKept);
  EXPECT_EQ(log.view().terms.front().term.epoch, first.term.epoch + 1);
  EXPECT_EQ(log.view().terms.back().term, log.view().term);
  EXPECT_EQ(log.view().terms.back().seq, log.view().valid_seq);
}

TEST_F(ResetTest, WhatANodeHoldsIsBoundedByTheBytesOfItsSpecifications) {
  Reset();
  JoinAgain();
  std::size_t bytes = 0;
  for (int i = 0; bytes <= kHeldBytesMax; ++i) {
    AttemptHeld held = Held("big-" + std::to_string(i), 1, LaunchState::kRunning);
    TaskSpec spec = *held.spec;
    spec.env["BALLAST"] = std::string(32'000, 'x');
    held.spec = std::make_shared<const TaskSpec>(std::move(spec));
    bytes += EncodedBytesMax(*held.spec);
    log.Fact("a", held);
    log.Fact("a", held);  // said again, it counts once
    ASSERT_EQ(node().held_bytes, bytes);
  }
  const std::size_t count = node().held.size();
  log.Fact("a", Held("one-more", 1, LaunchState::kRunning));
  EXPECT_EQ(node().held.size(), count);
  View rebuilt = log.view().Copy();
  rebuilt.nodes.at(kA).held_bytes = 0;
  RebuildIndexes(rebuilt);
  EXPECT_EQ(rebuilt.nodes.at(kA).held_bytes, bytes);
  const AttemptHeld& first = node().held.begin()->second;
  const std::size_t one = EncodedBytesMax(*first.spec);
  log.Decide({DropAttempt{kA, first.task, 1, "it runs elsewhere"}});
  EXPECT_EQ(node().held_bytes, bytes - one);
  log.Decide({SettleNode{kA}});
  EXPECT_EQ(node().held_bytes, 0u);
}

TEST_F(ResetTest, ATaskThatTheLogHasLostComesBackWithItsSpecification) {
  Reset();
  JoinAgain();
  const AttemptHeld held = Held("gone-x", 4, LaunchState::kRunning);
  log.Fact("a", held);
  log.Fact("a", AllHeld{});
  log.Decide({ReadoptAttempt{kA, held.task, 4, held.placement, held.spec}, SettleNode{kA}});
  EXPECT_EQ(log.StatusOf("gone-x"), Status::kRunning);
  EXPECT_EQ(task("gone-x").attempt, 4u);
  // Its number is none that an intent could give.
  EXPECT_GE(task("gone-x").number.index, 1u << 31);
  log.Submit("gone-x", *held.spec);  // sent again by its user: the same task
  EXPECT_EQ(log.StatusOf("gone-x"), Status::kRunning);
}

TEST_F(ResetTest, WhatANodeAloneVouchesForIsItsOwnUntilItsUserSubmitsItAgain) {
  const AttemptHeld held = Vouched("gone-x");
  EXPECT_EQ(task("gone-x").seldom->pinned, kA);
  EXPECT_EQ(log.view().vouched.at(kA), 1u);
  EXPECT_EQ(node().settled_epoch, log.view().term.epoch);
  // It waits for its node, as long as that takes.
  log.Decide({NodeDown{kA, "silent"}});
  EXPECT_EQ(log.StatusOf("gone-x"), Status::kPending);
  EXPECT_TRUE(log.view().pinned.contains(task("gone-x").number));
  View rebuilt = log.view().Copy();
  RebuildIndexes(rebuilt);
  EXPECT_EQ(rebuilt.vouched, log.view().vouched);
  EXPECT_EQ(rebuilt.pinned, log.view().pinned);

  TaskSpec other = *held.spec;
  other.image = "other";
  EXPECT_EQ(log.Submit("gone-x", other).at(0).kind, IntentResult::Kind::kRefused);
  EXPECT_EQ(log.Submit("gone-x", *held.spec).at(0).kind, IntentResult::Kind::kAccepted);
  EXPECT_FALSE(task("gone-x").seldom->pinned);
  EXPECT_TRUE(log.view().vouched.empty());
  EXPECT_TRUE(log.view().pinned.empty());
  EXPECT_FALSE(log.view().pending.empty());
  EXPECT_EQ(log.Submit("gone-x", *held.spec).at(0).kind, IntentResult::Kind::kUnchanged);
}

TEST_F(ResetTest, AWorkerThatIsWelcomedAsNewHasNothingToTell) {
  EXPECT_EQ(node().settled_epoch, log.view().term.epoch);
  const std::uint64_t before = node().settled_epoch;
  Reset();
  JoinAgain();
  EXPECT_EQ(node().settled_epoch, before) << "it is to tell first";
}

TEST_F(ResetTest, NamesOfLostJobsAreBoundedLikeThoseOfOthers) {
  Reset();
  JoinAgain();
  const AttemptHeld held = Held("web-v3-0", 1, LaunchState::kRunning);
  log.Fact("a", held);
  for (std::size_t i = log.view().jobs.size(); i < kJobNamesMax; ++i) {
    const TaskName name = TaskName::Trusted("job-" + std::to_string(i));
    log.view().jobs[name].name = name;
  }
  log.Decide({ReadoptAttempt{kA, held.task, 1, held.placement, held.spec}, SettleNode{kA}});
  EXPECT_EQ(log.StatusOf("web-v3-0"), Status::kRunning);
  EXPECT_EQ(log.view().jobs.size(), kJobNamesMax);
}

TEST_F(ResetTest, TheNextLifeOfAJobThatTheLogHasLostCountsOn) {
  Reset();
  JoinAgain();
  const AttemptHeld held = Held("web-v3-0", 1, LaunchState::kRunning);
  log.Fact("a", held);
  log.Decide({ReadoptAttempt{kA, held.task, 1, held.placement, held.spec}, SettleNode{kA}});
  EXPECT_EQ(log.StatusOf("web-v3-0"), Status::kRunning);
  EXPECT_EQ(task("web-v3-0").job, nullptr);
  log.SubmitJob(test::JobOf("web", JobType::kService, 1, "image"));
  EXPECT_EQ(log.view().jobs.at(TaskName::Trusted("web")).version, 4u);
  EXPECT_TRUE(task("web-v3-0").stop_wanted) << "the new life takes its place";
}

TEST_F(ResetTest, TasksOfALostJobCanBeStoppedByTheirUser) {
  Reset();
  JoinAgain();
  const AttemptHeld held = Held("web-v3-0", 1, LaunchState::kRunning);
  log.Fact("a", held);
  log.Decide({ReadoptAttempt{kA, held.task, 1, held.placement, held.spec}, SettleNode{kA}});
  EXPECT_EQ(log.Stop("web-v3-0").at(0).kind, IntentResult::Kind::kAccepted);
  EXPECT_EQ(log.StatusOf("web-v3-0"), Status::kStopping);
  EXPECT_EQ(log.Stop("web-v3-1").at(0).kind, IntentResult::Kind::kRefused);
}

TEST_F(ResetTest, StoppingATaskOfAJobSaysWhatToDo) {
  log.SubmitJob(test::JobOf("web", JobType::kService, 1, "image"));
  log.Decide({FillSlots{TaskName::Trusted("web"), 1, 0, 1, {}, false}});
  for (const char* id : {"web-v1-0", "web-v1-7"}) {  // one that is there, one that is not
    const IntentResult result = log.Stop(id).at(0);
    EXPECT_EQ(result.kind, IntentResult::Kind::kRefused);
    EXPECT_EQ(result.error.field, "id");
    EXPECT_NE(result.error.message.find("cube job scale"), std::string::npos);
  }
}

TEST_F(ResetTest, WhatIsDroppedIsTold) {
  Reset();
  JoinAgain();
  log.Fact("a", Held("t-1", 1, LaunchState::kRunning));
  log.Decide({DropAttempt{kA, TaskId::Trusted("t-1"), 1, "it runs elsewhere"}});
  EXPECT_TRUE(node().held.empty());
  EXPECT_EQ(log.view().untold.back().status, "lost");
  EXPECT_EQ(log.view().untold.back().task, "t-1");
  EXPECT_EQ(log.view().untold.back().reason, "it runs elsewhere");
  EXPECT_EQ(log.StatusOf("t-1"), Status::kPending);
}

TEST_F(ResetTest, AStopThatTheLogKnowsNothingOfIsALoss) {
  log.Decide({log.Start("t-1", "a")});
  log.Exit("t-1", 143, true, true);
  EXPECT_EQ(log.StatusOf("t-1"), Status::kPending);
  EXPECT_TRUE(IsPending(task("t-1")));
  ASSERT_TRUE(task("t-1").seldom->lost_reason);
  EXPECT_NE(*task("t-1").seldom->lost_reason, "");
}

TEST_F(ResetTest, AGapInTheNumbersOfFactsShowsALoss) {
  const std::uint64_t last = node().last_fact;
  log.Fact("a", NodeDescribed{node().description});
  EXPECT_FALSE(node().facts_missing);
  log.FactNumbered("a", last + 5, NodeDescribed{node().description});
  EXPECT_TRUE(node().facts_missing);
  JoinAgain();
  EXPECT_FALSE(node().facts_missing);
}

TEST_F(ResetTest, AWorkerThatIsAskedJoinsAgainOnce) {
  const std::uint64_t instance = node().instance;
  log.SayJoined("a", instance, {4000, 1 << 30, 0});
  EXPECT_EQ(node().joining_instance, 0u) << "said again";
  FactBatch batch{kA, instance, 0, 1, {Fact{{}, NodeJoined{node().description, 1, true}}}};
  FoldFacts(log.view(), {1000, WallFromNanos(1), 0}, batch);
  EXPECT_EQ(node().joining_instance, instance);
  EXPECT_EQ(node().joining_incarnation, 1u);
  log.Decide({WelcomeNode{kA, instance, 2, true}});
  FoldFacts(log.view(), {1001, WallFromNanos(2), 0}, batch);
  EXPECT_EQ(node().joining_instance, 0u) << "it has been answered";
}

}  // namespace
}  // namespace cube
