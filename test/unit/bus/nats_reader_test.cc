// The reader's state machine against a server that does everything at the worst moment.
#include "shared/bus/nats_reader.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace cube::bus {
namespace {

using namespace std::chrono_literals;  // NOLINT: durations read better so

MonoTime At(Duration d) { return MonoTime(1h) + d; }

StreamAnswer Stream(std::uint64_t first, std::uint64_t last, bool rolling = false) {
  StreamAnswer answer;
  answer.state.name = "LOG";
  answer.state.first_seq = first;
  answer.state.last_seq = last;
  answer.rolling = rolling;
  return answer;
}

class NatsReaderTest : public testing::Test {
 protected:
  // Until the consumer is made; `first` and `last` are what the stream holds.
  void Open(std::uint64_t first = 1, std::uint64_t last = 100, bool rolling = false) {
    ReaderActions actions;
    reader_.Up(now_, actions);
    ASSERT_EQ(Has<ReaderActions::AskStream>(actions), 1U);
    Make(first, last, rolling);
  }
  void Make(std::uint64_t first, std::uint64_t last, bool rolling = false) {
    ReaderActions known;
    reader_.StreamKnown(reader_.generation(), Stream(first, last, rolling), now_, known);
    ASSERT_EQ(Has<ReaderActions::MakeConsumer>(known), 1U);
    from_ = std::get<ReaderActions::MakeConsumer>(known.list.back()).spec.from_seq;
    ReaderActions made;
    reader_.ConsumerMade(reader_.generation(), {}, now_, made);
    Note(made);
    consumer_seq_ = 0;
  }
  void Credit(std::uint32_t messages) {
    ReaderActions actions;
    reader_.Credit(messages, now_, actions);
    Note(actions);
  }
  ReaderActions Deliver(std::uint64_t stream_seq, std::uint64_t consumer_seq) {
    const std::string consumer = reader_.consumer();
    ReaderActions actions;
    reader_.Delivered({"LOG", consumer, stream_seq, consumer_seq, 1, 77}, now_, actions, [&] {
      StreamMessage message;
      message.seq = stream_seq;
      return message;
    });
    Note(actions);
    return actions;
  }
  ReaderActions Deliver(std::uint64_t stream_seq) { return Deliver(stream_seq, ++consumer_seq_); }
  void Note(const ReaderActions& actions) {
    for (const auto& action : actions.list) {
      if (const auto* pull = std::get_if<ReaderActions::SendPull>(&action)) {
        asked_ += pull->batch;
        token_ = pull->token;
      } else if (const auto* event = std::get_if<Event>(&action)) {
        if (const auto* read = std::get_if<Read>(event)) {
          seen_.push_back(read->message.seq);
          EXPECT_EQ(read->behind, 77U);
        }
        if (const auto* failed = std::get_if<ReadFailed>(event)) failed_ = failed->error.code;
      }
    }
  }
  template <class T>
  static std::size_t Has(const ReaderActions& actions) {
    return static_cast<std::size_t>(
        std::count_if(actions.list.begin(), actions.list.end(),
                      [](const auto& a) { return std::holds_alternative<T>(a); }));
  }

  MonoTime now_ = At(0s);
  NatsReader reader_{7, "LOG", 5, "tag", 1};
  std::uint64_t from_ = 0;
  std::uint64_t consumer_seq_ = 0;
  std::uint64_t asked_ = 0;
  std::uint64_t token_ = 0;
  std::vector<std::uint64_t> seen_;
  std::optional<Code> failed_;
};

TEST_F(NatsReaderTest, AsksForWhatTheCreditAllows) {
  Credit(10);
  Open();
  EXPECT_EQ(from_, 5U);
  EXPECT_EQ(asked_, 10U);
  for (std::uint64_t s = 5; s < 9; ++s) Deliver(s);
  EXPECT_EQ(seen_, (std::vector<std::uint64_t>{5, 6, 7, 8}));
  EXPECT_EQ(asked_, 10U);
  Credit(4);  // six of ten still on their way: more than half
  EXPECT_EQ(asked_, 10U);
  Deliver(9);
  EXPECT_EQ(asked_, 10U);
  Deliver(10);  // four on their way, eight allowed
  EXPECT_EQ(asked_, 14U);
}

TEST_F(NatsReaderTest, AHoleInTheDeliveryBeginsAnewAtTheNextWanted) {
  Credit(10);
  Open();
  Deliver(5);
  const auto actions = Deliver(7, 3);  // consumer sequence 2 never came
  EXPECT_EQ(Has<ReaderActions::DropConsumer>(actions), 1U);
  EXPECT_EQ(seen_, (std::vector<std::uint64_t>{5}));
  ReaderActions again;
  reader_.Tick(reader_.deadline(), again);
  ASSERT_EQ(Has<ReaderActions::AskStream>(again), 1U);
  Make(1, 100);
  EXPECT_EQ(from_, 6U);
  Deliver(6);
  EXPECT_EQ(seen_, (std::vector<std::uint64_t>{5, 6}));
}

TEST_F(NatsReaderTest, MessagesOfAnOlderConsumerAreIgnored) {
  Credit(10);
  Open();
  const std::string old = reader_.consumer();
  reader_.Down();
  ReaderActions up;
  reader_.Up(now_, up);
  Make(1, 100);
  ReaderActions actions;
  reader_.Delivered({"LOG", old, 5, 1, 1}, now_, actions, [] { return StreamMessage{}; });
  EXPECT_TRUE(actions.list.empty());
  Deliver(5);
  EXPECT_EQ(seen_, (std::vector<std::uint64_t>{5}));
}

TEST_F(NatsReaderTest, LateAnswersOfAnOlderLifeAreIgnored) {
  ReaderActions up;
  reader_.Up(now_, up);
  const auto old = reader_.generation();
  reader_.Down();
  reader_.Up(now_, up);
  ReaderActions late;
  reader_.StreamKnown(old, Fail(Code::kNotFound, "gone"), now_, late);
  EXPECT_TRUE(late.list.empty());
  EXPECT_FALSE(late.closed);
}

TEST_F(NatsReaderTest, APurgedStartIsDataLoss) {
  ReaderActions up;
  reader_.Up(now_, up);
  ReaderActions actions;
  reader_.StreamKnown(reader_.generation(), Stream(6, 100), now_, actions);
  Note(actions);
  EXPECT_TRUE(actions.closed);
  EXPECT_EQ(failed_, Code::kDataLoss);
}

TEST_F(NatsReaderTest, AJumpIsLookedAtBeforeItIsBelieved) {
  Credit(10);
  Open();
  Deliver(5);
  const auto jump = Deliver(9);  // 6 to 8 are missing
  EXPECT_EQ(Has<ReaderActions::AskStream>(jump), 1U);
  EXPECT_EQ(seen_, (std::vector<std::uint64_t>{5}));
  Make(1, 100);  // the stream still begins at 1: they were deleted singly
  EXPECT_EQ(from_, 6U);
  Deliver(9);
  EXPECT_EQ(seen_, (std::vector<std::uint64_t>{5, 9}));
}

TEST_F(NatsReaderTest, AJumpOverAPurgeIsDataLoss) {
  Credit(10);
  Open();
  Deliver(5);
  Deliver(9);
  ReaderActions actions;
  reader_.StreamKnown(reader_.generation(), Stream(9, 100), now_, actions);
  Note(actions);
  EXPECT_EQ(failed_, Code::kDataLoss);
}

TEST_F(NatsReaderTest, RollingStreamsJumpFreely) {
  Credit(10);
  Open(20, 100, true);
  Deliver(20);
  Deliver(25);
  EXPECT_EQ(seen_, (std::vector<std::uint64_t>{20, 25}));
}

TEST_F(NatsReaderTest, AnExpiredPullIsRepeated) {
  Credit(10);
  Open();
  Deliver(5);
  ReaderActions actions;
  reader_.PullStatus(token_, 408, 9, now_, actions);
  Note(actions);
  EXPECT_EQ(Has<ReaderActions::SendPull>(actions), 1U);
  EXPECT_EQ(asked_, 19U);
}

TEST_F(NatsReaderTest, AConflictMakesAnotherConsumer) {
  Credit(10);
  Open();
  ReaderActions actions;
  reader_.PullStatus(token_, 409, -1, now_, actions);
  EXPECT_EQ(Has<ReaderActions::DropConsumer>(actions), 1U);
  EXPECT_NE(reader_.deadline(), MonoTime::max());
}

TEST_F(NatsReaderTest, SilenceMakesAnotherConsumerHeartbeatsDoNot) {
  Credit(10);
  Open();
  now_ += kPullSilenceMax - 1s;
  ReaderActions beat;
  reader_.PullStatus(token_, 100, -1, now_, beat);
  now_ += 2s;
  ReaderActions calm;
  reader_.Tick(now_, calm);
  EXPECT_TRUE(calm.list.empty());
  now_ += kPullSilenceMax;
  ReaderActions silent;
  reader_.Tick(now_, silent);
  EXPECT_EQ(Has<ReaderActions::DropConsumer>(silent), 1U);
}

TEST_F(NatsReaderTest, PausesGrowAndSuccessResetsThem) {
  ReaderActions up;
  reader_.Up(now_, up);
  Duration longest{0};
  for (int i = 0; i < 12; ++i) {
    ReaderActions actions;
    reader_.StreamKnown(reader_.generation(), Fail(Code::kUnavailable, "starting"), now_, actions);
    ASSERT_FALSE(actions.closed);
    longest = std::max(longest, reader_.deadline() - now_);
    now_ = reader_.deadline();
    reader_.Tick(now_, actions);
    ASSERT_EQ(Has<ReaderActions::AskStream>(actions), 1U);
  }
  EXPECT_GT(longest, 2s);
  EXPECT_LE(longest, 5s);
}

}  // namespace
}  // namespace cube::bus
