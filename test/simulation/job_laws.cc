#include "test/simulation/job_laws.h"

#include <algorithm>

#include "shared/cluster/status.h"

namespace cube::sim {
namespace {

std::string SlotText(const Job& job, std::uint32_t slot) {
  return "slot " + std::to_string(slot) + " of job " + job.name.str();
}

const Task* TaskOf(const View& view, const Job& job, std::uint32_t slot) {
  return FindSlotTask(view, job, VersionOfSlot(job, slot), slot);
}

const Job* FindJob(const View& view, const TaskName& name) {
  const auto job = view.jobs.find(name);
  return job == view.jobs.end() ? nullptr : &job->second;
}

// Slots that an update has taken down and that are not up again.
std::set<std::uint32_t> SlotsDown(const View& view, const Job& job) {
  std::set<std::uint32_t> down(job.open.begin(), job.open.end());
  for (std::uint32_t slot = 0; slot < job.filled; ++slot) {
    if (VersionOfSlot(job, slot) != job.version) continue;
    const Task* task = TaskOf(view, job, slot);
    if (task != nullptr && !IsFinished(*task) && !IsHealthy(*task)) down.insert(slot);
  }
  return down;
}

}  // namespace

std::string JobLaws::Check(const View& view, const DecisionBatch& batch) {
  down_.clear();
  for (const DecisionItem& item : batch.items) {
    std::string broken;
    if (const auto* empty = std::get_if<EmptySlots>(&item)) {
      broken = CheckEmpty(view, *empty);
    } else if (const auto* fill = std::get_if<FillSlots>(&item)) {
      broken = CheckFill(view, *fill);
    } else if (const auto* update = std::get_if<EndUpdate>(&item)) {
      broken = CheckEnd(view, *update);
    } else if (const auto* end = std::get_if<EndJob>(&item)) {
      broken = CheckEnd(view, *end);
    }
    if (!broken.empty()) return "law of jobs: " + broken;
  }
  return {};
}

std::string JobLaws::Replaces(const View& view, const Job& job, std::uint32_t first,
                              std::uint32_t count) {
  if (const auto failed = failed_.find(job.name);
      failed != failed_.end() && failed->second == job.version) {
    return "the update of " + job.name.str() + " goes on after it has failed";
  }
  const auto [down, is_new] = down_.try_emplace(job.name);
  if (is_new) down->second = SlotsDown(view, job);
  for (std::uint32_t i = 0; i < count; ++i) down->second.insert(first + i);
  for (const Task& task : view.tasks) {
    const bool newest = task.job != nullptr && task.job->name == job.name &&
                        task.job->version == job.version && !task.stop_wanted;
    if (newest && StatusOf(task) == Status::kFailed) {
      return "the update of " + job.name.str() + " goes on though " + IdOf(task).str() + " failed";
    }
  }
  return {};
}

std::string JobLaws::CheckEmpty(const View& view, const EmptySlots& empty) {
  const Job* found = FindJob(view, empty.job);
  if (found == nullptr) return "slots of " + empty.job.str() + ", which is not there, are emptied";
  if (empty.release) return {};
  const Job& job = *found;
  if (std::string broken = Replaces(view, job, empty.first, empty.count); !broken.empty()) {
    return broken;
  }
  const std::set<std::uint32_t>& down = down_[job.name];
  if (down.size() <= job.update.parallel) return {};
  std::string text = "the update of " + job.name.str() + " takes down";
  for (const std::uint32_t slot : down) {
    const Task* task = slot < job.filled ? TaskOf(view, job, slot) : nullptr;
    text += " " + std::to_string(slot) + "/v" +
            std::to_string(slot < job.filled ? VersionOfSlot(job, slot) : 0) + "/" +
            (task != nullptr ? std::string(StatusName(StatusOf(*task))) : "none");
  }
  return text + ", and may only " + std::to_string(job.update.parallel) + " of " +
         std::to_string(job.filled) + " at a time to version " + std::to_string(job.version);
}

std::string JobLaws::CheckFill(const View& view, const FillSlots& fill) {
  const Job* job = FindJob(view, fill.job);
  if (job == nullptr) return "slots of " + fill.job.str() + ", which is not there, are filled";
  for (std::uint32_t i = 0; i < fill.count; ++i) {
    const std::uint32_t slot = fill.first + i;
    const Task* task = slot < job->filled ? TaskOf(view, *job, slot) : nullptr;
    if (task != nullptr && !IsFinished(*task)) return SlotText(*job, slot) + " is filled twice";
    const bool replaces = slot < job->filled && fill.version != VersionOfSlot(*job, slot);
    if (!replaces || fill.vacant) continue;
    if (std::string broken = Replaces(view, *job, slot, 1); !broken.empty()) return broken;
  }
  return {};
}

std::string JobLaws::CheckEnd(const View& view, const EndJob& end) {
  const Job* job = FindJob(view, end.job);
  if (job == nullptr) return end.job.str() + ", which is not there, ends";
  for (const Task& task : view.tasks) {
    if (task.job == nullptr || task.job->name != end.job) continue;
    if (!IsFinished(task)) return end.job.str() + " ends while " + IdOf(task).str() + " runs";
  }
  for (std::uint32_t slot = 0; slot < job->filled; ++slot) {
    const Task* task = TaskOf(view, *job, slot);
    if (end.end != JobEnd::kCompleted || task == nullptr) continue;
    if (StatusOf(*task) == Status::kCompleted) continue;
    return end.job.str() + " has completed though " + IdOf(*task).str() + " has not";
  }
  return {};
}

std::string JobLaws::CheckEnd(const View& view, const EndUpdate& end) {
  const Job* job = FindJob(view, end.job);
  if (job == nullptr) return "the update of " + end.job.str() + ", which is not there, ends";
  if (!end.failure.empty()) {
    failed_[end.job] = end.version;
    return {};
  }
  for (std::uint32_t slot = 0; slot < job->filled; ++slot) {
    if (VersionOfSlot(*job, slot) != end.version) return SlotText(*job, slot) + " was left out";
    const Task* task = TaskOf(view, *job, slot);
    if (task != nullptr && !IsFinished(*task) && !IsHealthy(*task)) {
      return SlotText(*job, slot) + " is not up, and the update has succeeded";
    }
  }
  return {};
}

namespace {

std::string UnsettledSlots(const View& view, const Job& job) {
  if (job.type != JobType::kSystem && job.filled != job.replicas) {
    return "job " + job.name.str() + " has not its number of tasks";
  }
  std::uint32_t unfinished = 0;
  for (std::uint32_t slot = 0; slot < job.filled; ++slot) {
    const Task* task = TaskOf(view, job, slot);
    if (task != nullptr && !IsFinished(*task)) ++unfinished;
    if (job.type == JobType::kSystem) continue;
    if (task == nullptr || task->stop_wanted) return SlotText(job, slot) + " has no task";
    // None of the simulator's services ends by itself or must not move.
    if (job.type == JobType::kService && IsFinished(*task)) {
      return SlotText(job, slot) + " is not kept alive";
    }
  }
  if (job.type == JobType::kBatch && unfinished == 0) return job.name.str() + " is over and lives";
  std::uint32_t all = 0;
  for (const Task& task : view.tasks) {
    if (task.job != nullptr && task.job->name == job.name && !IsFinished(task)) ++all;
  }
  return all == unfinished ? "" : "job " + job.name.str() + " has tasks beyond its slots";
}

}  // namespace

std::string UnsettledJobs(const View& view) {
  if (!view.jobs_due.empty()) {
    const Job& job = view.jobs.at(*view.jobs_due.begin());
    return "job " + job.name.str() + " is " + std::string(JobStatusOf(job));
  }
  for (const auto& [name, job] : view.jobs) {
    if (!IsLive(job)) continue;
    if (std::string slots = UnsettledSlots(view, job); !slots.empty()) return slots;
    for (const auto& [node_name, node] : view.nodes) {
      if (job.type != JobType::kSystem || !IsEligible(node)) continue;
      const auto at = std::find(job.nodes.begin(), job.nodes.end(), node_name);
      if (at == job.nodes.end()) return "job " + name.str() + " lacks node " + node_name.str();
      const Task* task = TaskOf(view, job, static_cast<std::uint32_t>(at - job.nodes.begin()));
      const bool due = task == nullptr || StatusOf(*task) == Status::kLost || task->stop_wanted;
      if (due) return "job " + name.str() + " has no task on node " + node_name.str();
    }
  }
  return {};
}

}  // namespace cube::sim
