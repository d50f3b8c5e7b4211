// Intents: what users ask for (messages/cube/v1/intents.proto, decoded and checked). An item that
// cannot be accepted is an item too: the log decides on it like on any other.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "shared/base/error.h"
#include "shared/base/time.h"
#include "shared/domain/ids.h"
#include "shared/domain/job.h"
#include "shared/domain/task_spec.h"

namespace cube {

// Raised whenever the rules that accept or refuse an intent change; a term names it.
inline constexpr std::uint32_t kValidationVersion = 2;

struct SubmitTask {
  TaskId id;  // empty = GeneratedTaskId(spec->name, number)
  TaskSpecPtr spec;
};
struct StopTask {
  TaskId id;
  std::optional<Duration> grace;  // absent = the spec's
};
// No new tasks on a node, or tasks again.
struct CordonNode {
  NodeName node;
  bool cordon = true;  // false: lifts cordon and drain
};
// A node has to become empty.
struct DrainNode {
  NodeName node;
  std::optional<Duration> deadline;  // absent = kDrainDeadlineDefault
};
// A job is wished for, in another way, with another number of tasks, or no more.
struct SubmitJob {
  JobSpec spec;
};
struct ScaleJob {
  TaskName name;
  std::uint32_t replicas = 0;
};
struct StopJob {
  TaskName name;
  std::optional<Duration> grace;  // absent = the template's
};
// What could not be read or is not valid.
struct InvalidItem {
  std::string task;  // the id (or node, or job) that it named, if that could be read
  std::string name;  // likewise
  Error error;
};
using IntentItem = std::variant<SubmitTask, StopTask, InvalidItem, CordonNode, DrainNode, SubmitJob,
                                ScaleJob, StopJob>;

// One intent message; an item's index is its place here.
struct IntentBatch {
  std::vector<IntentItem> items;
  std::string outcome_token;  // header Cube-Outcome; empty = nobody waits
};

}  // namespace cube
