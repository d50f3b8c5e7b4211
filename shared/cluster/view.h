// The view: all that the log says, folded. Built by fold.h alone, in the order of the decisions
// stream, so that every reader of the log has the same one byte for byte. Pure values; nothing
// here is thread-safe.
#pragma once

#include <absl/container/btree_set.h>
#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "shared/base/flat_counts.h"
#include "shared/base/flat_set.h"
#include "shared/base/time.h"
#include "shared/cluster/hashed_map.h"
#include "shared/cluster/job.h"
#include "shared/cluster/task.h"
#include "shared/cluster/task_table.h"
#include "shared/domain/decision.h"
#include "shared/domain/fact.h"
#include "shared/domain/ids.h"
#include "shared/domain/launch.h"
#include "shared/domain/node.h"
#include "shared/domain/task_spec.h"

namespace cube {

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
  NodeRef ref;  // the same, for the records of tasks

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

// Remembers the shapes of a few specifications: tasks that share one follow each other.
class ShapeMemo {
 public:
  // Stays until the next call.
  [[nodiscard]] const std::string& Of(const TaskSpecPtr& spec);

 private:
  struct Entry {
    std::weak_ptr<const TaskSpec> spec;  // another one may be made where it was
    std::string shape;
  };
  std::array<Entry, 8> entries_;
};

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

using Jobs = HashedMap<TaskName, Job>;
// Live attempts of tasks of a name, by the slot of their node. Never iterated.
using NamedAttempts = absl::flat_hash_map<TaskName, FlatCounts<std::uint32_t>, std::hash<TaskName>>;

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

  TaskTable tasks;
  HashedMap<NodeName, Node> nodes;
  Jobs jobs;                           // also names whose job has ended
  NodeName last_node;                  // of the last placement: round robin goes on behind it
  std::vector<RefuseIntent> refusals;  // that no decision has named yet
  std::vector<Transition> untold;      // not known to have been told
  std::uint64_t untold_first = 1;      // number of untold.front(): one more for each before it

  // Indexes; follow from the above.
  std::map<std::string, absl::btree_set<PendingKey>> pending;  // by shape
  absl::btree_set<TaskNumber> pinned;         // IsPending, with a node of their own
  std::map<NodeName, std::uint32_t> vouched;  // plain tasks that are pinned, by the node
  std::set<TaskName> jobs_due;                // NeedsLook
  std::set<TaskName> system_jobs;             // kSystem, live
  absl::btree_set<TaskNumber> stops_due;      // NeedsStop
  absl::btree_set<std::pair<WallTime, TaskNumber>> finished;  // by ended_at
  std::vector<TaskNumber> ended_now;  // ended by what was folded since the last decision
  std::set<NodeName> joining;         // nodes that a worker asks to be
  std::set<NodeName> draining;        // IsDraining
  std::set<NodeName> holding;         // Node::holding
  std::map<NodeName, std::set<TaskNumber>> moving;  // IsMoving, by the node they had to leave
  std::uint64_t system_version = 0;                 // grows whenever a system job may lack a task
  std::uint64_t room_version = 0;  // grows whenever a waiting task might fit better
  std::map<std::string, Machine> machines;
  NamedAttempts named;
  NodeJournal node_journal;
  std::uint32_t slots_used = 0;  // of Node::slot

  // What changed since the last commit of the view.
  std::vector<TaskNumber> dirty_tasks;  // also forgotten ones; some more than once
  absl::flat_hash_set<NodeName, std::hash<NodeName>> dirty_nodes;  // sorted when they are saved
  std::set<TaskName> dirty_jobs;

  // Counted since this process started; not part of the state.
  std::uint64_t foreign_messages = 0;
  std::uint64_t stale_facts = 0;

  ShapeMemo shape_memo;  // not part of the state either

  [[nodiscard]] Task* Find(const TaskId& id) { return tasks.FindId(id.str()); }
  [[nodiscard]] const Task* Find(const TaskId& id) const { return tasks.FindId(id.str()); }

 private:
  View(const View&) = default;  // costly: Copy says so
};

// Rebuilds everything that follows from tasks and nodes (after loading the records).
void RebuildIndexes(View& view);

}  // namespace cube
