// How many nodes the cluster has, as the leader's heartbeat says: what every node does now and then
// is done less often in a large cluster, so that the whole costs the same. Looked up seldom, since
// a value that is too small does no harm. A part of the worker's step function.
#pragma once

#include <cstdint>
#include <optional>

#include "services/worker/operation.h"
#include "shared/base/time.h"
#include "shared/wire/subjects.h"

namespace cube::worker {

inline constexpr Duration kClusterSizeInterval = std::chrono::minutes(5);
// The first time, and when the cluster has grown by half: nodes that start together see it grow.
// Doubled each time.
inline constexpr Duration kClusterSizeIntervalMin = std::chrono::seconds(10);

class ClusterSize {
 public:
  ClusterSize(wire::Subjects subjects, MonoTime now)
      : subjects_(std::move(subjects)), look_at_(now) {}

  // 0 = not known yet.
  [[nodiscard]] std::uint32_t nodes() const { return nodes_; }

  // The answer to our question? Then it is taken.
  bool OnGot(const bus::Got& got);
  void OnFailed(const bus::OpFailed& failed);
  // Asks when it is due and there is a connection.
  void Advance(bool connected, MonoTime now, bus::OpId& next_op, Operations& out);
  // With a connection only.
  [[nodiscard]] MonoTime NextDeadline() const { return op_ ? MonoTime::max() : look_at_; }

 private:
  const wire::Subjects subjects_;
  std::uint32_t nodes_ = 0;
  std::optional<bus::OpId> op_;
  Duration wait_ = kClusterSizeIntervalMin;  // behind the next question
  MonoTime asked_at_{};
  MonoTime look_at_;
};

}  // namespace cube::worker
