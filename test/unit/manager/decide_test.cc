#include "services/manager/core/decide.h"

#include <gtest/gtest.h>

#include "shared/base/random.h"
#include "shared/cluster/status.h"
#include "shared/wire/codec.h"
#include "test/support/cluster/log_writer.h"

namespace cube::manager {
namespace {

using test::LogWriter;

constexpr std::int64_t kGi = std::int64_t{1} << 30;

Planner MakePlanner(Settings settings = {}) { return std::move(*Planner::Make(settings)); }

std::map<std::string, std::string> Placements(const std::vector<DecisionItem>& items) {
  std::map<std::string, std::string> placed;
  for (const DecisionItem& item : items) {
    if (const auto* start = std::get_if<StartAttempt>(&item)) {
      placed[start->task.str()] = start->node.str();
    }
  }
  return placed;
}

TEST(DecideTest, RoundRobinGoesOverTheNodesInTheOrderOfTheirNames) {
  LogWriter log;
  for (const char* node : {"a", "b", "c"}) log.Join(node, {4000, kGi, 0});
  for (const char* id : {"t-1", "t-2", "t-3", "t-4"}) log.Submit(id, test::Spec("t"));
  Planner planner = MakePlanner();
  const auto items = planner.Decide(log.view(), {}, WallFromNanos(1));
  const std::map<std::string, std::string> want{
      {"t-1", "a"}, {"t-2", "b"}, {"t-3", "c"}, {"t-4", "a"}};
  EXPECT_EQ(Placements(items), want);
  log.Decide(items);
  log.Submit("t-5", test::Spec("t"));
  EXPECT_EQ(Placements(planner.Decide(log.view(), {}, WallFromNanos(1))).at("t-5"), "b");
}

TEST(DecideTest, NeverPromisesMoreThanANodeHas) {
  LogWriter log;
  log.Join("a", {1000, kGi, 0});
  log.Join("b", {1000, kGi, 0});
  TaskSpec spec = test::Spec("t");
  spec.resources = {600, 0, 0};
  for (int i = 0; i < 5; ++i) log.Submit("t-" + std::to_string(i), spec);
  Planner planner = MakePlanner();
  EXPECT_EQ(Placements(planner.Decide(log.view(), {}, WallFromNanos(1))).size(), 2u);
}

TEST(DecideTest, AnExactFitIsPlacedAndOneMoreIsNot) {
  LogWriter log;
  log.Join("a", {1000, kGi, 5 * kGi});
  TaskSpec spec = test::Spec("t");
  spec.resources = {0, 0, 5 * kGi};
  log.Submit("t-1", spec);
  Planner planner = MakePlanner();
  log.Decide(planner.Decide(log.view(), {}, WallFromNanos(1)));
  EXPECT_EQ(log.StatusOf("t-1"), Status::kScheduled);
  spec.resources = {0, 0, 1};
  log.Submit("t-2", spec);
  EXPECT_TRUE(planner.Decide(log.view(), {}, WallFromNanos(1)).empty());
}

TEST(DecideTest, WhoDoesNotFitWaitsWithTheReasonAndIsPlacedWhenRoomComes) {
  LogWriter log;
  TaskSpec spec = test::Spec("t");
  spec.resources = {600, 0, 0};
  spec.ports = {{80, 8080, Protocol::kTcp, ""}};
  log.Submit("t-0", spec);
  Planner planner = MakePlanner();
  EXPECT_TRUE(planner.Decide(log.view(), {}, WallFromNanos(1)).empty());
  const auto why = [&](const char* id) {
    return planner.WhyPending(log.view(), *log.view().Find(TaskId::Trusted(id)));
  };
  EXPECT_EQ(why("t-0"), "no node has joined yet");
  log.Join("a", {1000, kGi, 0});
  log.Decide(planner.Decide(log.view(), {}, WallFromNanos(1)));
  EXPECT_EQ(log.StatusOf("t-0"), Status::kScheduled);
  spec.resources = {100, 0, 0};
  log.Submit("t-1", spec);
  EXPECT_TRUE(planner.Decide(log.view(), {}, WallFromNanos(1)).empty());
  EXPECT_EQ(why("t-1"), "no fit on 1 node: port 8080 taken 1");
  spec.resources = {600, 0, 0};
  log.Submit("t-2", spec);
  EXPECT_TRUE(planner.Decide(log.view(), {}, WallFromNanos(1)).empty());
  EXPECT_EQ(why("t-2"), "no fit on 1 node: cpu 1");
  log.Exit("t-0", 0, /*final=*/true);
  const auto placed = Placements(planner.Decide(log.view(), {}, WallFromNanos(1)));
  EXPECT_EQ(placed.size(), 1u) << "one of the two gets the port";
}

TEST(DecideTest, TheMemoryOfFullShapesChangesNoAnswer) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    Random random(seed);
    LogWriter log;
    for (std::uint64_t i = 0, n = 1 + random.Below(4); i < n; ++i) {
      log.Join("n" + std::to_string(i),
               {static_cast<std::int64_t>(500 + random.Below(2000)), kGi, 0});
    }
    Planner remembers = MakePlanner();
    std::vector<std::string> live;
    for (int round = 0; round < 12; ++round) {
      for (std::uint64_t i = 0, n = random.Below(4); i < n; ++i) {
        TaskSpec spec = test::Spec("t");
        spec.resources.cpu_millis = static_cast<std::int64_t>(100 * (1 + random.Below(9)));
        spec.priority = static_cast<std::int32_t>(random.Below(3));
        const std::string id = "t-" + std::to_string(round) + "-" + std::to_string(i);
        log.Submit(id, spec);
        live.push_back(id);
      }
      if (!live.empty() && random.Below(2) == 0) {
        const std::string& id = live[random.Below(live.size())];
        const Task* task = log.view().Find(TaskId::Trusted(id));
        if (IsLive(*task)) log.Exit(id, 0, /*final=*/true);
      }
      Planner forgets = MakePlanner();
      const auto one = remembers.Decide(log.view(), {}, WallFromNanos(1));
      const auto other = forgets.Decide(log.view(), {}, WallFromNanos(1));
      ASSERT_EQ(Placements(one), Placements(other)) << "seed " << seed << " round " << round;
      log.Decide(one);
    }
  }
}

TEST(DecideTest, AMessageIsCutWhateverTheSpecsConsistOf) {
  LogWriter log;
  log.Join("a", {4000, kGi, 0});
  for (int i = 0; i < 30; ++i) {
    TaskSpec spec = test::Spec("t" + std::to_string(i));
    for (int k = 0; k < 64; ++k) {  // 60 KB of volumes
      spec.volumes.push_back(
          {"v" + std::to_string(k), "/" + std::to_string(k) + std::string(940, 'x'), false});
    }
    log.Submit(spec.name.str() + "-1", spec);
  }
  const std::size_t head = wire::EncodeDecisions(log.Next({})).size();
  Planner planner = MakePlanner();
  std::size_t placed = 0;
  int messages = 0;
  for (; placed < 30 && messages < 30; ++messages) {
    const auto items = planner.Decide(log.view(), {}, WallFromNanos(1));
    EXPECT_LE(wire::EncodeDecisions(log.Next(items)).size(), kDecisionBytesMax + head);
    placed += Placements(items).size();
    log.Decide(items);
  }
  EXPECT_EQ(placed, 30u);
  EXPECT_EQ(messages, 8) << "four specs each";
}

TEST(DecideTest, AViewThatIsReadBackIsLookedAtAnew) {
  LogWriter log;
  log.Join("a", {1000, kGi, 0});
  TaskSpec spec = test::Spec("t");
  spec.resources = {600, 0, 0};
  log.Submit("t-1", spec);
  log.Submit("t-2", spec);
  Planner planner = MakePlanner();
  // These decisions never get into the log, and the view is read back as it was.
  ASSERT_EQ(Placements(planner.Decide(log.view(), {}, WallFromNanos(1))).size(), 1u);
  planner.ForgetView();
  EXPECT_EQ(Placements(planner.Decide(log.view(), {}, WallFromNanos(1))).size(), 1u);
}

TEST(DecideTest, HigherPriorityGoesFirst) {
  LogWriter log;
  log.Join("a", {1000, kGi, 0});
  TaskSpec spec = test::Spec("t");
  spec.resources = {1000, 0, 0};
  log.Submit("low-1", spec);
  spec.priority = 5;
  log.Submit("high-1", spec);
  Planner planner = MakePlanner();
  const auto placed = Placements(planner.Decide(log.view(), {}, WallFromNanos(1)));
  EXPECT_EQ(placed.size(), 1u);
  EXPECT_TRUE(placed.contains("high-1"));
}

TEST(DecideTest, PrioritiesHoldBetweenShapes) {
  LogWriter log;
  log.Join("a", {3000, kGi, 0});
  const auto submit = [&log](const char* id, std::int64_t cpu, std::int32_t priority) {
    TaskSpec spec = test::Spec("t");
    spec.resources = {cpu, 0, 0};
    spec.priority = priority;
    log.Submit(id, spec);
  };
  submit("low-1", 1000, 0);  // of the same shape as high-1
  submit("mid-1", 1500, 3);
  submit("high-1", 1000, 5);
  Planner planner = MakePlanner();
  const auto placed = Placements(planner.Decide(log.view(), {}, WallFromNanos(1)));
  EXPECT_EQ(placed.size(), 2u);
  EXPECT_TRUE(placed.contains("high-1"));
  EXPECT_TRUE(placed.contains("mid-1"));
}

TEST(DecideTest, ATaskMayHaveAPolicyOfItsOwn) {
  LogWriter log;
  for (const char* node : {"a", "b"}) log.Join(node, {4000, kGi, 0});
  TaskSpec spec = test::Spec("t");
  spec.resources = {500, 0, 0};
  spec.scheduler = "binpack";
  for (const char* id : {"t-1", "t-2", "t-3"}) log.Submit(id, spec);
  spec.scheduler = "";
  log.Submit("t-4", spec);
  Settings settings;
  settings.scheduler = "spread";
  Planner planner = MakePlanner(settings);
  const auto items = planner.Decide(log.view(), {}, WallFromNanos(1));
  const std::map<std::string, std::string> want{
      {"t-1", "a"}, {"t-2", "a"}, {"t-3", "a"}, {"t-4", "b"}};
  EXPECT_EQ(Placements(items), want);
  const Explanation& why = *std::get<StartAttempt>(items.back()).explanation;
  EXPECT_EQ(why.scheduler, "spread");
  EXPECT_EQ(why.nodes, 2u);
  EXPECT_EQ(why.feasible, 2u);
  EXPECT_EQ(why.runner_up.str(), "a");
  EXPECT_LT(why.score, why.runner_up_score);
}

TEST(DecideTest, NothingGoesToANodeThatIsAboutToGoDownOrToBeAnotherWorkers) {
  LogWriter log;
  log.Join("a", {1000, kGi, 0});
  log.Submit("t-1", test::Spec("t"));
  Planner planner = MakePlanner();
  Verdicts verdicts;
  verdicts.silent[NodeName::Trusted("a")] = "no heartbeat";
  EXPECT_TRUE(Placements(planner.Decide(log.view(), verdicts, WallFromNanos(1))).empty());
  log.SayJoined("a", 777, {1000, kGi, 0});
  verdicts = {};
  verdicts.join_ok.insert(NodeName::Trusted("a"));
  const auto items = planner.Decide(log.view(), verdicts, WallFromNanos(1));
  EXPECT_TRUE(Placements(items).empty());
  log.Decide(items);
  EXPECT_TRUE(Placements(planner.Decide(log.view(), {}, WallFromNanos(1))).empty());
  const Node& node = log.view().nodes.at(NodeName::Trusted("a"));
  log.Fact("a", NodeReported{node.up});
  EXPECT_EQ(Placements(planner.Decide(log.view(), {}, WallFromNanos(1))).at("t-1"), "a");
}

TEST(DecideTest, ALoadIsDecidedOnceAndFreesWhoWaitsForIt) {
  LogWriter log;
  log.Join("a", {1000, kGi, 0});
  const NodeName a = NodeName::Trusted("a");
  Planner planner = MakePlanner();
  Verdicts verdicts;
  verdicts.loads[a] = {16, 16, 0};
  verdicts.loads[NodeName::Trusted("unknown")] = {1, 1, 1};
  log.Decide(planner.Decide(log.view(), verdicts, WallFromNanos(1)));
  EXPECT_EQ(log.view().nodes.at(a).load, (NodeLoad{16, 16, 0}));
  EXPECT_TRUE(planner.Decide(log.view(), verdicts, WallFromNanos(1)).empty());
  TaskSpec spec = test::Spec("t");
  spec.resources = {100, kGi / 16, 0};
  log.Submit("t-1", spec);
  EXPECT_TRUE(planner.Decide(log.view(), verdicts, WallFromNanos(1)).empty());
  EXPECT_EQ(planner.WhyPending(log.view(), *log.view().Find(TaskId::Trusted("t-1"))),
            "no fit on 1 node: memory in use 1");
  verdicts.loads[a] = {16, 14, 0};  // a busy cpu keeps nobody away
  log.Decide(planner.Decide(log.view(), verdicts, WallFromNanos(1)));
  EXPECT_EQ(Placements(planner.Decide(log.view(), verdicts, WallFromNanos(1))).size(), 1u);
}

TEST(DecideTest, AMessageIsCutAndTheRestFollowsInTheNextCycle) {
  LogWriter log;
  log.Join("a", {4000, kGi, 0});
  log.view().nodes.at(NodeName::Trusted("a")).description.tasks_max = 100'000;
  TaskSpec spec = test::Spec("t");
  spec.env["BIG"] = std::string(30'000, 'x');
  for (int i = 0; i < 40; ++i) {
    spec.env["N"] = std::to_string(i);  // forty specs of 30 kB do not fit one message
    log.Submit("t-" + std::to_string(i), spec);
  }
  Planner planner = MakePlanner();
  std::size_t placed = 0;
  for (int cycle = 0; cycle < 40 && placed < 40; ++cycle) {
    const auto items = planner.Decide(log.view(), {}, WallFromNanos(1));
    EXPECT_LE(items.size(), 8u);
    ASSERT_FALSE(items.empty());
    placed += items.size();
    log.Decide(items);
  }
  EXPECT_EQ(placed, 40u);
}

TEST(DecideTest, ForgetsOldAndSurplusFinishedTasks) {
  LogWriter log;
  for (int i = 0; i < 5; ++i) {
    const std::string id = "t-" + std::to_string(i);
    log.Submit(id, test::Spec("t"));
    log.Stop(id);
    log.Decide({StopAttempt{TaskId::Trusted(id), 0, {}, {}}});
  }
  Settings settings;
  settings.finished_count_max = 3;
  Planner by_count = MakePlanner(settings);
  EXPECT_EQ(by_count.Decide(log.view(), {}, log.view().decided_at).size(), 2u);
  settings = {};
  Planner by_age = MakePlanner(settings);
  EXPECT_TRUE(by_age.Decide(log.view(), {}, log.view().decided_at).empty());
  EXPECT_EQ(by_age.Decide(log.view(), {}, log.view().decided_at + std::chrono::hours(25)).size(),
            5u);
}

TEST(DecideTest, AnUnknownPolicyIsAnErrorThatNamesTheOnesThereAre) {
  Settings settings;
  settings.scheduler = "best";
  const auto planner = Planner::Make(settings);
  ASSERT_FALSE(planner.has_value());
  EXPECT_EQ(planner.error().field, "scheduler");
}

// Tasks that have failed for good, with reschedule: on-failure.
class Moves : public testing::Test {
 protected:
  void Begin(const std::vector<std::string>& nodes, std::uint32_t moves_max) {
    for (const std::string& node : nodes) log_.Join(node, {1000, kGi, 0});
    TaskSpec spec = test::Spec("t");
    spec.reschedule = {ReschedulePolicy::Mode::kOnFailure, moves_max};
    log_.Submit("t-1", spec);
  }
  // Decides now. -> the node that it was placed on, or nothing.
  std::string Place(WallTime now = WallFromNanos(1)) {
    const auto items = planner_.Decide(log_.view(), {}, now);
    const auto placed = Placements(items);
    const auto found = placed.find("t-1");
    if (found == placed.end()) return {};
    DecisionBatch batch = log_.Next(items);
    if (now > batch.decided_at) batch.decided_at = now;
    log_.Append(batch);
    return found->second;
  }
  void Fail() { log_.Exit("t-1", 1, /*final=*/true); }

  LogWriter log_;
  Planner planner_ = MakePlanner();
};

TEST_F(Moves, AFailedTaskGoesWhereItHasNotFailed) {
  Begin({"a", "b", "c"}, 10);
  std::set<std::string> seen;
  for (int i = 0; i < 3; ++i) {
    seen.insert(Place());
    Fail();
  }
  EXPECT_EQ(seen, (std::set<std::string>{"a", "b", "c"}));
  // It has failed everywhere: anywhere but where it failed last.
  std::string last = log_.view().Find(TaskId::Trusted("t-1"))->node.str();
  for (int i = 0; i < 4; ++i) {
    const std::string next = Place();
    EXPECT_NE(next, "");
    EXPECT_NE(next, last);
    last = next;
    Fail();
  }
}

TEST_F(Moves, WhereNothingElseFitsItGoesBack) {
  Begin({"a"}, 10);
  EXPECT_EQ(Place(), "a");
  Fail();
  EXPECT_EQ(Place(), "a");
}

TEST_F(Moves, TheExplanationCountsTheNodesThatWereAvoided) {
  Begin({"a", "b"}, 10);
  const std::string first = Place();
  Fail();
  Place();
  const Task& task = *log_.view().Find(TaskId::Trusted("t-1"));
  ASSERT_TRUE(task.explanation);
  ASSERT_LE(task.explanation->filtered.size(), 1U);
  EXPECT_NE(task.node.str(), first);
}

TEST_F(Moves, TooManyWithinTheHourWait) {
  Begin({"a", "b"}, 2);
  for (int i = 0; i < 3; ++i) {
    EXPECT_NE(Place(), "") << i;
    Fail();
  }
  EXPECT_EQ(Place(), "");
  const Task& task = *log_.view().Find(TaskId::Trusted("t-1"));
  EXPECT_EQ(StatusOf(task), Status::kPending);
  const std::string why = planner_.WhyPending(log_.view(), task);
  EXPECT_TRUE(why.starts_with("moved 2 times within the hour; the next move is due at ")) << why;
  const WallTime due = MovesAt(task);
  EXPECT_EQ(Place(due - Duration(1)), "");
  EXPECT_NE(Place(due), "");
}

TEST_F(Moves, OneThatWaitsHoldsNobodyUp) {
  Begin({"a"}, 1);
  Place();
  Fail();
  Place();
  Fail();
  EXPECT_EQ(Place(), "");
  log_.Submit("t-2", test::Spec("t"));
  EXPECT_TRUE(Placements(planner_.Decide(log_.view(), {}, WallFromNanos(1))).contains("t-2"));
}

TEST_F(Moves, ByDefaultAFailureIsTheEnd) {
  log_.Join("a", {1000, kGi, 0});
  log_.Submit("t-1", test::Spec("t"));
  Place();
  Fail();
  EXPECT_EQ(log_.StatusOf("t-1"), Status::kFailed);
  EXPECT_EQ(Place(), "");
}

}  // namespace
}  // namespace cube::manager
