// How often each key was added and not dropped again: a std::map from keys to counts in one vector,
// so that a small key costs little more than its own size. Adding the first of a key that is not
// the last moves what lies behind it. Not thread-safe.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "shared/base/check.h"

namespace cube {

template <class Key>
class FlatCounts {
 public:
  struct Entry {
    Key key;
    std::uint32_t count = 0;
    friend bool operator==(const Entry&, const Entry&) = default;
  };

  void Add(const Key& key) {
    auto at = Place(key);
    if (at == entries_.end() || at->key != key) at = entries_.insert(at, {key, 0});
    ++at->count;
  }
  // It was added.
  void Drop(const Key& key) {
    const auto at = Place(key);
    CUBE_CHECK(at != entries_.end() && at->key == key);
    if (--at->count == 0) entries_.erase(at);
  }

  [[nodiscard]] std::uint32_t Of(const Key& key) const {
    const auto at = std::lower_bound(entries_.begin(), entries_.end(), key, IsBefore);
    return at == entries_.end() || at->key != key ? 0 : at->count;
  }
  [[nodiscard]] bool empty() const { return entries_.empty(); }
  [[nodiscard]] auto begin() const { return entries_.begin(); }
  [[nodiscard]] auto end() const { return entries_.end(); }
  friend bool operator==(const FlatCounts&, const FlatCounts&) = default;

 private:
  static bool IsBefore(const Entry& entry, const Key& key) { return entry.key < key; }
  // Where it is, or belongs.
  auto Place(const Key& key) {
    return std::lower_bound(entries_.begin(), entries_.end(), key, IsBefore);
  }

  std::vector<Entry> entries_;  // by key, ascending
};

}  // namespace cube
