// The contract of bus::Bus: reading streams.
#include <optional>
#include <set>
#include <utility>

#include "test/support/bus/contract.h"

namespace cube::bus {
namespace {

constexpr SubId kReader = 1'000;

std::vector<std::uint64_t> Range(std::uint64_t from, std::uint64_t to) {
  std::vector<std::uint64_t> out;
  for (std::uint64_t i = from; i <= to; ++i) out.push_back(i);
  return out;
}

}  // namespace

// ---- reading ------------------------------------------------------------------------------------

TEST_P(BusContract, GetsStoredMessages) {
  Recorder r(*fixture_, "a");
  MakeStreams(r);
  AppendRequest request;
  request.op = r.NextOp();
  request.subject = "log.a";
  request.headers = {{"Cube-Summary", "one, two: three"}};
  request.payload = std::string("\0\xff bytes", 8);
  r->Append(request);
  ASSERT_TRUE(r.UntilOp<Appended>(request.op));
  MustAppend(r, "log.b", "second");

  const OpId by_seq = r.NextOp();
  r->Get(by_seq, "LOG", 1);
  const auto got = r.UntilOp<Got>(by_seq);
  ASSERT_TRUE(got);
  ASSERT_TRUE(got->message);
  EXPECT_EQ(got->message->stream, "LOG");
  EXPECT_EQ(got->message->seq, 1U);
  EXPECT_EQ(got->message->subject, "log.a");
  EXPECT_EQ(got->message->payload, request.payload);
  EXPECT_EQ(got->message->headers, request.headers);
  EXPECT_TRUE(IsSet(got->message->time));

  const OpId last = r.NextOp();
  r->GetLast(last, "LOG", "log.b");
  const auto newest = r.UntilOp<Got>(last);
  ASSERT_TRUE(newest);
  ASSERT_TRUE(newest->message);
  EXPECT_EQ(newest->message->seq, 2U);
  EXPECT_EQ(newest->message->payload, "second");

  const OpId none = r.NextOp();
  r->Get(none, "LOG", 3);
  const auto nothing = r.UntilOp<Got>(none);
  ASSERT_TRUE(nothing);
  EXPECT_FALSE(nothing->message);
  const OpId nobody = r.NextOp();
  r->GetLast(nobody, "LOG", "log.c");
  const auto no_subject = r.UntilOp<Got>(nobody);
  ASSERT_TRUE(no_subject);
  EXPECT_FALSE(no_subject->message);
  const OpId missing = r.NextOp();
  r->Get(missing, "NONE", 1);
  const auto failed = r.UntilOp<OpFailed>(missing);
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->error.code, Code::kNotFound);
}

TEST_P(BusContract, ReadsFromAnySequenceWhatIsThereAndWhatComes) {
  Recorder r(*fixture_, "a");
  MakeStreams(r);
  for (int i = 1; i <= 20; ++i) MustAppend(r, "log.a", std::to_string(i));
  r->OpenReader(kReader, "LOG", 1);
  r->OpenReader(kReader + 1, "LOG", 15);
  r->OpenReader(kReader + 2, "LOG", 21);  // the next to come
  for (SubId id = kReader; id < kReader + 3; ++id) r->Pull(id, 100);
  ASSERT_TRUE(fixture_->Until([&] { return r.Count<Read>() >= 26; }));
  AppendRequest request;
  request.op = r.NextOp();
  request.subject = "log.b";
  request.headers = {{"Key", "value"}};
  request.payload = "21";
  r->Append(request);
  ASSERT_TRUE(fixture_->Until([&] { return r.Count<Read>() >= 29; }));
  EXPECT_EQ(ReadSeqs(r, kReader), Range(1, 21));
  EXPECT_EQ(ReadSeqs(r, kReader + 1), Range(15, 21));
  EXPECT_EQ(ReadSeqs(r, kReader + 2), Range(21, 21));
  for (const Read& read : r.All<Read>()) {
    EXPECT_EQ(read.message.payload, std::to_string(read.message.seq));
    EXPECT_EQ(read.message.stream, "LOG");
    EXPECT_TRUE(IsSet(read.message.time));
    if (read.message.seq == 21) {
      EXPECT_EQ(read.message.headers, request.headers);
      EXPECT_EQ(read.message.subject, "log.b");
    }
  }
}

TEST_P(BusContract, ReadingAndGettingShowTheSameStamp) {
  Recorder r(*fixture_, "a");
  MakeStreams(r);
  MustAppend(r, "log.a", "x");
  r->OpenReader(kReader, "LOG", 1);
  r->Pull(kReader, 1);
  const OpId op = r.NextOp();
  r->Get(op, "LOG", 1);
  const auto got = r.UntilOp<Got>(op);
  ASSERT_TRUE(got && got->message);
  ASSERT_TRUE(r.UntilCount<Read>(1));
  EXPECT_EQ(ToNanos(got->message->time), ToNanos(r.All<Read>()[0].message.time));
}

TEST_P(BusContract, GivesNoMoreThanTheCredit) {
  Recorder r(*fixture_, "a");
  MakeStreams(r);
  for (int i = 1; i <= 10; ++i) MustAppend(r, "log.a", "x");
  r->OpenReader(kReader, "LOG", 1);
  // A second reader shows that the server has had its turn.
  const auto settle = [&](SubId other) {
    r->OpenReader(other, "LOG", 1);
    r->Pull(other, 10);
    EXPECT_TRUE(fixture_->Until([&] { return ReadSeqs(r, other).size() == 10; }));
  };
  settle(kReader + 1);
  EXPECT_TRUE(ReadSeqs(r, kReader).empty());
  r->Pull(kReader, 3);
  ASSERT_TRUE(fixture_->Until([&] { return ReadSeqs(r, kReader).size() >= 3; }));
  settle(kReader + 2);
  EXPECT_EQ(ReadSeqs(r, kReader), Range(1, 3));
  r->Pull(kReader, 1);
  r->Pull(kReader, 1);
  ASSERT_TRUE(fixture_->Until([&] { return ReadSeqs(r, kReader).size() >= 5; }));
  settle(kReader + 3);
  EXPECT_EQ(ReadSeqs(r, kReader), Range(1, 5));
  for (const Read& read : r.All<Read>()) EXPECT_EQ(read.behind, 10 - read.message.seq);
}

TEST_P(BusContract, ALongReadWithSmallCredit) {
  Recorder r(*fixture_, "a");
  MakeStreams(r);
  constexpr std::size_t kCount = 3000;
  for (std::size_t i = 0; i < kCount; ++i) StartAppend(r, "log.a", "x");
  ASSERT_TRUE(r.UntilCount<Appended>(kCount));
  r->OpenReader(kReader, "LOG", 1);
  r->Pull(kReader, 64);
  std::size_t granted = 64;
  std::size_t seen = 0;
  while (seen < kCount) {
    ASSERT_TRUE(fixture_->Until([&] { return r.Count<Read>() > seen; }));
    const std::size_t now_seen = r.Count<Read>();
    ASSERT_LE(now_seen, granted);
    r->Pull(kReader, static_cast<std::uint32_t>(now_seen - seen));
    granted += now_seen - seen;
    seen = now_seen;
  }
  EXPECT_EQ(ReadSeqs(r, kReader), Range(1, kCount));
}

TEST_P(BusContract, AClosedReaderIsSilentAndCanBeOpenedAgain) {
  Recorder r(*fixture_, "a");
  MakeStreams(r);
  for (int i = 1; i <= 5; ++i) MustAppend(r, "log.a", "x");
  r->OpenReader(kReader, "LOG", 1);
  r->Pull(kReader, 2);
  ASSERT_TRUE(fixture_->Until([&] { return ReadSeqs(r, kReader).size() >= 2; }));
  r->CloseReader(kReader);
  r->Pull(kReader, 10);
  r->OpenReader(kReader + 1, "LOG", 1);
  r->Pull(kReader + 1, 5);
  ASSERT_TRUE(fixture_->Until([&] { return ReadSeqs(r, kReader + 1).size() >= 5; }));
  EXPECT_EQ(ReadSeqs(r, kReader), Range(1, 2));
  r->OpenReader(kReader, "LOG", 4);
  r->Pull(kReader, 10);
  ASSERT_TRUE(fixture_->Until([&] { return ReadSeqs(r, kReader).size() >= 4; }));
  EXPECT_EQ(ReadSeqs(r, kReader), (std::vector<std::uint64_t>{1, 2, 4, 5}));
}

TEST_P(BusContract, OpeningAnOpenReaderReplacesIt) {
  Recorder r(*fixture_, "a");
  MakeStreams(r);
  for (int i = 1; i <= 5; ++i) MustAppend(r, "log.a", "x");
  r->OpenReader(kReader, "LOG", 5);
  r->OpenReader(kReader, "LOG", 2);
  r->Pull(kReader, 4);
  ASSERT_TRUE(fixture_->Until([&] { return ReadSeqs(r, kReader).size() >= 4; }));
  EXPECT_EQ(ReadSeqs(r, kReader), Range(2, 5));
}

TEST_P(BusContract, APurgedStartIsDataLoss) {
  Recorder r(*fixture_, "a");
  MakeStreams(r);
  for (int i = 1; i <= 10; ++i) MustAppend(r, "log.a", "x");
  fixture_->Purge("LOG", 6);
  r->OpenReader(kReader, "LOG", 5);
  r->Pull(kReader, 10);
  ASSERT_TRUE(r.UntilCount<ReadFailed>(1));
  EXPECT_EQ(r.All<ReadFailed>()[0].reader, kReader);
  EXPECT_EQ(r.All<ReadFailed>()[0].error.code, Code::kDataLoss);
  EXPECT_EQ(r.Count<Read>(), 0U);
  r->OpenReader(kReader, "LOG", 6);
  r->Pull(kReader, 10);
  ASSERT_TRUE(r.UntilCount<Read>(5));
  EXPECT_EQ(ReadSeqs(r, kReader), Range(6, 10));
}

TEST_P(BusContract, APurgeUnderASlowReaderIsDataLoss) {
  Recorder r(*fixture_, "a");
  MakeStreams(r);
  for (int i = 1; i <= 10; ++i) MustAppend(r, "log.a", "x");
  r->OpenReader(kReader, "LOG", 1);
  r->Pull(kReader, 2);
  ASSERT_TRUE(r.UntilCount<Read>(2));
  fixture_->Purge("LOG", 6);
  r->Pull(kReader, 10);
  ASSERT_TRUE(r.UntilCount<ReadFailed>(1));
  EXPECT_EQ(r.All<ReadFailed>()[0].error.code, Code::kDataLoss);
  EXPECT_EQ(ReadSeqs(r, kReader), Range(1, 2));
}

TEST_P(BusContract, APurgeOfWhatWasReadIsNoLoss) {
  Recorder r(*fixture_, "a");
  MakeStreams(r);
  for (int i = 1; i <= 5; ++i) MustAppend(r, "log.a", "x");
  r->OpenReader(kReader, "LOG", 1);
  r->Pull(kReader, 100);
  ASSERT_TRUE(r.UntilCount<Read>(5));
  fixture_->Purge("LOG", 6);
  for (int i = 6; i <= 8; ++i) MustAppend(r, "log.a", "x");
  ASSERT_TRUE(r.UntilCount<Read>(8));
  EXPECT_EQ(ReadSeqs(r, kReader), Range(1, 8));
  EXPECT_EQ(r.Count<ReadFailed>(), 0U);
}

TEST_P(BusContract, OfAStreamThatKeepsTheNewestGapsAreRead) {
  Recorder r(*fixture_, "a");
  MakeStreams(r);
  MustAppend(r, "kept.a", "1");
  MustAppend(r, "kept.b", "2");
  MustAppend(r, "kept.a", "3");
  MustAppend(r, "kept.a", "4");
  r->OpenReader(kReader, "KEPT", 1);
  r->Pull(kReader, 10);
  ASSERT_TRUE(r.UntilCount<Read>(2));
  MustAppend(r, "kept.b", "5");
  ASSERT_TRUE(r.UntilCount<Read>(3));
  EXPECT_EQ(ReadSeqs(r, kReader), (std::vector<std::uint64_t>{2, 4, 5}));
  EXPECT_EQ(r.Count<ReadFailed>(), 0U);
}

TEST_P(BusContract, AMissingStreamCannotBeRead) {
  Recorder r(*fixture_, "a");
  ASSERT_TRUE(r.UntilCount<Connected>(1));
  r->OpenReader(kReader, "NONE", 1);
  r->Pull(kReader, 1);
  ASSERT_TRUE(r.UntilCount<ReadFailed>(1));
  EXPECT_EQ(r.All<ReadFailed>()[0].error.code, Code::kNotFound);
}

TEST_P(BusContract, ADeletedStreamEndsItsReaders) {
  Recorder r(*fixture_, "a");
  MakeStreams(r);
  MustAppend(r, "log.a", "x");
  r->OpenReader(kReader, "LOG", 1);
  r->Pull(kReader, 10);
  ASSERT_TRUE(r.UntilCount<Read>(1));
  fixture_->DeleteStream("LOG");
  ASSERT_TRUE(r.UntilCount<ReadFailed>(1));
  EXPECT_EQ(r.All<ReadFailed>()[0].error.code, Code::kNotFound);
}

TEST_P(BusContract, AReaderSurvivesARestartWithoutGapOrRepeat) {
  Recorder r(*fixture_, "a");
  MakeStreams(r);
  std::uint64_t stored = 0;
  r->OpenReader(kReader, "LOG", 1);
  r->Pull(kReader, 1'000'000);
  for (std::size_t round = 1; round <= 3; ++round) {
    for (int i = 0; i < 300; ++i) StartAppend(r, "log.a", "x");
    const std::size_t before = r.Count<Appended>() + r.Count<AppendFailed>();
    fixture_->Until([&] { return r.Count<Appended>() + r.Count<AppendFailed>() > before; });
    fixture_->KillServer();
    ASSERT_TRUE(r.UntilCount<Disconnected>(round));
    fixture_->StartServer();
    ASSERT_TRUE(r.UntilCount<Connected>(round + 1));
  }
  for (int i = 0; i < 10; ++i) stored = MustAppend(r, "log.a", "x");
  ASSERT_GT(stored, 10U);
  ASSERT_TRUE(fixture_->Until([&] { return ReadSeqs(r, kReader).size() >= stored; }));
  EXPECT_EQ(ReadSeqs(r, kReader), Range(1, stored));
  // Each append ended once, and what was acknowledged is in the stream.
  EXPECT_EQ(r.Count<Appended>() + r.Count<AppendFailed>(), 910U);
  for (const AppendFailed& failed : r.All<AppendFailed>()) {
    EXPECT_TRUE(failed.error.code == Code::kTimedOut || failed.error.code == Code::kUnavailable)
        << failed.error.Text();
  }
  std::set<std::uint64_t> acknowledged;
  for (const Appended& appended : r.All<Appended>()) {
    EXPECT_TRUE(acknowledged.insert(appended.seq).second);
    EXPECT_LE(appended.seq, stored);
  }
}

}  // namespace cube::bus
