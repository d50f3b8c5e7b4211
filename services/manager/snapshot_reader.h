// Reads one snapshot of the view back from CUBE_SNAPSHOTS, chunk by chunk, and says whether it is
// whole. Chunks of other snapshots between them (of a manager that had lost its lease) are skipped.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "services/manager/operation.h"
#include "shared/bus/bus.h"
#include "shared/domain/snapshot.h"
#include "shared/wire/subjects.h"

namespace cube::manager {

// A manifest as it lies in the stream.
struct StoredManifest {
  SnapshotManifest manifest;
  std::uint64_t seq = 0;
};

class SnapshotReader {
 public:
  // Its readers are called `ids` + 1 and on: what an older one was sent is told apart.
  SnapshotReader(wire::Subjects subjects, bus::SubId ids)
      : subjects_(std::move(subjects)), id_(ids) {}

  void Open(const StoredManifest& stored, Operations& out);
  void Close(Operations& out);
  [[nodiscard]] const StoredManifest& stored() const { return stored_; }

  enum class Progress : std::uint8_t {
    kNotOurs,  // a message of another reader
    kMore,     // `rows` has what this one brought, perhaps nothing
    kWhole,    // that was all, and it is what was written
    kBroken,   // it is not; why() says what is wrong
  };
  // After kWhole and kBroken it is closed.
  [[nodiscard]] Progress OnRead(const bus::Read& read, std::vector<SnapshotRow>& rows,
                                Operations& out);
  [[nodiscard]] Progress OnReadFailed(const bus::ReadFailed& failed);
  [[nodiscard]] const std::string& why() const { return why_; }

 private:
  [[nodiscard]] Progress Break(std::string why, Operations* out);
  // Whether what was read is what the manifest says; else why_ says what is not.
  [[nodiscard]] bool IsWhole();

  wire::Subjects subjects_;
  bus::SubId id_;
  StoredManifest stored_;
  bool active_ = false;
  std::uint32_t next_ = 0;  // chunk
  std::uint64_t rows_ = 0;
  std::uint32_t digest_ = 0;
  std::uint32_t taken_ = 0;  // messages since credit was given back
  std::string why_;
};

}  // namespace cube::manager
