// A text that is kept very often and looked at rarely: as large as a pointer, and its bytes with
// their number in memory of their own; an empty one has none. Copies copy. Not thread-safe.
#pragma once

#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <string_view>

#include "shared/base/check.h"

namespace cube {

class PackedText {
 public:
  PackedText() = default;
  // NOLINTNEXTLINE(google-explicit-constructor): as std::string
  PackedText(std::string_view text) {
    if (text.empty()) return;
    CUBE_CHECK(text.size() <= std::numeric_limits<Size>::max());
    const auto size = static_cast<Size>(text.size());
    bytes_ = std::make_unique<char[]>(sizeof(Size) + text.size());
    std::memcpy(bytes_.get(), &size, sizeof(Size));
    std::memcpy(bytes_.get() + sizeof(Size), text.data(), text.size());
  }
  PackedText(const PackedText& other) : PackedText(other.view()) {}
  PackedText(PackedText&&) noexcept = default;
  PackedText& operator=(const PackedText& other) {
    if (this != &other) *this = PackedText(other.view());
    return *this;
  }
  PackedText& operator=(PackedText&&) noexcept = default;
  ~PackedText() = default;

  // Until it is assigned to.
  [[nodiscard]] std::string_view view() const {
    if (bytes_ == nullptr) return {};
    Size size = 0;
    std::memcpy(&size, bytes_.get(), sizeof(Size));
    return {bytes_.get() + sizeof(Size), size};
  }
  friend bool operator==(const PackedText& a, const PackedText& b) { return a.view() == b.view(); }

 private:
  using Size = std::uint32_t;
  std::unique_ptr<char[]> bytes_;
};

}  // namespace cube
