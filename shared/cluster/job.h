// A job's record: what its intents wish, and how far decisions have carried it. Part of the view.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/time.h"
#include "shared/domain/ids.h"
#include "shared/domain/job.h"
#include "shared/domain/task_spec.h"

namespace cube {

struct Task;
struct View;

// Counts over the tasks of one version; follow from the tasks. What its job gave up (a slot that
// was emptied) counts as unfinished only.
struct JobCounts {
  std::uint32_t tasks = 0;       // records
  std::uint32_t unfinished = 0;  // not at their end
  std::uint32_t up = 0;          // running, and healthy where a check exists
  std::uint32_t rising = 0;      // unfinished, and not up
  std::uint32_t crashing = 0;    // of those: IsCrashing
  std::uint32_t completed = 0;
  std::uint32_t failed = 0;  // ended as failed
  std::uint32_t lost = 0;    // ended as lost, or had to leave their node and must not move
  friend bool operator==(const JobCounts&, const JobCounts&) = default;
  JobCounts& operator+=(const JobCounts& more);
  JobCounts& operator-=(const JobCounts& less);
};
// A task that is being rolled out and has failed so often does not come up.
inline constexpr std::uint32_t kCrashingLaunches = 3;

struct JobVersion {
  TaskSpecPtr spec;
  JobRefPtr ref;
  std::uint64_t intent = 0;         // that brought it: the tasks' numbers are (this, slot)
  std::uint32_t attempt_floor = 0;  // highest attempt of its forgotten tasks
  std::uint32_t forgotten_completed = 0;
  std::uint32_t forgotten_bad = 0;  // ended in another way, not by the job's wish
  JobCounts counts;
};

// Slots in a row that are filled by one version.
struct SlotRun {
  std::uint32_t first = 0;
  std::uint32_t version = 0;
  friend bool operator==(const SlotRun&, const SlotRun&) = default;
};

struct Job {
  TaskName name;

  // Desired: written by intents.
  JobType type = JobType::kService;
  std::uint32_t replicas = 0;
  UpdatePolicy update;
  std::uint32_t version = 0;  // wanted; counts on over all lives of the name
  // The wanted one and those that still have tasks. Empty: only the name is remembered.
  std::map<std::uint32_t, JobVersion> versions;
  bool stop_wanted = false;
  std::optional<Duration> stop_grace;
  WallTime submitted_at;  // the server's stamp of the intent that began this life

  // Rollout: written by decisions; a new life begins anew.
  std::uint32_t filled = 0;           // slots 0 to this have been filled
  std::vector<SlotRun> runs;          // which version fills them, in order
  std::vector<std::uint32_t> open;    // slots whose task was told to end and has no successor yet
  std::vector<NodeName> nodes;        // kSystem: of each slot
  std::uint32_t settled_version = 0;  // the last one whose rollout is over
  std::string failure;                // why that failed; empty = it has not
  WallTime progress_at;               // a slot was filled or emptied, cluster time
  JobEnd end = JobEnd::kNone;
  std::string end_reason;
  WallTime ended_at;  // cluster time
};

// It has been submitted and has not ended: its name is taken.
[[nodiscard]] bool IsLive(const Job& job);
// A version is being rolled out over an older one.
[[nodiscard]] bool IsUpdating(const Job& job);
// The slots that it should have. kSystem: those that it has.
[[nodiscard]] std::uint32_t SlotsWanted(const Job& job);
// The version of a slot below `filled`.
[[nodiscard]] std::uint32_t VersionOfSlot(const Job& job, std::uint32_t slot);
// Where the run of that slot ends: the first slot behind it.
[[nodiscard]] std::uint32_t RunEnd(const Job& job, std::uint32_t slot);
// The first slot from `from` on that another version than the wanted one fills; `filled` = none.
[[nodiscard]] std::uint32_t NextOldSlot(const Job& job, std::uint32_t from);
// Slots that the wanted version fills.
[[nodiscard]] std::uint32_t SlotsUpdated(const Job& job);
// The version that new slots get: after a failed update not the one that failed.
[[nodiscard]] std::uint32_t VersionOfNewSlots(const Job& job);
// Whether slots of this life of the job are of that version: what an earlier life has left behind
// may have tasks still, but is history.
[[nodiscard]] bool IsCurrent(const Job& job, std::uint32_t version);
// The sum over all versions of what goes on, and over the current ones of how tasks have ended.
[[nodiscard]] JobCounts CountsOf(const Job& job);
// The task of a slot in a version; nullptr = there is none (any more).
[[nodiscard]] const Task* FindSlotTask(const View& view, const Job& job, std::uint32_t version,
                                       std::uint32_t slot);

// "pending", "running", "updating", "stopping", "completed", "failed", "stopped".
[[nodiscard]] std::string_view JobStatusOf(const Job& job);

// Whether deciding has, or soon may have, something to do about it. kSystem: besides what nodes do.
[[nodiscard]] bool NeedsLook(const Job& job);

// A task whose launches fail one after the other, or that has failed for good where it was.
[[nodiscard]] bool IsCrashing(const Task& task);
// What a task stands for in the counts of its version.
[[nodiscard]] JobCounts CountOf(const Task& task);

// For folding: slots [first, first + count) pass to a version.
void SetRun(Job& job, std::uint32_t first, std::uint32_t count, std::uint32_t version);
// For folding: the job has no slots from `first` on.
void CutRuns(Job& job, std::uint32_t first);

}  // namespace cube
