#include "services/cli/verify/log_replay.h"

#include <fmt/format.h>

#include <algorithm>

#include "services/manager/view_store.h"
#include "shared/store/memory_store.h"
#include "shared/wire/codec.h"

namespace cube::cli {
namespace {

using manager::StoredManifest;

constexpr bus::SubId kSnapshotReader = 1'000'000;
// Lines about skipped messages that are kept.
constexpr std::size_t kNotesMax = 20;

// Messages up to these are not in the streams any more.
struct Gone {
  std::uint64_t intents = 0;
  std::uint64_t facts = 0;
  std::uint64_t decisions = 0;
};

std::uint64_t Before(const bus::StreamState& state) {
  return state.first_seq == 0 ? 0 : state.first_seq - 1;
}

bool Covers(const SnapshotCover& cover, const Gone& gone) {
  return cover.intents.seq >= gone.intents && cover.facts.seq >= gone.facts &&
         cover.decision >= gone.decisions;
}

}  // namespace

Result<std::vector<StoredManifest>> StoredSnapshots(Client& client) {
  const wire::Subjects& names = client.subjects();
  std::vector<StoredManifest> found;
  auto message = client.GetLast(names.SnapshotsStream(), names.SnapshotManifest());
  if (!message && message.error().code == Code::kAborted) return std::unexpected(message.error());
  while (message && *message) {
    auto manifest = wire::DecodeSnapshotManifest((*message)->payload);
    if (!manifest) break;
    const std::uint64_t seq = (*message)->seq;
    const std::uint64_t previous = manifest->previous ? manifest->previous->manifest : 0;
    found.push_back({*std::move(manifest), seq});
    if (previous == 0 || previous >= seq) break;
    message = client.Get(names.SnapshotsStream(), previous);
    // One that is there but has become something else was purged, and its place taken.
    if (message && *message && (*message)->subject != names.SnapshotManifest()) break;
  }
  return found;
}

Result<View> LoadSnapshot(Client& client, const StoredManifest& stored) {
  const store::Schema schema = manager::ViewSchema();
  if (stored.manifest.schema != schema.version) {
    return Fail(Code::kUnsupported,
                fmt::format("another version of Cube has written it (schema {}, not {})",
                            stored.manifest.schema, schema.version));
  }
  store::MemoryStore store(schema);
  DirectReaders readers(client);
  CUBE_TRY_VOID(readers.Look(client.subjects().SnapshotsStream()));
  manager::SnapshotReader reader(client.subjects(), kSnapshotReader);
  manager::Operations out;
  std::vector<std::string> notes;
  reader.Open(stored, out);
  while (true) {
    readers.Execute(out, notes);
    CUBE_TRY(const std::vector<bus::Read> reads, readers.Read());
    if (reads.empty()) return Fail(Code::kDataLoss, "its end is missing");
    for (const bus::Read& read : reads) {
      std::vector<SnapshotRow> rows;
      const auto progress = reader.OnRead(read, rows, out);
      if (progress == manager::SnapshotReader::Progress::kBroken) {
        return Fail(Code::kDataLoss, reader.why());
      }
      store::WriteBatch batch;
      for (SnapshotRow& row : rows) {
        if (row.table >= schema.table_names.size() || row.key.size() > store::kKeyBytesMax) {
          return Fail(Code::kDataLoss, "a row is none of a view");
        }
        batch.Put(static_cast<store::TableId>(row.table), std::move(row.key), std::move(row.value));
      }
      CUBE_TRY_VOID(store.Commit(batch));
      if (progress == manager::SnapshotReader::Progress::kWhole) {
        manager::ViewRecords records;
        return records.Load(store);
      }
    }
  }
}

Result<LogReplay> LogReplay::Begin(Client& client, const std::vector<StoredManifest>& snapshots) {
  LogReplay replay(client, client.subjects());
  // Decisions first: whatever they cover is then within the other streams' ends.
  Gone gone;
  CUBE_TRY(const auto decisions, replay.readers_.Look(replay.names_.DecisionsStream()));
  CUBE_TRY(const auto facts, replay.readers_.Look(replay.names_.FactsStream()));
  CUBE_TRY(const auto intents, replay.readers_.Look(replay.names_.IntentsStream()));
  gone = {Before(intents), Before(facts), Before(decisions)};
  replay.decisions_end_ = decisions.last_seq;
  replay.facts_end_ = facts.last_seq;
  replay.intents_end_ = intents.last_seq;
  if (!Covers({}, gone)) {
    std::string why = "there is no snapshot";
    bool loaded = false;
    // The oldest first: then those behind it are compared with what follows from it.
    for (auto it = snapshots.rbegin(); it != snapshots.rend() && !loaded; ++it) {
      if (!Covers(it->manifest.cover, gone)) continue;
      auto view = LoadSnapshot(client, *it);
      if (view && view->valid_seq == it->manifest.cover.decision) {
        replay.view_ = *std::move(view);
        replay.began_with_ = replay.view_.valid_seq;
        replay.terms_ = 1;
        loaded = true;
      } else {
        why = fmt::format("the snapshot as of decision {} cannot be used: {}",
                          it->manifest.cover.decision,
                          view ? "it is as of another decision" : view.error().Text());
        if (!view && view.error().code == Code::kAborted) return std::unexpected(view.error());
      }
    }
    if (!loaded) {
      return Fail(Code::kDataLoss,
                  fmt::format("the log was trimmed (its first decision is {}), and cannot be read "
                              "from its beginning: {}",
                              gone.decisions + 1, why));
    }
  }
  const manager::LogEnds ends{replay.intents_end_, replay.facts_end_, replay.decisions_end_};
  replay.reader_.Open(replay.view_, ends, replay.out_);
  replay.Execute();
  return replay;
}

// A reader has something to say to people only about what it skips.
void LogReplay::Execute() {
  std::vector<std::string> said;
  readers_.Execute(out_, said);
  skipped_ += said.size();
  for (std::string& note : said) {
    if (notes_.size() < kNotesMax) notes_.push_back(std::move(note));
  }
}

Result<void> LogReplay::Look() {
  CUBE_TRY(const auto decisions, readers_.Look(names_.DecisionsStream()));
  CUBE_TRY(const auto facts, readers_.Look(names_.FactsStream()));
  CUBE_TRY(const auto intents, readers_.Look(names_.IntentsStream()));
  decisions_end_ = decisions.last_seq;
  facts_end_ = facts.last_seq;
  intents_end_ = intents.last_seq;
  return {};
}

Result<bool> LogReplay::Next() {
  const Term before = view_.term;
  while (true) {
    folded_.clear();
    const std::size_t count = reader_.Follow(view_, 1, folded_, out_);
    Execute();
    if (count > 0) {
      if (view_.term != before) ++terms_;
      // Nobody saves this view.
      view_.dirty_tasks.clear();
      view_.dirty_nodes.clear();
      view_.dirty_jobs.clear();
      return true;
    }
    CUBE_TRY(const std::vector<bus::Read> reads, readers_.Read());
    if (reads.empty()) return false;
    for (const bus::Read& read : reads) reader_.OnRead(read);
  }
}

std::vector<StreamSeen> LogReplay::seen() {
  std::vector<StreamSeen> all;
  for (const std::string& name :
       {names_.IntentsStream(), names_.DecisionsStream(), names_.FactsStream()}) {
    all.push_back(readers_.seen(name));
    all.back().name = name;
  }
  return all;
}

std::uint64_t LogReplay::undecided() const {
  const auto behind = [](std::uint64_t end, std::uint64_t at) { return end > at ? end - at : 0; };
  return behind(intents_end_, view_.intents.seq) + behind(facts_end_, view_.facts.seq);
}

}  // namespace cube::cli
