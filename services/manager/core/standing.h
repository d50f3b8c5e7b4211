// How full a node is, as filters and policies look at it: amounts as arrays, and shares of the
// capacity without a division.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "shared/cluster/view.h"

namespace cube::manager {

enum Resource : std::uint8_t { kCpu, kMemory, kDisk };
inline constexpr std::size_t kResources = 3;
// By Resource, in the units of Resources.
using Amounts = std::array<std::int64_t, kResources>;

[[nodiscard]] inline Amounts AmountsOf(const Resources& r) {
  return {r.cpu_millis, r.memory_bytes, r.disk_bytes};
}

// Scores and shares are in units of 2^-32.
inline constexpr int kScoreBits = 32;
inline constexpr std::int64_t kScoreOne = std::int64_t{1} << kScoreBits;

struct Standing {
  Amounts capacity{};
  Amounts promised{};
  Amounts measured{};  // whole sixteenths of the capacity
  std::uint32_t tasks = 0;
  std::uint32_t tasks_max = 0;
  NodeLoad load;

  // What counts as used: promised or measured, whichever is more.
  [[nodiscard]] std::int64_t Used(std::size_t resource) const {
    return std::max(promised[resource], measured[resource]);
  }
  // amount / capacity rounded down to units of 2^-32, or one less; 0 without a capacity. Never
  // falls as the amount (0 to 2^53) grows.
  [[nodiscard]] std::uint64_t Share(std::size_t resource, std::int64_t amount) const {
    __extension__ using Wide = unsigned __int128;
    return static_cast<std::uint64_t>(
        (Wide{static_cast<std::uint64_t>(amount)} * inverse[resource]) >> shift[resource]);
  }

  // 2^(shift + 32) / capacity, with 63 significant bits.
  std::array<std::uint64_t, kResources> inverse{};
  std::array<std::uint8_t, kResources> shift{};
};

// Without what a cycle's decisions take on top of the view.
[[nodiscard]] Standing StandingOf(const Node& node);

}  // namespace cube::manager
