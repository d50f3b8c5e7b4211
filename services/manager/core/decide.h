// Deciding: a pure function of the view, of what the leader has heard of nodes, and of the time.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "services/manager/core/drains.h"
#include "services/manager/core/jobs.h"
#include "services/manager/core/scheduler.h"
#include "services/manager/core/settle.h"
#include "shared/base/time.h"
#include "shared/cluster/view.h"
#include "shared/domain/decision.h"

namespace cube::manager {

// What the leader concludes from heartbeats, which never enter the view themselves.
struct Verdicts {
  std::map<NodeName, std::string> silent;  // up nodes to be called down, with the reason
  std::vector<NodeName> heard;             // down nodes whose welcomed worker beats again
  std::set<NodeName> join_ok;              // asked to join, and nobody else has the name
  std::vector<NodeName> join_refused;      // asked to join while the welcomed worker beats
  std::map<NodeName, NodeLoad> loads;      // what metrics say; decided where the view differs
};

// A cycle's message is cut here: encoded bytes, well below NATS' usual max_payload of 1 MiB, at
// the size where the server's throughput in bytes is best.
inline constexpr std::size_t kDecisionBytesMax = 256u << 10;
// Items of one cycle at most: bounds the time that one cycle takes.
inline constexpr std::size_t kDecisionItemsMax = 8192;
// Forgetting is never urgent: a few at a time beside the other work. Nor are loads: a cluster whose
// load changes everywhere at once is told in several cycles.
inline constexpr std::size_t kForgetsMax = 512;
inline constexpr std::size_t kLoadsMax = 1024;

// Remembers which shapes did not fit, so that a full cluster costs nothing per cycle, and how each
// shape sees the nodes. Forgetting the memory changes no answer.
class Planner {
 public:
  // `items_max`: of one answer. kInvalid: no such policy.
  [[nodiscard]] static Result<Planner> Make(const Settings& settings,
                                            std::size_t items_max = kDecisionItemsMax);

  // Decisions in the order in which they are to be folded; bounded by the limits above, so the
  // caller asks again after folding them.
  [[nodiscard]] std::vector<DecisionItem> Decide(const View& view, const Verdicts& verdicts,
                                                 WallTime now);

  // The last answer was cut at those limits: more is to be decided at once.
  [[nodiscard]] bool cut_off() const { return cut_off_; }

  // Why a pending task is not placed now.
  [[nodiscard]] std::string WhyPending(const View& view, const Task& task);

  // To be called when the view is another one than was seen last (read back, or made anew): its
  // versions begin again.
  void ForgetView();

  [[nodiscard]] const Settings& settings() const { return settings_; }

 private:
  class Cycle;
  Planner(Settings settings, Scheduler scheduler, std::size_t items_max)
      : settings_(std::move(settings)), scheduler_(std::move(scheduler)), items_max_(items_max) {}

  Settings settings_;
  Scheduler scheduler_;
  std::size_t items_max_;
  bool cut_off_ = false;
  std::map<std::string, std::uint64_t> full_since_;  // shape -> room_version at which none fitted
  Drains drains_;
  Jobs jobs_;
};

}  // namespace cube::manager
