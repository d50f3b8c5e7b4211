#include "shared/cluster/fold.h"
#include "shared/cluster/fold_jobs.h"
#include "shared/cluster/fold_support.h"
#include "shared/domain/rules.h"

namespace cube {
namespace {

using Kind = IntentResult::Kind;

IntentResult Refused(View& view, const Position& at, std::uint32_t index, std::string task,
                     Error error) {
  view.refusals.push_back({at.seq, index, task, error});
  return {index, Kind::kRefused, std::move(task), std::move(error)};
}

IntentResult FoldSubmit(View& view, const Position& at, std::uint32_t index,
                        const SubmitTask& submit) {
  const TaskNumber number{at.seq, index};
  const TaskId id = submit.id.empty() ? GeneratedTaskId(submit.spec->name, number) : submit.id;
  if (Task* known = view.Find(id)) {
    if (*known->spec == *submit.spec) {
      // One that a node alone had vouched for is its user's again.
      const bool vouched = known->job == nullptr && known->seldom->pinned && !IsFinished(*known);
      if (!vouched) return {index, Kind::kUnchanged, id.str(), {}};
      fold::ChangeTask(view, *known, [](Task& t) { t.seldom.Drop(&Seldom::pinned); });
      return {index, Kind::kAccepted, id.str(), {}};
    }
    return Refused(view, at, index, id.str(),
                   {Code::kConflict,
                    "a task with this id exists and has another spec; choose another id", "id"});
  }
  if (view.tasks.size() >= kTasksMax) {
    return Refused(view, at, index, id.str(),
                   {Code::kResource,
                    "the cluster holds " + std::to_string(kTasksMax) +
                        " tasks, its limit; wait until finished ones are forgotten",
                    ""});
  }
  Task task;
  task.own_id = std::string_view(id.str());
  task.number = number;
  task.spec = submit.spec;
  task.submitted_at = at.time;
  Task& placed = view.tasks.Add(std::move(task));
  index::Enter(view, placed);
  view.dirty_tasks.push_back(number);
  fold::NoteTransition(view, placed);
  return {index, Kind::kAccepted, id.str(), {}};
}

IntentResult FoldStop(View& view, const Position& at, std::uint32_t index, const StopTask& stop) {
  Task* task = view.Find(stop.id);
  // The task of a job that the log has lost is nobody's but its user's.
  if (task == nullptr ? IsJobTaskId(stop.id.str()) : task->job != nullptr) {
    return Refused(view, at, index, stop.id.str(),
                   {Code::kInvalid,
                    "'" + stop.id.str() +
                        "' is a task of a job, which keeps it running; scale or stop the job "
                        "('cube job scale', 'cube job stop')",
                    "id"});
  }
  if (task == nullptr) {
    return Refused(view, at, index, stop.id.str(), {Code::kNotFound, "no task has this id", "id"});
  }
  const Duration grace = stop.grace.value_or(task->spec->stop_grace);
  // Asked again, a stop can only become more urgent.
  if (IsFinished(*task) || (task->stop_wanted && grace >= task->stop_grace)) {
    return {index, Kind::kUnchanged, stop.id.str(), {}};
  }
  fold::ChangeTask(view, *task, [grace](Task& t) {
    t.stop_wanted = true;
    t.stop_grace = grace;
    t.stop_told = false;
  });
  return {index, Kind::kAccepted, stop.id.str(), {}};
}

Node* FindNode(View& view, const NodeName& name) {
  const auto it = view.nodes.find(name);
  return it == view.nodes.end() ? nullptr : &it->second;
}

IntentResult NoSuchNode(View& view, const Position& at, std::uint32_t index, const NodeName& name) {
  return Refused(
      view, at, index, name.str(),
      {Code::kNotFound, "no node has this name; 'cube node ls' lists the nodes", "name"});
}

IntentResult FoldCordon(View& view, const Position& at, std::uint32_t index,
                        const CordonNode& cordon) {
  Node* node = FindNode(view, cordon.node);
  if (node == nullptr) return NoSuchNode(view, at, index, cordon.node);
  if (node->cordoned == cordon.cordon && (cordon.cordon || !node->drain)) {
    return {index, Kind::kUnchanged, cordon.node.str(), {}};
  }
  node->cordoned = cordon.cordon;
  index::NodeChanged(view, *node);
  if (!cordon.cordon) {
    node->drain.reset();
    fold::NoteDrain(view, *node);
    ++view.room_version;
    ++view.system_version;
  }
  view.dirty_nodes.insert(node->name);
  return {index, Kind::kAccepted, cordon.node.str(), {}};
}

IntentResult FoldDrain(View& view, const Position& at, std::uint32_t index,
                       const DrainNode& drain) {
  Node* node = FindNode(view, drain.node);
  if (node == nullptr) return NoSuchNode(view, at, index, drain.node);
  node->cordoned = true;
  index::NodeChanged(view, *node);
  node->drain = Drain{drain.deadline.value_or(kDrainDeadlineDefault), {}};
  fold::NoteDrain(view, *node);
  view.dirty_nodes.insert(node->name);
  return {index, Kind::kAccepted, drain.node.str(), {}};
}

IntentResult OfJob(View& view, const Position& at, std::uint32_t index, const TaskName& name,
                   fold::JobVerdict verdict) {
  if (verdict.refused) return Refused(view, at, index, name.str(), *std::move(verdict.refused));
  return {index, verdict.changed ? Kind::kAccepted : Kind::kUnchanged, name.str(), {}};
}

IntentResult FoldOne(View& view, const Position& at, std::uint32_t i, const IntentItem& item) {
  if (const auto* submit = std::get_if<SubmitTask>(&item)) return FoldSubmit(view, at, i, *submit);
  if (const auto* stop = std::get_if<StopTask>(&item)) return FoldStop(view, at, i, *stop);
  if (const auto* cordon = std::get_if<CordonNode>(&item)) return FoldCordon(view, at, i, *cordon);
  if (const auto* drain = std::get_if<DrainNode>(&item)) return FoldDrain(view, at, i, *drain);
  if (const auto* job = std::get_if<SubmitJob>(&item)) {
    return OfJob(view, at, i, job->spec.name, fold::SubmitJobIntent(view, at, *job));
  }
  if (const auto* scale = std::get_if<ScaleJob>(&item)) {
    return OfJob(view, at, i, scale->name, fold::ScaleJobIntent(view, *scale));
  }
  if (const auto* stop = std::get_if<StopJob>(&item)) {
    return OfJob(view, at, i, stop->name, fold::StopJobIntent(view, *stop));
  }
  const auto& invalid = std::get<InvalidItem>(item);
  return Refused(view, at, i, invalid.task, invalid.error);
}

}  // namespace

std::vector<IntentResult> FoldIntents(View& view, const Position& at, const IntentBatch& batch) {
  std::vector<IntentResult> results;
  if (at.seq <= view.intents.seq) return results;
  results.reserve(batch.items.size());
  for (std::uint32_t i = 0; i < batch.items.size(); ++i) {
    results.push_back(FoldOne(view, at, i, batch.items[i]));
  }
  view.intents = at;
  return results;
}

}  // namespace cube
