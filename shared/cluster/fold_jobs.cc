#include "shared/cluster/fold_jobs.h"

#include <algorithm>

#include "shared/cluster/fold_support.h"

namespace cube::fold {
namespace {

JobVerdict Refuse(Code code, std::string message, std::string field) {
  return {false, Error{code, std::move(message), std::move(field)}};
}

Job* FindLive(View& view, const TaskName& name) {
  const auto it = view.jobs.find(name);
  return it == view.jobs.end() || !IsLive(it->second) ? nullptr : &it->second;
}

JobVerdict NoSuchJob() {
  return Refuse(Code::kNotFound, "no job of this name runs; 'cube job ls -a' lists the jobs",
                "name");
}

// The record has changed: its index and the store follow.
void Changed(View& view, Job& job) {
  view.dirty_jobs.insert(job.name);
  index::NoteJob(view, job);
}

void AddVersion(Job& job, const Position& at, const TaskSpecPtr& spec) {
  // Of the older ones those stay that have tasks, or slots that may get one again.
  std::erase_if(job.versions, [&job](const auto& entry) {
    return entry.second.counts.tasks == 0 && !IsCurrent(job, entry.first);
  });
  ++job.version;
  JobVersion& version = job.versions[job.version];
  version.spec = spec;
  version.ref = std::make_shared<const JobRef>(JobRef{job.name, job.version, job.type});
  version.intent = at.seq;
}

bool HasRoom(const View& view, std::uint64_t more) { return view.tasks.size() + more <= kTasksMax; }

JobVerdict NoRoom() {
  return Refuse(Code::kResource,
                "the cluster holds at most " + std::to_string(kTasksMax) +
                    " tasks; wait until finished ones are forgotten",
                "replicas");
}

// The log had lost the job, whose tasks have run on as plain ones: the new life takes their place.
void EndReadopted(View& view, const TaskName& name) {
  for (Task& task : view.tasks) {
    if (task.job != nullptr || task.stop_wanted || IsFinished(task)) continue;
    const auto slot = ParseJobTaskId(IdOf(task));
    if (!slot || slot->job != name) continue;
    ChangeTask(view, task, [](Task& t) {
      t.stop_wanted = true;
      t.stop_grace = t.spec->stop_grace;
    });
  }
}

// A name begins a new life: what an earlier one left behind is history.
void Begin(View& view, const Position& at, const JobSpec& spec) {
  Job& job = view.jobs[spec.name];
  if (job.version > 0 && !IsSet(job.submitted_at)) EndReadopted(view, spec.name);
  job.name = spec.name;
  job.type = spec.type;
  job.replicas = spec.replicas;
  job.update = spec.update;
  job.stop_wanted = false;
  job.stop_grace.reset();
  job.submitted_at = at.time;
  job.filled = 0;
  job.runs.clear();
  job.open.clear();
  job.nodes.clear();
  job.failure.clear();
  job.progress_at = {};
  job.end = JobEnd::kNone;
  job.end_reason.clear();
  job.ended_at = {};
  AddVersion(job, at, spec.task);
  job.settled_version = job.version;  // there is nothing to replace
  Changed(view, job);
}

JobVerdict Change(View& view, const Position& at, Job& job, const JobSpec& spec) {
  if (job.stop_wanted) {
    return Refuse(Code::kConflict, "the job is being stopped; submit it again when it has ended",
                  "name");
  }
  if (job.type != spec.type) {
    return Refuse(Code::kConflict,
                  "a " + std::string(JobTypeName(job.type)) +
                      " job of this name runs; stop it first, or choose another name",
                  "type");
  }
  const bool failed = job.settled_version == job.version && !job.failure.empty();
  const bool same_task = *job.versions.at(job.version).spec == *spec.task;
  if (same_task && !failed && job.replicas == spec.replicas && job.update == spec.update) return {};
  if (spec.replicas > job.replicas && !HasRoom(view, spec.replicas - job.replicas)) return NoRoom();
  job.replicas = spec.replicas;
  job.update = spec.update;
  // The same again after a failed update is another try.
  if (!same_task || failed) {
    AddVersion(job, at, spec.task);
    job.failure.clear();
    job.progress_at = {};
  }
  Changed(view, job);
  return {true, {}};
}

}  // namespace

JobVerdict SubmitJobIntent(View& view, const Position& at, const SubmitJob& submit) {
  const JobSpec& spec = submit.spec;
  if (Job* job = FindLive(view, spec.name)) return Change(view, at, *job, spec);
  if (!view.jobs.contains(spec.name) && view.jobs.size() >= kJobNamesMax) {
    return Refuse(Code::kResource,
                  "the cluster remembers " + std::to_string(kJobNamesMax) +
                      " names of jobs, its limit; use one of those again",
                  "name");
  }
  if (!HasRoom(view, spec.replicas)) return NoRoom();
  Begin(view, at, spec);
  return {true, {}};
}

JobVerdict ScaleJobIntent(View& view, const ScaleJob& scale) {
  Job* job = FindLive(view, scale.name);
  if (job == nullptr) return NoSuchJob();
  if (job->stop_wanted) {
    return Refuse(Code::kConflict, "the job is being stopped", "name");
  }
  if (job->type == JobType::kSystem) {
    return Refuse(Code::kInvalid, "a system job has one task on each node", "replicas");
  }
  if (auto good = CheckReplicas(job->type, scale.replicas, "replicas"); !good) {
    return {false, std::move(good).error()};
  }
  if (job->replicas == scale.replicas) return {};
  if (scale.replicas > job->replicas && !HasRoom(view, scale.replicas - job->replicas)) {
    return NoRoom();
  }
  job->replicas = scale.replicas;
  Changed(view, *job);
  return {true, {}};
}

JobVerdict StopJobIntent(View& view, const StopJob& stop) {
  const auto it = view.jobs.find(stop.name);
  if (it == view.jobs.end() || it->second.versions.empty()) return NoSuchJob();
  Job& job = it->second;
  if (!IsLive(job) || job.stop_wanted) return {};
  job.stop_wanted = true;
  job.stop_grace = stop.grace;
  Changed(view, job);
  return {true, {}};
}

namespace {

void Pin(Task& task, const NodeName& node) {
  if (node.empty()) {
    task.seldom.Drop(&Seldom::pinned);
  } else {
    task.seldom.Edit().pinned = node;
  }
}

void FillOne(View& view, WallTime now, const JobVersion& version, std::uint32_t slot,
             const NodeName& node) {
  const TaskNumber number{version.intent, slot};
  if (Task* found = view.tasks.Find(number)) {
    if (!IsFinished(*found)) return;
    ChangeTask(view, *found, [&node](Task& t) {
      t.stop_wanted = false;
      t.stop_told = false;
      t.over = false;
      t.placed = Placed::kNever;
      t.observed.reset();
      t.health.reset();
      t.seldom.Drop(&Seldom::moves);
      t.seldom.Drop(&Seldom::eviction);
      t.seldom.Drop(&Seldom::lost_reason);
      t.explanation.reset();
      t.ended_at = {};
      Pin(t, node);
    });
    return;
  }
  if (view.tasks.size() >= kTasksMax) return;
  Task task;
  task.number = number;
  task.spec = version.spec;
  task.submitted_at = now;
  task.attempt = version.attempt_floor;
  task.job = version.ref;
  task.slot = slot;
  Pin(task, node);
  Task& added = view.tasks.Add(std::move(task));
  index::Enter(view, added);
  view.dirty_tasks.push_back(number);
  NoteTransition(view, added);
}

}  // namespace

void Fill(View& view, WallTime now, const FillSlots& fill) {
  Job* job = FindLive(view, fill.job);
  if (job == nullptr || fill.first > job->filled) return;
  const auto version = job->versions.find(fill.version);
  if (version == job->versions.end()) return;
  SetRun(*job, fill.first, fill.count, fill.version);
  if (job->type == JobType::kSystem) {
    job->nodes.resize(job->filled);
    if (!fill.node.empty()) job->nodes[fill.first] = fill.node;
  }
  job->progress_at = now;
  if (!fill.vacant) {
    for (std::uint32_t i = 0; i < fill.count; ++i) {
      FillOne(view, now, version->second, fill.first + i, fill.node);
    }
  }
  Changed(view, *job);
}

void Empty(View& view, WallTime now, const EmptySlots& empty) {
  Job* job = FindLive(view, empty.job);
  if (job == nullptr) return;
  const auto version = job->versions.find(empty.version);
  if (version == job->versions.end()) return;
  for (std::uint32_t i = 0; i < empty.count; ++i) {
    Task* task = view.tasks.Find({version->second.intent, empty.first + i});
    if (task == nullptr || task->stop_wanted) continue;
    ChangeTask(view, *task, [&empty](Task& t) {
      t.stop_wanted = true;
      t.stop_grace = empty.grace.value_or(t.spec->stop_grace);
      t.stop_told = false;
    });
  }
  if (empty.release && empty.first + empty.count >= job->filled) CutRuns(*job, empty.first);
  for (std::uint32_t i = 0; !empty.release && i < empty.count; ++i) {
    const std::uint32_t slot = empty.first + i;
    const auto at = std::lower_bound(job->open.begin(), job->open.end(), slot);
    if (at == job->open.end() || *at != slot) job->open.insert(at, slot);
  }
  job->progress_at = now;
  Changed(view, *job);
}

void End(View& view, const EndUpdate& end) {
  Job* job = FindLive(view, end.job);
  if (job == nullptr || job->version != end.version) return;
  job->settled_version = end.version;
  job->failure = end.failure;
  Changed(view, *job);
}

void End(View& view, WallTime now, const EndJob& end) {
  Job* job = FindLive(view, end.job);
  if (job == nullptr) return;
  job->end = end.end;
  job->end_reason = end.reason;
  job->ended_at = now;
  Changed(view, *job);
}

void NoteForgotten(View& view, const Task& task) {
  Job& job = view.jobs.at(task.job->name);
  JobVersion& version = job.versions.at(task.job->version);
  version.attempt_floor = std::max(version.attempt_floor, task.attempt);
  if (!task.stop_wanted) {
    const bool completed = StatusOf(task) == Status::kCompleted;
    ++(completed ? version.forgotten_completed : version.forgotten_bad);
  }
  view.dirty_jobs.insert(job.name);
}

void NoteLostVersion(View& view, const JobSlot& slot) {
  // Nobody can submit a job of a name beyond the limit, so its versions need no remembering.
  if (!view.jobs.contains(slot.job) && view.jobs.size() >= kJobNamesMax) return;
  Job& job = view.jobs[slot.job];
  job.name = slot.job;
  job.version = std::max(job.version, slot.version);
  if (!IsSet(job.submitted_at)) job.end = JobEnd::kStopped;
  Changed(view, job);
}

void DropVersions(View& view, const TaskName& name) {
  Job& job = view.jobs.at(name);
  std::erase_if(job.versions, [&job](const auto& entry) {
    if (entry.second.counts.tasks > 0 || (IsLive(job) && entry.first == job.version)) return false;
    return !IsLive(job) || !IsCurrent(job, entry.first);
  });
  Changed(view, job);
}

}  // namespace cube::fold
