// What a worker is told to run (messages/cube/v1/desired.proto, decoded and checked).
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "shared/base/time.h"
#include "shared/domain/ids.h"
#include "shared/domain/task_spec.h"

namespace cube {

struct Assignment {
  TaskId task;
  std::uint32_t attempt = 0;
  Stamp placement;
  TaskSpecPtr spec;
  bool stop = false;           // it should end
  Duration grace{0};           // with stop
  std::uint32_t launches = 0;  // that facts have told of; the next one's number is not below it
};
struct StopAssignment {
  TaskId task;
  std::uint32_t attempt = 0;
  Duration grace{0};
};
struct Welcomed {
  std::uint64_t instance = 0;
  std::uint32_t incarnation = 0;
  bool hold = false;  // tell first what you have
};
struct JoinRefused {
  std::uint64_t instance = 0;
  std::string reason;
};
struct UpToDate {};
// The log does not know this instance as it is: ask to join again.
struct JoinAgain {
  std::uint64_t instance = 0;
};
using AssignItem =
    std::variant<Assignment, StopAssignment, Welcomed, JoinRefused, UpToDate, JoinAgain>;

// The part of one decision message, or of several in a row, that concerns one node.
struct AssignBatch {
  Term term;
  NodeName node;
  std::uint64_t instance = 0;
  std::uint32_t incarnation = 0;
  std::uint64_t seq = 0;    // position after applying
  std::uint64_t first = 0;  // of several messages, the first one; 0 = seq
  std::uint64_t prev = 0;   // the message before it that concerned this node
  Stamp stamp;              // of the decision, of the last one of several
  // Sequence of the term's first decision: what was told from there on in an earlier term is lost.
  std::uint64_t term_seq = 0;  // 0 = not known
  Term term_before;            // the log's; {0,0} = not known
  std::vector<AssignItem> items;
  std::string cluster;
};

// One page of the complete set.
struct DesiredPage {
  Term term;
  NodeName node;
  std::uint64_t instance = 0;
  std::uint32_t incarnation = 0;
  std::uint64_t seq = 0;
  std::uint32_t page = 0;
  std::uint32_t pages = 1;
  Stamp report;  // the full report that is due; {0,0} = none
  std::vector<Assignment> assignments;
  std::string cluster;
  std::uint64_t last_fact = 0;
};

// A sign of life.
struct Heartbeat {
  std::string node;  // a node's name, or kLeaderHeartbeat
  std::uint64_t instance = 0;
  std::uint32_t incarnation = 0;
  std::uint64_t number = 0;
  std::uint64_t position = 0;  // 0 = what is desired is unknown
  Term term;
  bool hello = false;
  WallTime sent_at;
  std::uint32_t nodes = 0;       // the leader's only: of the cluster
  std::uint64_t acked_fact = 0;  // number of the last one, of this incarnation, that was stored
};
// No node can have this name: tokens do not begin with '-'.
inline constexpr std::string_view kLeaderHeartbeat = "-leader";

inline constexpr Duration kHeartbeatMin = std::chrono::seconds(1);
// Heartbeats per second that a leader takes at most.
inline constexpr std::int64_t kHeartbeatsPerSecondMax = 1000;
// The time between two heartbeats, of workers and of the leader, in a cluster of so many nodes.
[[nodiscard]] constexpr Duration HeartbeatInterval(std::uint32_t nodes) {
  return std::max(kHeartbeatMin,
                  Duration(std::chrono::seconds(1)) * nodes / kHeartbeatsPerSecondMax);
}

}  // namespace cube
