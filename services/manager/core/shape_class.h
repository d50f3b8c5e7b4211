// All nodes as tasks of one shape see them under one policy: which filter rules each out, and in
// what order the others are wanted. Kept true lazily, from the table's changes.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "services/manager/core/filters.h"
#include "services/manager/core/node_table.h"
#include "services/manager/core/policies.h"
#include "services/manager/core/score_tree.h"
#include "shared/domain/decision.h"
#include "shared/domain/validate.h"

namespace cube::manager {

class ShapeClass {
 public:
  // The policy outlives it.
  ShapeClass(const TaskSpec& spec, const Policy& policy);

  // O(log n) for each row that changed since the last time; at most O(n).
  void CatchUp(const NodeTable& table);

  // The rest: as of the last CatchUp.
  [[nodiscard]] std::size_t Pick(std::size_t last) const { return policy_->Pick(ranks_, last); }
  // Why `picked`, or with ScoreTree::kNone why none.
  [[nodiscard]] SharedExplanation Explain(const NodeTable& table, std::size_t picked);

  // Takes rows out that would do, for one question; Return puts them back.
  void Avoid(std::size_t row);
  void Return();

  std::uint64_t used_at = 0;  // the scheduler's: when it was asked for last

 private:
  struct Fixed {
    FilterId ruled_out = kFits;  // by what placements do not change
    std::int16_t affinity = 0;   // sum of the weights that hold
  };
  static_assert(kAffinitiesMax * kAffinityWeightMax <= 32767);

  void Rebuild(const NodeTable& table);
  void Update(const NodeTable& table, const NodeTable::Change& change);
  [[nodiscard]] Fixed FixedOf(const Node& node) const;
  // Filter and rank of a row.
  [[nodiscard]] FilterId Judge(const NodeTable& table, std::size_t row, Rank& rank) const;
  [[nodiscard]] std::vector<FilterCount> Counted() const;

  const Policy* policy_;
  Filters filters_;
  std::vector<Affinity> affinities_;
  std::uint64_t position_ = 0;  // in the table's changes
  ScoreTree ranks_;
  std::vector<Fixed> fixed_;
  std::vector<FilterId> ruled_out_;
  std::vector<std::uint32_t> counts_;  // by FilterId
  std::uint32_t feasible_ = 0;
  std::vector<std::pair<std::size_t, Rank>> avoided_;
  SharedExplanation last_why_;
  bool counted_valid_ = false;  // its `filtered`
};

}  // namespace cube::manager
