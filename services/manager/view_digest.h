// What the records of a view add up to, range by range, as of one instant, though the view is never
// held still: each record is hashed when the walk comes to it, and once more whenever it changes
// while the walk, or whoever waits for its end, goes on. So a view of a million tasks is looked
// through in small pieces between cycles, and what comes of it is as of the last commit.
//
// Costs about 50 bytes of memory a record while it is active. Threads: that of the view.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "services/manager/view_records.h"
#include "shared/cluster/view.h"

namespace cube::manager {

// At most so many ranges, so that they fit one answer; ranges of few records name what differs.
inline constexpr std::size_t kDigestRangesMax = 2048;
inline constexpr std::size_t kDigestRangeRecordsMin = 64;

// Records of a kind from a key on, up to where the next range of the kind begins.
struct RangeDigest {
  RecordKind kind = RecordKind::kMeta;
  std::string first;  // empty for the first range of a kind
  std::uint64_t records = 0;
  std::uint64_t digest = 0;  // sum over HashOf
  friend bool operator==(const RangeDigest&, const RangeDigest&) = default;
};

// The same on every machine and in every version; no protection against forgery.
[[nodiscard]] std::uint64_t HashOf(RecordKind kind, std::string_view key, std::string_view bytes);

class ViewDigest {
 public:
  // Begins to walk. The view may change only with BeforeSave before its marks are cleared.
  void Begin(const View& view);
  // Another view takes the place of this one, or nobody waits any more.
  void Stop() { *this = {}; }
  [[nodiscard]] bool active() const { return active_; }
  // Every record was hashed.
  [[nodiscard]] bool whole() const { return active_ && kind_ == kKinds; }

  // Hashes at most so many records more.
  void Walk(const View& view, std::size_t records_max);
  // Hashes again what is marked as changed. To be called before the marks are cleared.
  void BeforeSave(const View& view);

  // Of a whole one, while no record is marked as changed: by kind and key.
  [[nodiscard]] std::vector<RangeDigest> Ranges(const View& view) const;

 private:
  // Those that are many; the others are hashed at the end.
  static constexpr RecordKind kWalked[] = {RecordKind::kNode, RecordKind::kJob, RecordKind::kTask};
  static constexpr std::size_t kKinds = 3;

  struct Entry {
    std::string key;
    std::uint64_t hash = 0;
  };
  struct Range {
    std::string first;
    std::uint64_t digest = 0;
    std::vector<Entry> entries;  // by key
  };

  void Put(std::size_t kind, const std::string& key, std::uint64_t hash);
  void Again(const View& view, std::size_t kind, const std::string& key);
  [[nodiscard]] Range& RangeOf(std::size_t kind, const std::string& key);
  [[nodiscard]] static std::vector<Entry>::iterator Find(Range& range, const std::string& key);

  bool active_ = false;
  std::size_t kind_ = 0;  // of kWalked, that the walk is in
  std::string next_;      // everything of that kind before it was hashed
  std::size_t range_records_ = 0;
  std::vector<Range> ranges_[kKinds];
};

// What a whole view has in ranges of that shape; as many, in the same order.
[[nodiscard]] std::vector<RangeDigest> DigestsLike(const View& view,
                                                   const std::vector<RangeDigest>& shape);

}  // namespace cube::manager
