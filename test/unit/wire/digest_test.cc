#include "shared/wire/digest.h"

#include <gtest/gtest.h>

#include <string>

namespace cube::wire {
namespace {

TEST(Digest64Test, IsTheSameForEver) {
  EXPECT_EQ(Digest64("cube"), Digest64("cube"));
  EXPECT_NE(Digest64("cube"), Digest64("cubf"));
  EXPECT_NE(Digest64("b", Digest64("a")), Digest64("a", Digest64("b")));
  EXPECT_NE(Digest64(std::string(1, '\0')), Digest64(""));
}

TEST(SpecDigestTest, TellsSpecificationsApart) {
  TaskSpec spec;
  spec.name = TaskName::Trusted("a");
  spec.env = {{"A", "1"}, {"B", "2"}};
  TaskSpec other = spec;
  EXPECT_EQ(SpecDigest(spec), SpecDigest(other));
  other.env["B"] = "3";
  EXPECT_NE(SpecDigest(spec), SpecDigest(other));
  EXPECT_NE(SpecDigest(spec), 0u);
}

}  // namespace
}  // namespace cube::wire
