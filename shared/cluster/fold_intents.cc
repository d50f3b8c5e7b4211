#include "shared/cluster/fold.h"
#include "shared/cluster/fold_support.h"

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
  if (const Task* known = view.Find(id)) {
    if (*known->spec == *submit.spec) return {index, Kind::kUnchanged, id.str(), {}};
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
  task.id = id;
  task.number = number;
  task.spec = submit.spec;
  task.submitted_at = at.time;
  const Task& placed = view.tasks.emplace(number, std::move(task)).first->second;
  view.numbers.emplace(id, number);
  index::Enter(view, placed);
  view.dirty_tasks.insert(number);
  fold::NoteTransition(view, placed);
  return {index, Kind::kAccepted, id.str(), {}};
}

IntentResult FoldStop(View& view, const Position& at, std::uint32_t index, const StopTask& stop) {
  Task* task = view.Find(stop.id);
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

}  // namespace

std::vector<IntentResult> FoldIntents(View& view, const Position& at, const IntentBatch& batch) {
  std::vector<IntentResult> results;
  if (at.seq <= view.intents.seq) return results;
  results.reserve(batch.items.size());
  for (std::uint32_t i = 0; i < batch.items.size(); ++i) {
    const IntentItem& item = batch.items[i];
    if (const auto* submit = std::get_if<SubmitTask>(&item)) {
      results.push_back(FoldSubmit(view, at, i, *submit));
    } else if (const auto* stop = std::get_if<StopTask>(&item)) {
      results.push_back(FoldStop(view, at, i, *stop));
    } else {
      const auto& invalid = std::get<InvalidItem>(item);
      results.push_back(Refused(view, at, i, invalid.task, invalid.error));
    }
  }
  view.intents = at;
  return results;
}

}  // namespace cube
