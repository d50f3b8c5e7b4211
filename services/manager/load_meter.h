// Turns what workers publish about their machines into the coarse load that the scheduler reads. A
// load is a decision, so it must not change with every breath of a machine: it moves in sixteenths,
// only when the measured value has clearly left its step, and changes gather before they make a
// cycle. Never part of the view.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <string_view>

#include "services/manager/core/decide.h"
#include "shared/base/time.h"
#include "shared/cluster/view.h"

namespace cube::manager {

// A step is 1/16 = 62.5 thousandths; a value that is nearer than this to the step's border still
// counts as the old one: 18 thousandths are 0.3 of a step.
inline constexpr std::int32_t kStepMarginPermille = 18;
// Cpu use is an average over the last minute: shorter bursts are over before a task has started.
inline constexpr Duration kCpuWindow = std::chrono::minutes(1);
// Changes gather for so long, so that loads alone make few cycles.
inline constexpr Duration kLoadsGather = std::chrono::seconds(5);
// A node that has not published for so many of its intervals has no load: what is known of it is
// too old to keep tasks away.
inline constexpr int kLoadIntervals = 4;
// Workers publish every 15 s, in a large cluster so often that all together make 500 messages a
// second; one may be told to publish less often, and says so.
inline constexpr Duration kLoadInterval = std::chrono::seconds(15);
inline constexpr std::int64_t kLoadsPerSecond = 500;
inline constexpr Duration kLoadIntervalMax = std::chrono::hours(1);
// Given to one cycle; the rest follows after the next gathering.
inline constexpr std::size_t kLoadsPerCycle = 256;

// The step for a share of the whole in thousandths (0 to 1000; more counts as 1000), if it was
// `before`.
[[nodiscard]] std::uint8_t StepOf(std::int32_t permille, std::uint8_t before);

class LoadMeter {
 public:
  // A new leader has heard nothing; what the view has stands until nodes publish, or have had the
  // time to.
  void Reset(const View& view, MonoTime now);
  // A message on cube.metrics.<node>. What is not of the node's welcomed worker, or cannot be read,
  // is ignored.
  void OnMetrics(const View& view, std::string_view node, std::string_view payload, MonoTime now);
  // What should be decided now; empty while changes gather.
  [[nodiscard]] std::map<NodeName, NodeLoad> Due(const View& view, MonoTime now);
  // When Due has something, if nothing else happens.
  [[nodiscard]] MonoTime NextDeadline() const { return std::min(due_at_, look_at_); }

 private:
  void Change(const Node& node, const NodeLoad& load, MonoTime now);
  // Takes the load from nodes that are silent.
  void Expire(const View& view, MonoTime now);

  std::map<NodeName, NodeLoad> changed_;  // as measured, other than in the view
  MonoTime due_at_ = MonoTime::max();
  std::map<NodeName, MonoTime> stands_until_;  // the load of a node that has published
  MonoTime known_until_ = MonoTime::max();     // that of one that has not
  MonoTime look_at_ = MonoTime::max();         // no load of the view is too old before
};

}  // namespace cube::manager
