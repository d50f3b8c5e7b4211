#include "services/manager/core/exponential.h"

#include <array>

namespace cube::manager {
namespace {

__extension__ using Wide = unsigned __int128;

// Numbers from 0 to 4 in units of 2^-62.
constexpr int kBits = 62;
constexpr std::uint64_t kOne = std::uint64_t{1} << kBits;
constexpr Wide kHalf = Wide{1} << (kBits - 1);

constexpr std::uint64_t Times(std::uint64_t a, std::uint64_t b) {
  return static_cast<std::uint64_t>((Wide{a} * b + kHalf) >> kBits);
}

// The largest number whose square is not above `square`.
constexpr std::uint64_t Root(Wide square) {
  std::uint64_t root = 0;
  for (int bit = 63; bit >= 0; --bit) {
    const std::uint64_t next = root | (std::uint64_t{1} << bit);
    if (Wide{next} * next <= square) root = next;
  }
  return root;
}

// L^2 = 64/27 in units of 2^-124; 2^130 itself would not fit.
constexpr std::uint64_t kL = Root(((Wide{1} << 127) / 27) * 8);

// The 32 bits of the fraction are looked up eight at a time: part[p][i] = L^(i * 2^(-8(p+1))).
constexpr std::size_t kParts = 4;
constexpr std::size_t kPartSize = 256;
struct Tables {
  std::array<std::array<std::uint64_t, kPartSize>, kParts> part{};
  std::array<std::uint64_t, kPowerExponentMax + 1> whole{};  // L^i in units of 2^-40
};

constexpr Tables MakeTables() {
  Tables tables;
  std::uint64_t root = kL;
  for (auto& part : tables.part) {
    part[0] = kOne;
    // From the highest bit down: each is the root of the one before.
    for (std::size_t bit = kPartSize / 2; bit != 0; bit /= 2) {
      root = Root(Wide{root} << kBits);
      for (std::size_t i = 0; i < kPartSize; i += 2 * bit) part[i + bit] = Times(part[i], root);
    }
  }
  constexpr int kGuard = 20;  // more bits than the result keeps
  constexpr int kHalfBits = 40;
  Wide power = Wide{1} << (kPowerBits + kGuard);
  for (std::uint64_t& entry : tables.whole) {
    entry = static_cast<std::uint64_t>(power >> kGuard);
    // In two halves, since a product of 81 and 63 bits does not fit.
    const Wide high = power >> kHalfBits;
    const Wide low = power & ((Wide{1} << kHalfBits) - 1);
    power = ((high * kL) >> (kBits - kHalfBits)) + ((low * kL) >> kBits);
  }
  return tables;
}

constexpr Tables kTables = MakeTables();

}  // namespace

std::uint64_t PowerOfL(std::uint64_t x) {
  std::uint64_t whole = x >> 32;
  auto fraction = static_cast<std::uint32_t>(x);
  if (whole >= kPowerExponentMax) {
    whole = kPowerExponentMax;
    fraction = 0;
  }
  const std::uint64_t high =
      Times(kTables.part[0][fraction >> 24], kTables.part[1][(fraction >> 16) & 0xFF]);
  const std::uint64_t low =
      Times(kTables.part[2][(fraction >> 8) & 0xFF], kTables.part[3][fraction & 0xFF]);
  const Wide power = Wide{kTables.whole[whole]} * Times(high, low);
  return static_cast<std::uint64_t>((power + kHalf) >> kBits);
}

}  // namespace cube::manager
