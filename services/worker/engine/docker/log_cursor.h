// Where a reader is in a container's log, found again in every new reading of it. An engine that
// rotates its files loses and repeats lines for who follows them (Docker 20.10 closes the old file
// unread), while one reading of what it keeps is whole; so following is reading again, and giving
// what comes behind the last entry that was seen. Pure.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "services/worker/engine/docker/log_frames.h"
#include "shared/base/time.h"

namespace cube::engine::docker {

class LogCursor {
 public:
  // Entries asked for from the end of the log; this = all that is kept.
  static constexpr std::int64_t kAll = -1;

  // Asks for so much more when a reading does not reach back to the last entry.
  static constexpr std::int64_t kEntriesMin = 16;
  static constexpr std::int64_t kEntriesGrowth = 8;
  static constexpr std::int64_t kEntriesMax = 500'000;  // then all

  // The number of entries to ask for in the reading that begins now. The first one may ask for
  // anything: all it brings is new.
  [[nodiscard]] std::int64_t BeginFirst(std::int64_t entries);
  [[nodiscard]] std::int64_t Begin();

  enum class Verdict : std::uint8_t {
    kOld,     // was seen before, or comes before what was
    kNew,     // and is the last one seen from now on
    kTooFew,  // give this reading up and Begin again
    kLost,    // kNew; what was between the last entry and this one is not kept any more
  };
  [[nodiscard]] Verdict Look(const LogPiece& piece);

  // The reading is over. -> false: it did not reach back far enough: Begin again at once.
  [[nodiscard]] bool Finish();

  // Entries that were new in the reading.
  [[nodiscard]] std::size_t fresh() const { return fresh_; }
  // Nothing was seen so far.
  [[nodiscard]] bool empty() const { return !last_; }

 private:
  // An entry is known by its stream, its time, and its number among those of that stream and time:
  // each stream's times grow, except for the parts of one long line, which share theirs.
  struct Entry {
    WallTime time;
    std::uint32_t number = 0;  // from 1
  };
  struct Mark {
    bool is_stderr = false;
    Entry entry;
  };
  void See(const LogPiece& piece);

  std::optional<Mark> last_;
  Entry streams_[2];    // the newest of each that were seen
  bool blind_ = false;  // a reading of all did not find last_: the next one takes all as new
  bool lost_ = false;   // to be told with the next new entry
  std::int64_t asked_ = 0;
  std::int64_t next_ = kEntriesMin;
  bool found_ = false;
  bool any_ = false;
  std::uint32_t same_ = 0;  // entries of last_'s stream and time in this reading
  std::size_t fresh_ = 0;
};

}  // namespace cube::engine::docker
