#include "services/cli/event_merge.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "shared/base/random.h"

namespace cube::cli {
namespace {

LogEntry At(Source source, std::uint64_t seq, std::int64_t time = 0) {
  return {source, seq, WallFromNanos(time), 0, false};
}

// "i1 f1 d1": the first letter of the stream and the sequence; '!' = foreign.
std::string Text(const std::vector<LogEntry>& entries) {
  std::string text;
  for (const auto& entry : entries) {
    const char letter = entry.source == Source::kIntents ? 'i'
                        : entry.source == Source::kFacts ? 'f'
                                                         : 'd';
    text += fmt::format("{}{}{}{}", text.empty() ? "" : " ", letter, entry.seq,
                        entry.foreign ? "!" : "");
  }
  return text;
}

DecisionOrder Order(std::uint64_t cycle, std::uint64_t intents, std::uint64_t facts) {
  return {{7, cycle}, {cycle == 1 ? 0u : 7u, cycle - 1}, intents, facts};
}

TEST(EventMerger, IntentsThenFactsThenTheDecisionThatFoldedThem) {
  EventMerger merger(1, 1);
  for (std::uint64_t i = 1; i <= 3; ++i) merger.AddIntent(At(Source::kIntents, i));
  for (std::uint64_t i = 1; i <= 2; ++i) merger.AddFact(At(Source::kFacts, i));
  merger.AddDecision(At(Source::kDecisions, 1), Order(1, 1, 0));
  merger.AddDecision(At(Source::kDecisions, 2), Order(2, 3, 2));
  EXPECT_EQ(Text(merger.Take()), "i1 d1 i2 i3 f1 f2 d2");
  EXPECT_TRUE(merger.empty());
}

TEST(EventMerger, ServersTimesDoNotCount) {
  EventMerger merger(1, 1);
  merger.AddIntent(At(Source::kIntents, 1, 900));
  merger.AddFact(At(Source::kFacts, 1, 5));
  merger.AddDecision(At(Source::kDecisions, 1, 100), Order(1, 1, 0));
  merger.AddDecision(At(Source::kDecisions, 2, 101), Order(2, 1, 1));
  EXPECT_EQ(Text(merger.Take()), "i1 d1 f1 d2");
}

TEST(EventMerger, ADecisionWaitsForWhatItCovers) {
  EventMerger merger(1, 1);
  merger.AddDecision(At(Source::kDecisions, 1), Order(1, 2, 1));
  merger.AddIntent(At(Source::kIntents, 1));
  EXPECT_EQ(Text(merger.Take()), "");
  merger.AddIntent(At(Source::kIntents, 2));
  EXPECT_EQ(Text(merger.Take()), "");
  merger.AddFact(At(Source::kFacts, 1));
  EXPECT_EQ(Text(merger.Take()), "i1 i2 f1 d1");
}

TEST(EventMerger, WhatWasBeforeTheFirstReadIsNotWaitedFor) {
  EventMerger merger(11, 6);
  merger.AddDecision(At(Source::kDecisions, 4), Order(4, 10, 5));
  merger.AddIntent(At(Source::kIntents, 11));
  merger.AddDecision(At(Source::kDecisions, 5), Order(5, 11, 5));
  EXPECT_EQ(Text(merger.Take()), "d4 i11 d5");
}

TEST(EventMerger, WhatNoDecisionCoversComesLastByTime) {
  EventMerger merger(1, 1);
  merger.AddIntent(At(Source::kIntents, 1, 10));
  merger.AddDecision(At(Source::kDecisions, 1, 20), Order(1, 1, 0));
  merger.AddIntent(At(Source::kIntents, 2, 40));
  merger.AddFact(At(Source::kFacts, 1, 30));
  EXPECT_EQ(Text(merger.Take()), "i1 d1");
  EXPECT_FALSE(merger.empty());
  EXPECT_EQ(Text(merger.TakeAll()), "f1 i2");
  EXPECT_TRUE(merger.empty());
}

TEST(EventMerger, AForeignDecisionOrdersNothing) {
  EventMerger merger(1, 1);
  merger.AddIntent(At(Source::kIntents, 1));
  merger.AddIntent(At(Source::kIntents, 2));
  merger.AddDecision(At(Source::kDecisions, 1), Order(1, 0, 0));
  merger.AddDecision(At(Source::kDecisions, 2), Order(2, 1, 0));
  // A deposed manager: names a message that is no longer the last one, and covers things to come.
  merger.AddDecision(At(Source::kDecisions, 3), {{99, 1}, {7, 1}, 1000, 1000});
  merger.AddDecision(At(Source::kDecisions, 4), Order(3, 2, 0));
  EXPECT_EQ(Text(merger.Take()), "d1 i1 d2 d3! i2 d4");
}

TEST(EventMerger, ReadingThatBeganWithAForeignDecisionRecovers) {
  EventMerger merger(1, 1);
  merger.AddDecision(At(Source::kDecisions, 8), {{99, 1}, {7, 3}, 0, 0});
  merger.AddDecision(At(Source::kDecisions, 9), Order(5, 0, 0));
  merger.AddDecision(At(Source::kDecisions, 10), Order(6, 0, 0));
  EXPECT_EQ(Text(merger.Take()), "d8 d9 d10");
}

// However the three streams' messages interleave on arrival, the order is the same.
TEST(EventMerger, TheOrderDoesNotDependOnArrival) {
  std::string expected;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    Random random(seed);
    EventMerger merger(1, 1);
    std::vector<LogEntry> taken;
    std::uint64_t intents = 1;
    std::uint64_t facts = 1;
    std::uint64_t decisions = 1;
    while (intents <= 20 || facts <= 30 || decisions <= 10) {
      const std::uint64_t pick = random.Below(4);
      if (pick == 0 && intents <= 20) merger.AddIntent(At(Source::kIntents, intents++));
      if (pick == 1 && facts <= 30) merger.AddFact(At(Source::kFacts, facts++));
      if (pick == 2 && decisions <= 10) {
        merger.AddDecision(At(Source::kDecisions, decisions),
                           Order(decisions, decisions * 2, decisions * 3));
        ++decisions;
      }
      if (pick == 3) {
        for (const auto& entry : merger.Take()) taken.push_back(entry);
      }
    }
    for (const auto& entry : merger.Take()) taken.push_back(entry);
    if (expected.empty()) expected = Text(taken);
    ASSERT_EQ(Text(taken), expected) << "seed " << seed;
  }
  EXPECT_EQ(expected.substr(0, 26), "i1 i2 f1 f2 f3 d1 i3 i4 f4");
}

}  // namespace
}  // namespace cube::cli
