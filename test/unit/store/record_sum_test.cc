// The checksum behind each value of an LMDB file: what one version has written the next one reads.
#include "shared/store/record_sum.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

namespace cube::store {
namespace {

std::string Stored(TableId table, std::string_view key, std::string_view value) {
  const std::uint32_t sum = RecordSum(table, key, value);
  std::string stored(value);
  stored.append(reinterpret_cast<const char*>(&sum), sizeof(sum));
  return stored;
}

TEST(RecordSumTest, IsWhatItWas) {
  EXPECT_EQ(RecordSum(1, "key", "value"), 0xe249f9a0U);
  EXPECT_EQ(RecordSum(1, "key", ""), 0x48ef7a6dU);
  EXPECT_EQ(RecordSum(0, std::string(511, 'k'), std::string(5000, 'v')), 0xb07c4289U);
}

TEST(RecordSumTest, IsOfTableKeyAndValue) {
  const std::string stored = Stored(3, "key", "value");
  EXPECT_EQ(CheckedValue(3, "key", stored), "value");
  EXPECT_FALSE(CheckedValue(2, "key", stored));
  EXPECT_FALSE(CheckedValue(3, "kex", stored));
  EXPECT_NE(RecordSum(3, "ab", "c"), RecordSum(3, "a", "bc"));
  std::string other = stored;
  other[2] ^= 1;
  EXPECT_FALSE(CheckedValue(3, "key", other));
  EXPECT_FALSE(CheckedValue(3, "key", stored.substr(0, kSumBytes - 1)));
}

}  // namespace
}  // namespace cube::store
