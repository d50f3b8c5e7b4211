// The name of a node as records of tasks keep it: as large as a pointer, since all tasks of a node
// share one text. Copies that share a text belong to one thread at a time.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "shared/domain/ids.h"

namespace cube {

class NodeRef {
 public:
  NodeRef() = default;  // of no node: the empty name
  // A text of its own; the view's nodes have the ones to share (Node::ref).
  // NOLINTNEXTLINE(google-explicit-constructor): a name stands for itself
  NodeRef(NodeName name) : shared_(name.empty() ? nullptr : new Shared{1, std::move(name)}) {}
  NodeRef(const NodeRef& other) noexcept : shared_(other.shared_) {
    if (shared_ != nullptr) ++shared_->refs;
  }
  NodeRef(NodeRef&& other) noexcept : shared_(std::exchange(other.shared_, nullptr)) {}
  NodeRef& operator=(NodeRef other) noexcept {
    std::swap(shared_, other.shared_);
    return *this;
  }
  ~NodeRef() {
    if (shared_ != nullptr && --shared_->refs == 0) delete shared_;
  }

  [[nodiscard]] const NodeName& name() const { return shared_ == nullptr ? None() : shared_->name; }
  // NOLINTNEXTLINE(google-explicit-constructor)
  operator const NodeName&() const { return name(); }
  [[nodiscard]] const std::string& str() const { return name().str(); }
  [[nodiscard]] bool empty() const { return shared_ == nullptr; }
  friend bool operator==(const NodeRef& a, const NodeRef& b) {
    return a.shared_ == b.shared_ || a.name() == b.name();
  }
  friend bool operator==(const NodeRef& a, const NodeName& b) { return a.name() == b; }

 private:
  struct Shared {
    std::uint32_t refs = 0;
    NodeName name;
  };

  static const NodeName& None() {
    static const NodeName none;
    return none;
  }

  Shared* shared_ = nullptr;
};

}  // namespace cube
