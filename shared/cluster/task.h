// The record of a task in the view, and what follows from it alone. Pure values.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "shared/base/packed_text.h"
#include "shared/base/rare.h"
#include "shared/base/time.h"
#include "shared/cluster/node_ref.h"
#include "shared/domain/decision.h"
#include "shared/domain/fact.h"
#include "shared/domain/ids.h"
#include "shared/domain/job.h"
#include "shared/domain/launch.h"
#include "shared/domain/task_spec.h"

namespace cube {

// Where the last attempt of a task stands, as decisions have it.
enum class Placed : std::uint8_t {
  kNever,  // no attempt yet, or since its job wants it again
  kThere,  // the attempt is the node's to run
  kLost,   // its node went down
};

// A task that had failed on a node was placed anew.
struct Move {
  NodeName node;  // where it had failed
  WallTime at;    // cluster time of the placement that followed
  friend bool operator==(const Move&, const Move&) = default;
};

// That an attempt had to leave its node, though nobody asked to stop the task.
struct Eviction {
  std::uint32_t attempt = 0;
  NodeName node;
  Duration grace{0};
  std::string reason;
  bool ends = false;  // the task is over with that attempt
  friend bool operator==(const Eviction&, const Eviction&) = default;
};

// The newest fact of a task's attempt, less what the task's record says anyway: of a task that runs
// little more than the name of its container. FactOf gives it back.
struct ObservedLaunch {
  // NOLINTNEXTLINE(google-explicit-constructor): what is observed is the fact
  ObservedLaunch(const LaunchFact& fact);

  std::uint32_t launch = 0;
  std::int32_t exit_code = -1;
  LaunchState state = LaunchState::kPulling;
  ExitCause cause = ExitCause::kNone;
  bool final = false;
  bool stop_asked = false;
  WallTime started_at;
  PackedText container_id;
  struct Rest {
    std::string detail;
    std::vector<BoundPort> ports;
    WallTime finished_at;
    WallTime restart_at;
    friend bool operator==(const Rest&, const Rest&) = default;
  };
  Rare<Rest> rest;  // absent = nothing of it is set
  friend bool operator==(const ObservedLaunch&, const ObservedLaunch&) = default;
};
// As of two facts (launch.h).
[[nodiscard]] bool MovesForward(const ObservedLaunch& last, const LaunchFact& next);

// What decisions write of few tasks: absent as a whole of all others.
struct Seldom {
  // The only node that it may be placed on; absent = any. Of a plain task: the log had lost its
  // submission, and has it from that node alone; submitted again it may go anywhere.
  Rare<NodeName> pinned;
  Rare<std::string> lost_reason;
  Rare<Eviction> eviction;  // the newest; may be of an earlier attempt
  // Within kMovesWindow of placed_at, oldest first; absent = none. MovesOf gives them.
  Rare<std::vector<Move>> moves;
  friend bool operator==(const Seldom&, const Seldom&) = default;
};
// As large as a pointer.
class SeldomPart {
 public:
  // For reading.
  const Seldom* operator->() const { return part_ ? &*part_ : &None(); }
  // For setting some of it.
  [[nodiscard]] Seldom& Edit() {
    if (!part_) part_ = Seldom();
    return *part_;
  }
  // Makes one of it absent.
  template <class T>
  void Drop(Rare<T> Seldom::* of) {
    if (!part_) return;
    ((*part_).*of).reset();
    if (*part_ == None()) part_.reset();
  }

 private:
  static const Seldom& None() {
    static const Seldom none;
    return none;
  }

  Rare<Seldom> part_;
};

// A task's record; of its fields those that are small or mostly absent cost little, since there may
// be a million. Each field has one writer: intents write desired, decisions placement, facts
// observed. What people read (status.h) is computed from the three. The desired part of a task of a
// job is written by the decisions on its job.
struct Task {
  TaskNumber number;
  PackedText own_id;  // of a plain task; IdOf gives any task's

  // Of a task of a job; never changes.
  JobRefPtr job;  // null = a plain task
  std::uint32_t slot = 0;

  // Desired.
  bool stop_wanted = false;
  TaskSpecPtr spec;
  WallTime submitted_at;  // the server's stamp of the intent; of a job's task: cluster time
  Duration stop_grace{0};

  // Placement.
  std::uint32_t attempt = 0;
  Placed placed = Placed::kNever;
  bool stop_told = false;
  bool over = false;  // a stop ended the task while no node had it
  NodeRef node;
  Stamp placement;
  WallTime placed_at;  // cluster time
  SeldomPart seldom;
  std::shared_ptr<const Explanation> explanation;
  WallTime ended_at;  // cluster time; unset while it has not ended

  // Observed.
  std::optional<ObservedLaunch> observed;  // newest fact of this attempt
  Rare<HealthFact> health;                 // newest of this attempt; may be of an older launch
};

// Its id. That of a job's task follows from its job and slot, so that no record keeps it.
[[nodiscard]] TaskId IdOf(const Task& task);
// The same as text in memory of its own, for looking at it only.
class TaskIdText {
 public:
  explicit TaskIdText(const Task& task);
  [[nodiscard]] std::string_view view() const { return {text_, size_}; }

 private:
  char text_[kTokenLengthMax];
  std::size_t size_;
};

// What was observed of it, as its worker said it. Only of a task of which something was.
[[nodiscard]] LaunchFact FactOf(const Task& task);

[[nodiscard]] std::span<const Move> MovesOf(const Task& task);

// Whether the last attempt holds resources of its node.
[[nodiscard]] bool IsLive(const Task& task);
// Whether another attempt follows when it loses its node: elsewhere, or of a plain task that is
// pinned there again.
[[nodiscard]] bool MayMove(const Task& task);
// Whether the last attempt has failed and the task may be tried on another node.
[[nodiscard]] bool MovesOn(const Task& task);
// When such a task may be placed again: its policy allows so many moves within kMovesWindow.
// Unset = at once.
[[nodiscard]] WallTime MovesAt(const Task& task);
// The newest word of its checks about the launch that runs now; null if there is none.
[[nodiscard]] const HealthFact* HealthOf(const Task& task);
// Whether the task has come to its end; nothing but forgetting follows.
[[nodiscard]] bool IsFinished(const Task& task);
// Whether it should be placed.
[[nodiscard]] bool IsPending(const Task& task);
// Whether a stop was asked for that no decision has carried on yet.
[[nodiscard]] bool NeedsStop(const Task& task);

// Whether the last attempt was told to leave its node.
[[nodiscard]] bool IsEvicted(const Task& task);
// Whether the task is on its way from a node that it had to leave to one where it is up.
[[nodiscard]] bool IsMoving(const Task& task);

}  // namespace cube
