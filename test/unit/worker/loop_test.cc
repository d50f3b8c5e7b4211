#include <gtest/gtest.h>

#include "services/worker/worker_loop.h"
#include "shared/wire/codec.h"
#include "test/support/worker/loop_rig.h"

namespace cube::worker {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(Join, IsSaidUntilWelcome) {
  LoopRig rig;
  EXPECT_EQ(rig.Step(),
            "commit\nsubscribe cube.assign.n1\nsubscribe cube.desired.n1.*\n"
            "subscribe cube.logs.n1\nsubscribe cube.exec.n1\n"
            "subscribe cube.verify.node.n1\n");
  EXPECT_EQ(rig.Connect(), "append 1: joined;\nhello at 0\n");
  EXPECT_EQ(rig.AppendedFacts().incarnation, 0u);
  EXPECT_EQ(rig.AppendedFacts().instance, kInstance);
  EXPECT_EQ(rig.Fail(Code::kNotFound), "") << "there is no stream yet";
  rig.Pass(kJoinRetryMin * 2);
  EXPECT_EQ(rig.Step(), "append 1: joined;\nhello at 0\n");
  rig.Accept();
  rig.Pass(kJoinRetryMax);
  EXPECT_EQ(rig.Step(), "get-last cube.desired.n1.0 op4\nappend 1: joined;\nhello at 0\n")
      << "the answer may have been lost";
  rig.Accept();
  EXPECT_EQ(rig.Assign(Batch(9, 0, {Welcomed{kInstance, 1}})), "commit\nengine docker as c1/n1\n");
  rig.Pass(kHelloRetryMin);
  EXPECT_EQ(rig.Step(), "hello at 0\n") << "the set is awaited";
  rig.Desired(Set(10, {}));
  rig.Pass(kJoinRetryMax);
  EXPECT_EQ(rig.Step().find("joined"), std::string::npos);
}

TEST(Join, KeepsItsInstanceOverAStart) {
  LoopRig rig;
  rig.Step();
  auto stored = LoadState(rig.store(), kNode);
  ASSERT_TRUE(stored);
  EXPECT_EQ(stored->meta.instance, kInstance);
}

TEST(Join, RefusedEndsTheProcess) {
  LoopRig rig;
  rig.Step();
  rig.Connect();
  EXPECT_EQ(rig.Assign(Batch(9, 0, {JoinRefused{kInstance, "taken"}})), "exit 1\n");
  ASSERT_FALSE(rig.logged().empty());
  EXPECT_NE(rig.logged().back().find("taken"), std::string::npos) << "the leader's own words";
  EXPECT_EQ(rig.Step(), "") << "nothing follows";
}

TEST(Join, AnotherClusterMeansAFreshStore) {
  LoopRig rig;
  rig.BecomeReady();
  rig.Assign(Batch(11, 10, {Start("a")}));
  AssignBatch welcome = Batch(2, 0, {Welcomed{kInstance, 1}});
  welcome.cluster = "c2";
  EXPECT_EQ(rig.Assign(welcome), "commit\nexit 0 again\n");
  auto stored = LoadState(rig.store(), kNode);
  ASSERT_TRUE(stored);
  EXPECT_EQ(stored->meta, Meta{});
  EXPECT_TRUE(stored->attempts.empty());
}

TEST(Join, IsTriedAgainWhenNobodyKnowsUs) {
  LoopRig rig;
  rig.BecomeReady();
  rig.Restart();
  rig.Step();
  EXPECT_EQ(rig.Connect(), "hello at 10\n");
  rig.Engine(engine::Up{"1", true});
  rig.Engine(engine::Listed{});
  rig.Accept();
  std::string text;
  for (int second = 0; second < 30; ++second) {
    rig.Pass(seconds(1));
    text += rig.Step();
  }
  EXPECT_EQ(text,
            "hello at 10\nhello at 10\nhello at 10\nhello at 10\n"
            "get-last cube.desired.n1.0 op4\nappend 1: joined;\n"
            "hello at 10\n");
}

TEST(Start, CommitsBeforeItAsks) {
  LoopRig rig;
  rig.BecomeReady();
  EXPECT_EQ(rig.Assign(Batch(11, 10, {Start("a")})), "commit\nlaunch docker a/1/0\n");
  auto stored = LoadState(rig.store(), kNode);
  ASSERT_EQ(stored->attempts.size(), 1u);
  EXPECT_EQ(stored->attempts[0].launch, 0);
  EXPECT_EQ(stored->meta.position, 11u);
  EXPECT_EQ(*stored->attempts[0].spec, *Spec());
}

TEST(Facts, AreStoredThenSentThenRemoved) {
  LoopRig rig;
  rig.BecomeReady();
  const std::uint64_t first = rig.loop().core().meta().last_fact + 1;
  rig.Assign(Batch(11, 10, {Start("a")}));
  EXPECT_EQ(rig.Engine(engine::Changed{Status(Key("a"), LaunchState::kRunning)}),
            "commit\nappend " + std::to_string(first) + ": a/1/0 running;\n");
  EXPECT_EQ(rig.append().subject, "cube.facts.n1");
  EXPECT_EQ(rig.OutboxCount(), 1u);
  EXPECT_EQ(rig.Accept(), "commit\n");
  EXPECT_EQ(rig.OutboxCount(), 0u);
}

TEST(Facts, OneMessageIsInFlight) {
  LoopRig rig;
  rig.BecomeReady();
  rig.Assign(Batch(11, 10, {Start("a"), Start("b"), Start("c")}));
  EXPECT_NE(rig.Engine(engine::Changed{Status(Key("a"), LaunchState::kRunning)}).find("append"),
            std::string::npos);
  EXPECT_EQ(rig.Engine(engine::Changed{Status(Key("b"), LaunchState::kRunning)}), "commit\n");
  EXPECT_EQ(rig.Engine(engine::Changed{Status(Key("c"), LaunchState::kRunning)}), "commit\n");
  const std::uint64_t first = rig.AppendedFacts().first_number + 1;
  EXPECT_EQ(rig.Accept(),
            "commit\nappend " + std::to_string(first) + ": b/1/0 running; c/1/0 running;\n");
}

TEST(Facts, OfUnknownFateAreSentAgainUnderTheirNumbers) {
  LoopRig rig;
  rig.BecomeReady();
  rig.Assign(Batch(11, 10, {Start("a")}));
  rig.Engine(engine::Changed{Status(Key("a"), LaunchState::kRunning)});
  const std::string payload = rig.append().payload;
  EXPECT_EQ(rig.Fail(Code::kTimedOut), "");
  EXPECT_EQ(rig.loop().NextDeadline(), rig.now().mono + kFactsRetryMin);
  rig.Pass(kFactsRetryMin);
  EXPECT_NE(rig.Step(), "");
  EXPECT_EQ(rig.append().payload, payload);
  EXPECT_EQ(rig.OutboxCount(), 1u);
}

TEST(Facts, RefusedOnesAreTriedMoreAndMoreSeldom) {
  LoopRig rig;
  rig.BecomeReady();
  rig.Assign(Batch(11, 10, {Start("a")}));
  rig.Engine(engine::Changed{Status(Key("a"), LaunchState::kRunning)});
  int appends = 1;
  for (int i = 0; i < 600; ++i) {
    if (rig.Fail(Code::kResource).find("append") != std::string::npos) ++appends;
    rig.Pass(milliseconds(100));
  }
  EXPECT_GE(appends, 8);
  EXPECT_LE(appends, 14);
  EXPECT_EQ(rig.OutboxCount(), 1u);
}

TEST(Facts, AnAnswerToAnOlderAppendCountsForNothing) {
  LoopRig rig;
  rig.BecomeReady();
  rig.Assign(Batch(11, 10, {Start("a")}));
  rig.Engine(engine::Changed{Status(Key("a"), LaunchState::kRunning)});
  const bus::OpId old_op = rig.append().op;
  rig.Fail(Code::kTimedOut);
  rig.Pass(kFactsRetryMin);
  rig.Step();
  rig.Step({FromBus{bus::Appended{old_op, "CUBE_FACTS", 1, false}}});
  EXPECT_EQ(rig.OutboxCount(), 1u);
  rig.Accept();
  EXPECT_EQ(rig.OutboxCount(), 0u);
}

TEST(Facts, GatherWhileNatsIsAwayAndSurviveACrash) {
  LoopRig rig;
  rig.BecomeReady();
  rig.Step({FromBus{bus::Disconnected{"gone"}}});
  rig.Assign(Batch(11, 10, {Start("a"), Start("b")}));
  EXPECT_EQ(rig.Engine(engine::Changed{Status(Key("a"), LaunchState::kRunning)}), "commit\n");
  EXPECT_EQ(rig.Engine(engine::Changed{Exited(Key("b"), 0)}), "commit\n");
  rig.Restart();
  rig.Step();
  const std::string text = rig.Connect();
  EXPECT_NE(text.find("a/1/0 running; b/1/0 exited code 0 final;"), std::string::npos) << text;
}

TEST(Facts, ABacklogLargerThanTheWindowIsReadFromTheStore) {
  LoopRig rig;
  rig.BecomeReady();
  rig.Step({FromBus{bus::Disconnected{"gone"}}});
  store::WriteBatch batch;
  const std::uint64_t first = rig.loop().core().meta().last_fact + 1;
  const std::uint64_t count = kOutboxWindowMax + 3000;
  Meta meta = rig.loop().core().meta();
  meta.last_fact += count;
  for (std::uint64_t i = 0; i < count; ++i) {
    PutOutbox(batch, kNode, meta, Encoded({first + i, {rig.now().wall, NodeLeft{}}}));
  }
  PutMeta(batch, meta);
  ASSERT_TRUE(rig.store().Commit(batch));
  rig.Restart();
  rig.Step();
  rig.Connect();
  std::uint64_t next = first;
  for (int i = 0; i < 1000 && rig.OutboxCount() > 0; ++i) {
    const FactBatch facts = rig.AppendedFacts();
    if (facts.first_number == next && !facts.facts.empty()) next += facts.facts.size();
    EXPECT_LE(facts.facts.size(), kFactsPerMessageMax);
    rig.Accept();
    rig.Step();
  }
  EXPECT_EQ(rig.OutboxCount(), 0u);
  EXPECT_EQ(next, first + count) << "in order, none left out, none twice";
}

TEST(Beats, GoOutAtTheirInterval) {
  LoopRig rig;
  rig.BecomeReady();
  const int before = rig.beats();
  for (int i = 0; i < 100; ++i) {
    rig.Pass(milliseconds(100));
    rig.Step();
  }
  EXPECT_EQ(rig.beats() - before, 10);
  EXPECT_EQ(rig.beat().position, 10u);
  EXPECT_EQ(rig.beat().incarnation, 1u);
  EXPECT_EQ(rig.beat().instance, kInstance);
  EXPECT_LE(rig.loop().NextDeadline() - rig.now().mono, kHeartbeatMin);
}

TEST(Beats, AreSeldomInALargeCluster) {
  LoopRig rig;
  rig.SetClusterNodes(4'000);
  rig.BecomeReady();
  rig.Pass(seconds(4));
  rig.Step();
  const int before = rig.beats();
  for (int i = 0; i < 40; ++i) {
    rig.Pass(seconds(1));
    rig.Step();
  }
  EXPECT_EQ(rig.beats() - before, 10);
}

TEST(Beats, RestWhileNatsIsAway) {
  LoopRig rig;
  rig.BecomeReady();
  rig.Step({FromBus{bus::Disconnected{"gone"}}});
  const int before = rig.beats();
  rig.Pass(seconds(100));
  rig.Step();
  EXPECT_EQ(rig.beats(), before);
  EXPECT_EQ(rig.loop().NextDeadline(), MonoTime::max());
}

TEST(Hello, AGapAsksOnceAndAgainUntilItIsAnswered) {
  LoopRig rig;
  rig.BecomeReady();
  rig.Pass(seconds(10));
  rig.Step();
  EXPECT_EQ(rig.Assign(Batch(20, 15, {Start("a")})), "hello at 10\n");
  EXPECT_EQ(rig.Assign(Batch(21, 20, {Start("b")})), "") << "the answer is on its way";
  rig.Pass(kHelloRetryMin);
  EXPECT_EQ(rig.Step(), "hello at 10\n");
  rig.Desired(Set(21, {}));
  for (int i = 0; i < 100; ++i) {
    rig.Pass(seconds(1));
    EXPECT_EQ(rig.Step(), "");
  }
}

TEST(Hello, AfterAReconnectAndAnswered) {
  LoopRig rig;
  rig.BecomeReady();
  rig.Step({FromBus{bus::Disconnected{"gone"}}});
  rig.Pass(seconds(5));
  EXPECT_EQ(rig.Connect(), "hello at 10\n");
  EXPECT_EQ(rig.Assign(Batch(30, 10, {UpToDate{}})), "commit\n");
  rig.Pass(seconds(50));
  EXPECT_EQ(rig.Step(), "");
}

TEST(Hello, IsSaidAgainWhenTheHeartbeatsConnectionComesLate) {
  LoopRig rig;
  rig.BecomeReady();
  rig.Restart();
  rig.Step();
  EXPECT_EQ(rig.Connect(), "hello at 10\n");
  EXPECT_EQ(rig.Step({BeatsConnected{}}), "hello at 10\n");
}

TEST(Garbage, IsNotObeyed) {
  LoopRig rig;
  rig.BecomeReady();
  rig.Pass(seconds(10));
  rig.Step();
  EXPECT_EQ(rig.Step({FromBus{bus::Message{1, "cube.assign.n1", "", {}, "\xff\xff"}}}),
            "hello at 10\n");
  EXPECT_EQ(rig.Step({FromBus{bus::Message{2, "cube.desired.n1.0", "", {}, "x"}}}), "");
  EXPECT_EQ(rig.logged().size(), 2u);
}

TEST(Term, IsLookedUpInTheLog) {
  LoopRig rig;
  rig.BecomeReady();
  AssignBatch older = Batch(12, 10, {Start("a")});
  older.term = {.epoch = 2, .id = 8};
  const std::string text = rig.Assign(older);
  ASSERT_EQ(text.substr(0, 28), "get-last cube.decisions op4\n") << text;
  EXPECT_EQ(rig.Assign(older), "") << "not more often than needed";
  DecisionBatch newest;
  newest.term = older.term;
  newest.cycle = 5;
  newest.prev = {.term_id = 8, .cycle = 4};
  newest.decided_at = rig.now().wall;
  bus::StreamMessage message;
  message.payload = wire::EncodeDecisions(newest);
  rig.Pass(seconds(2));
  EXPECT_EQ(rig.Step({FromBus{bus::Got{4, message}}}), "hello at 10\n")
      << "where it stands shows the leader what the log has lost";
  EXPECT_NE(rig.loop().core().meta().term, older.term);
  EXPECT_EQ(rig.logged().size(), 1u);
}

TEST(Described, OncePerChange) {
  LoopRig rig;
  rig.Step();
  rig.Connect();
  rig.Accept();
  rig.Assign(Batch(9, 0, {Welcomed{kInstance, 1}}));
  rig.Desired(Set(10, {}, kUp));
  EXPECT_EQ(rig.Engine(engine::Up{"1", true}), "") << "what runs there is unknown";
  EXPECT_EQ(rig.Engine(engine::Listed{}), "commit\nappend 1: described; reported 1;\n");
  rig.Accept();
  rig.Pass(seconds(5));
  EXPECT_EQ(rig.Engine(engine::Down{"away"}), "commit\nappend 3: described;\n");
  const auto described = std::get<NodeDescribed>(rig.AppendedFacts().facts[0].what);
  ASSERT_EQ(described.description.engines.size(), 1u);
  EXPECT_FALSE(described.description.engines[0].up);
  rig.Accept();
  EXPECT_EQ(rig.Engine(engine::Up{"1", true}), "") << "not at once again";
  EXPECT_EQ(rig.loop().NextDeadline(), rig.now().mono + kDescribeInterval);
  rig.Pass(kDescribeInterval);
  EXPECT_EQ(rig.Step(), "commit\nappend 4: described;\n");
}

TEST(Described, AnEngineThatIsLeftOutIsDescribedAsDownBeforeTheReport) {
  LoopRig rig({"docker", "process"});
  rig.Step();
  rig.Connect();
  rig.Accept();
  rig.Assign(Batch(9, 0, {Welcomed{kInstance, 1}}));
  rig.Desired(Set(10, {}, kUp));
  rig.Engine(engine::Up{"1", true});
  rig.Engine(engine::Listed{});
  std::string text;
  for (Duration waited{0}; waited < seconds(20); waited += std::chrono::milliseconds(100)) {
    rig.Pass(std::chrono::milliseconds(100));
    text += rig.Step();
    if (text.find("append 1") == std::string::npos) continue;
    const FactBatch facts = rig.AppendedFacts();
    for (const EngineDescription& e :
         std::get<NodeDescribed>(facts.facts[0].what).description.engines) {
      EXPECT_EQ(e.up, e.kind == "docker") << e.kind;
    }
    break;
  }
  EXPECT_NE(text.find("append 1: described;"), std::string::npos) << text;
  EXPECT_EQ(text.find("reported"), std::string::npos) << text;
  rig.Accept();
  rig.Pass(kLeftOutBefore);
  EXPECT_NE(rig.Step().find("append 2: reported 1;"), std::string::npos);
}

TEST(Welcome, AgainNumbersFactsAnewAndDescribesTheNodeAnew) {
  LoopRig rig;
  rig.BecomeReady();
  rig.Assign(Batch(11, 10, {Start("a")}));
  rig.Engine(engine::Changed{Status(Key("a"), LaunchState::kRunning)});
  const bus::OpId before = rig.append().op;
  AssignBatch welcome = Batch(20, 0, {Welcomed{kInstance, 2}});
  welcome.incarnation = 2;
  EXPECT_EQ(rig.Assign(welcome), "commit\nappend 1: a/1/0 running; described;\n");
  EXPECT_EQ(rig.OutboxCount(), 2u);
  EXPECT_EQ(rig.Step({FromBus{bus::Appended{before, "CUBE_FACTS", 1, false}}}), "")
      << "an answer to facts of the older incarnation";
  EXPECT_EQ(rig.OutboxCount(), 2u);
  rig.Accept();
  EXPECT_EQ(rig.OutboxCount(), 0u);
}

TEST(Welcome, IsLoggedInACompleteSetToo) {
  LoopRig rig;
  rig.Step();
  rig.Connect();
  rig.Desired(Set(10, {}));
  ASSERT_FALSE(rig.logged().empty());
  EXPECT_NE(rig.logged().back().find("joined as node n1, incarnation 1"), std::string::npos);
}

TEST(Welcome, AndItsAnswerInOneStepAreNotConfused) {
  LoopRig rig;
  rig.BecomeReady();
  rig.Assign(Batch(11, 10, {Start("a")}));
  rig.Engine(engine::Changed{Status(Key("a"), LaunchState::kRunning)});
  AssignBatch welcome = Batch(20, 0, {Welcomed{kInstance, 2}});
  welcome.incarnation = 2;
  bus::Message message;
  message.subscription = 1;
  message.payload = wire::EncodeAssign(welcome);
  rig.Step({FromBus{message}, FromBus{bus::Appended{rig.append().op, "CUBE_FACTS", 1, false}}});
  EXPECT_EQ(rig.OutboxCount(), 2u) << "they were not accepted under their new numbers";
}

TEST(Shutdown, SaysGoodByeAndWaitsForTheOutbox) {
  LoopRig rig;
  rig.BecomeReady();
  EXPECT_NE(rig.Step({Shutdown{}}).find("left;"), std::string::npos);
  EXPECT_EQ(rig.Accept(), "commit\nexit 0\n");
}

TEST(Shutdown, DoesNotWaitForEver) {
  LoopRig rig;
  rig.BecomeReady();
  rig.Step({Shutdown{}});
  EXPECT_EQ(rig.Step(), "");
  rig.Pass(kFlushMax);
  EXPECT_EQ(rig.Step(), "exit 0\n");
}

TEST(Shutdown, WithoutNatsIsAtOnce) {
  LoopRig rig;
  rig.BecomeReady();
  rig.Step({FromBus{bus::Disconnected{"gone"}}});
  EXPECT_EQ(rig.Step({Shutdown{}}), "exit 0\n");
}

// A worker with one running task.
void RunOne(LoopRig& rig) {
  rig.BecomeReady();
  rig.Assign(Batch(11, 10, {Start("a")}));
  rig.Engine(engine::Changed{Status(Key("a"), LaunchState::kRunning)});
  while (rig.OutboxCount() > 0) rig.Accept();
}

TEST(HandOver, SaysThatItLeavesAndEndsWhenItsTasksHaveGone) {
  LoopRig rig({"docker"}, OnExit::kDrain);
  RunOne(rig);
  EXPECT_NE(rig.Step({Shutdown{}}).find("leaving 1m;"), std::string::npos);
  rig.Accept();
  EXPECT_EQ(rig.Step(), "") << "it waits for the manager";
  // An engine that comes and goes does not take the leave back.
  rig.Pass(seconds(5));
  EXPECT_EQ(rig.Engine(engine::Down{"away"}).find("described"), std::string::npos);
  EXPECT_GT(rig.loop().NextDeadline(), rig.now().mono) << "it would never rest";
  rig.Engine(engine::Up{"1", true});
  rig.Engine(engine::Listed{{Status(Key("a"), LaunchState::kRunning)}});
  EXPECT_NE(rig.Assign(Batch(12, 11, {StopOf("a")})).find("stop docker a/1/0"), std::string::npos);
  const std::string ended = rig.Engine(engine::Changed{Exited(Key("a"), 143)});
  EXPECT_NE(ended.find("final stop-asked; left;"), std::string::npos) << ended;
  EXPECT_EQ(rig.Accept(), "commit\nremove docker a/1/0\nexit 0\n");
}

TEST(HandOver, StopAsksForAllAtOnceAndNothingToHandOverEndsAtOnce) {
  LoopRig rig({"docker"}, OnExit::kStop);
  rig.BecomeReady();
  const std::string said = rig.Step({Shutdown{}});
  EXPECT_NE(said.find("leaving 0s; left;"), std::string::npos) << said;
  EXPECT_NE(rig.Accept().find("exit 0"), std::string::npos);
}

TEST(HandOver, EndsAtItsLimitAndAtASecondSignal) {
  LoopRig rig({"docker"}, OnExit::kDrain);
  RunOne(rig);
  rig.Step({Shutdown{}});
  rig.Accept();
  rig.Pass(seconds(60) + kHandOverSpare - seconds(1));
  EXPECT_EQ(rig.Step().find("left;"), std::string::npos);
  EXPECT_EQ(rig.loop().NextDeadline() <= rig.now().mono + seconds(1), true);
  rig.Pass(seconds(1));
  EXPECT_NE(rig.Step().find("left;"), std::string::npos);
  EXPECT_NE(rig.Accept().find("exit 0"), std::string::npos);

  LoopRig again({"docker"}, OnExit::kDrain);
  RunOne(again);
  again.Step({Shutdown{}});
  again.Accept();
  EXPECT_NE(again.Step({Shutdown{}}).find("left;"), std::string::npos);
  EXPECT_NE(again.Accept().find("exit 0"), std::string::npos);
}

TEST(HandOver, WithoutNatsNothingCanBeHandedOver) {
  LoopRig rig({"docker"}, OnExit::kDrain);
  RunOne(rig);
  rig.Step({FromBus{bus::Disconnected{"gone"}}});
  EXPECT_EQ(rig.Step({Shutdown{}}), "exit 0\n");
}

TEST(Closed, EndsTheProcess) {
  LoopRig rig;
  rig.BecomeReady();
  EXPECT_EQ(rig.Step({FromBus{bus::Closed{{Code::kPermission, "wrong password", {}}}}}),
            "exit 1\n");
}

TEST(Restart, GoesOnWhereItWas) {
  LoopRig rig;
  rig.BecomeReady();
  rig.Assign(Batch(11, 10, {Start("a")}));
  rig.Restart();
  EXPECT_EQ(rig.Step(),
            "subscribe cube.assign.n1\nsubscribe cube.desired.n1.*\nsubscribe "
            "cube.logs.n1\nsubscribe cube.exec.n1\nsubscribe cube.verify.node.n1\n"
            "engine docker as c1/n1\n");
  EXPECT_EQ(rig.Connect(), "hello at 11\n");
  EXPECT_EQ(rig.Engine(engine::Up{"1", true}), "");
  // Described at each start: version or capacity may have changed.
  EXPECT_EQ(rig.Engine(engine::Listed{}), "commit\nlaunch docker a/1/0\nappend 2: described;\n");
}

}  // namespace
}  // namespace cube::worker
