// Facts: what workers have seen happen (messages/cube/v1/facts.proto, decoded and checked).
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "shared/base/rare.h"
#include "shared/base/time.h"
#include "shared/domain/ids.h"
#include "shared/domain/launch.h"
#include "shared/domain/node.h"
#include "shared/domain/task_spec.h"

namespace cube {

struct NodeJoined {
  NodeDescription description;
  std::uint32_t incarnation = 0;  // that the worker had; 0 = it is new
  bool again = false;             // the leader has asked it to
  friend bool operator==(const NodeJoined&, const NodeJoined&) = default;
};
struct NodeDescribed {
  NodeDescription description;
  friend bool operator==(const NodeDescribed&, const NodeDescribed&) = default;
};
struct NodeReported {
  Stamp up;
  friend bool operator==(const NodeReported&, const NodeReported&) = default;
};
struct NodeLeft {
  friend bool operator==(const NodeLeft&, const NodeLeft&) = default;
};
struct NodeLeaving {
  Duration deadline{0};
  friend bool operator==(const NodeLeaving&, const NodeLeaving&) = default;
};

// An attempt that a worker has, told to a log that may have lost it.
struct AttemptHeld {
  TaskId task;
  std::uint32_t attempt = 0;
  Stamp placement;
  TaskSpecPtr spec;  // null once the attempt is done
  Rare<LaunchFact> observed;
  Rare<HealthFact> health;
  friend bool operator==(const AttemptHeld& a, const AttemptHeld& b) {
    const bool same_spec = a.spec == b.spec || (a.spec && b.spec && *a.spec == *b.spec);
    return same_spec && a.task == b.task && a.attempt == b.attempt && a.placement == b.placement &&
           a.observed == b.observed && a.health == b.health;
  }
};
// Every attempt that the worker has was told.
struct AllHeld {
  friend bool operator==(const AllHeld&, const AllHeld&) = default;
};

struct Fact {
  WallTime at;  // the worker's clock; for people only
  std::variant<NodeJoined, NodeDescribed, NodeReported, LaunchFact, NodeLeft, HealthFact,
               NodeLeaving, AttemptHeld, AllHeld>
      what;
  friend bool operator==(const Fact&, const Fact&) = default;
};

// A batch of one node, as one message carries it.
struct FactBatch {
  NodeName node;
  std::uint64_t instance = 0;
  std::uint32_t incarnation = 0;   // 0 = before the welcome
  std::uint64_t first_number = 0;  // the facts are numbered from here without gaps
  std::vector<Fact> facts;
  friend bool operator==(const FactBatch&, const FactBatch&) = default;
};

}  // namespace cube
