// Draining: which attempts have to leave nodes that have to become empty. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "shared/base/time.h"
#include "shared/cluster/view.h"
#include "shared/domain/decision.h"

namespace cube::manager {

// Tasks of one draining node that may be on their way at one time: a drain is meant to be hardly
// noticed, and what moves is not running.
inline constexpr std::size_t kDrainMovesMax = 1;

// Remembers for which nodes nothing could move, so that a drain that waits costs nothing per cycle.
// Forgetting the memory changes no answer.
class Drains {
 public:
  enum class Fit : std::uint8_t { kYes, kNo, kAskAgain };  // next cycle it may be known
  struct Cycle {
    const View& view;
    const std::map<NodeName, std::string>& silent;  // about to be called down
    WallTime now;
    // Whether the task would be placed now if it had left its node; takes that place for the cycle.
    std::function<Fit(const Task&)> fits_elsewhere;
    // False: the message is full.
    std::function<bool(DecisionItem, std::size_t size)> add;
  };
  void Decide(const Cycle& cycle);
  // The view's versions begin again.
  void Forget() { stuck_.clear(); }

 private:
  void DecideNode(const Cycle& cycle, const Node& node);

  std::map<NodeName, std::uint64_t> stuck_;  // node -> room_version at which nothing could move
};

}  // namespace cube::manager
