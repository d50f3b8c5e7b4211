// The contract of bus::Bus: what retention does to streams, and what readers see of it.
#include <limits>
#include <optional>
#include <utility>

#include "test/support/bus/contract.h"

namespace cube::bus {
namespace {

constexpr SubId kReader = 1'000;

// What an operation that must not work failed with; kInternal if it did not fail.
Code FailedWith(Recorder& r, OpId op) {
  const auto failed = r.UntilOp<OpFailed>(op);
  EXPECT_TRUE(failed);
  return failed ? failed->error.code : Code::kInternal;
}

bool Purged(Recorder& r, const std::string& stream, std::uint64_t up_to_seq) {
  const OpId op = r.NextOp();
  r->Purge(op, stream, up_to_seq);
  return r.UntilOp<Done>(op).has_value();
}

bool Deleted(Recorder& r, const std::string& stream) {
  const OpId op = r.NextOp();
  r->DeleteStream(op, stream);
  return r.UntilOp<Done>(op).has_value();
}

bool Given(Recorder& r, const std::string& stream, std::vector<std::string> subjects) {
  const OpId op = r.NextOp();
  r->SetSubjects(op, stream, std::move(subjects));
  return r.UntilOp<Done>(op).has_value();
}

// "" = no stream takes it.
std::string StreamOf(Recorder& r, const std::string& subject) {
  const OpId op = r.NextOp();
  r->FindStream(op, subject);
  const auto found = r.UntilOp<FoundStream>(op);
  EXPECT_TRUE(found) << subject;
  return found && found->stream ? *found->stream : "";
}

StreamState StateOf(Recorder& r, const std::string& stream) {
  const OpId op = r.NextOp();
  r->GetState(op, stream);
  const auto state = r.UntilOp<GotState>(op);
  EXPECT_TRUE(state) << stream;
  return state ? state->state : StreamState{};
}

bool IsThere(Recorder& r, const std::string& stream, std::uint64_t seq) {
  const OpId op = r.NextOp();
  r->Get(op, stream, seq);
  const auto got = r.UntilOp<Got>(op);
  EXPECT_TRUE(got) << seq;
  return got && got->message;
}

}  // namespace

// ---- purging ------------------------------------------------------------------------------------

TEST_P(BusContract, APurgeRemovesUpToASequence) {
  Recorder r(*fixture_, "a");
  MakeStreams(r);
  for (int i = 1; i <= 10; ++i) MustAppend(r, "log.a", "x");
  // Nothing to remove, nothing, something, the same and less again.
  for (const auto& [up_to, first] :
       {std::pair<std::uint64_t, std::uint64_t>{0, 1}, {1, 2}, {4, 5}, {4, 5}, {2, 5}, {0, 5}}) {
    ASSERT_TRUE(Purged(r, "LOG", up_to)) << up_to;
    const StreamState state = StateOf(r, "LOG");
    EXPECT_EQ(state.first_seq, first) << up_to;
    EXPECT_EQ(state.last_seq, 10U) << up_to;
    EXPECT_EQ(state.messages, 11 - first) << up_to;
  }
  EXPECT_FALSE(IsThere(r, "LOG", 4));
  EXPECT_TRUE(IsThere(r, "LOG", 5));
  EXPECT_EQ(MustAppend(r, "log.a", "x"), 11U);
}

TEST_P(BusContract, AfterAPurgeOfAllTheSequencesGoOn) {
  Recorder r(*fixture_, "a");
  MakeStreams(r);
  for (int i = 1; i <= 5; ++i) MustAppend(r, "log.a", "x");
  ASSERT_TRUE(Purged(r, "LOG", 5));
  const StreamState state = StateOf(r, "LOG");
  EXPECT_EQ(state.first_seq, 6U);
  EXPECT_EQ(state.last_seq, 5U);
  EXPECT_EQ(state.messages, 0U);
  EXPECT_EQ(state.bytes, 0U);
  EXPECT_EQ(MustAppend(r, "log.a", "x"), 6U);
}

TEST_P(BusContract, APurgedStreamKeepsItsSequencesOverARestart) {
  Recorder r(*fixture_, "a");
  MakeStreams(r);
  for (int i = 1; i <= 5; ++i) MustAppend(r, "log.a", "x");
  for (int i = 1; i <= 5; ++i) MustAppend(r, "kept.a", "x");
  ASSERT_TRUE(Purged(r, "LOG", 3));
  ASSERT_TRUE(Purged(r, "KEPT", 5));
  fixture_->KillServer();
  ASSERT_TRUE(r.UntilCount<Disconnected>(1));
  fixture_->StartServer();
  ASSERT_TRUE(r.UntilCount<Connected>(2));
  EXPECT_EQ(StateOf(r, "LOG").first_seq, 4U);
  EXPECT_EQ(StateOf(r, "KEPT").last_seq, 5U);
  EXPECT_EQ(MustAppend(r, "log.a", "x"), 6U);
  EXPECT_EQ(MustAppend(r, "kept.a", "x"), 6U);
}

TEST_P(BusContract, APurgeBeyondTheLastDoesNotMoveTheSequences) {
  Recorder r(*fixture_, "a");
  MakeStreams(r);
  ASSERT_TRUE(Purged(r, "LOG", 7));  // empty
  for (int i = 1; i <= 3; ++i)
    EXPECT_EQ(MustAppend(r, "log.a", "x"), static_cast<std::uint64_t>(i));
  ASSERT_TRUE(Purged(r, "LOG", 1'000));
  EXPECT_EQ(StateOf(r, "LOG").messages, 0U);
  EXPECT_EQ(StateOf(r, "LOG").last_seq, 3U);
  EXPECT_EQ(MustAppend(r, "log.a", "x"), 4U);
  ASSERT_TRUE(Purged(r, "LOG", std::numeric_limits<std::uint64_t>::max()));
  EXPECT_EQ(StateOf(r, "LOG").messages, 0U);
  EXPECT_EQ(MustAppend(r, "log.a", "x"), 5U);
}

TEST_P(BusContract, AMissingStreamCannotBePurged) {
  Recorder r(*fixture_, "a");
  ASSERT_TRUE(r.UntilCount<Connected>(1));
  const OpId op = r.NextOp();
  r->Purge(op, "NONE", 5);
  EXPECT_EQ(FailedWith(r, op), Code::kNotFound);
}

TEST_P(BusContract, APurgeOfAllUnderASlowReaderIsToldWithTheNextMessage) {
  Recorder r(*fixture_, "a");
  MakeStreams(r);
  for (int i = 1; i <= 10; ++i) MustAppend(r, "log.a", "x");
  r->OpenReader(kReader, "LOG", 1);
  r->Pull(kReader, 2);
  ASSERT_TRUE(r.UntilCount<Read>(2));
  ASSERT_TRUE(Purged(r, "LOG", 10));
  r->Pull(kReader, 10);
  EXPECT_EQ(StateOf(r, "LOG").messages, 0U);  // the server has had its turn
  EXPECT_EQ(r.Count<ReadFailed>(), 0U);
  EXPECT_EQ(MustAppend(r, "log.a", "x"), 11U);
  ASSERT_TRUE(r.UntilCount<ReadFailed>(1));
  EXPECT_EQ(r.All<ReadFailed>()[0].error.code, Code::kDataLoss);
  EXPECT_EQ(ReadSeqs(r, kReader), (std::vector<std::uint64_t>{1, 2}));
  r->OpenReader(kReader, "LOG", 10);
  ASSERT_TRUE(r.UntilCount<ReadFailed>(2));  // one that begins is told at once
}

TEST_P(BusContract, APurgeBehindAReaderDoesNotDisturbIt) {
  Recorder r(*fixture_, "a");
  MakeStreams(r);
  for (int i = 1; i <= 10; ++i) MustAppend(r, "log.a", "x");
  r->OpenReader(kReader, "LOG", 1);
  r->Pull(kReader, 6);
  ASSERT_TRUE(r.UntilCount<Read>(6));
  ASSERT_TRUE(Purged(r, "LOG", 6));  // exactly what was read
  r->Pull(kReader, 100);
  ASSERT_TRUE(r.UntilCount<Read>(10));
  ASSERT_TRUE(Purged(r, "LOG", 9));
  EXPECT_EQ(MustAppend(r, "log.a", "x"), 11U);
  ASSERT_TRUE(r.UntilCount<Read>(11));
  ASSERT_TRUE(Purged(r, "LOG", 11));  // all of it
  EXPECT_EQ(MustAppend(r, "log.a", "x"), 12U);
  ASSERT_TRUE(r.UntilCount<Read>(12));
  EXPECT_EQ(r.Count<ReadFailed>(), 0U);
}

// ---- deleting -----------------------------------------------------------------------------------

TEST_P(BusContract, ADeletedStreamIsGone) {
  Recorder r(*fixture_, "a");
  MakeStreams(r);
  MustAppend(r, "log.a", "x");
  ASSERT_TRUE(Deleted(r, "LOG"));
  const OpId state = r.NextOp();
  r->GetState(state, "LOG");
  EXPECT_EQ(FailedWith(r, state), Code::kNotFound);
  const auto refused = r.UntilOp<AppendFailed>(StartAppend(r, "log.a", "x"));
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->error.code, Code::kNotFound);
  EXPECT_TRUE(Deleted(r, "LOG"));  // again
  EXPECT_EQ(MustAppend(r, "kept.a", "x"), 1U);
  MakeStreams(r);
  EXPECT_EQ(MustAppend(r, "log.a", "x"), 1U);  // a new one
}

TEST_P(BusContract, AReaderOfADeletedStreamIsToldWhenItMayRead) {
  Recorder r(*fixture_, "a");
  MakeStreams(r);
  for (int i = 1; i <= 3; ++i) MustAppend(r, "log.a", "x");
  r->OpenReader(kReader, "LOG", 1);
  r->Pull(kReader, 3);
  ASSERT_TRUE(r.UntilCount<Read>(3));
  r->OpenReader(kReader + 1, "LOG", 1);
  r->Pull(kReader + 1, 4);
  ASSERT_TRUE(r.UntilCount<Read>(6));
  ASSERT_TRUE(Deleted(r, "LOG"));
  ASSERT_TRUE(r.UntilCount<ReadFailed>(1));
  EXPECT_EQ(r.All<ReadFailed>()[0].reader, kReader + 1);
  EXPECT_EQ(r.All<ReadFailed>()[0].error.code, Code::kNotFound);
  r->Pull(kReader, 1);
  ASSERT_TRUE(r.UntilCount<ReadFailed>(2));
  EXPECT_EQ(r.All<ReadFailed>()[1].reader, kReader);
  EXPECT_EQ(r.All<ReadFailed>()[1].error.code, Code::kNotFound);
}

// ---- subjects -----------------------------------------------------------------------------------

TEST_P(BusContract, AStreamIsReplacedByGivingItOtherSubjects) {
  Recorder r(*fixture_, "a");
  MakeStreams(r);
  MustAppend(r, "log.a", "old");
  r->OpenReader(kReader, "LOG", 1);
  r->Pull(kReader, 10);
  ASSERT_TRUE(r.UntilCount<Read>(1));
  EXPECT_EQ(StreamOf(r, "log.a"), "LOG");
  ASSERT_TRUE(Given(r, "LOG", {"closed.log"}));
  EXPECT_EQ(StreamOf(r, "log.a"), "");
  EXPECT_EQ(StreamOf(r, "closed.log"), "LOG");
  const auto refused = r.UntilOp<AppendFailed>(StartAppend(r, "log.a", "lost"));
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->error.code, Code::kNotFound);

  StreamConfig next;
  next.name = "LOG_2";
  next.subjects = {"log.*"};
  const OpId op = r.NextOp();
  r->EnsureStreams(op, {next});
  ASSERT_TRUE(r.UntilOp<StreamsReady>(op));
  EXPECT_EQ(StreamOf(r, "log.a"), "LOG_2");
  const auto appended = r.UntilOp<Appended>(StartAppend(r, "log.a", "new"));
  ASSERT_TRUE(appended);
  EXPECT_EQ(appended->stream, "LOG_2");
  EXPECT_EQ(appended->seq, 1U);
  // What was there stays, and is read on.
  EXPECT_TRUE(IsThere(r, "LOG", 1));
  EXPECT_EQ(StateOf(r, "LOG").last_seq, 1U);
  EXPECT_EQ(MustAppend(r, "closed.log", "x"), 2U);
  ASSERT_TRUE(r.UntilCount<Read>(2));
  EXPECT_EQ(ReadSeqs(r, kReader), (std::vector<std::uint64_t>{1, 2}));
}

TEST_P(BusContract, OtherSubjectsChangeNothingElse) {
  Recorder r(*fixture_, "a");
  MakeStreams(r);
  MustAppend(r, "small.a", "x");
  ASSERT_TRUE(Given(r, "SMALL", {"small.*", "more.*"}));
  ASSERT_TRUE(Given(r, "SMALL", {"more.*", "small.*"}));  // the same
  EXPECT_EQ(StateOf(r, "SMALL").bytes_max, 4096);
  EXPECT_EQ(MustAppend(r, "more.a", "x"), 2U);
  const auto refused = r.UntilOp<AppendFailed>(StartAppend(r, "more.a", std::string(2000, 'x')));
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->error.code, Code::kResource);
}

TEST_P(BusContract, SubjectsThatCannotBeGiven) {
  Recorder r(*fixture_, "a");
  MakeStreams(r);
  const OpId taken = r.NextOp();
  r->SetSubjects(taken, "LOG", {"log.*", "kept.a"});
  EXPECT_EQ(FailedWith(r, taken), Code::kPrecondition);
  const OpId missing = r.NextOp();
  r->SetSubjects(missing, "NONE", {"none"});
  EXPECT_EQ(FailedWith(r, missing), Code::kNotFound);
  const OpId none = r.NextOp();
  r->SetSubjects(none, "LOG", {});
  EXPECT_EQ(FailedWith(r, none), Code::kInvalid);
  EXPECT_EQ(MustAppend(r, "log.a", "x"), 1U);
  EXPECT_EQ(StreamOf(r, "kept.a"), "KEPT");
}

TEST_P(BusContract, OnlyOneSubjectCanBeLookedFor) {
  Recorder r(*fixture_, "a");
  MakeStreams(r);
  EXPECT_EQ(StreamOf(r, "kept.b"), "KEPT");
  EXPECT_EQ(StreamOf(r, "kept"), "");
  EXPECT_EQ(StreamOf(r, "log.a.b"), "");
  for (const char* bad : {"log.*", ">", "", "log..a"}) {
    const OpId op = r.NextOp();
    r->FindStream(op, bad);
    EXPECT_EQ(FailedWith(r, op), Code::kInvalid) << bad;
  }
}

// ---- without a connection -----------------------------------------------------------------------

TEST_P(BusContract, WithoutAConnectionStreamsAreOutOfReach) {
  Recorder r(*fixture_, "a");
  MakeStreams(r);
  const auto start = [&r] {
    std::vector<OpId> ops;
    for (int i = 0; i < 4; ++i) ops.push_back(r.NextOp());
    r->Purge(ops[0], "LOG", 1);
    r->SetSubjects(ops[1], "LOG", {"log.>"});
    r->FindStream(ops[2], "log.a");
    r->DeleteStream(ops[3], "KEPT");
    return ops;
  };
  const std::vector<OpId> in_flight = start();
  fixture_->KillServer();
  ASSERT_TRUE(r.UntilCount<Disconnected>(1));
  for (const OpId op : in_flight) {  // each ends, and only once
    ASSERT_TRUE(fixture_->Until([&] { return r.EndOf(op).has_value(); })) << op;
    const auto end = *r.EndOf(op);
    if (const auto* failed = std::get_if<OpFailed>(&end)) {
      EXPECT_TRUE(failed->error.code == Code::kUnavailable || failed->error.code == Code::kTimedOut)
          << failed->error.Text();
    }
  }
  const std::vector<OpId> away = start();
  for (const OpId op : away) EXPECT_EQ(FailedWith(r, op), Code::kUnavailable);
  fixture_->StartServer();
  ASSERT_TRUE(r.UntilCount<Connected>(2));
  for (const OpId op : start()) {
    ASSERT_TRUE(fixture_->Until([&] { return r.EndOf(op).has_value(); }));
    EXPECT_FALSE(r.UntilOp<OpFailed>(op));
  }
}

}  // namespace cube::bus
