#include "services/manager/core/settle.h"

#include <gtest/gtest.h>

#include "services/manager/core/decide.h"
#include "shared/domain/assign.h"
#include "test/support/cluster/log_writer.h"

namespace cube::manager {
namespace {

using std::chrono::seconds;

NodeName NameOf(const std::string& node) { return NodeName::Trusted(node); }

// A cluster after a reset, whose workers have told what they have.
class SettleTest : public testing::Test {
 protected:
  SettleTest() {
    for (const char* node : {"a", "b"}) log.Join(node, {4000, 1 << 30, 0});
  }
  void Reset() {
    DecisionBatch batch = log.Next({});
    batch.term = {log.view().term.epoch + 1, 99};
    batch.cycle = 1;
    batch.term_start = TermStart{"cluster", "test", kValidationVersion, {}, "a power cut"};
    log.Append(batch);
  }
  void Tells(const std::string& node, const std::vector<AttemptHeld>& all) {
    const std::uint64_t instance = 300 + all.size();
    log.SayJoined(node, instance, {4000, 1 << 30, 0});
    log.Decide({WelcomeNode{NameOf(node), instance, 600, true}});
    for (const AttemptHeld& held : all) log.Fact(node, held);
    log.Fact(node, AllHeld{});
  }
  static AttemptHeld Held(const std::string& id, std::uint32_t attempt) {
    AttemptHeld held{TaskId::Trusted(id), attempt, {77, attempt}, {}, {}, {}};
    held.spec = std::make_shared<const TaskSpec>(test::Spec("t"));
    return held;
  }
  static AttemptHeld Done(const std::string& id, std::uint32_t attempt) {
    AttemptHeld held = Held(id, attempt);
    held.spec = nullptr;
    return held;
  }
  [[nodiscard]] WallTime Later() const { return SettledAt(log.view()) + seconds(1); }
  // What is decided, one line each; taken.
  std::string Decide(WallTime now) {
    std::string text;
    std::vector<DecisionItem> items = planner.Decide(log.view(), verdicts, now);
    for (const DecisionItem& item : items) {
      if (const auto* readopt = std::get_if<ReadoptAttempt>(&item)) {
        text += "readopt " + readopt->task.str() + "/" + std::to_string(readopt->attempt) + " on " +
                readopt->node.str() + (readopt->spec == nullptr ? "" : " with spec") + "\n";
      } else if (const auto* drop = std::get_if<DropAttempt>(&item)) {
        text += "drop " + drop->task.str() + "/" + std::to_string(drop->attempt) + " on " +
                drop->node.str() + ": " + drop->reason + "\n";
      } else if (const auto* settle = std::get_if<SettleNode>(&item)) {
        text += "settle " + settle->node.str() + "\n";
      } else if (const auto* welcome = std::get_if<WelcomeNode>(&item)) {
        text += "welcome " + welcome->node.str() + "\n";
      } else if (const auto* start = std::get_if<StartAttempt>(&item)) {
        text += "start " + start->task.str() + "\n";
      } else {
        text += "else\n";
      }
    }
    log.Decide(std::move(items));
    return text;
  }

  mutable test::LogWriter log;
  Planner planner = std::move(*Planner::Make({}));
  Verdicts verdicts;
};

TEST_F(SettleTest, NothingIsPlacedNorDecidedUntilWorkersHadTheirTime) {
  log.Submit("t-1", test::Spec("t"));
  Reset();
  Tells("a", {Held("t-1", 1)});
  EXPECT_EQ(SettledAt(log.view()), log.view().reset_at + kSettleTime + 2 * HeartbeatInterval(2));
  EXPECT_EQ(Decide(SettledAt(log.view()) - seconds(1)), "");
  EXPECT_EQ(Decide(Later()), "readopt t-1/1 on a\nsettle a\n");
  EXPECT_EQ(Decide(Later()), "");
}

TEST_F(SettleTest, WithoutAResetStartsWaitOnlyForWhatANodeHolds) {
  log.Submit("t-1", test::Spec("t"));
  EXPECT_FALSE(HoldsStarts(log.view(), WallFromNanos(1)));
  Tells("a", {Held("t-1", 1)});
  EXPECT_TRUE(HoldsStarts(log.view(), WallFromNanos(1)));
  EXPECT_EQ(Decide(WallFromNanos(1)), "readopt t-1/1 on a\nsettle a\n");
}

TEST_F(SettleTest, TheNewestAttemptCountsAndTheOthersEnd) {
  log.Submit("t-1", test::Spec("t"));
  Reset();
  Tells("a", {Held("t-1", 1)});
  Tells("b", {Held("t-1", 2)});
  EXPECT_EQ(Decide(Later()),
            "drop t-1/1 on a: the log had lost this attempt, and node b has attempt 2\n"
            "settle a\nreadopt t-1/2 on b\nsettle b\n");
}

TEST_F(SettleTest, AHolderThatCannotHaveTheTaskTakesItFromNobody) {
  log.Submit("t-1", test::Spec("t"));
  Reset();
  TaskSpec other = test::Spec("t");
  other.image = "other";
  AttemptHeld stranger = Held("t-1", 2);
  stranger.spec = std::make_shared<const TaskSpec>(other);
  Tells("a", {Held("t-1", 1)});
  Tells("b", {stranger});
  EXPECT_EQ(Decide(Later()),
            "readopt t-1/1 on a\nsettle a\n"
            "drop t-1/2 on b: the log had lost this attempt, and its task is another one by now\n"
            "settle b\n");
}

TEST_F(SettleTest, WhatTheLogHasPlacedElsewhereEndsHere) {
  log.Submit("t-1", test::Spec("t"));
  log.Decide({log.Start("t-1", "b")});
  Reset();
  Tells("a", {Held("t-1", 2)});
  EXPECT_EQ(Decide(Later()),
            "drop t-1/2 on a: the log had lost this attempt, and attempt 1 is on node b\n"
            "settle a\n");
}

TEST_F(SettleTest, AnotherTaskOfThatIdIsNotTheOneThatIsHeld) {
  TaskSpec other = test::Spec("t");
  other.image = "other";
  log.Submit("t-1", other);
  Reset();
  Tells("a", {Held("t-1", 1)});
  EXPECT_EQ(Decide(Later()),
            "drop t-1/1 on a: the log had lost this attempt, and its task is another one by now\n"
            "settle a\n");
}

// Its worker comes back without its store, and cannot tell again.
TEST_F(SettleTest, WhatANodeHasToldIsDecidedOnBeforeItIsWelcomedAgain) {
  for (const bool down : {false, true}) {
    const std::string id = down ? "gone-y" : "gone-x";
    Reset();
    Tells("a", {Held(id, 3)});
    if (down) log.Decide({NodeDown{NameOf("a"), "silent"}});
    log.SayJoined("a", 900, {4000, 1 << 30, 0});
    verdicts.join_ok = {NameOf("a")};
    EXPECT_EQ(Decide(SettledAt(log.view()) - seconds(1)), "");
    EXPECT_EQ(Decide(Later()), "readopt " + id + "/3 on a with spec\nsettle a\nwelcome a\n");
    const Task* task = log.view().Find(TaskId::Trusted(id));
    ASSERT_NE(task, nullptr);
    EXPECT_TRUE(IsLive(*task));
  }
}

// It is down, so nobody waits for it: but what it holds is decided on now.
TEST_F(SettleTest, NothingIsPlacedByTheMessageThatReadoptsIt) {
  log.Submit("t-1", test::Spec("t"));
  Reset();
  Tells("a", {Held("t-1", 3)});
  log.Decide({NodeDown{NameOf("a"), "silent"}});
  Tells("b", {});
  log.Fact("b", NodeReported{log.view().nodes.at(NameOf("b")).up});
  EXPECT_EQ(Decide(Later()), "settle b\n");
  log.SayJoined("a", 900, {4000, 1 << 30, 0});
  verdicts.join_ok = {NameOf("a")};
  EXPECT_EQ(Decide(Later()), "readopt t-1/3 on a\nsettle a\nwelcome a\n");
}

TEST_F(SettleTest, AfterAResetNothingStartsBeforeWorkersHadTheTimeToTell) {
  log.Submit("t-1", test::Spec("t"));
  Reset();
  EXPECT_TRUE(log.view().holding.empty()) << "nobody has been welcomed yet";
  EXPECT_TRUE(HoldsStarts(log.view(), SettledAt(log.view()) - seconds(1)));
  EXPECT_FALSE(HoldsStarts(log.view(), SettledAt(log.view())));
}

TEST_F(SettleTest, StartsWaitForNodesThatAreStillTelling) {
  log.Submit("t-1", test::Spec("t"));
  Reset();
  log.SayJoined("a", 300, {4000, 1 << 30, 0});
  log.Decide({WelcomeNode{NameOf("a"), 300, 600, true}});
  EXPECT_TRUE(HoldsStarts(log.view(), Later()));
  EXPECT_FALSE(HoldsStarts(log.view(), Later() + std::chrono::minutes(2)));
}

TEST_F(SettleTest, TasksThatAreLostComeBackIfTheyRun) {
  Reset();
  Tells("a", {Held("gone-x", 3), Done("over-x", 1)});
  EXPECT_EQ(Decide(Later()), "readopt gone-x/3 on a with spec\nsettle a\n");
}

TEST_F(SettleTest, WhatANodeAloneVouchesForIsPlacedThereOrNowhere) {
  log.Fact("b", NodeReported{log.view().nodes.at(NameOf("b")).up});
  Reset();
  Tells("a", {Held("gone-x", 3)});
  Tells("b", {});
  EXPECT_EQ(Decide(Later()), "readopt gone-x/3 on a with spec\nsettle a\nsettle b\n");
  for (const char* node : {"a", "b"}) {
    log.Fact(node, NodeReported{log.view().nodes.at(NameOf(node)).up});
  }
  // It does not leave a node that is drained before it must.
  log.Drain("a");
  EXPECT_EQ(Decide(Later()), "");
  log.Cordon("a", false);
  log.Decide({NodeDown{NameOf("a"), "silent"}});
  EXPECT_EQ(Decide(Later()), "");
  EXPECT_EQ(planner.WhyPending(log.view(), *log.view().Find(TaskId::Trusted("gone-x"))),
            "only for node a until it is submitted again (the log had lost that): down");
  log.Submit("gone-x", test::Spec("t"));
  EXPECT_EQ(Decide(Later()), "start gone-x\n");
  EXPECT_EQ(log.view().Find(TaskId::Trusted("gone-x"))->node, NameOf("b"));
}

TEST_F(SettleTest, ANodeVouchesOnceForWhatALossTook) {
  Reset();
  Tells("a", {Held("gone-x", 3)});
  EXPECT_EQ(Decide(Later()), "readopt gone-x/3 on a with spec\nsettle a\n");
  const std::string refused =
      "the log had lost this attempt, and its task, and has lost nothing since this node told all";
  log.Submit("t-1", test::Spec("t"));
  Tells("a", {Held("new-x", 1), Held("t-1", 1)});
  const WallTime late = log.view().reset_at + kVouchTime + seconds(1);
  EXPECT_EQ(Decide(late), "drop new-x/1 on a: " + refused + "\nreadopt t-1/1 on a\nsettle a\n");
  // The next loss is another matter.
  Reset();
  Tells("a", {Held("new-x", 1)});
  EXPECT_EQ(Decide(Later()), "readopt new-x/1 on a with spec\nsettle a\n");
}

TEST_F(SettleTest, ALossThatGivesNoResetSinceOneWasJustNowIsMendedAsWell) {
  Reset();
  Tells("a", {});
  EXPECT_EQ(Decide(Later()), "settle a\n");
  Tells("a", {Held("new-x", 1)});
  EXPECT_EQ(Decide(log.view().reset_at + kVouchTime - seconds(1)),
            "readopt new-x/1 on a with spec\nsettle a\n");
}

TEST_F(SettleTest, ALogThatHasLostNothingTakesNoTasksFromItsNodes) {
  Tells("a", {Held("new-x", 1)});
  EXPECT_EQ(Decide(Later()).find("drop new-x/1 on a: "), 0u);
  // One whose welcome the log has lost, or never had, is heard once.
  log.SayJoined("c", 7, {4000, 1 << 30, 0});
  Tells("c", {Held("new-x", 1)});
  EXPECT_EQ(Decide(Later()), "readopt new-x/1 on c with spec\nsettle c\n");
  Tells("c", {Held("newer-x", 1)});
  EXPECT_EQ(Decide(Later()).find("drop newer-x/1 on c: "), 0u);
}

TEST_F(SettleTest, WhoMayNotVouchTakesNothingFromWhoMay) {
  Reset();
  Tells("a", {});
  EXPECT_EQ(Decide(Later()), "settle a\n");
  Tells("a", {Held("gone-x", 9)});
  Tells("b", {Held("gone-x", 1)});
  const std::string text = Decide(log.view().reset_at + kVouchTime + seconds(1));
  EXPECT_NE(text.find("drop gone-x/9 on a: "), std::string::npos) << text;
  EXPECT_NE(text.find("readopt gone-x/1 on b with spec\n"), std::string::npos) << text;
}

TEST_F(SettleTest, TheTasksThatANodeVouchesForAreBounded) {
  Reset();
  std::vector<AttemptHeld> all;
  for (std::size_t i = 0; i + 1 < kVouchedMax; ++i)
    all.push_back(Held("x-" + std::to_string(i), 1));
  Tells("a", all);
  while (log.view().holding.contains(NameOf("a"))) Decide(Later());
  EXPECT_EQ(log.view().vouched.at(NameOf("a")), kVouchedMax - 1);
  Tells("a", {Held("y-1", 1), Held("y-2", 1)});
  EXPECT_EQ(Decide(Later()),
            "readopt y-1/1 on a with spec\ndrop y-2/1 on a: the log had lost this attempt, and its "
            "task, and has the limit of 4096 such tasks from this node\nsettle a\n");
}

TEST_F(SettleTest, WhatIsForOneNodeOnlyIsNotTakenByAnother) {
  Reset();
  Tells("a", {Held("gone-x", 3)});
  Tells("b", {});
  Decide(Later());
  log.Decide({NodeDown{NameOf("a"), "silent"}});
  Tells("b", {Held("gone-x", 4)});
  EXPECT_EQ(Decide(Later()),
            "drop gone-x/4 on b: the log had lost this attempt, and its task is for node a only\n"
            "settle b\n");
}

TEST_F(SettleTest, OfALostJobTheTasksRunOnAndOfAKnownOneItDecides) {
  log.SubmitJob(test::JobOf("api", JobType::kService, 0, "image"));
  Reset();
  Tells("a", {Held("api-v1-7", 1), Held("web-v1-0", 1)});
  const std::string text = Decide(Later());
  EXPECT_NE(text.find("drop api-v1-7/1 on a: "), std::string::npos) << text;
  EXPECT_NE(text.find("readopt web-v1-0/1 on a with spec\n"), std::string::npos) << text;
}

TEST_F(SettleTest, WhatDoesNotFitOneMessageIsDecidedInTheNext) {
  Reset();
  std::vector<AttemptHeld> all;
  for (int i = 0; i < 12; ++i) {
    AttemptHeld held = Held("big-" + std::to_string(i), 1);
    TaskSpec spec = test::Spec("t");
    spec.env["BALLAST"] = std::string(30'000, static_cast<char>('a' + i));
    held.spec = std::make_shared<const TaskSpec>(spec);
    all.push_back(std::move(held));
  }
  Tells("a", all);
  const std::string first = Decide(Later());
  EXPECT_NE(first, "");
  EXPECT_EQ(first.find("settle"), std::string::npos);
  EXPECT_NE(Decide(Later()).find("settle a\n"), std::string::npos);
  EXPECT_EQ(log.view().tasks.size(), all.size());
}

TEST_F(SettleTest, IncarnationsThatTheLogHasLostAreNotGivenAgain) {
  const std::uint32_t before = log.view().nodes.at(NameOf("a")).incarnation;
  Reset();
  log.SayJoined("a", 300, {4000, 1 << 30, 0});

  verdicts.join_ok.insert(NameOf("a"));
  const auto items = planner.Decide(log.view(), verdicts, WallFromNanos(1));
  ASSERT_EQ(items.size(), 1u);
  const auto& welcome = std::get<WelcomeNode>(items[0]);
  EXPECT_GT(welcome.incarnation, before + 200);
  EXPECT_TRUE(welcome.hold) << "its request may be of before all that it has";
}

}  // namespace
}  // namespace cube::manager
