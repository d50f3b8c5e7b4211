#include "services/manager/core/score_tree.h"

namespace cube::manager {
namespace {

// Two cache lines of ranks: few levels, and one group is looked at quickly.
constexpr std::size_t kFan = 8;

std::size_t Groups(std::size_t n) { return (n + kFan - 1) / kFan; }

Rank Least(const std::vector<Rank>& level, std::size_t group) {
  const Rank* rank = level.data() + group * kFan;
  Rank least = rank[0];
  for (std::size_t i = 1; i < kFan; ++i) {
    if (rank[i] < least) least = rank[i];
  }
  return least;
}

}  // namespace

void ScoreTree::Reset(std::size_t n) {
  levels_.clear();
  if (n == 0) return;
  for (;; n = Groups(n)) {
    levels_.emplace_back(Groups(n) * kFan, kNoRank);
    if (n == 1) return;
  }
}

void ScoreTree::Finish() {
  for (std::size_t level = 1; level < levels_.size(); ++level) {
    const std::size_t groups = levels_[level - 1].size() / kFan;
    for (std::size_t group = 0; group < groups; ++group) {
      levels_[level][group] = Least(levels_[level - 1], group);
    }
  }
}

void ScoreTree::Set(std::size_t index, Rank rank) {
  levels_[0][index] = rank;
  for (std::size_t level = 1; level < levels_.size(); ++level) {
    index /= kFan;
    const Rank least = Least(levels_[level - 1], index);
    if (levels_[level][index] == least) return;
    levels_[level][index] = least;
  }
}

std::size_t ScoreTree::Descend(std::size_t level, std::size_t index, Rank rank) const {
  while (level > 0) {
    --level;
    index *= kFan;
    while (levels_[level][index] > rank) ++index;
  }
  return index;
}

std::size_t ScoreTree::FirstAtMost(Rank rank) const {
  if (rank == kNoRank || BestRank() > rank) return kNone;
  return Descend(levels_.size() - 1, 0, rank);
}

std::size_t ScoreTree::NextAtMost(std::size_t index, Rank rank) const {
  if (rank == kNoRank) return kNone;
  for (std::size_t level = 0; level + 1 < levels_.size(); ++level) {
    const std::size_t end = (index / kFan + 1) * kFan;
    for (std::size_t i = index + 1; i < end; ++i) {
      if (levels_[level][i] <= rank) return Descend(level, i, rank);
    }
    index /= kFan;
  }
  return kNone;
}

std::size_t ScoreTree::RunnerUp(std::size_t best) const {
  Rank second = kNoRank;
  std::size_t found = kNone;  // first leaf below the entry that holds it
  std::size_t at_level = 0;
  std::size_t at = 0;
  std::size_t index = best;
  std::size_t width = 1;  // leaves below one entry of the level
  for (std::size_t level = 0; level + 1 < levels_.size(); ++level) {
    const std::size_t begin = index / kFan * kFan;
    for (std::size_t i = begin; i < begin + kFan; ++i) {
      if (i == index) continue;
      const Rank rank = levels_[level][i];
      if (rank == kNoRank || rank > second || (rank == second && i * width > found)) continue;
      second = rank;
      found = i * width;
      at_level = level;
      at = i;
    }
    index /= kFan;
    width *= kFan;
  }
  return found == kNone ? kNone : Descend(at_level, at, second);
}

}  // namespace cube::manager
