// Snapshots of a manager's view in the log's server (messages/cube/v1/snapshots.proto, decoded).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "shared/base/time.h"
#include "shared/domain/decision.h"

namespace cube {

// A row of the manager's store. The bytes are its own business.
struct SnapshotRow {
  std::uint32_t table = 0;
  std::string key;
  std::string value;
  friend bool operator==(const SnapshotRow&, const SnapshotRow&) = default;
};

struct SnapshotChunk {
  std::uint64_t snapshot = 0;
  std::uint32_t index = 0;  // from 0
  std::vector<SnapshotRow> rows;
  friend bool operator==(const SnapshotChunk&, const SnapshotChunk&) = default;
};

// The log's messages up to these positions are in a snapshot.
struct SnapshotCover {
  Position intents;
  Position facts;
  std::uint64_t decision = 0;
  Stamp stamp;  // of that decision: sequences can come back
  friend bool operator==(const SnapshotCover&, const SnapshotCover&) = default;
};

// Where an earlier snapshot is in the stream.
struct SnapshotReference {
  std::uint64_t manifest = 0;
  std::uint64_t first_chunk = 0;
  SnapshotCover cover;
  friend bool operator==(const SnapshotReference&, const SnapshotReference&) = default;
};

struct SnapshotManifest {
  std::uint64_t snapshot = 0;
  std::uint32_t schema = 0;
  std::uint64_t first_chunk = 0;  // sequence in the stream
  std::uint32_t chunks = 0;
  std::uint64_t rows = 0;
  std::uint32_t digest = 0;  // CRC-32 of the chunks' payloads
  std::uint64_t bytes = 0;   // of the same
  SnapshotCover cover;
  std::string cluster;
  std::string manager;
  WallTime decided_at;  // cluster time of the decision that it is as of
  std::optional<SnapshotReference> previous;
  friend bool operator==(const SnapshotManifest&, const SnapshotManifest&) = default;
};

}  // namespace cube
