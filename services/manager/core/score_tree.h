// The ranks of all nodes for tasks of one shape, in a tree of minima: the best, the second best and
// the next of a kind are found, and one rank is changed, in O(log n).
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace cube::manager {

// Lower is better; equal ranks go to the lower index (the earlier name).
struct Rank {
  std::int64_t score = 0;  // units of 2^-32
  std::uint32_t tie = 0;   // decides between equal scores
  friend auto operator<=>(const Rank&, const Rank&) = default;
};
// Of a node that is not to be had.
inline constexpr Rank kNoRank{std::numeric_limits<std::int64_t>::max(),
                              std::numeric_limits<std::uint32_t>::max()};

class ScoreTree {
 public:
  static constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();

  // n nodes, none of them to be had. Then Fill for each, and Finish.
  void Reset(std::size_t n);
  void Fill(std::size_t index, Rank rank) { levels_[0][index] = rank; }
  void Finish();

  void Set(std::size_t index, Rank rank);
  [[nodiscard]] Rank At(std::size_t index) const { return levels_[0][index]; }
  // The lowest rank; kNoRank if there is none.
  [[nodiscard]] Rank BestRank() const { return levels_.empty() ? kNoRank : levels_.back()[0]; }
  // Its index, the lowest of equal ones; kNone if there is none.
  [[nodiscard]] std::size_t Best() const { return FirstAtMost(BestRank()); }
  // The best of all others.
  [[nodiscard]] std::size_t RunnerUp(std::size_t best) const;
  // The lowest index with this rank or a better one; kNone if there is none.
  [[nodiscard]] std::size_t FirstAtMost(Rank rank) const;
  // Likewise, behind `index` only.
  [[nodiscard]] std::size_t NextAtMost(std::size_t index, Rank rank) const;

 private:
  // The lowest leaf below `index` of `level` that is `rank` or better; there is one.
  [[nodiscard]] std::size_t Descend(std::size_t level, std::size_t index, Rank rank) const;

  // levels_[0] has the nodes, each further level the minima of kFan entries of the one below; the
  // last has one entry. All are padded to whole groups.
  std::vector<std::vector<Rank>> levels_;
};

}  // namespace cube::manager
