#include "shared/domain/ids.h"

#include <gtest/gtest.h>

#include "shared/domain/rules.h"

namespace cube {
namespace {

TEST(CheckToken, AcceptsDnsLabels) {
  for (const char* good : {"a", "0", "web", "web-1", "a--b", "4f"}) {
    EXPECT_TRUE(CheckToken(good, "id")) << good;
  }
  EXPECT_TRUE(CheckToken(std::string(63, 'x'), "id"));
}

TEST(CheckToken, RefusesWhatNatsOrEnginesWouldNotTake) {
  for (const char* bad : {"", "-a", "a-", "A", "a.b", "a*", "a>", "a b", "ä", "a_b", "-leader"}) {
    const auto result = CheckToken(bad, "id");
    ASSERT_FALSE(result) << bad;
    EXPECT_EQ(result.error().code, Code::kInvalid);
    EXPECT_EQ(result.error().field, "id");
  }
  EXPECT_FALSE(CheckToken(std::string(64, 'x'), "id"));
  EXPECT_FALSE(CheckToken(std::string_view("a\0b", 3), "id"));
}

TEST(Token, NamesHaveTheirOwnLength) {
  EXPECT_TRUE(TaskName::Parse(std::string(40, 'x'), "name"));
  EXPECT_FALSE(TaskName::Parse(std::string(41, 'x'), "name"));
}

TEST(GeneratedTaskId, IsATokenForTheLongestNameAndLargestNumber) {
  const TaskName name = TaskName::Trusted(std::string(40, 'x'));
  const TaskId id = GeneratedTaskId(name, {~std::uint64_t{0}, ~std::uint32_t{0}});
  EXPECT_TRUE(CheckToken(id.str(), "id")) << id.str();
}

TEST(GeneratedTaskId, IsNeverThatOfATaskOfAJob) {
  const TaskName name = TaskName::Trusted("web");
  const TaskId id = GeneratedTaskId(name, {698, 26});  // in few digits "web-v2-2"
  EXPECT_FALSE(IsJobTaskId(id.str())) << id.str();
  EXPECT_TRUE(TaskId::Parse(id.str(), "id").has_value());
  EXPECT_EQ(GeneratedTaskId(name, {698, 0}).str(), "web-v2-a");
}

TEST(GeneratedTaskId, DiffersByIntentAndIndex) {
  const TaskName name = TaskName::Trusted("web");
  EXPECT_EQ(GeneratedTaskId(name, {1, 0}).str(), "web-b-a");
  EXPECT_NE(GeneratedTaskId(name, {1, 32}), GeneratedTaskId(name, {33, 0}));
}

}  // namespace
}  // namespace cube
