// What the three fold_*.cc share.
#pragma once

#include "shared/cluster/index.h"
#include "shared/cluster/status.h"
#include "shared/cluster/view.h"

namespace cube::fold {

// Puts the task's present status at the end of what is to be told. Stamp and time are set when the
// decision message that makes it valid is folded.
void NoteTransition(View& view, const Task& task);

// An attempt that was stopped though the log knows of no reason is as good as lost: its task goes
// on elsewhere.
void LoseIfUnasked(Task& task);

// Keeps view.draining true after a change of a node's drains.
void NoteDrain(View& view, const Node& node);

// Changes a task's record, keeps the indexes true, marks it dirty and notes its transition.
template <class Change>
void ChangeTask(View& view, Task& task, const Change& change) {
  const Status before = StatusOf(task);
  const bool healthy_before = IsHealthy(task);
  const std::uint32_t attempt_before = task.attempt;
  const bool live_before = IsLive(task);
  const index::Footprint footprint(task);
  change(task);
  index::Update(view, task, footprint);
  const bool live = IsLive(task);
  if (live_before && !live) ++view.room_version;
  if (live_before != live) index::PlacementsChanged(view, task);
  view.dirty_tasks.push_back(task.number);
  if (StatusOf(task) != before || IsHealthy(task) != healthy_before ||
      task.attempt != attempt_before) {
    NoteTransition(view, task);
  }
}

}  // namespace cube::fold
