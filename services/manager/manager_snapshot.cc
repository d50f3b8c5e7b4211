// A manager that knows nothing, or less than what the log still has, begins with a snapshot of the
// view: its rows go into the store, the view is loaded from there, and the log is read on behind
// it. The store's own position is written last, so that an end in the middle leaves it empty.
#include <utility>

#include "services/manager/manager_loop.h"
#include "shared/wire/codec.h"

namespace cube::manager {

bool ManagerLoop::IsTrimmedAhead() const {
  return check_.gone.intents.seq > view_.intents.seq || check_.gone.facts.seq > view_.facts.seq ||
         check_.gone.decision > view_.valid_seq;
}

// -> false: there is none that helps.
bool ManagerLoop::BeginLoad() {
  if (!check_.snapshot) return false;
  const StoredManifest stored = *std::exchange(check_.snapshot, std::nullopt);
  const SnapshotManifest& manifest = stored.manifest;
  if (manifest.cover.decision <= view_.valid_seq) return false;
  if (manifest.schema < kViewSchemaOldest || manifest.schema > ViewSchema().version) {
    GiveUpSnapshot(stored, "another version of Cube has written it (schema " +
                               std::to_string(manifest.schema) + ", not " +
                               std::to_string(ViewSchema().version) + ")");
    return true;
  }
  phase_ = Phase::kLoading;
  // Only if it is of this log does it take the place of what we have.
  snapshot_wanted_ = stored;
  snapshot_op_ = next_op_++;
  out_.Bus(bus::Get{snapshot_op_, options_.subjects.DecisionsStream(), manifest.cover.decision});
  return true;
}

void ManagerLoop::OnSnapshotCompared(const bus::Got& got) {
  snapshot_op_ = 0;
  const SnapshotManifest& manifest = snapshot_wanted_.manifest;
  if (got.message) {  // one that was purged cannot be compared
    const Result<DecisionBatch> batch = wire::DecodeDecisions(got.message->payload);
    if (!batch || batch->stamp() != manifest.cover.stamp) {
      foreign_snapshot_ = std::max(foreign_snapshot_, manifest.decided_at);
      GiveUpSnapshot(snapshot_wanted_, "it is of another log");
      return;
    }
  }
  out_.Info("reading the snapshot of the view as of decision " +
            std::to_string(manifest.cover.decision) + ", " + std::to_string(manifest.rows) +
            " records");
  ForgetAll();
  snapshot_end_ = {};
  snapshot_.Open(snapshot_wanted_, out_);
}

bool ManagerLoop::OnLoadRead(const bus::Read& read) {
  std::vector<SnapshotRow> rows;
  switch (snapshot_.OnRead(read, rows, out_)) {
    case SnapshotReader::Progress::kNotOurs:
      return false;
    case SnapshotReader::Progress::kMore:
      TakeRows(rows);
      return true;
    case SnapshotReader::Progress::kWhole:
      out_.Commit(std::exchange(snapshot_end_, {}));
      snapshot_read_ = true;
      return true;
    case SnapshotReader::Progress::kBroken:
      GiveUpSnapshot(snapshot_.stored(), snapshot_.why());
      return true;
  }
  return true;
}

void ManagerLoop::TakeRows(const std::vector<SnapshotRow>& rows) {
  store::WriteBatch batch;
  for (const SnapshotRow& row : rows) {
    if (row.table >= ViewSchema().table_names.size() || row.key.size() > store::kKeyBytesMax) {
      snapshot_.Close(out_);
      GiveUpSnapshot(snapshot_.stored(), "a row is none of a view");
      return;
    }
    store::WriteBatch& to = row.table == kViewMetaTable ? snapshot_end_ : batch;
    to.Put(static_cast<store::TableId>(row.table), row.key, row.value);
  }
  out_.Commit(std::move(batch));
}

// What was read has been committed.
void ManagerLoop::FinishLoad() {
  snapshot_read_ = false;
  const StoredManifest& stored = snapshot_.stored();
  Result<View> view = loader_(records_);
  if (!view) {
    GiveUpSnapshot(stored, view.error().Text());
    return;
  }
  const std::uint64_t foreign = view_.foreign_messages;
  view_ = std::move(*view);
  view_.foreign_messages = foreign;
  MarkSaved();
  if (saved_.cover != stored.manifest.cover || view_.valid_seq == 0) {
    GiveUpSnapshot(stored, "it is not as of the decision that its manifest names");
    return;
  }
  epoch_floor_ = std::max(epoch_floor_, view_.term.epoch);
  SetClusterTime(view_.decided_at);
  planner_.ForgetView();
  verify_.OnOtherView();
  loaded_ = stored;
  BeginCheck();
}

// The one before it is tried, else the log as it stands.
void ManagerLoop::GiveUpSnapshot(const StoredManifest& stored, const std::string& why) {
  out_.Warn("the snapshot as of decision " + std::to_string(stored.manifest.cover.decision) +
            " cannot be used: " + why);
  manifest_wanted_ = stored.manifest.previous ? stored.manifest.previous->manifest : 0;
  ForgetView();
  BeginCheck();
}

}  // namespace cube::manager
