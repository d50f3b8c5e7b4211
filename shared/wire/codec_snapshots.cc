#include <cube/v1/snapshots.pb.h>
#include <libdeflate.h>

#include "shared/wire/codec.h"
#include "shared/wire/internal.h"

namespace cube::wire {
namespace {

using internal::At;

// As many as a store may have.
constexpr std::uint32_t kTablesMax = 32;

void CoverToProto(const SnapshotCover& from, v1::SnapshotCover& to) {
  ToProto(from.intents, *to.mutable_intents());
  ToProto(from.facts, *to.mutable_facts());
  to.set_decision(from.decision);
  ToProto(from.stamp, *to.mutable_stamp());
}

Result<SnapshotCover> CoverFromProto(const v1::SnapshotCover& from) {
  if (from.decision() == 0) return Fail(Code::kInvalid, "must be at least 1", "decision");
  SnapshotCover cover{FromProto(from.intents()), FromProto(from.facts()), from.decision(),
                      FromProto(from.stamp())};
  CUBE_TRY_VOID(internal::CheckStamp(cover.stamp, "stamp"));
  return cover;
}

Result<SnapshotReference> ReferenceFromProto(const v1::SnapshotReference& from) {
  SnapshotReference reference;
  reference.manifest = from.manifest();
  reference.first_chunk = from.first_chunk();
  if (reference.first_chunk == 0 || reference.first_chunk >= reference.manifest) {
    return Fail(Code::kInvalid, "is not before the manifest", "first_chunk");
  }
  auto cover = CoverFromProto(from.cover());
  if (!cover) return At(std::move(cover).error(), "cover");
  reference.cover = *std::move(cover);
  return reference;
}

}  // namespace

std::string EncodeSnapshotChunk(const SnapshotChunk& chunk) {
  v1::SnapshotChunk message;
  message.set_snapshot(chunk.snapshot);
  message.set_index(chunk.index);
  for (const SnapshotRow& row : chunk.rows) {
    v1::SnapshotRow& proto = *message.add_rows();
    proto.set_table(row.table);
    proto.set_key(row.key);
    proto.set_value(row.value);
  }
  return internal::Serialize(message);
}

Result<SnapshotChunk> DecodeSnapshotChunk(std::string_view payload) {
  v1::SnapshotChunk message;
  CUBE_TRY_VOID(internal::Parse(payload, "a SnapshotChunk message", message));
  SnapshotChunk chunk;
  if (message.snapshot() == 0) return Fail(Code::kInvalid, "is required", "snapshot");
  chunk.snapshot = message.snapshot();
  chunk.index = message.index();
  CUBE_TRY_VOID(
      internal::CheckCount(static_cast<std::size_t>(message.rows_size()), kItemsMax, "rows"));
  chunk.rows.reserve(static_cast<std::size_t>(message.rows_size()));
  for (v1::SnapshotRow& proto : *message.mutable_rows()) {
    const std::size_t index = chunk.rows.size();
    if (proto.table() >= kTablesMax) {
      return At({Code::kInvalid, "is not below " + std::to_string(kTablesMax), "table"}, "rows",
                index);
    }
    if (proto.key().empty()) return At({Code::kInvalid, "is required", "key"}, "rows", index);
    chunk.rows.push_back(
        {proto.table(), std::move(*proto.mutable_key()), std::move(*proto.mutable_value())});
  }
  return chunk;
}

std::string EncodeSnapshotManifest(const SnapshotManifest& manifest) {
  v1::SnapshotManifest message;
  message.set_snapshot(manifest.snapshot);
  message.set_schema(manifest.schema);
  message.set_first_chunk(manifest.first_chunk);
  message.set_chunks(manifest.chunks);
  message.set_rows(manifest.rows);
  message.set_digest(manifest.digest);
  message.set_bytes(manifest.bytes);
  CoverToProto(manifest.cover, *message.mutable_cover());
  message.set_cluster(manifest.cluster);
  message.set_manager(manifest.manager);
  message.set_decided_at_ns(ToNanos(manifest.decided_at));
  if (manifest.previous) {
    v1::SnapshotReference& previous = *message.mutable_previous();
    previous.set_manifest(manifest.previous->manifest);
    previous.set_first_chunk(manifest.previous->first_chunk);
    CoverToProto(manifest.previous->cover, *previous.mutable_cover());
  }
  return internal::Serialize(message);
}

Result<SnapshotManifest> DecodeSnapshotManifest(std::string_view payload) {
  v1::SnapshotManifest message;
  CUBE_TRY_VOID(internal::Parse(payload, "a SnapshotManifest message", message));
  SnapshotManifest manifest;
  if (message.snapshot() == 0) return Fail(Code::kInvalid, "is required", "snapshot");
  manifest.snapshot = message.snapshot();
  manifest.schema = message.schema();
  if (message.first_chunk() == 0) return Fail(Code::kInvalid, "must be at least 1", "first_chunk");
  manifest.first_chunk = message.first_chunk();
  if (message.chunks() == 0) return Fail(Code::kInvalid, "must be at least 1", "chunks");
  manifest.chunks = message.chunks();
  manifest.rows = message.rows();
  manifest.digest = message.digest();
  manifest.bytes = message.bytes();
  auto cover = CoverFromProto(message.cover());
  if (!cover) return At(std::move(cover).error(), "cover");
  manifest.cover = *std::move(cover);
  CUBE_TRY_VOID(internal::CheckLength(message.cluster(), kWordBytesMax, "cluster"));
  manifest.cluster = message.cluster();
  CUBE_TRY_VOID(internal::CheckLength(message.manager(), kWordBytesMax, "manager"));
  manifest.manager = message.manager();
  manifest.decided_at = WallFromNanos(message.decided_at_ns());
  if (message.has_previous()) {
    auto previous = ReferenceFromProto(message.previous());
    if (!previous) return At(std::move(previous).error(), "previous");
    manifest.previous = *std::move(previous);
  }
  return manifest;
}

std::uint32_t SnapshotDigest(std::uint32_t before, std::string_view payload) {
  if (payload.empty()) return before;  // a null pointer would begin anew
  return ::libdeflate_crc32(before, payload.data(), payload.size());
}

}  // namespace cube::wire
