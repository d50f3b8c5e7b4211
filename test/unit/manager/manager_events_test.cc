// What a leader does with heartbeats and questions.
#include <cube/v1/queries.pb.h>
#include <gtest/gtest.h>

#include <chrono>

#include "test/support/cluster/log_writer.h"
#include "test/support/manager/loop_rig.h"

namespace cube::manager {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::LoopRig;

constexpr Resources kCapacity{4000, 1 << 30, 0};
constexpr std::uint64_t kFirst = 100;   // instance that was welcomed first
constexpr std::uint64_t kSecond = 200;  // the one that has the name since
const NodeName kNode = NodeName::Trusted("n1");

// n1 was `kFirst`'s and is `kSecond`'s.
View TwoWorkersOfOneName() {
  test::LogWriter log;
  log.Join("n1", kCapacity);
  log.SayJoined("n1", kSecond, kCapacity);
  log.Decide({WelcomeNode{kNode, kSecond, 2}});
  log.Fact("n1", NodeReported{log.view().nodes.at(kNode).up});
  log.Decide({});
  return log.view().Copy();
}

Heartbeat BeatOf(std::uint64_t instance, std::uint32_t incarnation) {
  Heartbeat beat;
  beat.node = "n1";
  beat.instance = instance;
  beat.incarnation = incarnation;
  beat.position = 1;
  return beat;
}

class ManagerEventsTest : public testing::Test {
 protected:
  explicit ManagerEventsTest(const View& view = TwoWorkersOfOneName())
      : rig_(view, view.decided_at + seconds(1)) {
    rig_.Lead();
  }
  // -> who was refused.
  std::vector<std::uint64_t> Refused() {
    std::vector<std::uint64_t> instances;
    for (const AssignBatch& batch : rig_.Assigned("n1")) {
      for (const AssignItem& item : batch.items) {
        if (const auto* refused = std::get_if<JoinRefused>(&item)) {
          instances.push_back(refused->instance);
          EXPECT_FALSE(refused->reason.empty());
        }
      }
    }
    return instances;
  }
  LoopRig rig_;
};

TEST_F(ManagerEventsTest, ADisplacedWorkerIsToldAndNotWithEachHeartbeat) {
  rig_.Feed({rig_.Beat(BeatOf(kFirst, 1))});
  EXPECT_EQ(Refused(), std::vector<std::uint64_t>{kFirst});
  for (int i = 0; i < 10; ++i) rig_.Feed({rig_.Beat(BeatOf(kFirst, 1))});
  EXPECT_TRUE(Refused().empty());
  rig_.Pass(kDisplacedInterval);
  rig_.Feed({rig_.Beat(BeatOf(kFirst, 1))});
  EXPECT_EQ(Refused(), std::vector<std::uint64_t>{kFirst}) << "the first answer may be lost";
}

TEST_F(ManagerEventsTest, NobodyElseIsCalledDisplaced) {
  rig_.Feed({rig_.Beat(BeatOf(kSecond, 2)),
             rig_.Beat(BeatOf(kFirst, 0)),  // asks to join: a decision answers
             rig_.Beat(BeatOf(kFirst, 2)),  // of a log that is no more
             rig_.Beat(BeatOf(kFirst, 3))});
  EXPECT_TRUE(Refused().empty());
}

class DownNodeTest : public ManagerEventsTest {
 protected:
  static View DownView() {
    View view = TwoWorkersOfOneName();
    view.nodes.at(kNode).down = true;
    return view;
  }
  DownNodeTest() : ManagerEventsTest(DownView()) {}
};

TEST_F(DownNodeTest, ADisplacedWorkerHasTimeToAskForAFreeName) {
  for (Duration waited{0}; waited < kDisplacedPatience; waited += seconds(1)) {
    rig_.Feed({rig_.Beat(BeatOf(kFirst, 1))});
    rig_.Pass(seconds(1));
  }
  EXPECT_TRUE(Refused().empty());
  rig_.Feed({rig_.Beat(BeatOf(kFirst, 1))});
  EXPECT_EQ(Refused(), std::vector<std::uint64_t>{kFirst});
  rig_.Pass(kDisplacedInterval);
  rig_.Feed({rig_.Beat(BeatOf(kFirst, 1))});
  EXPECT_TRUE(Refused().empty()) << "started again, it may ask";
}

TEST_F(ManagerEventsTest, SilentNodesAreFoundWhateverElseComesWithTheEcho) {
  for (int i = 0; i < 5 && !rig_.sent(); ++i) {
    rig_.Pass(seconds(1));
    rig_.Feed({rig_.Echo(), rig_.Query("nodes", "", "_INBOX.x")});
  }
  ASSERT_TRUE(rig_.sent());
  ASSERT_EQ(rig_.batch().items.size(), 1u);
  EXPECT_TRUE(std::holds_alternative<NodeDown>(rig_.batch().items[0]));
}

TEST_F(ManagerEventsTest, NobodyIsCalledSilentWhileTheInboxHoldsMore) {
  for (int i = 0; i < 5; ++i) {
    rig_.Move(seconds(1));
    rig_.Feed({rig_.Echo()}, /*more=*/true);
  }
  EXPECT_FALSE(rig_.sent());
  rig_.Feed({rig_.Beat(BeatOf(kSecond, 2))});
  EXPECT_FALSE(rig_.sent());
}

TEST_F(ManagerEventsTest, AHeartbeatThatStaysBehindGetsACompleteSetAndNotOneEachTime) {
  auto beats = [this](int count) {
    for (int i = 0; i < count; ++i) rig_.Feed({rig_.Beat(BeatOf(kSecond, 2))});
    return rig_.SetsOf("n1");
  };
  EXPECT_EQ(beats(2), 0u);
  EXPECT_EQ(beats(1), 1u);
  EXPECT_EQ(beats(10), 0u) << "it may be late, not lost";
  rig_.Pass(kSetIntervalMin);
  EXPECT_EQ(beats(1), 1u);
  rig_.Pass(kSetIntervalMin);
  EXPECT_EQ(beats(3), 0u) << "the wait has doubled";
  rig_.Pass(kSetIntervalMin);
  EXPECT_EQ(beats(1), 1u);
  Heartbeat hello = BeatOf(kSecond, 2);
  hello.hello = true;
  rig_.Feed({rig_.Beat(hello)});
  EXPECT_EQ(rig_.SetsOf("n1"), 1u) << "who asks is answered";
}

TEST_F(ManagerEventsTest, AWorkerThatIsFarBehindButStepsForwardGetsNoSet) {
  const std::uint64_t told = rig_.view().nodes.at(kNode).last_decision;
  ASSERT_GE(told, 3u);
  Heartbeat beat = BeatOf(kSecond, 2);
  for (beat.position = 1; beat.position < told; ++beat.position) {
    rig_.Feed({rig_.Beat(beat)});
    rig_.Feed({rig_.Beat(beat)});
  }
  EXPECT_EQ(rig_.SetsOf("n1"), 0u);
}

TEST_F(ManagerEventsTest, AWorkerThatIsOneHeartbeatBehindUnderLoadGetsNoSet) {
  for (int i = 0; i < 8; ++i) {
    Heartbeat beat = BeatOf(kSecond, 2);
    beat.position = rig_.view().nodes.at(kNode).last_decision;
    const std::string id = "a-" + std::to_string(i);
    rig_.Feed({rig_.Read(rig_.intents(), wire::Subjects().TasksSubmit(),
                         wire::EncodeSubmit({{TaskId::Trusted(id), std::make_shared<const TaskSpec>(
                                                                       test::Spec("a"))}}))});
    ASSERT_TRUE(rig_.sent());
    rig_.Acknowledge();
    EXPECT_GT(rig_.view().nodes.at(kNode).last_decision, beat.position);
    rig_.Feed({rig_.Beat(beat)});
  }
  EXPECT_EQ(rig_.SetsOf("n1"), 0u);
}

// ---- a heartbeat that names what the view does not have --------------------------------------

TEST_F(ManagerEventsTest, WhatTheLogHasAtItsEndIsNotLost) {
  Heartbeat beat = BeatOf(kSecond, 2);
  beat.position = rig_.view().valid_seq + 2;
  rig_.decisions().last_seq += 2;  // another manager has written, and nothing of that was read yet
  rig_.Feed({rig_.Beat(beat)});
  rig_.Pass(seconds(1));
  EXPECT_TRUE(rig_.loop().leading());
  EXPECT_FALSE(rig_.sent());
  EXPECT_TRUE(rig_.Assigned("n1").empty());
}

TEST_F(ManagerEventsTest, WhatTheLogDoesNotHaveAtItsEndIsLost) {
  Heartbeat beat = BeatOf(kSecond, 2);
  beat.position = rig_.view().valid_seq + 2;
  rig_.Feed({rig_.Beat(beat)});
  rig_.Pass(seconds(1));
  ASSERT_TRUE(rig_.sent());
  EXPECT_EQ(rig_.batch().term_start->reset,
            "node n1 was told decision " + std::to_string(beat.position));
}

TEST_F(ManagerEventsTest, WhatSeveralServersShareMayEndLaterThanTheySay) {
  rig_.decisions().replicas = 3;
  Heartbeat beat = BeatOf(kSecond, 2);
  beat.position = rig_.view().valid_seq + 2;
  rig_.Feed({rig_.Beat(beat)});
  rig_.Pass(kReplicaLagMax - seconds(2));
  EXPECT_FALSE(rig_.sent());
  rig_.Pass(seconds(3));
  ASSERT_TRUE(rig_.sent());
  EXPECT_NE(rig_.batch().term_start->reset, "");
}

// The log has grown again behind its lost end, beyond what the worker was told.
TEST_F(ManagerEventsTest, WhatTheLogGaveToALaterTermIsLost) {
  Heartbeat beat = BeatOf(kSecond, 2);
  ASSERT_GT(rig_.view().term.epoch, 1u);
  const auto& terms = rig_.view().terms;
  ASSERT_GT(terms.size(), 1u);
  beat.term = terms[terms.size() - 2].term;
  beat.position = terms.back().seq - 1;
  rig_.Feed({rig_.Beat(beat)});
  rig_.Pass(seconds(1));
  EXPECT_FALSE(rig_.sent());  // of the term before, up to its end
  beat.position = terms.back().seq;
  rig_.Feed({rig_.Beat(beat)});
  rig_.Pass(seconds(1));
  ASSERT_TRUE(rig_.sent());
  EXPECT_NE(rig_.batch().term_start->reset.find("of epoch"), std::string::npos);
}

// The log begins each epoch once: another term of an epoch that it has is in what it has lost.
TEST_F(ManagerEventsTest, ATermThatTheLogDoesNotHaveIsLost) {
  Heartbeat beat = BeatOf(kSecond, 2);
  const TermBegin before = rig_.view().terms.front();
  beat.term = {before.term.epoch, before.term.id + 1};
  beat.position = before.seq;
  rig_.Feed({rig_.Beat(beat)});
  rig_.Pass(seconds(1));
  ASSERT_TRUE(rig_.sent());
  EXPECT_NE(rig_.batch().term_start->reset.find("of epoch"), std::string::npos);
}

TEST_F(ManagerEventsTest, FactsThatAreStoredAndNotThereAreLost) {
  Heartbeat beat = BeatOf(kSecond, 2);
  beat.position = rig_.view().nodes.at(kNode).last_decision;
  beat.acked_fact = rig_.view().nodes.at(kNode).last_fact + 1;
  const std::uint64_t end = rig_.facts().last_seq;
  rig_.facts().last_seq = end + 1;  // stored, and not read yet
  for (int i = 0; i < 3; ++i) rig_.Feed({rig_.Beat(beat)});
  EXPECT_TRUE(rig_.loop().leading());
  EXPECT_FALSE(rig_.sent());
  rig_.facts().last_seq = end;
  LoopRig other(TwoWorkersOfOneName(), rig_.now().wall);
  other.Lead();
  beat.position = other.view().nodes.at(kNode).last_decision;
  other.Feed({other.Beat(beat)});
  other.Pass(seconds(1));
  EXPECT_FALSE(other.sent());  // they may still be on their way
  other.Feed({other.Beat(beat)});
  other.Pass(seconds(1));
  ASSERT_TRUE(other.sent());
  EXPECT_NE(other.batch().term_start->reset.find("has told fact"), std::string::npos);
}

TEST_F(ManagerEventsTest, CompleteSetsOfManyNodesTakeSeveralSteps) {
  test::LogWriter log;
  for (const char* node : {"n1", "n2"}) log.Join(node, kCapacity);
  View view = log.view().Copy();
  const auto spec = std::make_shared<const TaskSpec>(test::Spec("web"));
  for (std::uint32_t i = 0; i < 2 * kSetAssignmentsPerStep; ++i) {
    Task task;
    task.own_id = std::string_view("web-" + std::to_string(i));
    task.number = {1, i};
    task.spec = spec;
    task.attempt = 1;
    task.placed = Placed::kThere;
    task.node = NodeName::Trusted(i % 2 == 0 ? "n1" : "n2");
    task.placement = {11, 1};
    view.tasks.Add(std::move(task));
  }
  RebuildIndexes(view);
  LoopRig rig(view, view.decided_at + seconds(1));
  rig.Lead();
  std::vector<bus::Event> hellos;
  for (const char* name : {"n1", "n2"}) {
    Heartbeat hello;
    hello.node = name;
    hello.instance = view.nodes.at(NodeName::Trusted(name)).instance;
    hello.incarnation = 1;
    hello.hello = true;
    hellos.push_back(rig.Beat(hello));
  }
  rig.Feed(std::move(hellos));
  EXPECT_EQ(rig.SetsOf("n1"), 1u);
  EXPECT_EQ(rig.SetsOf("n2"), 0u);
  EXPECT_EQ(rig.loop().NextDeadline(), rig.now().mono) << "the rest is due at once";
  rig.Pass(milliseconds(0));
  EXPECT_EQ(rig.SetsOf("n2"), 1u);
}

// Under load one cycle follows the other at once.
TEST_F(ManagerEventsTest, QuestionsAreAnsweredBetweenCyclesThatFollowEachOther) {
  const std::string submit = wire::Subjects().TasksSubmit();
  auto task = [&](const std::string& id) {
    return rig_.Read(rig_.intents(), submit,
                     wire::EncodeSubmit({{TaskId::Trusted(id),
                                          std::make_shared<const TaskSpec>(test::Spec("a"))}}));
  };
  rig_.Feed({task("a-1")});
  ASSERT_TRUE(rig_.sent());
  rig_.Feed({rig_.Query("cluster", "", "_INBOX.x"), task("a-2")});
  EXPECT_TRUE(rig_.Published("_INBOX.x").empty()) << "the view is ahead of the log";
  rig_.Acknowledge();
  EXPECT_TRUE(rig_.sent()) << "the next cycle is under way";
  EXPECT_EQ(rig_.Published("_INBOX.x").size(), 1u);
}

// Nobody may have a manager publish to a subject of his choice: it may publish anything.
TEST_F(ManagerEventsTest, AnswersInboxesOnly) {
  for (const char* reply_to :
       {"$JS.API.STREAM.PURGE.CUBE_DECISIONS", "cube.decisions", "cube.assign.n1", "_INBOX.*", "",
        "$JS.ACK.CUBE_FACTS.c.1.1.1.1.0"}) {
    rig_.Feed({rig_.Query("cluster", "", reply_to)});
    EXPECT_TRUE(rig_.Published(reply_to).empty()) << reply_to;
  }
  for (const char* reply_to : {"_INBOX.x", "_R_.x"}) {
    rig_.Feed({rig_.Query("cluster", "", reply_to)});
    EXPECT_EQ(rig_.Published(reply_to).size(), 1u) << reply_to;
  }
}

// Of a manager that begins: what it does not know yet is not "there are no tasks".
TEST(IncompleteView, IsNoAnswer) {
  const View view = TwoWorkersOfOneName();
  LoopRig rig(view, view.decided_at + seconds(1));
  rig.decisions().last_seq += 5;  // that others have written
  rig.Connect();
  rig.Feed({rig.Query("cluster", "", "_INBOX.x")});
  rig.Pass(seconds(2));
  EXPECT_TRUE(rig.Published("_INBOX.x").empty());
  rig.Pass(seconds(2));
  const std::vector<std::string> replies = rig.Published("_INBOX.x");
  ASSERT_EQ(replies.size(), 1u);
  v1::QueryReply reply;
  ASSERT_TRUE(reply.ParseFromString(replies.front()));
  EXPECT_EQ(reply.failure().code(), "unavailable");
  EXPECT_FALSE(reply.has_cluster());
  EXPECT_EQ(reply.behind(), 5u);
}

TEST_F(ManagerEventsTest, AQuestionAboutManyTasksLetsCyclesAndOtherQuestionsGoFirst) {
  View view = TwoWorkersOfOneName();
  const auto spec = std::make_shared<const TaskSpec>(test::Spec("web"));
  for (std::uint32_t i = 0; i < kQueryWorkMax + 10; ++i) {
    Task task;
    task.own_id = std::string_view("web-" + std::to_string(i));
    task.number = {1, i};
    task.spec = spec;
    task.over = task.stop_wanted = true;
    task.ended_at = view.decided_at;
    view.tasks.Add(std::move(task));
  }
  LoopRig rig(view, view.decided_at + seconds(1));
  rig.Lead();
  v1::QueryRequest one;
  one.set_match("web-3");
  rig.Feed({rig.Query("cluster", "", "_INBOX.all"),
            rig.Query("task", one.SerializeAsString(), "_INBOX.one")});
  EXPECT_TRUE(rig.Published("_INBOX.all").empty());
  EXPECT_EQ(rig.loop().NextDeadline(), rig.now().mono) << "the rest is due at once";
  rig.Pass(milliseconds(0));
  EXPECT_EQ(rig.Published("_INBOX.one").size(), 1u);
  for (int i = 0; i < 3; ++i) rig.Pass(milliseconds(0));
  const std::vector<std::string> all = rig.Published("_INBOX.all");
  ASSERT_EQ(all.size(), 1u);
  v1::QueryReply reply;
  ASSERT_TRUE(reply.ParseFromString(all[0]));
  EXPECT_EQ(reply.cluster().tasks().at("stopped"), kQueryWorkMax + 10);
  EXPECT_GT(rig.loop().NextDeadline(), rig.now().mono);
}

}  // namespace
}  // namespace cube::manager
