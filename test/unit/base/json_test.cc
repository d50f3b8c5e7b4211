#include "shared/base/json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

namespace cube {
namespace {

std::string Nested(std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

TEST(Json, DepthIsOfListsAndObjectsTogether) {
  EXPECT_FALSE(JsonNestsDeeper("7", 0));
  EXPECT_FALSE(JsonNestsDeeper(R"({"a":[],"b":[{}]})", 3));
  EXPECT_TRUE(JsonNestsDeeper(R"({"a":[],"b":[{}]})", 2));
  EXPECT_FALSE(JsonNestsDeeper("[][][]", 1)) << "one after the other is not one in the other";
}

TEST(Json, BracketsInTextsDoNotCount) {
  EXPECT_FALSE(JsonNestsDeeper(R"(["[[[[", "\"[[[[", "\\"])", 1));
  EXPECT_TRUE(JsonNestsDeeper(R"(["\\", [[]]])", 2)) << "the text has ended";
  EXPECT_FALSE(JsonNestsDeeper("]]]]}}}}[", 1));
}

TEST(Json, WhatIsTooDeepIsNotRead) {
  EXPECT_TRUE(ParseJsonText(Nested(kJsonDepthMax)).is_array());
  EXPECT_TRUE(ParseJsonText(Nested(kJsonDepthMax + 1)).is_discarded());
  EXPECT_TRUE(ParseJsonText(std::string(10'000'000, '[')).is_discarded());
}

TEST(Json, WhatIsNoJsonIsDiscarded) {
  EXPECT_EQ(ParseJsonText(R"({"a": 1})")["a"], 1);
  for (const char* text : {"", "{", "[1,]", "{\"a\":\"\xff\"}", "nul", "1 2"}) {
    EXPECT_TRUE(ParseJsonText(text).is_discarded()) << text;
  }
}

}  // namespace
}  // namespace cube
