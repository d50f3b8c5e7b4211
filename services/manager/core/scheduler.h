// Where a task goes, in three steps: which nodes are feasible (filters.h), what each scores, and
// which one is picked (policies.h). Tasks of one shape see all nodes alike, so that a decision
// costs O(log nodes); the answers are those of looking at every node.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

#include "services/manager/core/node_table.h"
#include "services/manager/core/policies.h"
#include "services/manager/core/shape_class.h"
#include "shared/base/error.h"
#include "shared/cluster/view.h"
#include "shared/domain/decision.h"

namespace cube::manager {

// Rows of all shape classes together, some 30 bytes each; what was used least goes first. At least
// one class is kept, whatever the number of nodes.
inline constexpr std::size_t kClassRowsMax = 4'000'000;
// Classes at most: bounds what many shapes cost on few nodes.
inline constexpr std::size_t kClassesMax = 1024;
// A class that nobody has asked for in so many cycles is dropped.
inline constexpr std::uint64_t kClassIdleCyclesMax = 10'000;

struct Choice {
  const Node* node = nullptr;  // nullptr = no node fits
  std::size_t row = 0;         // of the scheduler's table
  SharedExplanation explanation;
};

class Scheduler {
 public:
  // kInvalid names the policies that there are. `policy` is that of tasks which name none.
  [[nodiscard]] static Result<Scheduler> Make(std::string_view policy);

  // Before each cycle: what was taken in the last one is forgotten, what the view says now holds.
  // The view must outlive the cycle.
  void Begin(const View& view);
  // The next view is another one (read back, or made anew).
  void ForgetView();

  // `shape` is ShapeOf(spec). `avoided`: nodes that this one task is kept away from.
  [[nodiscard]] Choice Pick(const TaskSpec& spec, const std::string& shape,
                            std::span<const NodeName> avoided = {});
  // This node or none; `pinned` in the explanation. Round-robin goes on where it was.
  [[nodiscard]] Choice PickOnly(const TaskSpec& spec, const NodeName& name) const;
  // The choice is decided on: it counts for all that follows in this cycle. The spec outlives it.
  void Take(const Choice& choice, const TaskSpec& spec);
  // Likewise, but only its room is taken: round-robin goes on where it was.
  void Reserve(const Choice& choice, const TaskSpec& spec) { table_.Take(choice.row, spec); }

  [[nodiscard]] std::size_t classes() const { return classes_.size(); }

 private:
  explicit Scheduler(const Policy& policy) : policy_(&policy) {}
  ShapeClass& ClassOf(const TaskSpec& spec, const std::string& shape);
  void MakeRoom();

  const Policy* policy_;
  NodeTable table_;
  std::unordered_map<std::string, std::unique_ptr<ShapeClass>> classes_;  // by shape
  // Of the last Pick; unordered_map keeps addresses.
  const std::string* last_shape_ = nullptr;
  ShapeClass* last_class_ = nullptr;
  std::uint64_t cycles_ = 0;
  std::size_t last_row_ = ScoreTree::kNone;  // of the placement before the next one
};

// "no fit on 3 nodes: memory 2, down 1", "no node has joined yet".
[[nodiscard]] std::string DescribeWait(const Explanation& explanation);

}  // namespace cube::manager
