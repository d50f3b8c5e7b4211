#include "services/manager/log_reader.h"

#include <gtest/gtest.h>

#include <map>

#include "services/manager/view_records.h"
#include "shared/wire/codec.h"
#include "test/support/cluster/log_writer.h"

namespace cube::manager {
namespace {

using wire::Subjects;

constexpr std::uint64_t kTerm = 11;

WallTime TimeOf(std::uint64_t seq) {
  return WallFromNanos(static_cast<std::int64_t>(1'000'000 + seq));
}

class LogReaderTest : public testing::Test {
 protected:
  LogReaderTest() { Open(); }

  // From here on by another reader, of an empty view.
  void Begin(LogReader::OfferAhead ahead) {
    reader_ = LogReader(Subjects(), std::move(ahead));
    view_ = View();
    warnings_ = 0;
    Open();
  }
  void Open() {
    reader_.Open(view_, ends_, out_);
    Look();
  }
  // Reads the operations: who reads what, and how much credit each reader was given.
  void Look() {
    for (Operation& operation : out_.Take()) {
      auto* call = std::get_if<bus::Operation>(&operation);
      if (call == nullptr) {
        ++warnings_;
      } else if (const auto* open = std::get_if<bus::OpenReader>(call)) {
        readers_[open->stream] = open->id;
        from_[open->stream] = open->from_seq;
      } else if (const auto* pull = std::get_if<bus::Pull>(call)) {
        credit_[pull->id] += pull->messages;
      } else if (const auto* close = std::get_if<bus::CloseReader>(call)) {
        closed_.push_back(close->id);
      }
    }
  }
  bool Arrives(const std::string& stream, std::uint64_t seq, const std::string& subject,
               std::string payload, std::uint64_t behind = 0) {
    bus::StreamMessage message;
    message.seq = seq;
    message.time = TimeOf(seq);
    message.subject = subject;
    message.payload = std::move(payload);
    return reader_.OnRead({readers_.at(stream), std::move(message), behind});
  }
  void Intent(std::uint64_t seq, const std::string& payload = "") {
    const auto spec = std::make_shared<const TaskSpec>(test::Spec("a"));
    const std::string id = "a-" + std::to_string(seq);
    Arrives(names_.IntentsStream(), seq, names_.TasksSubmit(),
            payload.empty() ? wire::EncodeSubmit({{TaskId::Trusted(id), spec}}) : payload);
  }
  void Joined(std::uint64_t seq, const std::string& node) {
    FactBatch batch{NodeName::Trusted(node), 5, 0, 1, {Fact{{}, NodeJoined{}}}};
    Arrives(names_.FactsStream(), seq, names_.Facts(node), wire::EncodeFacts(batch));
  }
  // The next message after `prev`, with intents and facts up to these.
  DecisionBatch Next(const DecisionBatch* prev, std::uint64_t intents, std::uint64_t facts) {
    DecisionBatch batch;
    batch.term = {1, kTerm};
    batch.cycle = prev == nullptr ? 1 : prev->cycle + 1;
    if (prev == nullptr) {
      batch.term_start = TermStart{"c", "m", 1, {}, {}};
    } else {
      batch.prev = prev->stamp();
    }
    batch.decided_at = TimeOf(100);
    if (intents != 0) batch.intents = {intents, TimeOf(intents), 0};
    if (facts != 0) batch.facts = {facts, TimeOf(facts), 0};
    return batch;
  }
  void Decision(std::uint64_t seq, const DecisionBatch& batch) {
    Arrives(names_.DecisionsStream(), seq, names_.Decisions(), wire::EncodeDecisions(batch));
  }
  std::size_t Follow(std::size_t max = 100) {
    const std::size_t count = reader_.Follow(view_, max, folded_, out_);
    Look();
    return count;
  }

  Subjects names_;
  LogEnds ends_;
  View view_;
  LogReader reader_{Subjects()};
  Operations out_;
  std::vector<FoldedIntents> folded_;
  std::map<std::string, bus::SubId> readers_;
  std::map<std::string, std::uint64_t> from_;
  std::map<bus::SubId, std::uint32_t> credit_;
  std::vector<bus::SubId> closed_;
  int warnings_ = 0;
};

TEST_F(LogReaderTest, OpensBehindThePositionsAndDropsWhatWasBuffered) {
  Intent(1);
  const auto before = readers_;
  view_.intents = {7, TimeOf(7), 0};
  view_.facts = {8, TimeOf(8), 0};
  view_.decision_seq = 9;
  Open();
  EXPECT_EQ(from_[names_.IntentsStream()], 8u);
  EXPECT_EQ(from_[names_.FactsStream()], 9u);
  EXPECT_EQ(from_[names_.DecisionsStream()], 10u);
  EXPECT_FALSE(reader_.HasIntents());
  EXPECT_EQ(closed_.size(), 3u);
  EXPECT_FALSE(reader_.OnRead({before.at(names_.IntentsStream()), {}})) << "of the reader before";
}

TEST_F(LogReaderTest, ABacklogIsMoreThanTheNextCycleTakes) {
  const std::string stream = names_.IntentsStream();
  EXPECT_FALSE(reader_.HasBacklog());
  Arrives(stream, 1, names_.TasksSubmit(), "{}", kIntentMessagesPerCycle);
  EXPECT_TRUE(reader_.HasBacklog()) << "it lies here, and as many behind it";
  reader_.TakeIntents(view_, folded_, out_);
  EXPECT_FALSE(reader_.HasBacklog()) << "the next cycle takes them all";
  Arrives(stream, 2, names_.TasksSubmit(), "{}", kIntentMessagesPerCycle + 1);
  reader_.TakeIntents(view_, folded_, out_);
  EXPECT_TRUE(reader_.HasBacklog());
  Open();
  EXPECT_FALSE(reader_.HasBacklog()) << "nothing is known of the stream that is read anew";
  std::uint64_t seq = 0;
  for (std::size_t i = 0; i <= 2 * kIntentMessagesPerCycle; ++i) Intent(view_.intents.seq + ++seq);
  reader_.TakeIntents(view_, folded_, out_);
  EXPECT_TRUE(reader_.HasBacklog()) << "all of them lie here";
  reader_.TakeIntents(view_, folded_, out_);
  EXPECT_FALSE(reader_.HasBacklog());
}

TEST_F(LogReaderTest, AFollowerFoldsADecisionOnlyWithItsIntentsAndFacts) {
  const DecisionBatch first = Next(nullptr, 1, 1);
  Decision(1, first);
  EXPECT_EQ(Follow(), 0u);
  Intent(1);
  EXPECT_EQ(Follow(), 0u) << "the fact is still to come";
  EXPECT_EQ(view_.valid_seq, 0u);
  Joined(1, "n1");
  EXPECT_EQ(Follow(), 1u);
  EXPECT_EQ(view_.valid_seq, 1u);
  EXPECT_EQ(view_.tasks.size(), 1u);
  EXPECT_EQ(view_.nodes.size(), 1u);
  ASSERT_EQ(folded_.size(), 1u);
  EXPECT_EQ(folded_[0].seq, 1u);
}

TEST_F(LogReaderTest, WhatADecisionDoesNotNameYetWaits) {
  Intent(1);
  Intent(2);
  Decision(1, Next(nullptr, 1, 0));
  EXPECT_EQ(Follow(), 1u);
  EXPECT_EQ(view_.intents.seq, 1u);
  EXPECT_TRUE(reader_.HasIntents());
}

TEST_F(LogReaderTest, IntentsAreFoldedBeforeFacts) {
  // Facts of one decision see the task that its intents bring, whatever arrived first.
  Joined(1, "n1");
  Intent(1);
  Decision(1, Next(nullptr, 1, 1));
  EXPECT_EQ(Follow(), 1u);
  EXPECT_EQ(view_.untold.size(), 1u);
}

TEST_F(LogReaderTest, FactsWaitUntilAllIntentsOfTheirDecisionAreHere) {
  Joined(1, "n1");
  Intent(1);
  Decision(1, Next(nullptr, 2, 1));
  EXPECT_EQ(Follow(), 0u);
  EXPECT_EQ(view_.intents.seq, 0u) << "perhaps the log does not have the other one any more";
  EXPECT_EQ(view_.facts.seq, 0u) << "folded before intent 2, which the leader has folded first";
  Intent(2);
  EXPECT_EQ(Follow(), 1u);
  EXPECT_EQ(view_.facts.seq, 1u);
}

TEST_F(LogReaderTest, ForeignDecisionsAreSkippedAndFoldNothing) {
  const DecisionBatch first = Next(nullptr, 0, 0);
  Decision(1, first);
  Intent(1);
  DecisionBatch stale = Next(&first, 1, 0);
  stale.prev.cycle = 77;  // continues something else
  Decision(2, stale);
  Arrives(names_.DecisionsStream(), 3, names_.Decisions(), "\xff\xff garbage");
  DecisionBatch other_time = Next(&first, 1, 0);
  other_time.intents.time = TimeOf(55);  // another intent had that sequence
  EXPECT_EQ(Follow(), 3u);
  EXPECT_EQ(view_.valid_seq, 1u);
  EXPECT_EQ(view_.decision_seq, 3u);
  EXPECT_EQ(view_.foreign_messages, 2u);
  EXPECT_EQ(view_.intents.seq, 0u);
  Decision(4, other_time);
  EXPECT_EQ(Follow(), 1u);
  EXPECT_EQ(view_.foreign_messages, 3u);
  Decision(5, Next(&first, 1, 0));
  EXPECT_EQ(Follow(), 1u);
  EXPECT_EQ(view_.valid_seq, 5u);
}

TEST_F(LogReaderTest, FollowingIsBounded) {
  DecisionBatch batch = Next(nullptr, 0, 0);
  Decision(1, batch);
  for (std::uint64_t seq = 2; seq <= 5; ++seq) {
    batch = Next(&batch, 0, 0);
    Decision(seq, batch);
  }
  EXPECT_EQ(Follow(2), 2u);
  EXPECT_EQ(view_.valid_seq, 2u);
  EXPECT_EQ(Follow(), 3u);
}

// More than is folded before another thread is awake, and larger than what is decoded ahead.
TEST_F(LogReaderTest, WhatIsDecodedAheadIsFoldedAlike) {
  constexpr std::uint64_t kMessages = 300;
  const auto read = [&](LogReader::OfferAhead by) {
    Begin(std::move(by));
    SetLoad load;
    load.node = NodeName::Trusted(std::string(50, 'n'));
    DecisionBatch batch;
    for (std::uint64_t seq = 1; seq <= kMessages; ++seq) {
      Intent(seq);
      if (seq % 7 == 0) {
        Arrives(names_.FactsStream(), seq, names_.Facts("n"), "\xff\xff garbage");
      } else {
        Joined(seq, "n" + std::to_string(seq));
      }
      batch = Next(seq == 1 ? nullptr : &batch, seq, seq);
      for (int i = 0; i < 100; ++i) {
        batch.items.emplace_back(load);
      }
      if (seq % 11 == 0) {
        Arrives(names_.DecisionsStream(), 2 * seq - 1, names_.Decisions(), "\xff\xff garbage");
      }
      Decision(2 * seq, batch);
    }
    EXPECT_EQ(Follow(2 * kMessages), kMessages + kMessages / 11);
    EXPECT_EQ(view_.valid_seq, 2 * kMessages);
    EXPECT_EQ(view_.tasks.size(), kMessages);
    EXPECT_EQ(warnings_, static_cast<int>(kMessages / 7 + kMessages / 11));
    return ViewBytes(view_);
  };
  WorkAhead ahead;
  const std::string with = read([&](const auto& work) { ahead.Offer(work); });
  EXPECT_EQ(with, read({}));
}

// A message that nobody waits for any more is let go of by the thread.
TEST_F(LogReaderTest, WhatIsDroppedWhileItIsDecodedHurtsNobody) {
  WorkAhead ahead;
  const auto offer = [&](const auto& work) { ahead.Offer(work); };
  for (int round = 0; round < 20; ++round) {
    Begin(offer);
    for (std::uint64_t seq = 1; seq <= 100; ++seq) Joined(seq, "n" + std::to_string(seq));
  }
  reader_.TakeFacts(view_, out_);
  EXPECT_EQ(view_.nodes.size() + view_.joining.size(), 200u);
}

TEST_F(LogReaderTest, OnlyWhereMuchLiesIsABoundedPartOfItOffered) {
  std::size_t offered = 0;
  Begin([&](const auto&) { ++offered; });
  const std::string garbage(kAheadBytes / 64, '\xff');
  for (std::uint64_t seq = 1; seq < kAheadFrom; ++seq) {
    Arrives(names_.FactsStream(), seq, names_.Facts("n"), garbage);
    Intent(seq);
  }
  EXPECT_EQ(offered, 0u);
  for (std::uint64_t seq = kAheadFrom; seq <= 100; ++seq) {
    Arrives(names_.FactsStream(), seq, names_.Facts("n"), garbage);
    Intent(seq);
  }
  EXPECT_EQ(offered, 64u);
  Begin([&](const auto&) { ++offered; });
  EXPECT_EQ(offered, 64u);
  for (std::uint64_t seq = 1; seq <= 100; ++seq) {
    Arrives(names_.FactsStream(), seq, names_.Facts("n"), garbage);
  }
  EXPECT_EQ(offered, 128u) << "what is dropped is not ahead any more";
  DecisionBatch batch = Next(nullptr, 0, 10);
  Decision(1, batch);
  EXPECT_EQ(Follow(), 1u);
  EXPECT_EQ(offered, 138u) << "ten were taken, so ten more are next";
}

TEST_F(LogReaderTest, FactsThatCannotBeReadMoveThePositionOnly) {
  Arrives(names_.FactsStream(), 1, names_.Facts("n1"), "\xff\xff");
  reader_.TakeFacts(view_, out_);
  Look();
  EXPECT_EQ(view_.facts.seq, 1u);
  EXPECT_EQ(view_.facts.time, TimeOf(1));
  EXPECT_EQ(warnings_, 1);
  EXPECT_TRUE(view_.nodes.empty());
}

TEST_F(LogReaderTest, ALeadersCycleTakesABoundedShareOfEach) {
  for (std::uint64_t seq = 1; seq <= kReadAheadMessages; ++seq) Intent(seq);
  reader_.TakeIntents(view_, folded_, out_);
  EXPECT_GT(view_.intents.seq, 0u);
  EXPECT_LT(view_.intents.seq, kReadAheadMessages);
  EXPECT_EQ(folded_.size(), view_.intents.seq);
}

TEST_F(LogReaderTest, ACycleTakesOneLargeIntentMessageAndNotTwo) {
  const std::string large = "[" + std::string(900'000, ' ') + R"({"id":"x","image":"i"}])";
  Intent(1, large);
  Intent(2, large);
  reader_.TakeIntents(view_, folded_, out_);
  EXPECT_EQ(view_.intents.seq, 1u);
  reader_.TakeIntents(view_, folded_, out_);
  EXPECT_EQ(view_.intents.seq, 2u);
}

TEST_F(LogReaderTest, CreditComesBackForWhatWasTakenSoReadingNeverStops) {
  const bus::SubId intents = readers_.at(names_.IntentsStream());
  EXPECT_EQ(credit_[intents], kReadAheadMessages);
  std::uint64_t arrived = 0;
  for (int round = 0; round < 20; ++round) {
    while (arrived < credit_[intents]) Intent(++arrived);
    while (reader_.HasIntents()) reader_.TakeIntents(view_, folded_, out_);
    Look();
    EXPECT_LE(credit_[intents] - arrived, kReadAheadMessages);
    EXPECT_GT(credit_[intents], arrived) << "stuck after " << arrived;
  }
}

TEST_F(LogReaderTest, ALeaderDropsItsOwnDecisionsAndSeesAnothers) {
  const DecisionBatch first = Next(nullptr, 0, 0);
  Decision(1, first);
  Decision(2, Next(&first, 0, 0));
  EXPECT_FALSE(reader_.DropDecisions(2, out_));
  Decision(3, first);
  EXPECT_TRUE(reader_.DropDecisions(2, out_));
}

TEST_F(LogReaderTest, WhatMayStillComeIsAwaitedThoughTheStreamEndedBeforeIt) {
  ends_ = {1, 0, 2, false};
  Open();
  const DecisionBatch first = Next(nullptr, 1, 0);
  Intent(1);
  Decision(1, first);
  Decision(2, Next(&first, 2, 0));
  EXPECT_EQ(Follow(), 1u);
  EXPECT_EQ(Follow(), 0u);
  Intent(2);
  EXPECT_EQ(Follow(), 1u);
  EXPECT_EQ(view_.valid_seq, 2u);
}

// A power cut has taken the second intent, and the decision that names it is still there.
TEST_F(LogReaderTest, ADecisionThatNamesWhatIsLostCountsNoMoreNorDoesWhatFollows) {
  ends_ = {1, 0, 3, true};
  Open();
  const DecisionBatch first = Next(nullptr, 1, 0);
  const DecisionBatch second = Next(&first, 2, 0);
  Intent(1);
  Decision(1, first);
  Decision(2, second);
  Decision(3, Next(&second, 2, 0));
  EXPECT_EQ(Follow(), 3u);
  EXPECT_EQ(view_.valid_seq, 1u);
  EXPECT_EQ(view_.decision_seq, 3u);
  EXPECT_EQ(view_.intents.seq, 1u) << "nothing beyond what counts is folded";
  EXPECT_EQ(view_.foreign_messages, 2u);
  EXPECT_NE(reader_.lost(), "");

  // The sequence is given away again; the next term goes on from the last decision that counts.
  Intent(2);
  DecisionBatch reset = Next(&first, 1, 0);
  reset.term = {2, kTerm + 1};
  reset.cycle = 1;
  reset.term_start = TermStart{"c", "m", 1, {}, "an intent is lost"};
  Decision(4, reset);
  EXPECT_EQ(Follow(), 1u);
  EXPECT_EQ(view_.valid_seq, 4u);
  EXPECT_EQ(view_.reset_epoch, 2u);
  EXPECT_EQ(reader_.lost(), "") << "and is told";
}

TEST_F(LogReaderTest, AnotherMessageAtThePositionThatADecisionNamesIsNotTheOneThatItMeans) {
  DecisionBatch first = Next(nullptr, 1, 0);
  first.intents.time += std::chrono::nanoseconds(1);
  Intent(1);
  Decision(1, first);
  EXPECT_EQ(Follow(), 1u);
  EXPECT_EQ(view_.valid_seq, 0u);
  EXPECT_EQ(view_.intents.seq, 0u);
  EXPECT_NE(reader_.lost(), "");
}

// Beyond where the streams ended when they were looked at, what is missing is on its way.
TEST_F(LogReaderTest, ADecisionThatCameSinceWaitsForWhatItNames) {
  ends_ = {0, 0, 0};
  Open();
  Decision(1, Next(nullptr, 1, 0));
  EXPECT_EQ(Follow(), 0u);
  EXPECT_EQ(reader_.lost(), "");
  Intent(1);
  EXPECT_EQ(Follow(), 1u);
}

}  // namespace
}  // namespace cube::manager
