#include "shared/cluster/job.h"

#include <algorithm>
#include <iterator>

#include "shared/cluster/status.h"
#include "shared/cluster/view.h"

namespace cube {
namespace {

constexpr std::uint32_t JobCounts::* kAllCounts[] = {
    &JobCounts::tasks,    &JobCounts::unfinished, &JobCounts::up,     &JobCounts::rising,
    &JobCounts::crashing, &JobCounts::completed,  &JobCounts::failed, &JobCounts::lost};
static_assert(sizeof(JobCounts) == std::size(kAllCounts) * sizeof(std::uint32_t));

// The run that holds a slot below `filled`.
std::size_t RunOf(const Job& job, std::uint32_t slot) {
  const auto behind =
      std::upper_bound(job.runs.begin(), job.runs.end(), slot,
                       [](std::uint32_t at, const SlotRun& run) { return at < run.first; });
  return static_cast<std::size_t>(behind - job.runs.begin()) - 1;
}

bool BatchIsOver(const Job& job) {
  return job.type == JobType::kBatch && CountsOf(job).unfinished == 0;
}

}  // namespace

JobCounts& JobCounts::operator+=(const JobCounts& more) {
  for (const auto count : kAllCounts) this->*count += more.*count;
  return *this;
}

JobCounts& JobCounts::operator-=(const JobCounts& less) {
  for (const auto count : kAllCounts) this->*count -= less.*count;
  return *this;
}

bool IsLive(const Job& job) { return !job.versions.empty() && job.end == JobEnd::kNone; }

bool IsUpdating(const Job& job) {
  return IsLive(job) && !job.stop_wanted && job.settled_version != job.version;
}

std::uint32_t SlotsWanted(const Job& job) {
  if (job.stop_wanted) return 0;
  return job.type == JobType::kSystem ? job.filled : job.replicas;
}

std::uint32_t VersionOfSlot(const Job& job, std::uint32_t slot) {
  return job.runs[RunOf(job, slot)].version;
}

std::uint32_t RunEnd(const Job& job, std::uint32_t slot) {
  const std::size_t run = RunOf(job, slot);
  return run + 1 < job.runs.size() ? job.runs[run + 1].first : job.filled;
}

std::uint32_t NextOldSlot(const Job& job, std::uint32_t from) {
  std::uint32_t slot = from;
  while (slot < job.filled && VersionOfSlot(job, slot) == job.version) slot = RunEnd(job, slot);
  return std::min(slot, job.filled);
}

std::uint32_t SlotsUpdated(const Job& job) {
  std::uint32_t slots = 0;
  for (std::size_t i = 0; i < job.runs.size(); ++i) {
    const std::uint32_t end = i + 1 < job.runs.size() ? job.runs[i + 1].first : job.filled;
    if (job.runs[i].version == job.version) slots += end - job.runs[i].first;
  }
  return slots;
}

std::uint32_t VersionOfNewSlots(const Job& job) {
  const bool failed = job.settled_version == job.version && !job.failure.empty();
  if (!failed) return job.version;
  const auto older = std::find_if(job.runs.rbegin(), job.runs.rend(), [&job](const SlotRun& run) {
    return run.version != job.version;
  });
  return older == job.runs.rend() ? job.version : older->version;
}

bool IsCurrent(const Job& job, std::uint32_t version) {
  return std::any_of(job.runs.begin(), job.runs.end(),
                     [version](const SlotRun& run) { return run.version == version; });
}

JobCounts CountsOf(const Job& job) {
  JobCounts sum;
  for (const auto& [number, version] : job.versions) {
    const JobCounts& counts = version.counts;
    sum.tasks += counts.tasks;
    sum.unfinished += counts.unfinished;
    sum.up += counts.up;
    sum.rising += counts.rising;
    sum.crashing += counts.crashing;
    if (!IsCurrent(job, number)) continue;
    sum.completed += counts.completed;
    sum.failed += counts.failed;
    sum.lost += counts.lost;
  }
  return sum;
}

const Task* FindSlotTask(const View& view, const Job& job, std::uint32_t version,
                         std::uint32_t slot) {
  const auto it = job.versions.find(version);
  if (it == job.versions.end()) return nullptr;
  return view.tasks.Find({it->second.intent, slot});
}

std::string_view JobStatusOf(const Job& job) {
  switch (job.end) {
    case JobEnd::kNone:
      break;
    case JobEnd::kCompleted:
      return "completed";
    case JobEnd::kFailed:
      return "failed";
    case JobEnd::kStopped:
      return "stopped";
  }
  if (job.stop_wanted) return "stopping";
  if (IsUpdating(job)) return "updating";
  const JobCounts counts = CountsOf(job);
  return counts.up + counts.completed > 0 ? "running" : "pending";
}

bool NeedsLook(const Job& job) {
  if (!IsLive(job)) return false;
  if (job.stop_wanted || IsUpdating(job)) return true;
  return job.filled != SlotsWanted(job) || !job.open.empty() || BatchIsOver(job);
}

bool IsCrashing(const Task& task) {
  if (MovesOn(task)) return true;
  if (StatusOf(task) != Status::kRestarting || !task.observed) return false;
  const bool well = task.observed->cause == ExitCause::kExited && task.observed->exit_code == 0;
  return !well && task.observed->launch + 1 >= kCrashingLaunches;
}

JobCounts CountOf(const Task& task) {
  JobCounts counts;
  counts.tasks = 1;
  if (!IsFinished(task)) {
    counts.unfinished = 1;
    if (task.stop_wanted) return counts;
    (IsHealthy(task) ? counts.up : counts.rising) = 1;
    counts.crashing = IsCrashing(task) ? 1 : 0;
    return counts;
  }
  if (task.stop_wanted) return counts;
  switch (StatusOf(task)) {
    case Status::kCompleted:
      counts.completed = 1;
      break;
    case Status::kFailed:
      counts.failed = 1;
      break;
    default:
      counts.lost = 1;
  }
  return counts;
}

void SetRun(Job& job, std::uint32_t first, std::uint32_t count, std::uint32_t version) {
  const std::uint32_t end = first + count;
  const std::uint32_t filled = std::max(job.filled, end);
  std::vector<SlotRun> runs;
  const auto add = [&runs](std::uint32_t at, std::uint32_t which) {
    if (runs.empty() || runs.back().version != which) runs.push_back({at, which});
  };
  for (const SlotRun& run : job.runs) {
    if (run.first < first) add(run.first, run.version);
  }
  add(first, version);
  for (std::size_t i = 0; i < job.runs.size(); ++i) {
    const SlotRun& run = job.runs[i];
    const std::uint32_t run_end = i + 1 < job.runs.size() ? job.runs[i + 1].first : job.filled;
    if (run_end > end) add(std::max(run.first, end), run.version);
  }
  job.runs = std::move(runs);
  job.filled = filled;
  std::erase_if(job.open, [&](std::uint32_t slot) { return slot >= first && slot < end; });
}

void CutRuns(Job& job, std::uint32_t first) {
  std::erase_if(job.runs, [first](const SlotRun& run) { return run.first >= first; });
  job.filled = std::min(job.filled, first);
  std::erase_if(job.open, [first](std::uint32_t slot) { return slot >= first; });
  if (job.nodes.size() > job.filled) job.nodes.resize(job.filled);
}

}  // namespace cube
