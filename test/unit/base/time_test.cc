#include "shared/base/time.h"

#include <gtest/gtest.h>

#include <string>

namespace cube {
namespace {

TEST(Time, WhatIsReadPrintsAndIsReadAsTheSame) {
  for (const char* text : {"2026-01-31T12:00:00.123Z", "1970-01-01T00:00:00.001Z",
                           "2200-12-31T23:59:59.999Z", "1700-02-28T00:00:00.000Z"}) {
    const auto time = ParseRfc3339(text);
    ASSERT_TRUE(time) << text;
    EXPECT_EQ(FormatRfc3339(*time), text);
  }
  EXPECT_EQ(*ParseRfc3339("2026-01-31T12:00:00+02:00"), *ParseRfc3339("2026-01-31T10:00:00Z"));
  EXPECT_EQ(*ParseDuration("1h2m3.5s"), std::chrono::milliseconds(3'723'500));
  for (const char* text : {"10s", "1m30s", "250ms", "1h", "0s"}) {
    EXPECT_EQ(FormatDuration(*ParseDuration(text)), text);
  }
}

// An error goes into messages whose texts are UTF-8, and onto terminals.
TEST(Time, ErrorsShowWhatWasWrittenAsFarAsItCanBeShown) {
  EXPECT_EQ(ParseDuration("10\xff\x1b").error().message.substr(0, 8), "'10?\?' i");
  EXPECT_EQ(ParseRfc3339("soon\n").error().message.substr(0, 8), "'soon?' ");
  EXPECT_LT(ParseDuration(std::string(100'000, 'x')).error().message.size(), 250u);
}

}  // namespace
}  // namespace cube
