// A std::map with names as keys whose look-ups do not walk the tree: with thousands of names of one
// beginning, that is a dozen comparisons of texts in memory that is in no cache. What is iterated
// is in the order of names. Elements stay where they are; none is erased but all at once. Not
// thread-safe; reading is.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstddef>
#include <map>
#include <string_view>
#include <utility>

#include "shared/base/check.h"

namespace cube {

// `Name` has str(), as Token has (shared/domain/ids.h).
template <class Name, class Value>
class HashedMap {
  using Map = std::map<Name, Value>;

 public:
  using key_type = Name;
  using mapped_type = Value;
  using value_type = typename Map::value_type;
  using iterator = typename Map::iterator;
  using const_iterator = typename Map::const_iterator;

  HashedMap() = default;
  HashedMap(const HashedMap& other) : map_(other.map_) { Index(); }
  HashedMap(HashedMap&& other) noexcept = default;  // elements stay where they are
  HashedMap& operator=(const HashedMap& other) {
    if (this != &other) *this = HashedMap(other);
    return *this;
  }
  HashedMap& operator=(HashedMap&& other) noexcept = default;
  ~HashedMap() = default;

  [[nodiscard]] iterator find(const Name& name) {
    const auto it = places_.find(name.str());
    return it == places_.end() ? map_.end() : it->second;
  }
  [[nodiscard]] const_iterator find(const Name& name) const {
    const auto it = places_.find(name.str());
    return it == places_.end() ? map_.end() : const_iterator(it->second);
  }
  [[nodiscard]] bool contains(const Name& name) const { return places_.contains(name.str()); }
  // There is one.
  [[nodiscard]] Value& at(const Name& name) {
    const auto it = find(name);
    CUBE_CHECK(it != map_.end());
    return it->second;
  }
  [[nodiscard]] const Value& at(const Name& name) const {
    const auto it = find(name);
    CUBE_CHECK(it != map_.end());
    return it->second;
  }

  // As those of std::map.
  template <class... Args>
  std::pair<iterator, bool> try_emplace(const Name& name, Args&&... args) {
    if (const auto it = find(name); it != map_.end()) return {it, false};
    const auto it = map_.try_emplace(name, std::forward<Args>(args)...).first;
    places_.emplace(it->first.str(), it);
    return {it, true};
  }
  std::pair<iterator, bool> emplace(const Name& name, Value value) {
    return try_emplace(name, std::move(value));
  }
  Value& operator[](const Name& name) { return try_emplace(name).first->second; }
  void clear() {
    places_.clear();
    map_.clear();
  }

  [[nodiscard]] const_iterator lower_bound(const Name& name) const {
    return map_.lower_bound(name);
  }
  [[nodiscard]] const_iterator upper_bound(const Name& name) const {
    return map_.upper_bound(name);
  }
  [[nodiscard]] iterator begin() { return map_.begin(); }
  [[nodiscard]] iterator end() { return map_.end(); }
  [[nodiscard]] const_iterator begin() const { return map_.begin(); }
  [[nodiscard]] const_iterator end() const { return map_.end(); }
  [[nodiscard]] std::size_t size() const { return map_.size(); }
  [[nodiscard]] bool empty() const { return map_.empty(); }

 private:
  void Index() {
    places_.clear();
    places_.reserve(map_.size());
    for (auto it = map_.begin(); it != map_.end(); ++it) places_.emplace(it->first.str(), it);
  }

  Map map_;
  absl::flat_hash_map<std::string_view, iterator> places_;  // names are those of map_
};

}  // namespace cube
