#include "services/manager/view_digest.h"

#include <algorithm>
#include <utility>

#include "shared/base/check.h"
#include "shared/wire/digest.h"

namespace cube::manager {
namespace {

RangeDigest WholeKind(const View& view, RecordKind kind) {
  RangeDigest range{kind, "", 0, 0};
  VisitRecords(view, kind, "", [&](const std::string& key, const std::string& bytes) {
    ++range.records;
    range.digest += HashOf(kind, key, bytes);
    return true;
  });
  return range;
}

}  // namespace

std::uint64_t HashOf(RecordKind kind, std::string_view key, std::string_view bytes) {
  const char tag = static_cast<char>(kind);
  return wire::Digest64(bytes, wire::Digest64(key, wire::Digest64({&tag, 1})));
}

void ViewDigest::Begin(const View& view) {
  Stop();
  active_ = true;
  const std::size_t records = view.nodes.size() + view.jobs.size() + view.tasks.size();
  // New records come to the last range of their kind: room is left for those.
  range_records_ = std::max(kDigestRangeRecordsMin, 2 * records / kDigestRangesMax + 1);
  for (std::vector<Range>& ranges : ranges_) ranges.emplace_back();
}

ViewDigest::Range& ViewDigest::RangeOf(std::size_t kind, const std::string& key) {
  std::vector<Range>& ranges = ranges_[kind];
  const auto behind =
      std::upper_bound(ranges.begin(), ranges.end(), key,
                       [](const std::string& k, const Range& range) { return k < range.first; });
  return *std::prev(behind);  // the first one begins with the empty key
}

std::vector<ViewDigest::Entry>::iterator ViewDigest::Find(Range& range, const std::string& key) {
  return std::lower_bound(range.entries.begin(), range.entries.end(), key,
                          [](const Entry& entry, const std::string& k) { return entry.key < k; });
}

void ViewDigest::Put(std::size_t kind, const std::string& key, std::uint64_t hash) {
  Range& range = RangeOf(kind, key);
  const auto it = Find(range, key);
  if (it != range.entries.end() && it->key == key) {
    range.digest -= std::exchange(it->hash, hash);
  } else {
    range.entries.insert(it, {key, hash});
  }
  range.digest += hash;
}

void ViewDigest::Walk(const View& view, std::size_t records_max) {
  std::size_t left = records_max;
  while (active_ && left > 0 && kind_ < kKinds) {
    const RecordKind kind = kWalked[kind_];
    bool end = true;
    VisitRecords(view, kind, next_, [&](const std::string& key, const std::string& bytes) {
      if (left == 0) {
        next_ = key;
        end = false;
        return false;
      }
      --left;
      std::vector<Range>& ranges = ranges_[kind_];
      if (ranges.back().entries.size() >= range_records_) ranges.push_back({key, 0, {}});
      Put(kind_, key, HashOf(kind, key, bytes));
      return true;
    });
    if (!end) return;
    next_.clear();
    ++kind_;
  }
}

void ViewDigest::Again(const View& view, std::size_t kind, const std::string& key) {
  const bool walked = kind < kind_ || (kind == kind_ && key < next_);
  if (!walked) return;  // the walk comes to it
  if (const auto bytes = FindRecord(view, kWalked[kind], key)) {
    Put(kind, key, HashOf(kWalked[kind], key, *bytes));
    return;
  }
  Range& range = RangeOf(kind, key);
  const auto it = Find(range, key);
  if (it == range.entries.end() || it->key != key) return;
  range.digest -= it->hash;
  range.entries.erase(it);
}

void ViewDigest::BeforeSave(const View& view) {
  if (!active_) return;
  for (const NodeName& name : view.dirty_nodes) Again(view, 0, name.str());
  for (const TaskName& name : view.dirty_jobs) Again(view, 1, name.str());
  for (const TaskNumber& number : view.dirty_tasks) Again(view, 2, RecordKey(number));
}

std::vector<RangeDigest> ViewDigest::Ranges(const View& view) const {
  CUBE_CHECK(whole());
  std::vector<RangeDigest> all = {WholeKind(view, RecordKind::kMeta),
                                  WholeKind(view, RecordKind::kUntold)};
  for (std::size_t kind = 0; kind < kKinds; ++kind) {
    for (const Range& range : ranges_[kind]) {
      all.push_back({kWalked[kind], range.first, range.entries.size(), range.digest});
    }
  }
  return all;
}

std::vector<RangeDigest> DigestsLike(const View& view, const std::vector<RangeDigest>& shape) {
  std::vector<RangeDigest> ours = shape;
  for (RangeDigest& range : ours) range.records = range.digest = 0;
  for (std::size_t i = 0; i < ours.size();) {
    const RecordKind kind = ours[i].kind;
    std::size_t at = i;
    VisitRecords(view, kind, ours[i].first, [&](const std::string& key, const std::string& bytes) {
      while (at + 1 < ours.size() && ours[at + 1].kind == kind && ours[at + 1].first <= key) ++at;
      ++ours[at].records;
      ours[at].digest += HashOf(kind, key, bytes);
      return true;
    });
    while (i < ours.size() && ours[i].kind == kind) ++i;
  }
  return ours;
}

}  // namespace cube::manager
