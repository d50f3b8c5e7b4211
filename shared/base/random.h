// A seeded generator (splitmix64): same seed, same numbers, on every compiler. Core code is given
// one; it never seeds itself.
#pragma once

#include <cstdint>

namespace cube {

class Random {
 public:
  explicit constexpr Random(std::uint64_t seed) : state_(seed) {}

  constexpr std::uint64_t Next() {
    state_ += 0x9e3779b97f4a7c15ULL;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  // 0 <= result < bound; bound > 0. The bias of the remainder is below 2^-32 for 32-bit bounds.
  constexpr std::uint64_t Below(std::uint64_t bound) { return Next() % bound; }
  // True in `per_million` of a million calls.
  constexpr bool Chance(std::uint64_t per_million) { return Below(1'000'000) < per_million; }

 private:
  std::uint64_t state_;
};

}  // namespace cube
