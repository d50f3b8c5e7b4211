// Folding of jobs: intents write what is wished, decisions how far it is carried. A part of fold.h.
#pragma once

#include "shared/cluster/fold.h"
#include "shared/cluster/view.h"
#include "shared/domain/decision.h"
#include "shared/domain/intent.h"

namespace cube::fold {

// What becomes of an intent; `Refused` is said by the caller.
struct JobVerdict {
  bool changed = false;
  std::optional<Error> refused;
};
[[nodiscard]] JobVerdict SubmitJobIntent(View& view, const Position& at, const SubmitJob& submit);
[[nodiscard]] JobVerdict ScaleJobIntent(View& view, const ScaleJob& scale);
[[nodiscard]] JobVerdict StopJobIntent(View& view, const StopJob& stop);

void Fill(View& view, WallTime now, const FillSlots& fill);
void Empty(View& view, WallTime now, const EmptySlots& empty);
void End(View& view, const EndUpdate& end);
void End(View& view, WallTime now, const EndJob& end);
// A task of a job is about to be forgotten: what must outlive it.
void NoteForgotten(View& view, const Task& task);
// Drops what nothing needs once a task is forgotten.
void DropVersions(View& view, const TaskName& name);

// A task of that version runs, and the log has lost its job: a new life of the name counts on from
// there.
void NoteLostVersion(View& view, const JobSlot& slot);

}  // namespace cube::fold
