// Before a manager folds, appends or tells after a (re)connect it compares the log at its three
// positions.
#include <gtest/gtest.h>

#include <chrono>

#include "test/support/cluster/log_writer.h"
#include "test/support/manager/loop_rig.h"

namespace cube::manager {
namespace {

using std::chrono::seconds;
using test::LoopRig;

// A log of some messages in each stream, folded and committed.
test::LogWriter Written() {
  test::LogWriter log;
  log.Join("n1", {4000, 1 << 30, 0});
  log.Submit("a-1", test::Spec("a"));
  log.Decide({log.Start("a-1", "n1")});
  return log;
}

class ManagerCheckTest : public testing::Test {
 protected:
  ManagerCheckTest() : log_(Written()), rig_(log_.view(), log_.view().decided_at + seconds(1)) {
    // The streams hold at our positions what was folded.
    const View& view = log_.view();
    rig_.intents().messages[view.intents.seq].time = view.intents.time;
    rig_.facts().messages[view.facts.seq].time = view.facts.time;
    DecisionBatch last;
    last.term = view.term;
    last.cycle = view.stamp.cycle;
    last.prev = {view.stamp.term_id, view.stamp.cycle - 1};
    last.intents = view.intents;
    last.facts = view.facts;
    last.decided_at = view.decided_at;
    rig_.decisions().messages[view.valid_seq].payload = wire::EncodeDecisions(last);
  }
  // Whether the view was thrown away and each stream is read from its first message.
  bool Rebuilt() {
    const bool rebuilt = rig_.view().tasks.empty();
    for (test::RigStream* stream : {&rig_.intents(), &rig_.facts(), &rig_.decisions()}) {
      EXPECT_EQ(stream->opened_from == 1, rebuilt);
    }
    return rebuilt;
  }

  test::LogWriter log_;
  LoopRig rig_;
};

TEST_F(ManagerCheckTest, TheSameLogIsReadOn) {
  rig_.Connect();
  EXPECT_FALSE(Rebuilt());
  EXPECT_EQ(rig_.intents().opened_from, log_.view().intents.seq + 1);
  EXPECT_EQ(rig_.facts().opened_from, log_.view().facts.seq + 1);
  EXPECT_EQ(rig_.decisions().opened_from, log_.view().valid_seq + 1);
  EXPECT_TRUE(rig_.sent()) << "and a term is opened";
}

// What was saved is older: after an append of unknown outcome the view has gone back to it.
TEST_F(ManagerCheckTest, WhatWasAcknowledgedAndNotSavedIsRemembered) {
  for (const bool lost : {false, true}) {
    LoopRig rig(log_.view(), log_.view().decided_at + seconds(1));
    rig.Lead();  // the first message of its term is in the log
    rig.Feed({rig.Read(rig.facts(), "cube.facts.n1", "?")});
    ASSERT_TRUE(rig.sent());
    rig.FailAppend(Code::kTimedOut);
    EXPECT_EQ(rig.view().valid_seq, log_.view().valid_seq);
    rig.Feed({bus::Disconnected{"a power cut"}});
    if (lost) --rig.decisions().last_seq;
    rig.Feed({bus::Connected{"2.9.10", 1 << 20, false}});
    EXPECT_EQ(rig.view().tasks.empty(), lost) << "rebuilt from the log as it stands";
  }
}

TEST_F(ManagerCheckTest, AnotherDecisionInItsPlaceIsALoss) {
  for (const bool other : {false, true}) {
    LoopRig rig(log_.view(), log_.view().decided_at + seconds(1));
    rig.Connect();
    DecisionBatch first = rig.batch();
    first.cycle += other ? 1 : 0;
    rig.Acknowledge();
    rig.decisions().messages[log_.view().valid_seq + 1].payload = wire::EncodeDecisions(first);
    rig.Feed({rig.Read(rig.facts(), "cube.facts.n1", "?")});
    rig.FailAppend(Code::kTimedOut);
    rig.Feed({bus::Disconnected{"a power cut"}});
    rig.Feed({bus::Connected{"2.9.10", 1 << 20, false}});
    EXPECT_EQ(rig.view().tasks.empty(), other);
  }
}

// Without a new connection: all is read, and what was acknowledged was not there.
TEST_F(ManagerCheckTest, ALogThatEndsBeforeWhatItHasAcknowledgedIsLookedAtAnew) {
  LoopRig rig(log_.view(), log_.view().decided_at + seconds(1));
  rig.Lead();
  rig.Feed({rig.Read(rig.facts(), "cube.facts.n1", "?")});
  --rig.decisions().last_seq;
  rig.FailAppend(Code::kTimedOut);
  EXPECT_FALSE(rig.view().tasks.empty());
  rig.Pass(kRetryAfterMax);
  EXPECT_TRUE(rig.view().tasks.empty()) << "rebuilt from the log as it stands";
}

TEST_F(ManagerCheckTest, APurgedMessageCannotBeCompared) {
  for (test::RigStream* stream : {&rig_.intents(), &rig_.facts(), &rig_.decisions()}) {
    stream->messages.clear();
  }
  rig_.Connect();
  EXPECT_FALSE(Rebuilt());
}

TEST_F(ManagerCheckTest, AShorterStreamIsAnotherLog) {
  --rig_.intents().last_seq;
  rig_.Connect();
  EXPECT_TRUE(Rebuilt());
}

// The server that answers may have become the stream's leader just now.
TEST_F(ManagerCheckTest, LessOfASharedStreamIsNoLossBeforeItHasStayedSo) {
  rig_.intents().replicas = 3;
  --rig_.intents().last_seq;
  rig_.Connect();
  EXPECT_FALSE(rig_.view().tasks.empty());
  rig_.Pass(kReplicaLagMax - seconds(6));
  EXPECT_EQ(rig_.warnings(), 1) << "it is said once";
  EXPECT_FALSE(rig_.sent()) << "and nothing is decided meanwhile";
  ++rig_.intents().last_seq;
  rig_.Pass(kRetryAfterMax + seconds(1));
  EXPECT_FALSE(Rebuilt());
  EXPECT_TRUE(rig_.sent());
}

TEST_F(ManagerCheckTest, AnotherMessageIsALossWhateverIsShownOfTheRest) {
  rig_.intents().replicas = 3;
  --rig_.intents().last_seq;
  rig_.facts().messages.begin()->second.time += seconds(1);
  rig_.Connect();
  EXPECT_TRUE(Rebuilt());
}

TEST_F(ManagerCheckTest, LessOfASharedStreamThatStaysSoIsALoss) {
  rig_.intents().replicas = 3;
  --rig_.intents().last_seq;
  rig_.Connect();
  rig_.Pass(kReplicaLagMax + kRetryAfterMax + seconds(1));
  EXPECT_TRUE(Rebuilt());
}

TEST_F(ManagerCheckTest, WhoSkipsWhatTheLeaderGoesOnFromReadsAllAnew) {
  rig_.decisions().last_seq += 3;  // so that it reads on and does not lead
  rig_.Connect();
  rig_.decisions().last_seq -= 3;
  rig_.Feed({rig_.Read(rig_.decisions(), wire::Subjects().Decisions(), "not a decision")});
  const std::uint64_t skipped = rig_.view().decision_seq;
  ASSERT_EQ(skipped, log_.view().valid_seq + 1);
  Heartbeat beat;
  beat.node = kLeaderHeartbeat;
  beat.instance = 1;
  beat.term = log_.view().term;
  beat.position = log_.view().valid_seq;
  rig_.Feed({rig_.Beat(beat)});
  EXPECT_FALSE(Rebuilt());
  beat.position = skipped + 1;  // not read here yet
  rig_.Feed({rig_.Beat(beat)});
  EXPECT_FALSE(Rebuilt());
  beat.position = skipped;
  rig_.Feed({rig_.Beat(beat)});
  EXPECT_TRUE(Rebuilt());
}

TEST_F(ManagerCheckTest, ShorterFactsAreAnotherLog) {
  --rig_.facts().last_seq;
  rig_.Connect();
  EXPECT_TRUE(Rebuilt());
}

TEST_F(ManagerCheckTest, ShorterDecisionsAreAnotherLog) {
  --rig_.decisions().last_seq;
  rig_.Connect();
  EXPECT_TRUE(Rebuilt());
}

TEST_F(ManagerCheckTest, AnIntentOfAnotherTimeIsAnotherLog) {
  rig_.intents().messages.begin()->second.time += seconds(1);
  rig_.Connect();
  EXPECT_TRUE(Rebuilt());
}

TEST_F(ManagerCheckTest, AFactOfAnotherTimeIsAnotherLog) {
  rig_.facts().messages.begin()->second.time += seconds(1);
  rig_.Connect();
  EXPECT_TRUE(Rebuilt());
}

TEST_F(ManagerCheckTest, ADecisionOfAnotherTermIsAnotherLog) {
  DecisionBatch other = *wire::DecodeDecisions(rig_.decisions().messages.begin()->second.payload);
  ++other.term.id;
  rig_.decisions().messages.begin()->second.payload = wire::EncodeDecisions(other);
  rig_.Connect();
  EXPECT_TRUE(Rebuilt());
}

TEST_F(ManagerCheckTest, EveryReconnectComparesBeforeAnythingElse) {
  rig_.Lead();
  rig_.Pass(kSaveAfter);
  const std::uint64_t commits = rig_.commits();
  rig_.Feed({bus::Disconnected{"test"}});
  // Messages that the readers had under way are of the log before.
  const bus::Event old = rig_.Read(rig_.intents(), wire::Subjects().TasksSubmit(), "{}");
  rig_.answers = false;
  rig_.Feed({bus::Connected{"2.9.10", 1 << 20, false}, old});
  rig_.Answer(std::exchange(rig_.asked, {}).at(0));  // the streams are ready
  EXPECT_GE(rig_.asked.size(), 4u) << "three ends and what was folded last of each";
  rig_.Pass(seconds(10));
  EXPECT_FALSE(rig_.sent());
  EXPECT_EQ(rig_.commits(), commits);
  rig_.answers = true;
  for (const bus::Operation& operation : std::exchange(rig_.asked, {})) rig_.Answer(operation);
  EXPECT_TRUE(rig_.sent()) << "the next term";
  EXPECT_EQ(rig_.batch().term.epoch, log_.view().term.epoch + 2);
}

// The log may have lost what the view has: until that is known nothing is answered from it.
TEST_F(ManagerCheckTest, NothingIsAnsweredBeforeThePositionsAreCompared) {
  rig_.Lead();
  rig_.Feed({bus::Disconnected{"test"}});
  rig_.answers = false;
  rig_.Feed({bus::Connected{"2.9.10", 1 << 20, false}});
  rig_.Feed({rig_.Query("cluster", "", "_INBOX.x")});
  rig_.Answer(std::exchange(rig_.asked, {}).at(0));  // the streams are ready
  EXPECT_TRUE(rig_.Published("_INBOX.x").empty());
  rig_.answers = true;
  for (const bus::Operation& operation : std::exchange(rig_.asked, {})) rig_.Answer(operation);
  rig_.Acknowledge();  // of the next term
  EXPECT_EQ(rig_.Published("_INBOX.x").size(), 1u);
}

TEST_F(ManagerCheckTest, AFailedLookBeginsAnewLater) {
  rig_.answers = false;
  rig_.Connect();
  rig_.Answer(std::exchange(rig_.asked, {}).at(0));
  while (!rig_.asked.empty()) {  // where the decisions end, then the rest
    for (const bus::Operation& operation : std::exchange(rig_.asked, {})) {
      if (const auto* get = std::get_if<bus::Get>(&operation)) {
        rig_.Feed({bus::OpFailed{get->op, {Code::kTimedOut, "test", ""}}});
      } else {
        rig_.Answer(operation);
      }
    }
  }
  EXPECT_EQ(rig_.decisions().opened_from, 0u);
  rig_.answers = true;
  rig_.Pass(kRetryAfter);
  EXPECT_FALSE(Rebuilt());
  EXPECT_EQ(rig_.ensures(), 2);
}

TEST_F(ManagerCheckTest, StreamsThatAreNotReadyAreToldOnceAndTriedOn) {
  rig_.answers = false;
  rig_.Connect();
  const auto fail = [&](const char* why) {
    const auto asked = std::exchange(rig_.asked, {});
    const auto& ensure = std::get<bus::EnsureStreams>(asked.at(0));
    rig_.Feed({bus::OpFailed{ensure.op, {Code::kUnavailable, why, ""}}});
    rig_.Pass(kRetryAfter);
  };
  for (int i = 0; i < 10; ++i) fail("no JetStream");
  EXPECT_EQ(rig_.ensures(), 11);
  EXPECT_EQ(rig_.warnings(), 1);
  fail("no room");
  EXPECT_EQ(rig_.warnings(), 2) << "another reason";
  rig_.answers = true;
  for (const bus::Operation& operation : std::exchange(rig_.asked, {})) rig_.Answer(operation);
  EXPECT_TRUE(rig_.sent());
}

TEST_F(ManagerCheckTest, CopiesOnOldServersAreWarnedOf) {
  rig_.Feed({bus::Connected{"2.10.22", 1 << 20, true}});
  EXPECT_EQ(rig_.warnings(), 0) << "one copy";
  LoopRig rig(log_.view(), log_.view().decided_at, 3);
  rig.Feed({bus::Connected{"2.10.22", 1 << 20, true}});
  EXPECT_EQ(rig.warnings(), 1);
  rig.Feed({bus::Disconnected{"test"}});
  const int before = rig.warnings();
  rig.Feed({bus::Connected{"2.10.23", 1 << 20, false}});
  EXPECT_EQ(rig.warnings(), before);
}

// The view is ahead of the log by the message under way: its outcome says what we hold.
class InFlightTest : public ManagerCheckTest {
 protected:
  // Reconnected with an append under way, whose view has folded one more intent; everything but
  // its outcome has been answered.
  InFlightTest() {
    rig_.Connect();
    first_ = rig_.batch();
    rig_.Acknowledge();
    rig_.Feed({Intent()});
    EXPECT_TRUE(rig_.sent());
    in_flight_ = rig_.batch();
    rig_.intents().messages[in_flight_.intents.seq].time = in_flight_.intents.time;
    rig_.Feed({bus::Disconnected{"test"}});
    rig_.Feed({bus::Connected{"2.9.10", 1 << 20, false}});
    EXPECT_EQ(rig_.decisions().opened_from, log_.view().valid_seq + 1) << "nothing is read yet";
  }
  bus::Event Intent() {
    return rig_.Read(rig_.intents(), wire::Subjects().TasksStop(), R"({"id":"a-1"})");
  }
  DecisionBatch first_;  // of the term
  DecisionBatch in_flight_;
};

TEST_F(InFlightTest, AnAcknowledgementIsFoldedAndThePositionsAreComparedAnew) {
  const std::uint64_t seq = rig_.decisions().last_seq + 1;
  rig_.decisions().messages[seq].payload = wire::EncodeDecisions(in_flight_);
  rig_.Acknowledge();
  EXPECT_EQ(rig_.view().valid_seq, seq);
  EXPECT_FALSE(Rebuilt());
  EXPECT_EQ(rig_.decisions().opened_from, seq + 1);
}

TEST_F(InFlightTest, WithoutAnOutcomeTheLastCommitIsComparedAndReadOn) {
  rig_.FailAppend(Code::kTimedOut);
  EXPECT_EQ(rig_.view().valid_seq, log_.view().valid_seq);
  EXPECT_EQ(rig_.decisions().opened_from, log_.view().valid_seq + 1);
  EXPECT_FALSE(rig_.sent()) << "the log is read to its end first";
  // It was stored after all: found in the log, it counts, and a new term goes on behind it.
  --rig_.intents().last_seq;
  --rig_.decisions().last_seq;
  const std::string subject = wire::Subjects().Decisions();
  const bus::Event intent = Intent();
  const bus::Event first = rig_.Read(rig_.decisions(), subject, wire::EncodeDecisions(first_));
  const bus::Event ours = rig_.Read(rig_.decisions(), subject, wire::EncodeDecisions(in_flight_));
  rig_.Feed({first, intent, ours});
  EXPECT_EQ(rig_.view().stamp, in_flight_.stamp());
  EXPECT_EQ(rig_.view().foreign_messages, 0u);
  rig_.Pass(kRetryAfter);
  ASSERT_TRUE(rig_.sent());
  EXPECT_EQ(rig_.batch().prev, in_flight_.stamp());
  EXPECT_GT(rig_.batch().term.epoch, in_flight_.term.epoch);
  EXPECT_EQ(rig_.sent()->expected_last_seq, rig_.decisions().last_seq);
}

}  // namespace
}  // namespace cube::manager
