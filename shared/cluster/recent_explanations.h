// Equal explanations of the last placements, held once. Tasks of one shape often have one for all;
// they follow each other, or are mixed with those of a few other shapes.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>

#include "shared/domain/decision.h"

namespace cube {

class RecentExplanations {
 public:
  // An equal one, of before or this. Never nullptr.
  [[nodiscard]] std::shared_ptr<const Explanation> Same(const SharedExplanation& why) {
    const auto same = std::ranges::find(kept_, why);
    if (same != kept_.end() && same->shared() != nullptr) return same->shared();
    SharedExplanation& kept = kept_[next_++ % kept_.size()];
    kept = why.shared() == nullptr ? SharedExplanation(*why) : why;
    return kept.shared();
  }

 private:
  std::array<SharedExplanation, 8> kept_;
  std::size_t next_ = 0;
};

}  // namespace cube
