// Keeps the log within its streams: writes snapshots of the view, reads each back, and then removes
// messages that are in it, oldest first, from streams that are filling up. What the newest two
// snapshots do not both hold stays, so that one of them can be lost (docs/adr/0013).
//
//   look (sizes, newest manifest) -> [freeze -> chunks -> manifest -> read back -> look] -> trim
//
// Works for whoever holds the lease, whether it can append decisions or not: a full stream refuses
// those. Nothing happens by the clock: it looks again when the log has grown.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "services/manager/log_reader.h"
#include "services/manager/operation.h"
#include "services/manager/snapshot_reader.h"
#include "shared/base/error.h"
#include "shared/base/random.h"
#include "shared/base/time.h"
#include "shared/bus/bus.h"
#include "shared/cluster/view.h"
#include "shared/domain/snapshot.h"
#include "shared/store/frozen_scan.h"
#include "shared/wire/subjects.h"

namespace cube::manager {

struct RetentionOptions {
  // A snapshot is due when a stream has grown by so much since the last one, or by an eighth of
  // what it may hold, if that is less; by as much as the last one was large, up to a quarter, if
  // that is more.
  std::int64_t snapshot_bytes = std::int64_t{256} << 20;
  // Of the rows of a chunk: with its own few well below the server's default max_payload.
  std::size_t chunk_bytes = 192u << 10;
};

// Full enough to be trimmed, and what remains then; in hundredths of what a stream may hold.
inline constexpr std::int64_t kTrimFromPercent = 70;
inline constexpr std::int64_t kTrimToPercent = 50;
// The same after decisions were refused.
inline constexpr std::int64_t kFullFromPercent = 30;
inline constexpr std::int64_t kFullToPercent = 20;
// Chunks that are not acknowledged yet.
inline constexpr std::size_t kSnapshotChunksInFlight = 4;
// After something failed; it doubles up to the maximum while nothing succeeds.
inline constexpr Duration kRetentionRetry = std::chrono::seconds(15);
inline constexpr Duration kRetentionRetryMax = std::chrono::minutes(10);

// What the store held when its last commit was listed.
struct Saved {
  SnapshotCover cover;
  WallTime decided_at;  // cluster time of its decision
  std::string cluster;
  LogReader::Bytes read;  // of the log until then, by this process
};

class Retention {
 public:
  // For people who watch.
  struct Figures {
    std::uint64_t snapshots = 0;       // written and read back by this process
    std::uint64_t trims = 0;           // of a stream
    std::int64_t fullest_percent = 0;  // of the three streams, when last looked at
  };

  Retention(wire::Subjects subjects, std::string manager, RetentionOptions options);

  // The next Step does something about what was looked at: what it is told as saved should be of
  // now.
  [[nodiscard]] bool IsAboutToAct() const { return phase_ == Phase::kLooking && asked_.empty(); }
  // While this manager holds the lease and knows the log.
  void Step(const Saved& saved, Now now, Random& random, bus::OpId& next_op, Operations& out);
  // Another one's business now, or the connection is lost.
  void Stop(Operations& out);
  [[nodiscard]] MonoTime NextDeadline() const;
  // The log has refused decisions for want of room: a large message does not fit, however empty the
  // stream may seem.
  void OnFull();
  // They are taken again.
  void OnRoom() { full_ = false; }

  // Each is true if the event was about something of this one.
  bool OnAppended(const bus::Appended& done, bus::OpId& next_op, Operations& out);
  bool OnAppendFailed(const bus::AppendFailed& failed, Now now, Operations& out);
  bool OnGot(const bus::Got& got);
  bool OnState(const bus::GotState& state);
  bool OnDone(const bus::Done& done);
  bool OnOpFailed(const bus::OpFailed& failed, Now now, Operations& out);
  bool OnRead(const bus::Read& read, Now now, Operations& out);
  bool OnReadFailed(const bus::ReadFailed& failed, Now now, Operations& out);
  // What ReadFrozen gave.
  void OnRows(Result<std::vector<store::Row>> rows, Now now, bus::OpId& next_op, Operations& out);

  [[nodiscard]] const Figures& figures() const { return figures_; }

 private:
  enum class Phase : std::uint8_t {
    kIdle,
    kLooking,      // states and manifest were asked for
    kWriting,      // chunks are read from the store and appended
    kSealing,      // the manifest is being appended
    kReadingBack,  // what was written is read
    kTrimming,     // purges are under way
  };
  enum Stream : std::uint8_t { kIntents, kFacts, kDecisions, kStreams };
  // What the last look has found of a stream.
  struct Size {
    std::uint64_t first_seq = 0;
    std::uint64_t last_seq = 0;
    std::int64_t bytes = 0;
    std::int64_t bytes_max = 0;  // <= 0: no limit
    std::int64_t mean = 0;       // bytes of a message, at least 1
    std::int64_t read = 0;       // Saved::read at that time
  };

  [[nodiscard]] std::string NameOf(std::size_t stream) const;
  [[nodiscard]] static std::uint64_t PositionIn(std::size_t stream, const SnapshotCover& cover);
  [[nodiscard]] static std::int64_t BytesOf(std::size_t stream, const LogReader::Bytes& read);
  enum class Standing : std::uint8_t {
    kGood,
    kAhead,    // it holds what this manager has not read yet
    kForeign,  // of another log, or of another version
  };
  [[nodiscard]] Standing StandingOf(const SnapshotManifest& manifest, const Saved& saved) const;
  void Compare(bus::OpId& next_op, Operations& out);
  void OnCompared(const bus::Got& got);
  bool LookAtOlder(bus::OpId& next_op, Operations& out);
  [[nodiscard]] bool Judge(const Saved& saved, Now now, bus::OpId& next_op, Operations& out);
  [[nodiscard]] std::int64_t GrowthMax(const Size& size) const;
  [[nodiscard]] bool LookIsDue(const LogReader::Bytes& read) const;
  void Look(const Saved& saved, bus::OpId& next_op, Operations& out);
  void Act(const Saved& saved, Random& random, bus::OpId& next_op, Operations& out);
  [[nodiscard]] std::optional<SnapshotReference> Second() const;
  [[nodiscard]] bool SnapshotIsDue(const SnapshotCover& at) const;
  // Up to where a stream is to be trimmed; 0 = not at all. `bound` = up to where it may be.
  [[nodiscard]] std::uint64_t TrimTo(std::size_t stream, std::uint64_t bound) const;
  bool Trim(bus::OpId& next_op, Operations& out);
  void Begin(const Saved& saved, Random& random, Operations& out);
  void ReadOn(Operations& out);
  void Seal(bus::OpId& next_op, Operations& out);
  void OnWhole(Operations& out);
  void Fail(const std::string& why, Now now, Operations& out);

  wire::Subjects subjects_;
  std::string manager_;
  RetentionOptions options_;
  Phase phase_ = Phase::kIdle;
  MonoTime retry_at_{};
  Duration retry_after_ = kRetentionRetry;
  std::string failed_why_;  // said already

  SnapshotCover asked_at_;  // what we had saved when the sizes were asked for
  bool looked_ = false;     // sizes_ and newest_ are known
  std::array<Size, kStreams> sizes_;
  std::set<bus::OpId> asked_;
  std::array<bus::OpId, kStreams> state_ops_{};
  std::array<bus::OpId, kStreams> compare_ops_{};
  bus::OpId manifest_op_ = 0;
  std::optional<StoredManifest> newest_;  // of this log
  std::uint64_t newest_seq_ = 0;          // of the manifest that lies there, of whatever log
  std::uint64_t proven_ = 0;              // name of the one that the log was compared with
  bool compared_ = false;                 // in this look
  bool older_ = false;                    // one before the newest was asked for
  bool referenced_ = false;               // newest_ is such a one: a later one names it as whole
  std::uint64_t verified_ = 0;  // name of the snapshot that this process has read back last
  std::uint64_t tidied_ = 0;    // the one for which older snapshots were removed

  SnapshotManifest writing_;
  SnapshotReader reader_;
  bool rows_asked_ = false;    // of the scan that goes on, and not answered
  std::size_t rows_owed_ = 0;  // answers to come, also of scans that were given up
  bool rows_end_ = false;
  std::set<bus::OpId> chunk_ops_;  // in flight
  bus::OpId first_chunk_op_ = 0;
  bus::OpId seal_op_ = 0;
  std::set<bus::OpId> purge_ops_;
  bool full_ = false;  // OnFull, and nothing was trimmed since

  Figures figures_;
};

}  // namespace cube::manager
