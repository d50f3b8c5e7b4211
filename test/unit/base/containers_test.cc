// FlatSet against std::set; Rare against std::optional.
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "shared/base/flat_set.h"
#include "shared/base/random.h"
#include "shared/base/rare.h"

namespace cube {
namespace {

TEST(FlatSet, IsAStdSet) {
  Random random(1);
  FlatSet<int> flat;
  std::set<int> set;
  for (int i = 0; i < 2000; ++i) {
    const int value = static_cast<int>(random.Below(50));
    if (random.Below(2) == 0) {
      flat.insert(value);
      set.insert(value);
    } else {
      flat.erase(value);
      set.erase(value);
    }
    ASSERT_EQ(std::vector<int>(flat.begin(), flat.end()), std::vector<int>(set.begin(), set.end()));
    ASSERT_EQ(flat.size(), set.size());
    ASSERT_EQ(flat.empty(), set.empty());
    ASSERT_EQ(flat.contains(value), set.contains(value));
  }
  flat.clear();
  EXPECT_TRUE(flat.empty());
}

TEST(Rare, IsAbsentOrAValueOfItsOwn) {
  Rare<std::string> rare;
  EXPECT_FALSE(rare);
  EXPECT_EQ(rare, Rare<std::string>());
  rare = std::string("a");
  ASSERT_TRUE(rare);
  Rare<std::string> copy = rare;
  copy->push_back('b');
  EXPECT_EQ(*rare, "a");
  EXPECT_EQ(*copy, "ab");
  EXPECT_NE(rare, copy);
  EXPECT_NE(rare, Rare<std::string>());
  copy = rare;
  EXPECT_EQ(rare, copy);
  const Rare<std::string>& itself = copy;
  copy = itself;
  EXPECT_EQ(copy, std::string("a"));
  const Rare<std::string> moved = std::move(copy);
  EXPECT_EQ(moved, rare);
  rare.reset();
  EXPECT_FALSE(rare);
  rare = std::optional<std::string>("c");
  EXPECT_EQ(*rare, "c");
  rare = std::optional<std::string>();
  EXPECT_FALSE(rare);
}

}  // namespace
}  // namespace cube
