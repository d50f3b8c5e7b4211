#include "services/worker/engine/docker/log_cursor.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace cube::engine::docker {
namespace {

// Two streams may stand in the log in another order than their times say, by a scheduler's whim.
constexpr Duration kDisorderMax = std::chrono::seconds(1);

}  // namespace

std::int64_t LogCursor::BeginFirst(std::int64_t entries) {
  found_ = true;
  any_ = false;
  fresh_ = 0;
  return asked_ = entries;
}

std::int64_t LogCursor::Begin() {
  if (blind_) streams_[0] = streams_[1] = {};
  found_ = !last_ || blind_;
  any_ = false;
  same_ = 0;
  fresh_ = 0;
  return asked_ = found_ ? kAll : next_;
}

void LogCursor::See(const LogPiece& piece) {
  Entry& newest = streams_[piece.is_stderr ? 1 : 0];
  newest = newest.number > 0 && newest.time == piece.time ? Entry{piece.time, newest.number + 1}
                                                          : Entry{piece.time, 1};
  last_ = Mark{piece.is_stderr, newest};
  ++fresh_;
}

LogCursor::Verdict LogCursor::Look(const LogPiece& piece) {
  const bool first = !std::exchange(any_, true);
  if (found_) {
    See(piece);
    return std::exchange(lost_, false) ? Verdict::kLost : Verdict::kNew;
  }
  const bool same_stream = piece.is_stderr == last_->is_stderr;
  if (same_stream && piece.time == last_->entry.time) {
    found_ = ++same_ == last_->entry.number;
    return Verdict::kOld;
  }
  // Only a guess (a clock may have been set back), so that all that is kept is read to its end.
  const bool ahead =
      piece.time - last_->entry.time > (same_stream ? Duration{0} : Duration{kDisorderMax});
  if (!first || !ahead || asked_ == kAll) return Verdict::kOld;
  (void)Finish();
  return Verdict::kTooFew;
}

bool LogCursor::Finish() {
  if (found_) {
    blind_ = false;
    // About as many will have come the next time.
    next_ =
        std::clamp<std::int64_t>(2 * static_cast<std::int64_t>(fresh_), kEntriesMin, kEntriesMax);
    return true;
  }
  if (asked_ != kAll) {
    next_ = asked_ * kEntriesGrowth > kEntriesMax ? kAll : asked_ * kEntriesGrowth;
    return false;
  }
  blind_ = true;
  lost_ = true;
  return false;
}

}  // namespace cube::engine::docker
