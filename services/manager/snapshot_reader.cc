#include "services/manager/snapshot_reader.h"

#include <utility>

#include "shared/wire/codec.h"

namespace cube::manager {
namespace {

// Chunks that may lie here or be under way: some MB.
constexpr std::uint32_t kAheadMax = 16;
constexpr std::uint32_t kCredit = 8;

}  // namespace

void SnapshotReader::Open(const StoredManifest& stored, Operations& out) {
  Close(out);
  stored_ = stored;
  active_ = true;
  ++id_;
  next_ = taken_ = digest_ = 0;
  rows_ = 0;
  why_.clear();
  out.Bus(bus::OpenReader{id_, subjects_.SnapshotsStream(), stored.manifest.first_chunk});
  out.Bus(bus::Pull{id_, kAheadMax});
}

void SnapshotReader::Close(Operations& out) {
  if (std::exchange(active_, false)) out.Bus(bus::CloseReader{id_});
}

SnapshotReader::Progress SnapshotReader::Break(std::string why, Operations* out) {
  why_ = std::move(why);
  if (out != nullptr) Close(*out);
  active_ = false;
  return Progress::kBroken;
}

SnapshotReader::Progress SnapshotReader::OnReadFailed(const bus::ReadFailed& failed) {
  if (failed.reader != id_ || !active_) return Progress::kNotOurs;
  return Break(failed.error.Text(), nullptr);
}

bool SnapshotReader::IsWhole() {
  const SnapshotManifest& manifest = stored_.manifest;
  if (next_ != manifest.chunks) {
    why_ = std::to_string(next_) + " of " + std::to_string(manifest.chunks) + " chunks are there";
  } else if (rows_ != manifest.rows) {
    why_ = std::to_string(rows_) + " rows instead of " + std::to_string(manifest.rows);
  } else if (digest_ != manifest.digest) {
    why_ = "its bytes are not those that were written";
  }
  return why_.empty();
}

SnapshotReader::Progress SnapshotReader::OnRead(const bus::Read& read,
                                                std::vector<SnapshotRow>& rows, Operations& out) {
  rows.clear();
  if (read.reader != id_) return Progress::kNotOurs;
  if (!active_) return Progress::kMore;
  const bus::StreamMessage& message = read.message;
  if (message.seq >= stored_.seq) {
    if (!IsWhole()) return Break(std::move(why_), &out);
    Close(out);
    return Progress::kWhole;
  }
  if (++taken_ == kCredit) {
    out.Bus(bus::Pull{id_, std::exchange(taken_, 0)});
  }
  if (message.subject != subjects_.SnapshotChunks()) return Progress::kMore;
  Result<SnapshotChunk> chunk = wire::DecodeSnapshotChunk(message.payload);
  if (!chunk || chunk->snapshot != stored_.manifest.snapshot) return Progress::kMore;
  if (chunk->index != next_) {
    return Break("chunk " + std::to_string(next_) + " is missing", &out);
  }
  ++next_;
  rows_ += chunk->rows.size();
  digest_ = wire::SnapshotDigest(digest_, message.payload);
  rows = std::move(chunk->rows);
  return Progress::kMore;
}

}  // namespace cube::manager
