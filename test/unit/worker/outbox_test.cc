#include "services/worker/outbox.h"

#include <gtest/gtest.h>

namespace cube::worker {
namespace {

NumberedFact Left(std::uint64_t number) { return {number, {WallTime{}, NodeLeft{}}}; }
EncodedFact Big(std::uint64_t number, std::size_t bytes) {
  return {number, std::string(bytes, 'x')};
}

TEST(Outbox, GivesBatchesInOrderUntilAcked) {
  Outbox outbox(0, 0);
  EXPECT_TRUE(outbox.empty());
  for (std::uint64_t n = 1; n <= 3; ++n) outbox.Add(Encoded(Left(n)));
  EXPECT_EQ(outbox.NextBatch().size(), 3u);
  EXPECT_EQ(outbox.NextBatch().size(), 3u);
  EXPECT_EQ(outbox.Acked(2), (std::vector<std::uint64_t>{1, 2}));
  ASSERT_EQ(outbox.NextBatch().size(), 1u);
  EXPECT_EQ(outbox.NextBatch()[0]->number, 3u);
  (void)outbox.Acked(3);
  EXPECT_TRUE(outbox.empty());
}

TEST(Outbox, ABatchEndsAtAGapInTheNumbers) {
  Outbox outbox(0, 0);
  outbox.Add(Encoded(Left(1)));
  outbox.Add(Encoded(Left(2)));
  outbox.Add(Encoded(Left(9)));
  EXPECT_EQ(outbox.NextBatch().size(), 2u);
  (void)outbox.Acked(2);
  EXPECT_EQ(outbox.NextBatch()[0]->number, 9u);
}

TEST(Outbox, BatchesAreLimitedInCountAndBytes) {
  Outbox outbox(0, 0);
  for (std::uint64_t n = 1; n <= kFactsPerMessageMax + 1; ++n) outbox.Add(Encoded(Left(n)));
  EXPECT_EQ(outbox.NextBatch().size(), kFactsPerMessageMax);
  outbox.Clear();
  for (std::uint64_t n = 1; n <= 10; ++n) outbox.Add(Big(n, kFactsBytesMax / 4));
  EXPECT_EQ(outbox.NextBatch().size(), 3u);
  outbox.Clear();
  outbox.Add(Big(1, kFactsBytesMax * 2));
  EXPECT_EQ(outbox.NextBatch().size(), 1u) << "one goes out whatever its size";
}

TEST(Outbox, ShrinksForAServerWithSmallMessages) {
  Outbox outbox(0, 0);
  for (std::uint64_t n = 1; n <= 8; ++n) outbox.Add(Encoded(Left(n)));
  for (int i = 0; i < 20; ++i) outbox.Shrink();
  EXPECT_EQ(outbox.NextBatch().size(), 1u);
  outbox.Restore();
  EXPECT_EQ(outbox.NextBatch().size(), 8u);
}

TEST(Outbox, SpillsToTheStoreAndReadsBack) {
  Outbox outbox(0, 0);
  const std::uint64_t last = kOutboxWindowMax + 10;
  for (std::uint64_t n = 1; n <= last; ++n) outbox.Add(Encoded(Left(n)));
  EXPECT_FALSE(outbox.ReadFrom()) << "no room yet";
  (void)outbox.Acked(2 * kOutboxReadMax);
  EXPECT_EQ(outbox.ReadFrom(), kOutboxWindowMax + 1);
  EXPECT_FALSE(outbox.ReadFrom()) << "one read at a time";
  outbox.Add(Encoded(Left(last + 1)));  // meanwhile
  std::vector<NumberedFact> read;
  for (std::uint64_t n = kOutboxWindowMax + 1; n <= last; ++n) read.push_back(Left(n));
  outbox.Filled(std::move(read));
  EXPECT_EQ(outbox.ReadFrom(), last + 1) << "what came meanwhile is in the store only";
  outbox.Filled({Left(last + 1)});
  EXPECT_FALSE(outbox.ReadFrom());
  outbox.Add(Encoded(Left(last + 2)));
  EXPECT_EQ(outbox.Acked(last + 2).size(), last + 2 - 2 * kOutboxReadMax);
  EXPECT_TRUE(outbox.empty());
}

TEST(Outbox, AStartReadsWhatIsLeft) {
  Outbox outbox(5, 7);
  EXPECT_FALSE(outbox.empty());
  EXPECT_EQ(outbox.ReadFrom(), 6u);
  outbox.Filled({Left(6), Left(7)});
  EXPECT_EQ(outbox.NextBatch().size(), 2u);
}

}  // namespace
}  // namespace cube::worker
