// The view: all that the log says, folded. Built by fold.h alone, in the order of the decisions
// stream, so that every reader of the log has the same one byte for byte. Pure values; nothing
// here is thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_set>
#include <vector>

#include "shared/base/flat_counts.h"
#include "shared/base/flat_set.h"
#include "shared/base/packed_text.h"
#include "shared/base/rare.h"
#include "shared/base/time.h"
#include "shared/cluster/job.h"
#include "shared/domain/decision.h"
#include "shared/domain/fact.h"
#include "shared/domain/ids.h"
#include "shared/domain/launch.h"
#include "shared/domain/node.h"
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

// A task's record; of its fields those that are small or mostly absent cost little, since there may
// be a million. Each field has one writer: intents write desired, decisions placement, facts
// observed. What people read (status.h) is computed from the three. The desired part of a task of a
// job is written by the decisions on its job.
struct Task {
  TaskId id;
  TaskNumber number;

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
  // The only node that it may be placed on; absent = any. Of a plain task: the log had lost its
  // submission, and has it from that node alone; submitted again it may go anywhere.
  Rare<NodeName> pinned;
  NodeName node;
  Stamp placement;
  WallTime placed_at;  // cluster time
  Rare<std::string> lost_reason;
  std::shared_ptr<const Explanation> explanation;
  Rare<Eviction> eviction;  // the newest; may be of an earlier attempt
  WallTime ended_at;        // cluster time; unset while it has not ended
  // Within kMovesWindow of placed_at, oldest first; absent = none. MovesOf gives them.
  Rare<std::vector<Move>> moves;

  // Observed.
  std::optional<ObservedLaunch> observed;  // newest fact of this attempt
  Rare<HealthFact> health;                 // newest of this attempt; may be of an older launch
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

// A node has to become empty.
struct Drain {
  Duration deadline{0};  // tasks that fit nowhere else stay so long
  WallTime since;        // cluster time; unset until the next decision
  friend bool operator==(const Drain&, const Drain&) = default;
};

using HostPort = std::pair<std::uint16_t, Protocol>;

// Task and attempt.
using HeldKey = std::pair<TaskId, std::uint32_t>;
// Attempts of one node that are kept until they are decided on; what is beyond them ends.
inline constexpr std::size_t kHeldMax = 4096;
// No more are kept once their specifications have so many bytes: the node's record is one value of
// a store.
inline constexpr std::size_t kHeldBytesMax = 8u << 20;
// Plain tasks that are pinned to one node, ended ones included: more are not made from what it
// holds.
inline constexpr std::size_t kVouchedMax = kHeldMax;

struct Node {
  NodeName name;

  // Desired: written by intents, the beginning of a drain by the next decision.
  bool cordoned = false;  // no new tasks
  std::optional<Drain> drain;

  // Written by decisions.
  std::uint64_t instance = 0;     // the worker that is welcome; 0 = it has to join again
  std::uint32_t incarnation = 0;  // 0 = never welcomed
  bool down = false;
  std::string down_reason;
  Stamp up;                         // the welcome or node_up that the next report must name
  std::uint64_t last_decision = 0;  // sequence of the last decision that concerned this node
  WallTime joined_at;               // cluster time of the first welcome
  NodeLoad load;                    // as measured; of the welcomed instance
  // Epoch of the term that last decided on all that the worker had, or welcomed it as one that had
  // nothing; 0 = none has.
  std::uint64_t settled_epoch = 0;

  // Written by facts.
  NodeDescription description;
  bool reported = false;
  std::uint64_t last_fact = 0;
  std::uint64_t joining_instance = 0;  // a worker that asks to be this node; 0 = none
  NodeDescription joining;
  std::optional<Drain> leaving;  // the worker ends, and hands its tasks over before it does
  bool left = false;             // the worker has ended
  bool facts_missing = false;    // its numbers have a gap: the log has lost some
  std::uint32_t joining_incarnation = 0;  // that the worker which asks had; 0 = it is new

  // Between a welcome with `hold`, which a decision writes, and the decisions on what the worker
  // has. What the log knows of is not kept.
  bool holding = false;
  bool all_held = false;  // it has told all; written by facts
  std::map<HeldKey, AttemptHeld> held;
  std::size_t held_bytes = 0;  // of their specifications; follows from them

  // Sums over its live attempts; follow from the tasks.
  Resources allocated;
  FlatSet<TaskNumber> attempts;
  std::map<HostPort, std::uint32_t> static_ports;  // and by how many attempts

  // Dense number in this process, in the order of appearance; not part of the state.
  std::uint32_t slot = 0;
};

// Welcomed, up, and looked over.
[[nodiscard]] bool IsReady(const Node& node);
// Ready, and nothing keeps new tasks off.
[[nodiscard]] bool IsEligible(const Node& node);
// Asked for by a user or by its own worker.
[[nodiscard]] bool IsDraining(const Node& node);
// When the tasks that fit nowhere else are stopped; unset = no drain, or it has just been asked
// for.
[[nodiscard]] WallTime DrainDeadline(const Node& node);

// Where published ports are bound: nodes with one address share them. A node without an address is
// a machine of its own.
struct Machine {
  std::set<std::uint32_t> slots;                   // its nodes
  std::map<HostPort, std::uint32_t> static_ports;  // and by how many attempts
};
// What View::machines knows the machine of a node by.
[[nodiscard]] std::string MachineOf(const Node& node);

// Which nodes changed, for readers that keep something of their own about each node (the
// scheduler). Each reader remembers its position; one that lies before `base` looks at every node.
// Not part of the state: it follows from how the log was folded.
struct NodeJournal {
  struct Change {
    std::uint32_t slot = 0;
    bool placements = false;  // true: nothing but what is placed there changed
  };
  std::uint64_t base = 0;  // position of changes.front()
  std::vector<Change> changes;

  [[nodiscard]] std::uint64_t end() const { return base + changes.size(); }
};

// One step of a task's life, as the readable feed tells it.
struct Transition {
  Stamp stamp;  // of the decision message with which it became valid
  WallTime time;
  std::string task;  // id; for a refusal the intent's sequence
  std::string name;  // for a refusal "-refused"
  std::string job;   // empty = none
  std::uint32_t slot = 0;
  std::string status;
  NodeName node;
  std::uint32_t attempt = 0;
  std::uint32_t launch = 0;
  std::string reason;
  std::optional<std::int32_t> exit_code;
  std::vector<BoundPort> ports;
  bool healthy = false;
  friend bool operator==(const Transition&, const Transition&) = default;
};

// Tasks of one shape are alike to every filter; the key says what filters look at.
[[nodiscard]] std::string ShapeOf(const TaskSpec& spec);

// Higher priority first, then the order of acceptance.
struct PendingKey {
  std::int32_t negated_priority = 0;
  TaskNumber number;
  friend auto operator<=>(const PendingKey&, const PendingKey&) = default;
};

struct TermBegin {
  Term term;
  std::uint64_t seq = 0;  // of its first decision message
  friend bool operator==(const TermBegin&, const TermBegin&) = default;
};
// More are not kept: whoever was told by an older one is not asked what the log has lost.
inline constexpr std::size_t kTermsKept = 64;

// For finding a task by its id without keeping that twice. Not noexcept, so that a table keeps
// each hash beside its entry.
struct TaskIdHash {
  using is_transparent = void;
  std::size_t operator()(const TaskId& id) const { return std::hash<TaskId>()(id); }
  std::size_t operator()(const Task* task) const { return (*this)(task->id); }
};
struct TaskIdEqual {
  using is_transparent = void;
  bool operator()(const Task* a, const Task* b) const { return a->id == b->id; }
  bool operator()(const Task* a, const TaskId& b) const { return a->id == b; }
  bool operator()(const TaskId& a, const Task* b) const { return a == b->id; }
};

struct View {
  View() = default;
  View(View&&) = default;  // its tasks stay where they are
  View& operator=(View&&) = default;
  ~View() = default;
  [[nodiscard]] View Copy() const;

  // Where it stands.
  Position intents;
  Position facts;
  std::uint64_t decision_seq = 0;  // last message read, valid or not
  std::uint64_t valid_seq = 0;     // last valid one
  Stamp stamp;                     // of the last valid one
  Term term;
  WallTime decided_at;
  std::optional<TermStart> term_start;  // of the current term
  WallTime term_began;                  // cluster time of its first message
  std::vector<TermBegin> terms;         // the log's newest ones, as far as they are known
  WallTime reset_at;                    // cluster time of the last term with `reset`
  std::uint64_t reset_epoch = 0;        // of that term
  Stamp told;

  std::map<TaskNumber, Task> tasks;
  std::unordered_set<Task*, TaskIdHash, TaskIdEqual> by_id;  // of `tasks`; never iterated
  std::map<NodeName, Node> nodes;
  std::map<TaskName, Job> jobs;        // also names whose job has ended
  NodeName last_node;                  // of the last placement: round robin goes on behind it
  std::vector<RefuseIntent> refusals;  // that no decision has named yet
  std::vector<Transition> untold;      // not known to have been told
  std::uint64_t untold_first = 1;      // number of untold.front(): one more for each before it

  // Indexes; follow from the above.
  std::map<std::string, std::set<PendingKey>> pending;  // by shape
  std::set<TaskNumber> pinned;                          // IsPending, with a node of their own
  std::map<NodeName, std::uint32_t> vouched;            // plain tasks that are pinned, by the node
  std::set<TaskName> jobs_due;                          // NeedsLook
  std::set<TaskName> system_jobs;                       // kSystem, live
  std::set<TaskNumber> stops_due;                       // NeedsStop
  std::set<std::pair<WallTime, TaskNumber>> finished;   // by ended_at
  std::vector<TaskNumber> ended_now;  // ended by what was folded since the last decision
  std::set<NodeName> joining;         // nodes that a worker asks to be
  std::set<NodeName> draining;        // IsDraining
  std::set<NodeName> holding;         // Node::holding
  std::map<NodeName, std::set<TaskNumber>> moving;  // IsMoving, by the node they had to leave
  std::uint64_t system_version = 0;                 // grows whenever a system job may lack a task
  std::uint64_t room_version = 0;  // grows whenever a waiting task might fit better
  std::map<std::string, Machine> machines;
  std::map<TaskName, FlatCounts<std::uint32_t>> named;  // live attempts, by slot of their node
  NodeJournal node_journal;
  std::uint32_t slots_used = 0;  // of Node::slot

  // What changed since the last commit of the view.
  std::vector<TaskNumber> dirty_tasks;  // also forgotten ones; some more than once
  std::set<NodeName> dirty_nodes;
  std::set<TaskName> dirty_jobs;

  // Counted since this process started; not part of the state.
  std::uint64_t foreign_messages = 0;
  std::uint64_t stale_facts = 0;

  [[nodiscard]] Task* Find(const TaskId& id);
  [[nodiscard]] const Task* Find(const TaskId& id) const;

 private:
  View(const View&) = default;  // without those that by_id points to
};

// Rebuilds everything that follows from tasks and nodes (after loading the records).
void RebuildIndexes(View& view);

}  // namespace cube
