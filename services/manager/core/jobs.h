// Jobs: which slots get a task of which version, and which lose theirs. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "shared/base/time.h"
#include "shared/cluster/view.h"
#include "shared/domain/decision.h"

namespace cube::manager {

// Slots that one cycle fills or empties at most: each is a record to change when the decision is
// folded, so this bounds the time of a cycle however large a job is.
inline constexpr std::uint32_t kSlotsPerCycle = 4096;
static_assert(kSlotsPerCycle <= kSlotsPerItemMax);

// Remembers when it looked at system jobs last, so that they cost nothing while nodes stay as they
// are. Forgetting the memory changes no answer.
class Jobs {
 public:
  struct Cycle {
    const View& view;
    const std::map<NodeName, std::string>& silent;  // about to be called down
    WallTime now;
    // False: the message is full.
    std::function<bool(DecisionItem, std::size_t size)> add;
    // Gets the tasks that have to end: the view does not say so yet, and who decides after this in
    // the same cycle must not start them.
    std::set<TaskNumber>& emptied;
  };
  void Decide(const Cycle& cycle);
  // The view's versions begin again.
  void Forget() { system_seen_.reset(); }

 private:
  std::optional<std::uint64_t> system_seen_;  // View::system_version
};

}  // namespace cube::manager
