#include "services/manager/core/score_tree.h"

#include <gtest/gtest.h>

#include "shared/base/random.h"

namespace cube::manager {
namespace {

// The same answers by looking at every rank.
struct Naive {
  std::vector<Rank> ranks;

  [[nodiscard]] std::size_t BestBut(std::size_t excluded) const {
    std::size_t best = ScoreTree::kNone;
    for (std::size_t i = 0; i < ranks.size(); ++i) {
      if (i == excluded || ranks[i] == kNoRank) continue;
      if (best == ScoreTree::kNone || ranks[i] < ranks[best]) best = i;
    }
    return best;
  }
  [[nodiscard]] std::size_t AtMostFrom(std::size_t from, Rank rank) const {
    for (std::size_t i = from; i < ranks.size(); ++i) {
      if (ranks[i] != kNoRank && ranks[i] <= rank) return i;
    }
    return ScoreTree::kNone;
  }
};

Rank RandomRank(Random& random) {
  if (random.Below(3) == 0) return kNoRank;
  return {static_cast<std::int64_t>(random.Below(6)) - 3,
          static_cast<std::uint32_t>(random.Below(2))};
}

TEST(ScoreTreeTest, AnswersLikeALookAtEveryRank) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    Random random(seed);
    const std::size_t n = seed <= 70 ? seed : random.Below(700);
    Naive naive{std::vector<Rank>(n, kNoRank)};
    ScoreTree tree;
    tree.Reset(n);
    for (std::size_t i = 0; i < n; ++i) tree.Fill(i, naive.ranks[i] = RandomRank(random));
    tree.Finish();
    for (int step = 0; step < 50 && n > 0; ++step) {
      const std::size_t changed = random.Below(n);
      tree.Set(changed, naive.ranks[changed] = RandomRank(random));
      const std::size_t best = naive.BestBut(ScoreTree::kNone);
      ASSERT_EQ(tree.Best(), best) << "seed " << seed;
      ASSERT_EQ(tree.BestRank(), best == ScoreTree::kNone ? kNoRank : naive.ranks[best]);
      if (best != ScoreTree::kNone) {
        ASSERT_EQ(tree.RunnerUp(best), naive.BestBut(best)) << "seed " << seed;
      }
      const Rank rank = RandomRank(random);
      const std::size_t from = random.Below(n);
      if (rank == kNoRank) continue;
      ASSERT_EQ(tree.FirstAtMost(rank), naive.AtMostFrom(0, rank)) << "seed " << seed;
      ASSERT_EQ(tree.NextAtMost(from, rank), naive.AtMostFrom(from + 1, rank)) << "seed " << seed;
    }
  }
}

TEST(ScoreTreeTest, WithoutNodesThereIsNothing) {
  ScoreTree tree;
  EXPECT_EQ(tree.Best(), ScoreTree::kNone);
  tree.Reset(0);
  tree.Finish();
  EXPECT_EQ(tree.Best(), ScoreTree::kNone);
  EXPECT_EQ(tree.BestRank(), kNoRank);
}

}  // namespace
}  // namespace cube::manager
