#include "services/manager/retention.h"

#include <algorithm>
#include <utility>

#include "services/manager/view_store.h"
#include "shared/wire/codec.h"

namespace cube::manager {
namespace {

constexpr bus::SubId kReadBack = 3'000'000;
constexpr Duration kAppendTimeout = std::chrono::seconds(10);
// Parts of what a stream may hold: growth after which a snapshot is due, and after which one is
// due if the stream has to be trimmed and the snapshots that are there do not reach far enough.
constexpr std::int64_t kGrowthPart = 8;
constexpr std::int64_t kGrowthPartMax = 4;  // if a snapshot is that large
constexpr std::uint64_t kSnapshotBytesSane = std::uint64_t{1} << 50;
constexpr std::int64_t kUrgentPart = 32;
constexpr std::int64_t kUrgentPercent = 90;
// Looks between two snapshots.
constexpr std::int64_t kLooks = 8;

}  // namespace

Retention::Retention(wire::Subjects subjects, std::string manager, RetentionOptions options)
    : subjects_(std::move(subjects)),
      manager_(std::move(manager)),
      options_(options),
      reader_(subjects_, kReadBack) {}

std::string Retention::NameOf(std::size_t stream) const {
  switch (stream) {
    case kIntents:
      return subjects_.IntentsStream();
    case kFacts:
      return subjects_.FactsStream();
    default:
      return subjects_.DecisionsStream();
  }
}

std::uint64_t Retention::PositionIn(std::size_t stream, const SnapshotCover& cover) {
  switch (stream) {
    case kIntents:
      return cover.intents.seq;
    case kFacts:
      return cover.facts.seq;
    default:
      return cover.decision;
  }
}

std::int64_t Retention::BytesOf(std::size_t stream, const LogReader::Bytes& read) {
  switch (stream) {
    case kIntents:
      return read.intents;
    case kFacts:
      return read.facts;
    default:
      return read.decisions;
  }
}

std::int64_t Retention::GrowthMax(const Size& size) const {
  // Where much lives, snapshots are large: then they are fewer.
  const std::uint64_t written = newest_ ? newest_->manifest.bytes : 0;
  const auto last = static_cast<std::int64_t>(std::min(written, kSnapshotBytesSane));
  if (size.bytes_max <= 0) return std::max(options_.snapshot_bytes, last);
  const std::int64_t few = std::min(options_.snapshot_bytes, size.bytes_max / kGrowthPart);
  return std::max(few, std::min(last, size.bytes_max / kGrowthPartMax));
}

bool Retention::LookIsDue(const LogReader::Bytes& read) const {
  if (!looked_) return true;
  for (std::size_t stream = 0; stream < kStreams; ++stream) {
    const Size& size = sizes_[stream];
    if (BytesOf(stream, read) - size.read >= GrowthMax(size) / kLooks) return true;
  }
  return false;
}

// What is known without asking the log.
Retention::Standing Retention::StandingOf(const SnapshotManifest& manifest,
                                          const Saved& saved) const {
  if (manifest.schema != ViewSchema().version || manifest.cluster != saved.cluster) {
    return Standing::kForeign;
  }
  // A snapshot that is no newer than our decisions covers no intent or fact that we have not
  // folded; if it does, it is of another log.
  const bool ahead = manifest.cover.decision > saved.cover.decision;
  for (std::size_t stream = 0; stream < kStreams; ++stream) {
    const std::uint64_t covered = PositionIn(stream, manifest.cover);
    if (covered > sizes_[stream].last_seq) return Standing::kForeign;
    if (covered > PositionIn(stream, saved.cover) && !ahead) return Standing::kForeign;
  }
  return ahead ? Standing::kAhead : Standing::kGood;
}

// Streams can be made anew, or lose their end, and the snapshots stay: what the log has at the
// newest one's positions says whether it is of this log.
void Retention::Compare(bus::OpId& next_op, Operations& out) {
  const SnapshotCover& cover = newest_->manifest.cover;
  for (std::size_t stream = 0; stream < kStreams; ++stream) {
    if (PositionIn(stream, cover) == 0) continue;
    compare_ops_[stream] = next_op++;
    asked_.insert(compare_ops_[stream]);
    out.Bus(bus::Get{compare_ops_[stream], NameOf(stream), PositionIn(stream, cover)});
  }
  proven_ = newest_->manifest.snapshot;  // unless an answer says otherwise
}

void Retention::OnCompared(const bus::Got& got) {
  if (!got.message || !newest_) return;  // what was purged by hand cannot be compared
  const SnapshotCover& cover = newest_->manifest.cover;
  bool same = false;
  if (got.op == compare_ops_[kDecisions]) {
    const Result<DecisionBatch> batch = wire::DecodeDecisions(got.message->payload);
    same = batch && batch->stamp() == cover.stamp;
  } else {
    same = got.message->time ==
           (got.op == compare_ops_[kIntents] ? cover.intents.time : cover.facts.time);
  }
  if (!same) proven_ = 0;
}

// -> whether it is known what the newest snapshot is worth.
bool Retention::Judge(const Saved& saved, Now now, bus::OpId& next_op, Operations& out) {
  if (!newest_) return true;
  for (std::size_t stream = 0; stream < kStreams; ++stream) {
    if (sizes_[stream].last_seq >= PositionIn(stream, asked_at_)) continue;
    // A server that shows less than we had read: what the snapshot covers is not to be seen there.
    Stop(out);
    retry_at_ = now.mono + kRetentionRetry;
    return false;
  }
  const Standing standing = StandingOf(newest_->manifest, saved);
  if (standing == Standing::kForeign) return !LookAtOlder(next_op, out);
  if (proven_ != newest_->manifest.snapshot) {
    if (std::exchange(compared_, true)) {
      out.Warn("the snapshot as of decision " + std::to_string(newest_->manifest.cover.decision) +
               " is of a log that has lost its end: it counts no more");
      return !LookAtOlder(next_op, out);
    }
    Compare(next_op, out);
    if (!asked_.empty()) return false;
  }
  if (standing == Standing::kGood) return true;
  // Of another one that has led meanwhile: first we read on.
  Stop(out);
  retry_at_ = now.mono + kRetentionRetry;
  return false;
}

// -> whether there may be one that was written before the newest.
bool Retention::LookAtOlder(bus::OpId& next_op, Operations& out) {
  const std::optional<SnapshotReference> previous = newest_->manifest.previous;
  newest_.reset();
  if (!previous) return false;
  compared_ = false;
  manifest_op_ = next_op++;
  older_ = true;
  asked_.insert(manifest_op_);
  out.Bus(bus::Get{manifest_op_, subjects_.SnapshotsStream(), previous->manifest});
  return true;
}

void Retention::Step(const Saved& saved, Now now, Random& random, bus::OpId& next_op,
                     Operations& out) {
  if (phase_ == Phase::kLooking && asked_.empty() && Judge(saved, now, next_op, out)) {
    looked_ = true;
    for (std::size_t stream = 0; stream < kStreams; ++stream) {
      sizes_[stream].read = BytesOf(stream, saved.read);
    }
    Act(saved, random, next_op, out);
  }
  if (phase_ == Phase::kTrimming && purge_ops_.empty()) {
    phase_ = Phase::kIdle;
    full_ = looked_ = false;
  }
  if (phase_ == Phase::kIdle && now.mono >= retry_at_ && LookIsDue(saved.read)) {
    Look(saved, next_op, out);
  }
}

void Retention::OnFull() {
  if (phase_ == Phase::kIdle) looked_ = false;
  full_ = true;
}

void Retention::Stop(Operations& out) {
  if (phase_ == Phase::kIdle && !looked_) return;
  if (phase_ == Phase::kWriting && !rows_end_) out.Thaw();
  reader_.Close(out);
  phase_ = Phase::kIdle;
  looked_ = false;
  asked_.clear();
  chunk_ops_.clear();
  purge_ops_.clear();
  first_chunk_op_ = seal_op_ = manifest_op_ = 0;
  rows_asked_ = false;
  proven_ = 0;
  figures_.fullest_percent = 0;
}

MonoTime Retention::NextDeadline() const {
  return phase_ == Phase::kIdle && !looked_ ? retry_at_ : MonoTime::max();
}

void Retention::Fail(const std::string& why, Now now, Operations& out) {
  Stop(out);
  // What a failed one leaves takes room until one succeeds.
  retry_at_ = now.mono + retry_after_;
  retry_after_ = std::min(2 * retry_after_, kRetentionRetryMax);
  if (why != failed_why_) out.Warn("keeping the log within its streams: " + why + "; tried again");
  failed_why_ = why;
}

// ---- looking ----------------------------------------------------------------------------------

void Retention::Look(const Saved& saved, bus::OpId& next_op, Operations& out) {
  phase_ = Phase::kLooking;
  asked_at_ = saved.cover;
  compared_ = false;
  for (std::size_t stream = 0; stream < kStreams; ++stream) {
    state_ops_[stream] = next_op++;
    asked_.insert(state_ops_[stream]);
    out.Bus(bus::GetState{state_ops_[stream], NameOf(stream)});
  }
  manifest_op_ = next_op++;
  older_ = false;
  asked_.insert(manifest_op_);
  out.Bus(bus::GetLast{manifest_op_, subjects_.SnapshotsStream(), subjects_.SnapshotManifest()});
}

bool Retention::OnState(const bus::GotState& state) {
  if (asked_.erase(state.op) == 0) return false;
  Size& size = sizes_[static_cast<std::size_t>(std::ranges::find(state_ops_, state.op) -
                                               state_ops_.begin())];
  size.first_seq = state.state.first_seq;
  size.last_seq = state.state.last_seq;
  size.bytes = static_cast<std::int64_t>(state.state.bytes);
  size.bytes_max = state.state.bytes_max;
  const auto messages = static_cast<std::int64_t>(state.state.messages);
  size.mean = messages == 0 ? 1 : std::max<std::int64_t>(size.bytes / messages, 1);
  return true;
}

bool Retention::OnGot(const bus::Got& got) {
  if (std::ranges::find(compare_ops_, got.op) != compare_ops_.end() && asked_.erase(got.op) != 0) {
    OnCompared(got);
    return true;
  }
  if (got.op != manifest_op_ || manifest_op_ == 0) return false;
  asked_.erase(got.op);
  manifest_op_ = 0;
  newest_.reset();
  // The next one is appended behind the newest, whatever that is worth.
  referenced_ = std::exchange(older_, false);
  if (!referenced_) newest_seq_ = got.message ? got.message->seq : 0;
  if (!got.message || got.message->subject != subjects_.SnapshotManifest()) return true;
  Result<SnapshotManifest> manifest = wire::DecodeSnapshotManifest(got.message->payload);
  // One that cannot be read is as good as none, and the next one takes its place.
  if (manifest) newest_ = StoredManifest{std::move(*manifest), got.message->seq};
  return true;
}

bool Retention::OnOpFailed(const bus::OpFailed& failed, Now now, Operations& out) {
  if (!asked_.contains(failed.op) && !purge_ops_.contains(failed.op)) return false;
  Fail(failed.error.Text(), now, out);
  return true;
}

// ---- deciding ---------------------------------------------------------------------------------

std::uint64_t Retention::TrimTo(std::size_t stream, std::uint64_t bound) const {
  const Size& size = sizes_[stream];
  const bool full = full_ && stream == kDecisions;
  const std::int64_t from = full ? kFullFromPercent : kTrimFromPercent;
  const std::int64_t to_percent = full ? kFullToPercent : kTrimToPercent;
  if (size.bytes_max <= 0 || size.bytes * 100 < size.bytes_max * from) return 0;
  const std::int64_t surplus = size.bytes - size.bytes_max / 100 * to_percent;
  const auto messages = static_cast<std::uint64_t>(std::max<std::int64_t>(surplus / size.mean, 1));
  const std::uint64_t to = std::min(size.first_seq + messages - 1, bound);
  return to < size.first_seq ? 0 : to;
}

// The one before the newest. Of one that a later one names, that may have been removed since.
std::optional<SnapshotReference> Retention::Second() const {
  if (!newest_ || referenced_) return std::nullopt;
  return newest_->manifest.previous;
}

bool Retention::SnapshotIsDue(const SnapshotCover& at) const {
  const SnapshotCover none;
  const SnapshotCover& newest = newest_ ? newest_->manifest.cover : none;
  const std::optional<SnapshotReference> previous = Second();
  const SnapshotCover& trimmable = previous ? previous->cover : none;
  for (std::size_t stream = 0; stream < kStreams; ++stream) {
    const Size& size = sizes_[stream];
    const std::uint64_t position = PositionIn(stream, at);
    const std::uint64_t covered = std::min(PositionIn(stream, newest), position);
    const auto grown = static_cast<std::int64_t>(position - covered) * size.mean;
    if (grown >= GrowthMax(size)) return true;
    const std::uint64_t wanted = TrimTo(stream, position);
    const std::uint64_t bound = PositionIn(stream, trimmable);
    if (wanted == 0 || TrimTo(stream, bound) == wanted) continue;
    if (grown >= size.bytes_max / kUrgentPart) return true;
    // It may not be able to grow any more; a second snapshot of the same state frees what the
    // first one holds.
    const bool urgent =
        (full_ && stream == kDecisions) || size.bytes * 100 >= size.bytes_max * kUrgentPercent;
    if (urgent && bound < position) return true;
  }
  return false;
}

void Retention::Act(const Saved& saved, Random& random, bus::OpId& next_op, Operations& out) {
  figures_.fullest_percent = 0;
  for (const Size& size : sizes_) {
    if (size.bytes_max <= 0) continue;
    figures_.fullest_percent =
        std::max(figures_.fullest_percent, size.bytes * 100 / size.bytes_max);
  }
  // First what makes room, perhaps for a snapshot too; it is looked again afterwards.
  if (Trim(next_op, out)) return;
  if (saved.cover.decision != 0 && SnapshotIsDue(saved.cover)) {
    Begin(saved, random, out);
    return;
  }
  phase_ = Phase::kIdle;
  full_ = false;  // and nothing can be done about it
}

// ---- writing ----------------------------------------------------------------------------------

void Retention::Begin(const Saved& saved, Random& random, Operations& out) {
  phase_ = Phase::kWriting;
  writing_ = {};
  writing_.snapshot = random.Next() | 1;
  writing_.schema = ViewSchema().version;
  writing_.cover = saved.cover;
  writing_.cluster = saved.cluster;
  writing_.manager = manager_;
  writing_.decided_at = saved.decided_at;
  if (newest_ && (referenced_ || newest_->manifest.snapshot == verified_)) {
    writing_.previous =
        SnapshotReference{newest_->seq, newest_->manifest.first_chunk, newest_->manifest.cover};
  } else if (newest_) {
    writing_.previous = newest_->manifest.previous;
  }
  rows_end_ = false;
  out.Freeze();
  ReadOn(out);
}

void Retention::ReadOn(Operations& out) {
  if (rows_asked_ || rows_end_ || chunk_ops_.size() >= kSnapshotChunksInFlight) return;
  rows_asked_ = true;
  ++rows_owed_;
  out.ReadFrozen(options_.chunk_bytes);
}

void Retention::OnRows(Result<std::vector<store::Row>> rows, Now now, bus::OpId& next_op,
                       Operations& out) {
  --rows_owed_;
  if (rows_owed_ > 0) return;  // of a scan that was given up
  if (phase_ != Phase::kWriting || !std::exchange(rows_asked_, false)) return;
  if (!rows) {
    rows_end_ = true;  // there is nothing to thaw any more
    Fail("the view cannot be read: " + rows.error().Text(), now, out);
    return;
  }
  if (rows->empty()) {
    rows_end_ = true;
    if (chunk_ops_.empty()) Seal(next_op, out);
    return;
  }
  SnapshotChunk chunk;
  chunk.snapshot = writing_.snapshot;
  chunk.index = writing_.chunks++;
  for (store::Row& row : *rows) {
    chunk.rows.push_back({row.table, std::move(row.key), std::move(row.value)});
  }
  bus::AppendRequest request;
  request.op = next_op++;
  request.subject = subjects_.SnapshotChunks();
  request.payload = wire::EncodeSnapshotChunk(chunk);
  request.timeout = kAppendTimeout;
  writing_.rows += chunk.rows.size();
  writing_.bytes += request.payload.size();
  writing_.digest = wire::SnapshotDigest(writing_.digest, request.payload);
  if (chunk.index == 0) first_chunk_op_ = request.op;
  chunk_ops_.insert(request.op);
  out.Bus(bus::Append{std::move(request)});
  ReadOn(out);
}

// Fenced by the manifest that was found before: one of a manager that has lost its lease meanwhile
// would name chunks that its successor may have removed.
void Retention::Seal(bus::OpId& next_op, Operations& out) {
  phase_ = Phase::kSealing;
  bus::AppendRequest request;
  request.op = seal_op_ = next_op++;
  request.subject = subjects_.SnapshotManifest();
  request.headers[std::string(wire::kHeaderSummary)] =
      "view as of decision " + std::to_string(writing_.cover.decision) + ": " +
      std::to_string(writing_.rows) + " records in " + std::to_string(writing_.chunks) +
      " chunks, by " + manager_;
  request.payload = wire::EncodeSnapshotManifest(writing_);
  request.expected_last_subject_seq = newest_seq_;
  request.timeout = kAppendTimeout;
  out.Bus(bus::Append{std::move(request)});
}

bool Retention::OnAppended(const bus::Appended& done, bus::OpId& next_op, Operations& out) {
  if (done.op == seal_op_ && seal_op_ != 0) {
    seal_op_ = 0;
    phase_ = Phase::kReadingBack;
    newest_ = StoredManifest{writing_, done.seq};
    referenced_ = false;
    proven_ = writing_.snapshot;
    reader_.Open(*newest_, out);
    return true;
  }
  if (chunk_ops_.erase(done.op) == 0) return false;
  if (done.op == first_chunk_op_) writing_.first_chunk = done.seq;
  if (rows_end_ && chunk_ops_.empty()) {
    Seal(next_op, out);
  } else {
    ReadOn(out);
  }
  return true;
}

bool Retention::OnAppendFailed(const bus::AppendFailed& failed, Now now, Operations& out) {
  const bool sealing = failed.op == seal_op_ && seal_op_ != 0;
  if (!sealing && !chunk_ops_.contains(failed.op)) return false;
  Fail("a snapshot cannot be written: " + failed.error.Text(), now, out);
  return true;
}

// ---- reading back -----------------------------------------------------------------------------

bool Retention::OnRead(const bus::Read& read, Now now, Operations& out) {
  std::vector<SnapshotRow> rows;
  switch (reader_.OnRead(read, rows, out)) {
    case SnapshotReader::Progress::kNotOurs:
      return false;
    case SnapshotReader::Progress::kMore:
      return true;
    case SnapshotReader::Progress::kWhole:
      OnWhole(out);
      return true;
    case SnapshotReader::Progress::kBroken:
      Fail("the snapshot that was written cannot be read back: " + reader_.why(), now, out);
      return true;
  }
  return true;
}

bool Retention::OnReadFailed(const bus::ReadFailed& failed, Now now, Operations& out) {
  if (reader_.OnReadFailed(failed) == SnapshotReader::Progress::kNotOurs) return false;
  Fail("the snapshot that was written cannot be read back: " + reader_.why(), now, out);
  return true;
}

void Retention::OnWhole(Operations& out) {
  verified_ = newest_->manifest.snapshot;
  failed_why_.clear();
  retry_after_ = kRetentionRetry;
  ++figures_.snapshots;
  const SnapshotManifest& written = newest_->manifest;
  out.Info("snapshot of the view as of decision " + std::to_string(written.cover.decision) + ": " +
           std::to_string(written.rows) + " records in " + std::to_string(written.chunks) +
           " chunks");
  phase_ = Phase::kIdle;
  looked_ = false;  // sizes have changed meanwhile, and now there may be something to trim
}

// ---- trimming ---------------------------------------------------------------------------------

bool Retention::Trim(bus::OpId& next_op, Operations& out) {
  if (!newest_) return false;
  const SnapshotManifest& manifest = newest_->manifest;
  auto purge = [&](const std::string& stream, std::uint64_t to) {
    purge_ops_.insert(next_op);
    out.Bus(bus::Purge{next_op++, stream, to});
  };
  if (const std::optional<SnapshotReference> second = Second()) {
    for (std::size_t stream = 0; stream < kStreams; ++stream) {
      // The message at the position itself stays: a manager compares it with what it has folded.
      const std::uint64_t covered = PositionIn(stream, second->cover);
      const std::uint64_t to = covered < 2 ? 0 : TrimTo(stream, covered - 1);
      if (to == 0) continue;
      ++figures_.trims;
      out.Info("trimming " + NameOf(stream) + " up to " + std::to_string(to) + ": it has " +
               std::to_string(sizes_[stream].bytes) + " bytes");
      purge(NameOf(stream), to);
    }
  }
  // While there is none before it, the older ones may be all that another version can read.
  if (manifest.previous && manifest.previous->first_chunk > 1 && manifest.snapshot == verified_ &&
      std::exchange(tidied_, verified_) != verified_) {
    purge(subjects_.SnapshotsStream(), manifest.previous->first_chunk - 1);
  }
  if (purge_ops_.empty()) return false;
  phase_ = Phase::kTrimming;
  return true;
}

bool Retention::OnDone(const bus::Done& done) { return purge_ops_.erase(done.op) != 0; }

}  // namespace cube::manager
