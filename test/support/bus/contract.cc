#include "test/support/bus/contract.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>
#include <variant>

namespace cube::bus {
namespace {

using namespace std::chrono_literals;  // NOLINT: durations read better so

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

TEST_P(BusContract, AStreamTellsItsLimits) {
  Recorder r(*fixture_, "a");
  MakeStreams(r);
  for (const auto& [stream, bytes_max] :
       {std::pair<std::string, std::int64_t>{"SMALL", 4096}, {"KEPT", -1}}) {
    const OpId op = r.NextOp();
    r->GetState(op, stream);
    const auto state = r.UntilOp<GotState>(op);
    ASSERT_TRUE(state);
    EXPECT_EQ(state->state.bytes_max, bytes_max);
    EXPECT_EQ(state->state.replicas, 1);
  }
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

}  // namespace cube::bus
