#include "services/manager/core/exponential.h"

#include <gtest/gtest.h>

#include <cmath>

#include "shared/base/random.h"

namespace cube::manager {
namespace {

constexpr double kLieb = 1.53960071783900203869;
constexpr double kUnit = 1.0 / static_cast<double>(std::uint64_t{1} << kPowerBits);

TEST(ExponentialTest, IsThePower) {
  Random random(1);
  for (int i = 0; i < 100'000; ++i) {
    const std::uint64_t x = random.Next() >> (random.Below(27) + 28);  // up to 16
    const double exact = std::pow(kLieb, std::ldexp(static_cast<double>(x), -32));
    const double power = static_cast<double>(PowerOfL(x)) * kUnit;
    ASSERT_NEAR(power / exact, 1, 0x1p-38) << x;
  }
}

// The same bits everywhere: another compiler that computes others fails here.
TEST(ExponentialTest, HasTheseBits) {
  EXPECT_EQ(PowerOfL(0), std::uint64_t{1} << kPowerBits);
  EXPECT_EQ(PowerOfL(std::uint64_t{1} << 32), 1692808891396U);
  EXPECT_EQ(PowerOfL(0x80000000U), 1364281151263U);
  EXPECT_EQ(PowerOfL(0x12345678U), 1133774343789U);
  EXPECT_EQ(PowerOfL(0xFFFFFFFFU), 1692808891226U);
  EXPECT_EQ(PowerOfL(0x10FEDCBA98U), 1683854977904832U);
  EXPECT_EQ(PowerOfL(~std::uint64_t{0}), PowerOfL(kPowerExponentMax << 32));
}

TEST(ExponentialTest, NeverFalls) {
  Random random(2);
  for (int i = 0; i < 100'000; ++i) {
    const std::uint64_t x = random.Next() >> 28;
    ASSERT_LE(PowerOfL(x), PowerOfL(x + 1)) << x;
    ASSERT_LE(PowerOfL(x), PowerOfL(x + random.Below(1 << 20))) << x;
  }
  for (std::uint64_t edge = 1 << 8; edge < std::uint64_t{1} << 37; edge += edge / 3 + 1) {
    const std::uint64_t x = edge & ~std::uint64_t{0xFF};
    ASSERT_LE(PowerOfL(x - 1), PowerOfL(x)) << x;
  }
}

}  // namespace
}  // namespace cube::manager
