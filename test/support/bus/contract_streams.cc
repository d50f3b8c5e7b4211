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
  fixture_->DeleteStream("LOG");
  ASSERT_TRUE(r.UntilCount<ReadFailed>(1));
  EXPECT_EQ(r.All<ReadFailed>()[0].reader, kReader + 1);
  EXPECT_EQ(r.All<ReadFailed>()[0].error.code, Code::kNotFound);
  r->Pull(kReader, 1);
  ASSERT_TRUE(r.UntilCount<ReadFailed>(2));
  EXPECT_EQ(r.All<ReadFailed>()[1].reader, kReader);
  EXPECT_EQ(r.All<ReadFailed>()[1].error.code, Code::kNotFound);
}

// ---- without a connection -----------------------------------------------------------------------

TEST_P(BusContract, WithoutAConnectionNothingIsPurged) {
  Recorder r(*fixture_, "a");
  MakeStreams(r);
  MustAppend(r, "log.a", "x");
  const auto start = [&r] {
    const OpId op = r.NextOp();
    r->Purge(op, "LOG", 1);
    return op;
  };
  const OpId in_flight = start();
  fixture_->KillServer();
  ASSERT_TRUE(r.UntilCount<Disconnected>(1));
  ASSERT_TRUE(fixture_->Until([&] { return r.EndOf(in_flight).has_value(); }));
  const auto end = *r.EndOf(in_flight);  // it ends, in whatever way, and only once
  if (const auto* failed = std::get_if<OpFailed>(&end)) {
    EXPECT_TRUE(failed->error.code == Code::kUnavailable || failed->error.code == Code::kTimedOut)
        << failed->error.Text();
  }
  EXPECT_EQ(FailedWith(r, start()), Code::kUnavailable);
  fixture_->StartServer();
  ASSERT_TRUE(r.UntilCount<Connected>(2));
  EXPECT_TRUE(Purged(r, "LOG", 1));
  EXPECT_FALSE(IsThere(r, "LOG", 1));
}

}  // namespace cube::bus
