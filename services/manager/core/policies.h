// Policies: how a node that passes all filters is scored, and which of the scored ones is picked. A
// new policy is one class and one line in policies.cc, and its name in shared/domain/rules.h.
#pragma once

#include <string_view>

#include "services/manager/core/score_tree.h"
#include "services/manager/core/standing.h"

namespace cube::manager {

// Stateless: the same node and the same wish always score alike.
class Policy {
 public:
  virtual ~Policy() = default;
  [[nodiscard]] virtual std::string_view Name() const = 0;
  // Lower is better. The node has room for what is asked.
  [[nodiscard]] virtual Rank Score(const Standing& node, const Amounts& asked) const = 0;
  // Among all ranks; `last` is the node that got the task before this one, or kNone. kNone if there
  // is no node to be had.
  [[nodiscard]] virtual std::size_t Pick(const ScoreTree& ranks, std::size_t last) const;
  // Whether an explanation names the second best.
  [[nodiscard]] virtual bool Compares() const { return true; }
};

// nullptr: there is no such policy. Lives as long as the program.
[[nodiscard]] const Policy* FindPolicy(std::string_view name);

}  // namespace cube::manager
