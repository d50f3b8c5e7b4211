#include "shared/domain/text.h"

#include <gtest/gtest.h>

#include "shared/base/random.h"

namespace cube {
namespace {

TEST(IsUtf8, AcceptsAllLengths) {
  for (const char* good : {"", "abc", "ä", "€", "😀", "\xED\x9F\xBF", "\xF4\x8F\xBF\xBF"}) {
    EXPECT_TRUE(IsUtf8(good)) << good;
  }
}

TEST(IsUtf8, RefusesMalformed) {
  // Lone continuation, cut, overlong, surrogate, above U+10FFFF, 0xFF.
  for (const char* bad : {"\x80", "\xC3", "\xE2\x82", "\xC0\x80", "\xE0\x80\x80", "\xED\xA0\x80",
                          "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "a\xC3(b"}) {
    EXPECT_FALSE(IsUtf8(bad));
  }
}

TEST(CleanText, KeepsGoodText) {
  EXPECT_EQ(CleanText("all good ä", 64), "all good ä");
  EXPECT_EQ(CleanText("", 3), "");
}

TEST(CleanText, ReplacesEachMalformedByte) {
  EXPECT_EQ(CleanText("a\xFF"
                      "b",
                      64),
            "a\uFFFDb");
}

TEST(CleanText, CutsBetweenCharacters) {
  EXPECT_EQ(CleanText("abcdefgh", 6), "abc…");
  EXPECT_EQ(CleanText("ääää", 7), "ää…");
  EXPECT_EQ(CleanText("abcdef", 6), "abcdef");
}

TEST(CleanText, IsAlwaysValidAndWithinTheLimit) {
  Random random(7);
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes(random.Below(24), '\0');
    for (char& c : bytes) c = static_cast<char>(random.Below(256));
    const std::size_t limit = 3 + random.Below(20);
    const std::string clean = CleanText(bytes, limit);
    ASSERT_TRUE(IsUtf8(clean));
    ASSERT_LE(clean.size(), limit);
    ASSERT_EQ(CleanText(clean, limit), clean);
  }
}

}  // namespace
}  // namespace cube
