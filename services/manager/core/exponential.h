// Powers of E-PVM's base L in integers: the same bits from every compiler on every machine, since
// scores decide where tasks go and every reader of the log must agree.
#pragma once

#include <cstdint>

namespace cube::manager {

// The result's unit is 2^-40.
inline constexpr int kPowerBits = 40;
// Exponents beyond this whole number are read as it: L^32 is about 10^6.
inline constexpr std::uint64_t kPowerExponentMax = 32;

// L^x for x in units of 2^-32, L = (4/3)^1.5 = 1.53960071783900203869. Never falls as x grows.
// Relative error below 2^-38.
[[nodiscard]] std::uint64_t PowerOfL(std::uint64_t x);

}  // namespace cube::manager
