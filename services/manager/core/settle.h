// After the log has lost messages: workers have told what they have, and each attempt that the log
// does not know counts again or ends. Pure.
#pragma once

#include <functional>
#include <set>

#include "shared/base/time.h"
#include "shared/cluster/view.h"
#include "shared/domain/decision.h"

namespace cube::manager {

// After a reset nothing is placed for so long, and two heartbeats of a node: a task whose placement
// was lost may still run somewhere, and its worker is to join before another one starts it.
inline constexpr Duration kSettleTime = std::chrono::seconds(10);

// After a reset the heartbeats of workers are no reason for another one for so long: what is lost
// meanwhile, and nobody but workers knows of, comes back when they join again one by one.
inline constexpr Duration kResetInterval = std::chrono::minutes(10);
// So long behind a reset a node may bring in tasks that the log does not know. Longer than the
// interval without a second reset: a node that is asked to join at its end tells later.
inline constexpr Duration kVouchTime = std::chrono::minutes(15);

// Until when the nodes may still join again, by cluster time; unset = there was no reset.
[[nodiscard]] WallTime SettledAt(const View& view);

// Incarnations given since a reset are higher than this: those that the log has lost are not given
// again.
[[nodiscard]] std::uint32_t IncarnationFloor(const View& view);

// Whether starts wait: for nodes that may join again, or for the decisions on what nodes hold.
[[nodiscard]] bool HoldsStarts(const View& view, WallTime now);

// `back`: nodes that are welcomed by the same message, behind this, if it has room. `add` = false:
// the message is full, the rest is decided in the next cycle.
void DecideHeld(const View& view, WallTime now, const std::set<NodeName>& back,
                const std::function<bool(DecisionItem, std::size_t size)>& add);

}  // namespace cube::manager
