// A std::set in one vector (C++23 has std::flat_set, which our oldest standard library lacks): a
// value costs its own size, and adding at the end, where growing numbers go, moves nothing. Adding
// or erasing elsewhere moves what lies behind it. Not thread-safe.
#pragma once

#include <algorithm>
#include <vector>

namespace cube {

template <class T>
class FlatSet {
 public:
  using const_iterator = typename std::vector<T>::const_iterator;

  void insert(const T& value) {
    const auto at = std::lower_bound(values_.begin(), values_.end(), value);
    if (at == values_.end() || *at != value) values_.insert(at, value);
  }
  void erase(const T& value) {
    const auto at = std::lower_bound(values_.begin(), values_.end(), value);
    if (at != values_.end() && *at == value) values_.erase(at);
  }
  void clear() { values_.clear(); }

  [[nodiscard]] bool contains(const T& value) const {
    return std::binary_search(values_.begin(), values_.end(), value);
  }
  [[nodiscard]] std::size_t size() const { return values_.size(); }
  [[nodiscard]] bool empty() const { return values_.empty(); }
  [[nodiscard]] const_iterator begin() const { return values_.begin(); }
  [[nodiscard]] const_iterator end() const { return values_.end(); }
  friend bool operator==(const FlatSet&, const FlatSet&) = default;

 private:
  std::vector<T> values_;  // ascending
};

}  // namespace cube
