#include "services/worker/cluster_size.h"

#include <gtest/gtest.h>

#include "shared/wire/codec.h"

namespace cube::worker {
namespace {

using std::chrono::seconds;

TEST(HeartbeatInterval, GrowsWithTheCluster) {
  EXPECT_EQ(HeartbeatInterval(0), seconds(1));
  EXPECT_EQ(HeartbeatInterval(1'000), seconds(1));
  EXPECT_EQ(HeartbeatInterval(1'500), std::chrono::milliseconds(1500));
  EXPECT_EQ(HeartbeatInterval(10'000), seconds(10));
}

class ClusterSizeTest : public ::testing::Test {
 protected:
  // What one step asks for.
  std::string Step(bool connected = true) {
    Operations out;
    size_.Advance(connected, now_, next_op_, out);
    if (out.empty()) return {};
    const auto& last = std::get<bus::GetLast>(std::get<bus::Operation>(out.front()));
    asked_ = last.op;
    return last.stream + " " + last.subject;
  }
  static bus::StreamMessage Says(std::uint32_t nodes) {
    Heartbeat beat;
    beat.node = kLeaderHeartbeat;
    beat.nodes = nodes;
    bus::StreamMessage message;
    message.payload = wire::EncodeHeartbeat(beat);
    return message;
  }

  MonoTime now_ = MonoFromNanos(1);
  ClusterSize size_{wire::Subjects(), now_};
  bus::OpId next_op_ = 100;
  bus::OpId asked_ = 0;
};

TEST_F(ClusterSizeTest, IsAskedForSeldom) {
  EXPECT_EQ(Step(false), "");
  EXPECT_EQ(Step(), "CUBE_HEARTBEATS cube.heartbeats.-leader");
  EXPECT_EQ(Step(), "") << "one question at a time";
  EXPECT_EQ(size_.NextDeadline(), MonoTime::max());
  EXPECT_FALSE(size_.OnGot({asked_ + 1, Says(5)})) << "another's question";
  EXPECT_EQ(size_.nodes(), 0u);
  EXPECT_TRUE(size_.OnGot({asked_, Says(10'000)}));
  EXPECT_EQ(size_.nodes(), 10'000u);
  now_ = size_.NextDeadline() - Duration(1);
  EXPECT_EQ(Step(), "");
  now_ += Duration(1);
  EXPECT_NE(Step(), "");
}

TEST_F(ClusterSizeTest, IsAskedForMoreOftenWhileItGrows) {
  const auto ask = [this](std::uint32_t nodes) {
    const MonoTime at = now_;
    EXPECT_NE(Step(), "");
    EXPECT_TRUE(size_.OnGot({asked_, Says(nodes)}));
    now_ = size_.NextDeadline();
    return now_ - at;
  };
  EXPECT_EQ(ask(10), seconds(10));
  EXPECT_EQ(ask(5'000), seconds(10));
  EXPECT_EQ(ask(10'000), seconds(10));
  EXPECT_EQ(ask(10'100), seconds(10));
  EXPECT_EQ(ask(10'100), seconds(20));
  EXPECT_EQ(ask(10'100), seconds(40));
  EXPECT_EQ(ask(20'000), seconds(10));
  for (int i = 0; i < 10; ++i) ask(20'001);
  EXPECT_EQ(ask(20'000), kClusterSizeInterval);
}

TEST_F(ClusterSizeTest, WithoutAnAnswerTheOldValueStays) {
  Step();
  EXPECT_TRUE(size_.OnGot({asked_, Says(7)}));
  now_ = size_.NextDeadline();
  Step();
  size_.OnFailed({asked_, Error{Code::kUnavailable, "no", {}}});
  EXPECT_EQ(size_.NextDeadline(), now_ + seconds(10));
  now_ = size_.NextDeadline();
  Step();
  EXPECT_TRUE(size_.OnGot({asked_, std::nullopt})) << "no leader yet";
  now_ = size_.NextDeadline();
  Step();
  bus::StreamMessage garbage;
  garbage.payload = "\xff";
  EXPECT_TRUE(size_.OnGot({asked_, garbage}));
  EXPECT_EQ(size_.nodes(), 7u);
}

}  // namespace
}  // namespace cube::worker
