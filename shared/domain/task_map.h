// What is kept of each attempt, or of each launch, on a node. A std::map finds them by way of a
// tree, each step of which compares with a text that lies somewhere else in memory; here the task's
// id is looked up once.
#pragma once

#include <absl/container/flat_hash_set.h>
#include <absl/hash/hash.h>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <string_view>
#include <utility>
#include <vector>

#include "shared/domain/ids.h"

namespace cube {

// Key: has a `task`, by which it is ordered first. Entries stay where they are in memory until they
// are erased. A walk over all is in the order of keys; the first one after a change sorts them, so
// it is for what happens rarely. A walk over all, or over those of a task, ends with a change.
template <class Key, class Value>
class TaskMap {
 public:
  using Entry = std::pair<const Key, Value>;

 private:
  struct Node {
    Entry entry;
    std::size_t hash = 0;  // of the task
    Node* next = nullptr;  // of the same task, in order
  };

  template <class E>
  class ChainIterator {
   public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = E;
    using difference_type = std::ptrdiff_t;
    using pointer = E*;
    using reference = E&;

    ChainIterator() = default;
    explicit ChainIterator(Node* node) : node_(node) {}
    E& operator*() const { return node_->entry; }
    E* operator->() const { return &node_->entry; }
    ChainIterator& operator++() {
      node_ = node_->next;
      return *this;
    }
    ChainIterator operator++(int) {
      ChainIterator old = *this;
      ++*this;
      return old;
    }
    friend bool operator==(const ChainIterator&, const ChainIterator&) = default;

   private:
    Node* node_ = nullptr;
  };
  template <class E>
  class ListIterator {
   public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = E;
    using difference_type = std::ptrdiff_t;
    using pointer = E*;
    using reference = E&;

    ListIterator() = default;
    explicit ListIterator(Node* const* at) : at_(at) {}
    E& operator*() const { return (*at_)->entry; }
    E* operator->() const { return &(*at_)->entry; }
    ListIterator& operator++() {
      ++at_;
      return *this;
    }
    ListIterator operator++(int) {
      ListIterator old = *this;
      ++*this;
      return old;
    }
    friend bool operator==(const ListIterator&, const ListIterator&) = default;

   private:
    Node* const* at_ = nullptr;
  };
  template <class Iterator>
  class Range {
   public:
    Range(Iterator begin, Iterator end) : begin_(begin), end_(end) {}
    [[nodiscard]] Iterator begin() const { return begin_; }
    [[nodiscard]] Iterator end() const { return end_; }

   private:
    Iterator begin_, end_;
  };

 public:
  TaskMap() = default;
  TaskMap(const TaskMap&) = delete;
  TaskMap& operator=(const TaskMap&) = delete;
  ~TaskMap() {
    for (const Chain& chain : chains_) {
      for (Node* node = chain.first; node != nullptr;) delete std::exchange(node, node->next);
    }
  }

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }

  // nullptr = there is none.
  [[nodiscard]] Value* Find(const Key& key) { return const_cast<Value*>(Found(key)); }
  [[nodiscard]] const Value* Find(const Key& key) const { return Found(key); }

  // All of a task, in order.
  [[nodiscard]] auto Of(const TaskId& task) {
    return Range(ChainIterator<Entry>(First(task)), ChainIterator<Entry>(nullptr));
  }
  [[nodiscard]] auto Of(const TaskId& task) const {
    return Range(ChainIterator<const Entry>(First(task)), ChainIterator<const Entry>(nullptr));
  }

  // An entry that has the key already stays as it is.
  Entry& Add(Key key, Value value);
  // Nothing happens if there is none.
  void Erase(const Key& key);

  // Whether any entry is like that; asked in any order, so nothing has to be sorted.
  template <class Like>
  [[nodiscard]] bool AnyOf(const Like& like) const {
    return std::ranges::any_of(chains_, [&like](const Chain& chain) {
      for (const Node* node = chain.first; node != nullptr; node = node->next) {
        if (like(node->entry)) return true;
      }
      return false;
    });
  }

  [[nodiscard]] auto begin() { return ListIterator<Entry>(Sorted().data()); }
  [[nodiscard]] auto end() { return ListIterator<Entry>(Sorted().data() + size_); }
  [[nodiscard]] auto begin() const { return ListIterator<const Entry>(Sorted().data()); }
  [[nodiscard]] auto end() const { return ListIterator<const Entry>(Sorted().data() + size_); }
  // From the first of this task, or behind it, on.
  [[nodiscard]] auto From(const TaskId& task) const {
    const std::vector<Node*>& all = Sorted();
    const auto before = [](const Node* node, const TaskId& t) {
      return node->entry.first.task < t;
    };
    const auto first = std::lower_bound(all.begin(), all.end(), task, before);
    return Range(ListIterator<const Entry>(all.data() + (first - all.begin())), end());
  }

 private:
  // The set's own key does not change with the first of a chain, which is of the same task.
  struct Chain {
    mutable Node* first;
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(const Chain& chain) const { return chain.first->hash; }
    std::size_t operator()(const TaskId& task) const {
      return absl::Hash<std::string_view>()(task.str());
    }
  };
  struct Equal {
    using is_transparent = void;
    bool operator()(const Chain& a, const Chain& b) const { return a.first == b.first; }
    bool operator()(const Chain& a, const TaskId& b) const {
      return a.first->entry.first.task == b;
    }
    bool operator()(const TaskId& a, const Chain& b) const { return (*this)(b, a); }
  };

  [[nodiscard]] Node* First(const TaskId& task) const {
    const auto found = chains_.find(task);
    return found == chains_.end() ? nullptr : found->first;
  }
  [[nodiscard]] const Value* Found(const Key& key) const {
    for (const Node* node = First(key.task); node != nullptr; node = node->next) {
      if (node->entry.first == key) return &node->entry.second;
    }
    return nullptr;
  }
  const std::vector<Node*>& Sorted() const;

  absl::flat_hash_set<Chain, Hash, Equal> chains_;  // one for each task
  std::size_t size_ = 0;
  mutable std::vector<Node*> sorted_;
  mutable bool is_sorted_ = true;
};

template <class Key, class Value>
auto TaskMap<Key, Value>::Add(Key key, Value value) -> Entry& {
  const auto chain = chains_.find(key.task);
  Node** link = chain == chains_.end() ? nullptr : &chain->first;
  while (link != nullptr && *link != nullptr && (*link)->entry.first < key) link = &(*link)->next;
  if (link != nullptr && *link != nullptr && (*link)->entry.first == key) return (*link)->entry;
  const std::size_t hash = Hash()(key.task);
  Node* const added = new Node{Entry{std::move(key), std::move(value)}, hash};
  if (link == nullptr) {
    chains_.insert(Chain{added});
  } else {
    added->next = std::exchange(*link, added);
  }
  ++size_;
  is_sorted_ = false;
  return added->entry;
}

template <class Key, class Value>
void TaskMap<Key, Value>::Erase(const Key& key) {
  const auto chain = chains_.find(key.task);
  if (chain == chains_.end()) return;
  Node** link = &chain->first;
  while (*link != nullptr && (*link)->entry.first != key) link = &(*link)->next;
  Node* const node = *link;
  if (node == nullptr) return;
  if (node == chain->first && node->next == nullptr) {
    chains_.erase(chain);
  } else {
    *link = node->next;
  }
  delete node;  // `key` may be its own
  --size_;
  is_sorted_ = false;
}

template <class Key, class Value>
auto TaskMap<Key, Value>::Sorted() const -> const std::vector<Node*>& {
  if (is_sorted_) return sorted_;
  sorted_.clear();
  sorted_.reserve(size_);
  for (const Chain& chain : chains_) {
    for (Node* node = chain.first; node != nullptr; node = node->next) sorted_.push_back(node);
  }
  std::sort(sorted_.begin(), sorted_.end(),
            [](const Node* a, const Node* b) { return a->entry.first < b->entry.first; });
  is_sorted_ = true;
  return sorted_;
}

}  // namespace cube
