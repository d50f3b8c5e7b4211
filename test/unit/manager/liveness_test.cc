#include "services/manager/liveness.h"

#include <gtest/gtest.h>

#include "test/support/cluster/log_writer.h"

namespace cube::manager {
namespace {

using test::LogWriter;

constexpr Resources kCapacity{4000, 1 << 30, 0};
const NodeName kNode = NodeName::Trusted("n1");

class LivenessTest : public testing::Test {
 protected:
  LivenessTest() {
    log_.Join("n1", kCapacity);
    Echo();
  }
  const Node& node() { return log_.view().nodes.at(kNode); }
  void Echo() { liveness_.OnEcho(log_.view(), /*quiet=*/true, MonoTime{}, notice_); }
  bool Beat() {
    Heartbeat beat;
    beat.node = kNode.str();
    beat.instance = node().instance;
    return liveness_.OnHeartbeat(log_.view(), beat);
  }
  Verdicts Judge() { return liveness_.Judge(log_.view()); }

  LogWriter log_;
  Liveness liveness_;
  std::string notice_;
};

TEST_F(LivenessTest, ANodeIsSilentAfterThreeEchoesWithoutAHeartbeat) {
  EXPECT_TRUE(Beat());
  for (std::uint64_t i = 1; i < kSilentEchoes; ++i) Echo();
  EXPECT_TRUE(Judge().silent.empty());
  Echo();
  EXPECT_TRUE(Judge().silent.contains(kNode));
  EXPECT_TRUE(Beat());
  EXPECT_TRUE(Judge().silent.empty());
}

TEST_F(LivenessTest, AWelcomedWorkerIsNotBlamedForTheSilenceOfTheOneBefore) {
  EXPECT_TRUE(Beat());
  log_.SayJoined("n1", 4711, kCapacity);
  Judge();  // sees who asks
  for (std::uint64_t i = 0; i < kSilentEchoes; ++i) Echo();
  const Verdicts verdicts = Judge();
  EXPECT_EQ(verdicts.join_ok, std::vector<NodeName>{kNode});
  EXPECT_TRUE(verdicts.silent.empty());
  log_.Decide({WelcomeNode{kNode, 4711, node().incarnation + 1}});
  EXPECT_TRUE(Judge().silent.empty()) << "in the next cycle, before another echo";
  for (std::uint64_t i = 0; i < kSilentEchoes; ++i) Echo();
  EXPECT_TRUE(Judge().silent.empty()) << "its own silence is not long enough yet";
  Echo();
  EXPECT_TRUE(Judge().silent.contains(kNode)) << "a welcome is no heartbeat";
}

TEST_F(LivenessTest, WhoAsksForANameWhoseWorkerStillBeatsIsRefused) {
  EXPECT_TRUE(Beat());
  log_.SayJoined("n1", 4711, kCapacity);
  EXPECT_TRUE(Judge().join_refused.empty());
  EXPECT_TRUE(Beat());
  EXPECT_EQ(Judge().join_refused, std::vector<NodeName>{kNode});
}

}  // namespace
}  // namespace cube::manager
