#include "services/manager/task_records.h"

#include "shared/wire/convert.h"

namespace cube::manager {
namespace {

using wire::FromProto;
using wire::ToProto;

// What the task's record says of its job; its specification is found by its number.
Result<void> ReadJob(const v1::TaskRecord& record, const Jobs& jobs, Task& task) {
  if (record.job().empty()) {
    task.own_id = std::string_view(record.id());
    return {};
  }
  const auto job = jobs.find(TaskName::Trusted(record.job()));
  if (job == jobs.end()) return DamagedRecord("the job of task " + record.id());
  const auto version = job->second.versions.find(record.job_version());
  if (version == job->second.versions.end()) return DamagedRecord("the job of task " + record.id());
  task.job = version->second.ref;
  task.slot = record.slot();
  if (TaskIdText(task).view() != record.id()) return DamagedRecord("the id of task " + record.id());
  return {};
}

}  // namespace

std::unexpected<Error> DamagedRecord(std::string_view what) {
  return Fail(Code::kDataLoss, "the view's record of " + std::string(what) + " cannot be read");
}

void TaskRecordOf(const Task& task, v1::TaskRecord& record) {
  record.Clear();
  record.set_id(std::string(TaskIdText(task).view()));
  record.mutable_number()->set_intent(task.number.intent);
  record.mutable_number()->set_index(task.number.index);
  if (task.job != nullptr) {
    record.set_job(task.job->name.str());
    record.set_job_version(task.job->version);
    record.set_slot(task.slot);
    record.set_waits_anew(task.placed == Placed::kNever);
  }
  if (task.seldom->pinned) record.set_pinned(task.seldom->pinned->str());
  record.set_submitted_at_ns(ToNanos(task.submitted_at));
  record.set_stop_wanted(task.stop_wanted);
  record.set_stop_grace_ns(task.stop_grace.count());
  record.set_attempt(task.attempt);
  record.set_node(task.node.str());
  ToProto(task.placement, *record.mutable_placement());
  record.set_live(task.placed == Placed::kThere);
  record.set_stop_told(task.stop_told);
  record.set_placed_at_ns(ToNanos(task.placed_at));
  if (task.seldom->lost_reason) record.set_lost_reason(*task.seldom->lost_reason);
  if (task.observed) ToProto(FactOf(task), *record.mutable_observed());
  if (task.explanation) ToProto(*task.explanation, *record.mutable_explanation());
  record.set_over(task.over);
  record.set_ended_at_ns(ToNanos(task.ended_at));
  if (task.explanation) record.set_runner_up(task.explanation->runner_up.str());
  if (task.health) ToProto(*task.health, *record.mutable_health());
  for (const Move& move : MovesOf(task)) {
    v1::MoveRecord* proto = record.add_moves();
    proto->set_node(move.node.str());
    proto->set_at_ns(ToNanos(move.at));
  }
  if (task.seldom->eviction) {
    v1::EvictionRecord& eviction = *record.mutable_eviction();
    eviction.set_attempt(task.seldom->eviction->attempt);
    eviction.set_node(task.seldom->eviction->node.str());
    eviction.set_grace_ns(task.seldom->eviction->grace.count());
    eviction.set_reason(task.seldom->eviction->reason);
    eviction.set_ends(task.seldom->eviction->ends);
  }
}

Result<Task> TaskFrom(const v1::TaskRecord& record, const Jobs& jobs) {
  Task task;
  CUBE_TRY_VOID(CheckToken(record.id(), "id"));
  task.number = {record.number().intent(), record.number().index()};
  CUBE_TRY_VOID(ReadJob(record, jobs, task));
  if (!record.pinned().empty()) task.seldom.Edit().pinned = NodeName::Trusted(record.pinned());
  task.submitted_at = WallFromNanos(record.submitted_at_ns());
  task.stop_wanted = record.stop_wanted();
  task.stop_grace = Duration(record.stop_grace_ns());
  task.attempt = record.attempt();
  task.placement = FromProto(record.placement());
  if (task.attempt > 0 && !record.waits_anew()) {
    task.placed = record.live() ? Placed::kThere : Placed::kLost;
  }
  task.stop_told = record.stop_told();
  task.placed_at = WallFromNanos(record.placed_at_ns());
  if (!record.lost_reason().empty()) task.seldom.Edit().lost_reason = record.lost_reason();
  if (record.has_observed()) {
    CUBE_TRY(const LaunchFact observed, FromProto(record.observed()));
    task.observed = observed;
  }
  if (record.has_explanation()) {
    Explanation why = FromProto(record.explanation());
    why.runner_up = NodeName::Trusted(record.runner_up());
    task.explanation = std::make_shared<const Explanation>(std::move(why));
  }
  task.over = record.over();
  task.ended_at = WallFromNanos(record.ended_at_ns());
  if (record.has_health()) {
    CUBE_TRY(HealthFact health, FromProto(record.health()));
    task.health = std::move(health);
  }
  std::vector<Move> moves;
  for (const v1::MoveRecord& move : record.moves()) {
    moves.push_back({NodeName::Trusted(move.node()), WallFromNanos(move.at_ns())});
  }
  if (!moves.empty()) task.seldom.Edit().moves = std::move(moves);
  if (record.has_eviction()) {
    const v1::EvictionRecord& from = record.eviction();
    task.seldom.Edit().eviction = Eviction{from.attempt(), NodeName::Trusted(from.node()),
                                           Duration(from.grace_ns()), from.reason(), from.ends()};
  }
  return task;
}

}  // namespace cube::manager
