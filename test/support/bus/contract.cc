#include "test/support/bus/contract.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>
#include <variant>

namespace cube::bus {
namespace {

using namespace std::chrono_literals;  // NOLINT: durations read better so

constexpr SubId kReader = 1'000;
constexpr SubId kSubscription = 2'000;

StreamConfig Log() {
  StreamConfig config;
  config.name = "LOG";
  config.subjects = {"log.*"};
  config.deny_delete = true;
  return config;
}
StreamConfig Kept() {
  StreamConfig config;
  config.name = "KEPT";
  config.subjects = {"kept.*"};
  config.messages_per_subject_max = 1;
  return config;
}
StreamConfig Small() {
  StreamConfig config;
  config.name = "SMALL";
  config.subjects = {"small.*"};
  config.bytes_max = 4096;
  config.message_bytes_max = 1024;
  return config;
}

std::vector<std::uint64_t> Range(std::uint64_t from, std::uint64_t to) {
  std::vector<std::uint64_t> out;
  for (std::uint64_t i = from; i <= to; ++i) out.push_back(i);
  return out;
}

}  // namespace

Recorder::Recorder(BusFixture& fixture, const std::string& name)
    : fixture_(fixture), bus_(fixture.Make(name, [this](Event event) {
        const std::lock_guard lock(mutex_);
        events_.push_back(std::move(event));
      })) {}

std::vector<Event> Recorder::Events() const {
  const std::lock_guard lock(mutex_);
  return events_;
}

std::optional<Event> Recorder::EndOf(OpId op) const {
  const std::lock_guard lock(mutex_);
  for (const Event& event : events_) {
    const OpId ended = std::visit(
        [](const auto& e) -> OpId {
          if constexpr (requires { e.op; }) return e.op;
          return 0;
        },
        event);
    if (ended == op) return event;
  }
  return std::nullopt;
}

void BusContract::SetUp() {
  fixture_ = GetParam()();
  ASSERT_NE(fixture_, nullptr) << "the world behind the bus could not be started";
}

void BusContract::MakeStreams(Recorder& r) {
  ASSERT_TRUE(r.UntilCount<Connected>(1));
  const OpId op = r.NextOp();
  r->EnsureStreams(op, {Log(), Kept(), Small()});
  ASSERT_TRUE(r.UntilOp<StreamsReady>(op));
}

OpId BusContract::StartAppend(Recorder& r, const std::string& subject, const std::string& payload) {
  AppendRequest request;
  request.op = r.NextOp();
  request.subject = subject;
  request.payload = payload;
  r->Append(request);
  return request.op;
}

std::uint64_t BusContract::MustAppend(Recorder& r, const std::string& subject,
                                      const std::string& payload) {
  const OpId op = StartAppend(r, subject, payload);
  const auto appended = r.UntilOp<Appended>(op);
  EXPECT_TRUE(appended) << "append to " << subject;
  return appended ? appended->seq : 0;
}

std::vector<std::uint64_t> BusContract::ReadSeqs(const Recorder& r, SubId reader) const {
  std::vector<std::uint64_t> seqs;
  for (const Read& read : r.All<Read>()) {
    if (read.reader == reader) seqs.push_back(read.message.seq);
  }
  return seqs;
}

// ---- connection ---------------------------------------------------------------------------------

TEST_P(BusContract, SaysOnceThatItIsConnected) {
  Recorder r(*fixture_, "a");
  ASSERT_TRUE(r.UntilCount<Connected>(1));
  MakeStreams(r);
  const auto connected = r.All<Connected>();
  ASSERT_EQ(connected.size(), 1U);
  EXPECT_TRUE(connected[0].first);
  EXPECT_TRUE(connected[0].server_version.starts_with("2.")) << connected[0].server_version;
  EXPECT_GE(connected[0].max_payload, 64 * 1024);
  EXPECT_EQ(r.Count<Disconnected>(), 0U);
}

TEST_P(BusContract, EachChangeOfTheConnectionIsOneEvent) {
  Recorder r(*fixture_, "a");
  ASSERT_TRUE(r.UntilCount<Connected>(1));
  for (std::size_t round = 1; round <= 2; ++round) {
    fixture_->KillServer();
    ASSERT_TRUE(r.UntilCount<Disconnected>(round));
    fixture_->StartServer();
    ASSERT_TRUE(r.UntilCount<Connected>(round + 1));
  }
  const auto connected = r.All<Connected>();
  ASSERT_EQ(connected.size(), 3U);
  EXPECT_FALSE(connected[1].first);
  EXPECT_EQ(r.Count<Disconnected>(), 2U);
  bool up = false;
  for (const Event& event : r.Events()) {
    if (std::holds_alternative<Connected>(event)) {
      EXPECT_FALSE(up);
      up = true;
    } else if (std::holds_alternative<Disconnected>(event)) {
      EXPECT_TRUE(up);
      up = false;
    }
  }
}

TEST_P(BusContract, ConnectsWhenTheServerComesLater) {
  fixture_->KillServer();
  Recorder r(*fixture_, "a");
  ASSERT_TRUE(r.UntilCount<Disconnected>(1));
  const OpId op = StartAppend(r, "log.a", "x");
  const auto failed = r.UntilOp<AppendFailed>(op);
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->error.code, Code::kUnavailable);
  fixture_->StartServer();
  ASSERT_TRUE(r.UntilCount<Connected>(1));
  EXPECT_TRUE(r.All<Connected>()[0].first);
}

// ---- streams ------------------------------------------------------------------------------------

TEST_P(BusContract, EnsuringStreamsTwiceIsFine) {
  Recorder r(*fixture_, "a");
  MakeStreams(r);
  MustAppend(r, "log.a", "x");
  MakeStreams(r);
  const OpId op = r.NextOp();
  r->GetState(op, "LOG");
  const auto state = r.UntilOp<GotState>(op);
  ASSERT_TRUE(state);
  EXPECT_EQ(state->state.name, "LOG");
  EXPECT_EQ(state->state.first_seq, 1U);
  EXPECT_EQ(state->state.last_seq, 1U);
  EXPECT_EQ(state->state.messages, 1U);
  EXPECT_GT(state->state.bytes, 0U);
  EXPECT_TRUE(IsSet(state->state.created));
}

TEST_P(BusContract, AnEmptyStreamBeginsAtItsFirstSequence) {
  Recorder r(*fixture_, "a");
  MakeStreams(r);
  const OpId op = r.NextOp();
  r->GetState(op, "LOG");
  const auto state = r.UntilOp<GotState>(op);
  ASSERT_TRUE(state);
  EXPECT_EQ(state->state.first_seq, 1U);
  EXPECT_EQ(state->state.last_seq, 0U);
}

TEST_P(BusContract, LimitsAreRaised) {
  Recorder r(*fixture_, "a");
  MakeStreams(r);
  StreamConfig small = Small();
  small.bytes_max = 1 << 20;
  small.message_bytes_max = 64 * 1024;
  const OpId op = r.NextOp();
  r->EnsureStreams(op, {small});
  ASSERT_TRUE(r.UntilOp<StreamsReady>(op));
  EXPECT_EQ(MustAppend(r, "small.a", std::string(8000, 'x')), 1U);
}

TEST_P(BusContract, AStreamOfAnotherShapeIsRefused) {
  Recorder r(*fixture_, "a");
  MakeStreams(r);
  StreamConfig other = Kept();
  other.messages_per_subject_max = -1;
  const OpId op = r.NextOp();
  r->EnsureStreams(op, {Log(), other});
  const auto failed = r.UntilOp<OpFailed>(op);
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->error.code, Code::kPrecondition);
  EXPECT_NE(failed->error.message.find("KEPT"), std::string::npos);
  EXPECT_NE(failed->error.message.find("max_msgs_per_subject"), std::string::npos);

  StreamConfig subjects = Log();
  subjects.subjects = {"log.*", "more.*"};
  const OpId second = r.NextOp();
  r->EnsureStreams(second, {subjects});
  const auto refused = r.UntilOp<OpFailed>(second);
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->error.code, Code::kPrecondition);
  EXPECT_NE(refused->error.message.find("subjects"), std::string::npos);

  StreamConfig overlapping = Log();
  overlapping.name = "THIRD";
  const OpId third = r.NextOp();
  r->EnsureStreams(third, {overlapping});
  const auto overlap = r.UntilOp<OpFailed>(third);
  ASSERT_TRUE(overlap);
  EXPECT_EQ(overlap->error.code, Code::kPrecondition);
}

TEST_P(BusContract, StateOfAMissingStreamIsNotFound) {
  Recorder r(*fixture_, "a");
  ASSERT_TRUE(r.UntilCount<Connected>(1));
  const OpId op = r.NextOp();
  r->GetState(op, "NONE");
  const auto failed = r.UntilOp<OpFailed>(op);
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->error.code, Code::kNotFound);
}

// ---- appending ----------------------------------------------------------------------------------

TEST_P(BusContract, AppendsAreAcknowledgedInOrder) {
  Recorder r(*fixture_, "a");
  MakeStreams(r);
  constexpr std::size_t kCount = 2000;
  std::vector<OpId> ops;
  for (std::size_t i = 0; i < kCount; ++i) ops.push_back(StartAppend(r, "log.a", "payload"));
  ASSERT_TRUE(r.UntilCount<Appended>(kCount));
  const auto appended = r.All<Appended>();
  ASSERT_EQ(appended.size(), kCount);
  for (std::size_t i = 0; i < kCount; ++i) {
    EXPECT_EQ(appended[i].op, ops[i]);
    EXPECT_EQ(appended[i].seq, i + 1);
    EXPECT_EQ(appended[i].stream, "LOG");
  }
}

TEST_P(BusContract, AnExpectedLastSequenceFences) {
  Recorder r(*fixture_, "a");
  MakeStreams(r);
  const auto append = [&](std::uint64_t expected) {
    AppendRequest request;
    request.op = r.NextOp();
    request.subject = "log.a";
    request.payload = "x";
    request.expected_last_seq = expected;
    r->Append(request);
    return request.op;
  };
  ASSERT_TRUE(r.UntilOp<Appended>(append(0)));  // 0 counts too: the stream is empty
  const auto stale = r.UntilOp<AppendFailed>(append(0));
  ASSERT_TRUE(stale);
  EXPECT_EQ(stale->error.code, Code::kAborted);
  const auto ahead = r.UntilOp<AppendFailed>(append(7));
  ASSERT_TRUE(ahead);
  EXPECT_EQ(ahead->error.code, Code::kAborted);
  const auto fits = r.UntilOp<Appended>(append(1));
  ASSERT_TRUE(fits);
  EXPECT_EQ(fits->seq, 2U);
}

TEST_P(BusContract, AnExpectedSubjectSequenceIsACompareAndSet) {
  Recorder r(*fixture_, "a");
  MakeStreams(r);
  const auto append = [&](std::uint64_t expected) {
    AppendRequest request;
    request.op = r.NextOp();
    request.subject = "kept.lease";
    request.payload = "x";
    request.expected_last_subject_seq = expected;
    r->Append(request);
    return request.op;
  };
  MustAppend(r, "kept.other", "y");
  const auto created = r.UntilOp<Appended>(append(0));
  ASSERT_TRUE(created);
  EXPECT_EQ(created->seq, 2U);
  const auto second = r.UntilOp<AppendFailed>(append(0));
  ASSERT_TRUE(second);
  EXPECT_EQ(second->error.code, Code::kAborted);
  EXPECT_TRUE(r.UntilOp<Appended>(append(2)));
}

TEST_P(BusContract, NoStreamTakesTheSubject) {
  Recorder r(*fixture_, "a");
  ASSERT_TRUE(r.UntilCount<Connected>(1));
  const auto failed = r.UntilOp<AppendFailed>(StartAppend(r, "nowhere.a", "x"));
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->error.code, Code::kNotFound);
}

TEST_P(BusContract, TooLargeIsRefused) {
  Recorder r(*fixture_, "a");
  MakeStreams(r);
  const auto max = static_cast<std::size_t>(r.All<Connected>()[0].max_payload);
  const auto server = r.UntilOp<AppendFailed>(StartAppend(r, "log.a", std::string(max + 1, 'x')));
  ASSERT_TRUE(server);
  EXPECT_EQ(server->error.code, Code::kResource);
  const auto stream = r.UntilOp<AppendFailed>(StartAppend(r, "small.a", std::string(2000, 'x')));
  ASSERT_TRUE(stream);
  EXPECT_EQ(stream->error.code, Code::kResource);
  const OpId request = r.NextOp();
  r->Request(request, "service", {}, std::string(max + 1, 'x'), 5s);
  const auto refused = r.UntilOp<OpFailed>(request);
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->error.code, Code::kResource);
  EXPECT_EQ(MustAppend(r, "log.a", "x"), 1U);  // the connection lives
}

TEST_P(BusContract, AFullStreamRefuses) {
  Recorder r(*fixture_, "a");
  MakeStreams(r);
  std::optional<AppendFailed> failed;
  for (int i = 0; i < 20 && !failed; ++i) {
    const OpId op = StartAppend(r, "small.a", std::string(500, 'x'));
    ASSERT_TRUE(fixture_->Until([&] { return r.EndOf(op).has_value(); }));
    failed = r.UntilOp<AppendFailed>(op);
  }
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->error.code, Code::kResource);
  const OpId op = r.NextOp();
  r->Get(op, "SMALL", 1);  // nothing was thrown out
  const auto got = r.UntilOp<Got>(op);
  ASSERT_TRUE(got);
  EXPECT_TRUE(got->message);
}

TEST_P(BusContract, TheServersOwnSubjectsAreNotForUs) {
  Recorder r(*fixture_, "a");
  MakeStreams(r);
  MustAppend(r, "log.a", "x");
  r->Publish("$JS.API.STREAM.PURGE.LOG", {}, "");
  const OpId request = r.NextOp();
  r->Request(request, "$JS.API.STREAM.PURGE.LOG", {}, "", 5s);
  const auto refused = r.UntilOp<OpFailed>(request);
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->error.code, Code::kInvalid);
  const auto append = r.UntilOp<AppendFailed>(StartAppend(r, "$JS.API.STREAM.PURGE.LOG", ""));
  ASSERT_TRUE(append);
  EXPECT_EQ(append->error.code, Code::kInvalid);
  const OpId op = r.NextOp();
  r->Get(op, "LOG", 1);
  const auto got = r.UntilOp<Got>(op);
  ASSERT_TRUE(got);
  EXPECT_TRUE(got->message);
}

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

// ---- core messages ------------------------------------------------------------------------------

TEST_P(BusContract, SubscriptionsTakeWildcardsAndGiveEverything) {
  Recorder publisher(*fixture_, "p");
  Recorder r(*fixture_, "s");
  ASSERT_TRUE(publisher.UntilCount<Connected>(1) && r.UntilCount<Connected>(1));
  r->Subscribe(kSubscription, "events.*.done", "");
  r->Subscribe(kSubscription + 1, "events.>", "");
  const OpId barrier = r.NextOp();
  r->GetState(barrier, "NONE");
  ASSERT_TRUE(r.UntilOp<OpFailed>(barrier));
  publisher->Publish("events.a.done", {{"Key", "value"}}, "one");
  publisher->Publish("events.a.b.done", {}, "two");
  publisher->Publish("other.a.done", {}, "three");
  publisher->Publish("events.z", {}, "");
  ASSERT_TRUE(r.UntilCount<Message>(4));
  std::vector<std::string> first;
  std::vector<std::string> second;
  for (const Message& m : r.All<Message>()) {
    (m.subscription == kSubscription ? first : second).push_back(m.subject + "=" + m.payload);
    EXPECT_TRUE(m.reply_to.empty());
    if (m.payload == "one") {
      EXPECT_EQ(m.headers, (Headers{{"Key", "value"}}));
    }
  }
  EXPECT_EQ(first, (std::vector<std::string>{"events.a.done=one"}));
  EXPECT_EQ(second,
            (std::vector<std::string>{"events.a.done=one", "events.a.b.done=two", "events.z="}));
}

TEST_P(BusContract, AfterTheEndOfASubscriptionNothingComes) {
  Recorder r(*fixture_, "a");
  ASSERT_TRUE(r.UntilCount<Connected>(1));
  r->Subscribe(kSubscription, "x.>", "");
  r->Subscribe(kSubscription + 1, "x.>", "");
  r->Publish("x.1", {}, "1");
  ASSERT_TRUE(r.UntilCount<Message>(2));
  r->Unsubscribe(kSubscription);
  r->Publish("x.2", {}, "2");
  ASSERT_TRUE(r.UntilCount<Message>(3));
  r->Subscribe(kSubscription, "y.>", "");  // the id may be used again
  r->Publish("y.1", {}, "3");
  ASSERT_TRUE(r.UntilCount<Message>(4));
  const auto messages = r.All<Message>();
  EXPECT_EQ(messages[2].subscription, kSubscription + 1);
  EXPECT_EQ(messages[3].subscription, kSubscription);
  EXPECT_EQ(messages[3].subject, "y.1");
}

TEST_P(BusContract, SubscriptionsSurviveARestart) {
  Recorder publisher(*fixture_, "p");
  Recorder r(*fixture_, "s");
  ASSERT_TRUE(publisher.UntilCount<Connected>(1) && r.UntilCount<Connected>(1));
  r->Subscribe(kSubscription, "x.*", "");
  fixture_->KillServer();
  ASSERT_TRUE(publisher.UntilCount<Disconnected>(1) && r.UntilCount<Disconnected>(1));
  r->Subscribe(kSubscription + 1, "y.*", "");  // also one that begins while away
  fixture_->StartServer();
  ASSERT_TRUE(publisher.UntilCount<Connected>(2) && r.UntilCount<Connected>(2));
  publisher->Publish("x.1", {}, "1");
  publisher->Publish("y.1", {}, "2");
  ASSERT_TRUE(r.UntilCount<Message>(2));
}

TEST_P(BusContract, AQueueGroupSharesItsMessages) {
  Recorder publisher(*fixture_, "p");
  Recorder a(*fixture_, "a");
  Recorder b(*fixture_, "b");
  for (Recorder* r : {&publisher, &a, &b}) ASSERT_TRUE(r->UntilCount<Connected>(1));
  for (Recorder* r : {&a, &b}) {
    (*r)->Subscribe(kSubscription, "work", "group");
    const OpId barrier = r->NextOp();
    (*r)->GetState(barrier, "NONE");
    ASSERT_TRUE(r->UntilOp<OpFailed>(barrier));
  }
  constexpr std::size_t kCount = 200;
  for (std::size_t i = 0; i < kCount; ++i) publisher->Publish("work", {}, std::to_string(i));
  ASSERT_TRUE(fixture_->Until([&] { return a.Count<Message>() + b.Count<Message>() >= kCount; }));
  EXPECT_EQ(a.Count<Message>() + b.Count<Message>(), kCount);
  EXPECT_GT(a.Count<Message>(), 0U);
  EXPECT_GT(b.Count<Message>(), 0U);
}

TEST_P(BusContract, RequestsAreAnswered) {
  Recorder client(*fixture_, "c");
  Recorder service(*fixture_, "s");
  ASSERT_TRUE(client.UntilCount<Connected>(1) && service.UntilCount<Connected>(1));
  service->Subscribe(kSubscription, "service.*", "");
  const OpId barrier = service.NextOp();
  service->GetState(barrier, "NONE");
  ASSERT_TRUE(service.UntilOp<OpFailed>(barrier));
  const OpId op = client.NextOp();
  client->Request(op, "service.echo", {{"Question", "q"}}, "hello", 20s);
  ASSERT_TRUE(service.UntilCount<Message>(1));
  const Message asked = service.All<Message>()[0];
  EXPECT_EQ(asked.payload, "hello");
  EXPECT_EQ(asked.headers, (Headers{{"Question", "q"}}));
  ASSERT_TRUE(asked.reply_to.starts_with("_INBOX."));
  service->Publish(asked.reply_to, {{"Answer", "a"}}, "world");
  const auto replied = client.UntilOp<Replied>(op);
  ASSERT_TRUE(replied);
  EXPECT_EQ(replied->payload, "world");
  EXPECT_EQ(replied->headers, (Headers{{"Answer", "a"}}));
}

TEST_P(BusContract, ARequestToNobodyIsUnavailableAndToTheDeafTimesOut) {
  Recorder r(*fixture_, "a");
  ASSERT_TRUE(r.UntilCount<Connected>(1));
  const OpId nobody = r.NextOp();
  r->Request(nobody, "service.none", {}, "", 20s);
  const auto unavailable = r.UntilOp<OpFailed>(nobody);
  ASSERT_TRUE(unavailable);
  EXPECT_EQ(unavailable->error.code, Code::kUnavailable);
  r->Subscribe(kSubscription, "service.deaf", "");
  const OpId deaf = r.NextOp();
  r->Request(deaf, "service.deaf", {}, "", 50ms);
  const auto timed_out = r.UntilOp<OpFailed>(deaf);
  ASSERT_TRUE(timed_out);
  EXPECT_EQ(timed_out->error.code, Code::kTimedOut);
}

TEST_P(BusContract, WhatIsPublishedToAStreamsSubjectIsStoredToo) {
  Recorder r(*fixture_, "a");
  MakeStreams(r);
  r->Subscribe(kSubscription, "log.*", "");
  r->Publish("log.a", {}, "plain");
  ASSERT_TRUE(r.UntilCount<Message>(1));
  EXPECT_EQ(MustAppend(r, "log.a", "second"), 2U);
}

TEST_P(BusContract, StoredMessagesReachLiveListenersWithoutAReply) {
  Recorder r(*fixture_, "a");
  MakeStreams(r);
  r->Subscribe(kSubscription, "log.*", "");
  MustAppend(r, "log.a", "x");
  ASSERT_TRUE(r.UntilCount<Message>(1));
  EXPECT_EQ(r.All<Message>()[0].payload, "x");
}

}  // namespace cube::bus
