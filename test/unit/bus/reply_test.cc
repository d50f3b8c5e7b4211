#include "shared/bus/reply.h"

#include <gtest/gtest.h>

namespace cube::bus {
namespace {

TEST(ReplyTest, OnlyInboxesAreSafe) {
  EXPECT_TRUE(SafeReplySubject("_INBOX.abc.1"));
  EXPECT_TRUE(SafeReplySubject("_R_.Xy.12"));
  for (const char* bad : {"", "_INBOX", "_INBOX.", "_INBOX.*", "_INBOX.a.>", "_INBOX.a b",
                          "_INBOX..a", "_INBOX.a.", "$JS.API.STREAM.PURGE.CUBE_DECISIONS",
                          "cube.tasks.submit", "inbox.a", "_INBOX.a\r\nPUB x 0"}) {
    EXPECT_FALSE(SafeReplySubject(bad)) << bad;
  }
}

TEST(ReplyTest, TheServersSubjectsAreNotPublishable) {
  EXPECT_TRUE(PublishableSubject("cube.assign.n1"));
  EXPECT_TRUE(PublishableSubject("_INBOX.a.b"));
  EXPECT_FALSE(PublishableSubject("$JS.API.INFO"));
  EXPECT_FALSE(PublishableSubject("$KV.CUBE_LEADER.x"));
  EXPECT_FALSE(PublishableSubject("cube.*"));
  EXPECT_FALSE(PublishableSubject(""));
  EXPECT_TRUE(AppendableSubject("$KV.CUBE_LEADER.x"));
  EXPECT_FALSE(AppendableSubject("$JS.API.INFO"));
  EXPECT_FALSE(AppendableSubject("$KV.>"));
}

}  // namespace
}  // namespace cube::bus
