// Turns what workers publish about their machines into the coarse load that the scheduler reads. A
// load is a decision, so it must not change with every breath of a machine: it moves in sixteenths,
// only when the measured value has clearly left its step, and changes gather before they make a
// cycle. Never part of the view.
#pragma once

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
// Given to one cycle; the rest follows after the next gathering.
inline constexpr std::size_t kLoadsPerCycle = 256;

// The step for a share of the whole in thousandths (0 to 1000; more counts as 1000), if it was
// `before`.
[[nodiscard]] std::uint8_t StepOf(std::int32_t permille, std::uint8_t before);

class LoadMeter {
 public:
  // A new leader has heard nothing; what the view has stands until nodes publish.
  void Reset();
  // A message on cube.metrics.<node>. What is not of the node's welcomed worker, or cannot be read,
  // is ignored.
  void OnMetrics(const View& view, std::string_view node, std::string_view payload, MonoTime now);
  // What should be decided now; empty while changes gather.
  [[nodiscard]] std::map<NodeName, NodeLoad> Due(const View& view, MonoTime now);
  // When Due has something, if nothing else happens.
  [[nodiscard]] MonoTime NextDeadline() const { return due_at_; }

 private:
  std::map<NodeName, NodeLoad> changed_;  // as measured, other than in the view
  MonoTime due_at_ = MonoTime::max();
};

}  // namespace cube::manager
