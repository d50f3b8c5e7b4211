// Decisions: what the leading manager decides (messages/cube/v1/decisions.proto, decoded).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "shared/base/time.h"
#include "shared/domain/ids.h"
#include "shared/domain/job.h"
#include "shared/domain/node.h"
#include "shared/domain/task_spec.h"

namespace cube {

// Where a reader stands in a stream. Sequences can come back; together with the server's time
// stamp they name one message.
struct Position {
  std::uint64_t seq = 0;  // 0 = nothing read yet
  WallTime time;
  std::uint32_t generation = 0;  // which stream of a rotated family (facts)
  friend auto operator<=>(const Position&, const Position&) = default;
};

// Filters that one explanation names at most; the rarest ones beyond it are counted as "other".
inline constexpr std::size_t kExplanationFiltersMax = 16;
// Bytes of a filter's name at most; longer ones (of labels) are cut.
inline constexpr std::size_t kFilterNameLengthMax = kTokenLengthMax;

struct FilterCount {
  std::string filter;
  std::uint32_t nodes = 0;
  friend bool operator==(const FilterCount&, const FilterCount&) = default;
};

// Why a task went where it went, or (with no winner) why it waits.
struct Explanation {
  std::string scheduler;
  std::uint32_t nodes = 0;            // nodes that were known
  std::vector<FilterCount> filtered;  // ruled out, by the first filter that did
  std::int64_t score = 0;             // of the winner, in units of 2^-32; lower is better
  std::int64_t runner_up_score = 0;
  NodeName runner_up;          // empty = there was none
  std::uint32_t feasible = 0;  // nodes that no filter ruled out
  friend bool operator==(const Explanation&, const Explanation&) = default;
};

// The same as a value that costs a pointer: tasks of one shape that are placed in a row have one.
class SharedExplanation {
 public:
  SharedExplanation() = default;
  // NOLINTNEXTLINE(google-explicit-constructor): it is one
  SharedExplanation(Explanation why)
      : shared_(std::make_shared<const Explanation>(std::move(why))) {}

  explicit SharedExplanation(std::shared_ptr<const Explanation> shared)
      : shared_(std::move(shared)) {}

  const Explanation& operator*() const {
    static const Explanation kNone;
    return shared_ == nullptr ? kNone : *shared_;
  }
  const Explanation* operator->() const { return &**this; }
  // nullptr = it is empty.
  [[nodiscard]] const std::shared_ptr<const Explanation>& shared() const { return shared_; }
  friend bool operator==(const SharedExplanation& a, const SharedExplanation& b) {
    return a.shared_ == b.shared_ || *a == *b;
  }

 private:
  std::shared_ptr<const Explanation> shared_;
};

struct StartAttempt {
  TaskId task;
  std::uint32_t attempt = 0;
  NodeName node;
  TaskSpecPtr spec;
  SharedExplanation explanation;
};
struct StopAttempt {
  TaskId task;
  std::uint32_t attempt = 0;  // 0 = never placed: the task is over
  NodeName node;              // empty with attempt 0
  Duration grace{0};
};
struct RefuseIntent {
  std::uint64_t intent = 0;
  std::uint32_t index = 0;
  std::string task;  // as it was named; may be no valid id
  Error error;
  friend bool operator==(const RefuseIntent&, const RefuseIntent&) = default;
};
struct NodeDown {
  NodeName node;
  std::string reason;
};
struct NodeUp {
  NodeName node;
};
struct WelcomeNode {
  NodeName node;
  std::uint64_t instance = 0;
  std::uint32_t incarnation = 0;
  bool hold = false;  // it tells first what it has, and is told after that what it should have
};
struct RefuseNode {
  NodeName node;
  std::uint64_t instance = 0;
  std::string reason;
};
struct ForgetTask {
  TaskId task;
};
// The node's measured load has changed by a step.
struct SetLoad {
  NodeName node;
  NodeLoad load;
};
// An attempt has to leave its node, though nobody asked to stop the task.
struct EvictAttempt {
  TaskId task;
  std::uint32_t attempt = 0;
  NodeName node;
  Duration grace{0};
  std::string reason;
  bool ends = false;  // the task is over with it, since it must not move
};
// Slots of one job that one item may name.
inline constexpr std::uint32_t kSlotsPerItemMax = 10'000;
// These slots have a task of this version each, which should run.
struct FillSlots {
  TaskName job;
  std::uint32_t version = 0;
  std::uint32_t first = 0;
  std::uint32_t count = 0;
  NodeName node;        // system jobs: of the one slot
  bool vacant = false;  // they pass to this version without a task
};
// The tasks of these slots should end.
struct EmptySlots {
  TaskName job;
  std::uint32_t version = 0;
  std::uint32_t first = 0;
  std::uint32_t count = 0;
  std::optional<Duration> grace;  // absent = the template's
  bool release = false;           // the job has them no longer; they are its last ones
};
struct EndUpdate {
  TaskName job;
  std::uint32_t version = 0;
  std::string failure;  // empty = it succeeded
};
struct EndJob {
  TaskName job;
  JobEnd end = JobEnd::kStopped;
  std::string reason;
};
// An attempt that a node holds, and whose placement the log has lost, counts again.
struct ReadoptAttempt {
  NodeName node;
  TaskId task;
  std::uint32_t attempt = 0;
  Stamp placement;
  TaskSpecPtr spec;  // of a task that the log has lost too; null otherwise
};
// An attempt that a node holds, and whose placement the log has lost, ends: the reason says why.
struct DropAttempt {
  NodeName node;
  TaskId task;
  std::uint32_t attempt = 0;
  std::string reason;
};
// All that the node holds has been decided on: its complete set follows.
struct SettleNode {
  NodeName node;
};
using DecisionItem =
    std::variant<StartAttempt, StopAttempt, RefuseIntent, NodeDown, NodeUp, WelcomeNode, RefuseNode,
                 ForgetTask, SetLoad, EvictAttempt, FillSlots, EmptySlots, EndUpdate, EndJob,
                 ReadoptAttempt, DropAttempt, SettleNode>;

// All that deciding depends on besides the view; a term fixes it in the log.
struct Settings {
  std::string scheduler = "round-robin";
  Duration finished_age_max = std::chrono::hours(24);
  std::uint32_t finished_count_max = 100'000;
  friend bool operator==(const Settings&, const Settings&) = default;
};

struct TermStart {
  std::string cluster;  // random name, chosen in the first decision ever
  std::string manager;  // for people
  std::uint32_t validation_version = 0;
  Settings settings;
  // The log has lost messages: how that was found, for people. Every worker says anew what it has.
  // Empty = it has not.
  std::string reset;
  friend bool operator==(const TermStart&, const TermStart&) = default;
};

// One message of the decisions stream.
struct DecisionBatch {
  Term term;
  std::uint64_t cycle = 0;
  Stamp prev;        // {0,0} in the first message ever
  Position intents;  // as_of
  Position facts;    // as_of
  WallTime decided_at;
  Stamp told;
  std::optional<TermStart> term_start;
  std::vector<DecisionItem> items;

  [[nodiscard]] Stamp stamp() const { return {term.id, cycle}; }
};

}  // namespace cube
