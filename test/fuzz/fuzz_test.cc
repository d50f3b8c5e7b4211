// Every fuzz target on its seeds and on damaged copies of them, without a fuzzer: so that a law
// that is broken, or a target that has rotted, is seen in each test run.
#include <gtest/gtest.h>

#include <algorithm>

#include "test/fuzz/target.h"

namespace cube::fuzz {
namespace {

constexpr std::uint64_t kSeeds = 24;
constexpr int kDamagedOfEach = 20;

std::string Damaged(std::string text, const std::string& other, Random& random) {
  const std::uint64_t changes = 1 + random.Below(4);
  for (std::uint64_t i = 0; i < changes; ++i) {
    const auto at = static_cast<std::size_t>(random.Below(text.size() + 1));
    const auto length =
        static_cast<std::size_t>(random.Below(std::min<std::size_t>(text.size() - at, 16) + 1));
    switch (random.Below(6)) {
      case 0:
        if (at < text.size()) text[at] = static_cast<char>(random.Next());
        break;
      case 1:
        if (at < text.size()) text[at] = static_cast<char>(text[at] ^ (1 << random.Below(8)));
        break;
      case 2:
        text.erase(at, length);
        break;
      case 3:
        text.insert(at, text.substr(at, length));
        break;
      case 4:
        text.resize(at);
        break;
      default: {
        const auto from = static_cast<std::size_t>(random.Below(other.size() + 1));
        text.insert(at, other, from, 1 + static_cast<std::size_t>(random.Below(32)));
      }
    }
  }
  return text;
}

class FuzzTarget : public testing::TestWithParam<std::size_t> {};

TEST_P(FuzzTarget, HoldsOnSeedsAndOnDamagedOnes) {
  const Target& target = Targets().at(GetParam());
  target.run("");
  for (std::uint64_t i = 0; i < kSeeds; ++i) {
    Random random(i);
    const std::string seed = target.seed(random);
    const std::string other = target.seed(random);
    target.run(seed);
    for (int n = 0; n < kDamagedOfEach; ++n) target.run(Damaged(seed, other, random));
  }
}

INSTANTIATE_TEST_SUITE_P(Each, FuzzTarget, testing::Range(std::size_t{0}, Targets().size()),
                         [](const auto& parameter) {
                           return std::string(Targets().at(parameter.param).name);
                         });

}  // namespace
}  // namespace cube::fuzz
