// Finds places (numbers of slots in storage that the caller keeps) by the hash of what lies there:
// an open-addressing table of eight bytes an entry, which grows without looking at the storage, and
// asks the caller only about entries of one hash. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "shared/base/check.h"

namespace cube {

class PlaceTable {
 public:
  static constexpr std::uint32_t kNone = 0xffffffff;  // no place

  // The table must not have that place yet, under any hash.
  void Add(std::uint32_t hash, std::uint32_t place) {
    CUBE_CHECK(place < kNone);
    // Beyond three quarters a look-up meets too many others.
    if ((size_ + 1) * 4 > entries_.size() * 3) Resize(entries_.empty() ? 16 : 2 * entries_.size());
    Put({hash, place});
    ++size_;
  }
  // It was added, with that hash.
  void Drop(std::uint32_t hash, std::uint32_t place) {
    CUBE_CHECK(size_ > 0);
    std::size_t hole = hash & mask();
    while (entries_[hole].place != place) {
      CUBE_CHECK(entries_[hole].place != kNone);
      hole = (hole + 1) & mask();
    }
    // What follows moves up, unless it would be found no more: in front of where its search begins.
    for (std::size_t at = (hole + 1) & mask(); entries_[at].place != kNone;
         at = (at + 1) & mask()) {
      const std::size_t begin = entries_[at].hash & mask();
      if (((at - begin) & mask()) < ((at - hole) & mask())) continue;
      entries_[hole] = entries_[at];
      hole = at;
    }
    entries_[hole] = {};
    --size_;
  }
  // The place with that hash of which `is_it(place)` is true; kNone if there is none.
  template <class IsIt>
  [[nodiscard]] std::uint32_t Find(std::uint32_t hash, const IsIt& is_it) const {
    if (size_ == 0) return kNone;
    for (std::size_t at = hash & mask();; at = (at + 1) & mask()) {
      const Entry& entry = entries_[at];
      if (entry.place == kNone || (entry.hash == hash && is_it(entry.place))) return entry.place;
    }
  }
  void Clear() {
    entries_.clear();
    size_ = 0;
  }
  // Room for so many, so that adding them does not grow the table step by step.
  void Reserve(std::size_t count) {
    std::size_t wanted = 16;
    while (count * 4 > wanted * 3) wanted *= 2;
    if (wanted > entries_.size()) Resize(wanted);
  }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  struct Entry {
    std::uint32_t hash = 0;
    std::uint32_t place = kNone;
  };

  [[nodiscard]] std::size_t mask() const { return entries_.size() - 1; }
  void Put(const Entry& entry) {
    std::size_t at = entry.hash & mask();
    while (entries_[at].place != kNone) at = (at + 1) & mask();
    entries_[at] = entry;
  }
  void Resize(std::size_t size) {
    std::vector<Entry> old(size);
    old.swap(entries_);
    for (const Entry& entry : old) {
      if (entry.place != kNone) Put(entry);
    }
  }

  std::vector<Entry> entries_;  // a power of two, or none; at least a quarter is free
  std::size_t size_ = 0;
};

}  // namespace cube
