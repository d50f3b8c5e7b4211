#include "services/manager/liveness.h"

#include <gtest/gtest.h>

#include "test/support/cluster/log_writer.h"

namespace cube::manager {
namespace {

using test::LogWriter;

const NodeName kNode = NodeName::Trusted("n1");
constexpr Resources kCapacity{4000, 1 << 30, 0};

class LivenessTest : public testing::Test {
 protected:
  LivenessTest() { log_.Join("n1", kCapacity); }

  void Beat(std::uint64_t instance, bool claims = false) {
    Heartbeat beat;
    beat.node = "n1";
    beat.instance = instance;
    liveness_.OnHeartbeat(log_.view(), beat, claims);
  }
  void Echo(bool quiet = true) {
    now_ += std::chrono::seconds(1);
    liveness_.OnEcho(log_.view());
    if (quiet) liveness_.OnDrained(log_.view(), now_, notice_);
  }
  Verdicts Judge() { return liveness_.Judge(log_.view()); }
  std::uint64_t Instance() { return log_.view().nodes.at(kNode).instance; }

  LogWriter log_;
  Liveness liveness_;
  MonoTime now_{};
  std::string notice_;
};

TEST_F(LivenessTest, ANodeIsSilentAfterThreeEchoesWithoutAHeartbeat) {
  Echo();  // a new leader gives every node the full time
  Beat(Instance());
  Echo();
  Echo();
  EXPECT_TRUE(Judge().silent.empty());
  Echo();
  EXPECT_TRUE(Judge().silent.contains(kNode));
  Beat(Instance());
  EXPECT_TRUE(Judge().silent.empty());
}

TEST_F(LivenessTest, NobodyIsJudgedWhileHeartbeatsMayStillLieInTheInbox) {
  Beat(Instance());
  for (int i = 0; i < 5; ++i) Echo(/*quiet=*/false);
  EXPECT_TRUE(Judge().silent.empty());
  Echo();
  EXPECT_TRUE(Judge().silent.contains(kNode));
}

TEST_F(LivenessTest, AHeartbeatThatASlowBusDeliversBehindTheEchoesCounts) {
  Beat(Instance());
  for (int i = 0; i < 3; ++i) Echo(/*quiet=*/false);
  Beat(Instance());
  Echo();
  EXPECT_TRUE(Judge().silent.empty());
}

TEST_F(LivenessTest, ANameIsNotGivenAwayWhileHeartbeatsMayStillLieInTheInbox) {
  Beat(Instance());
  log_.SayJoined("n1", 999, kCapacity);
  EXPECT_TRUE(Judge().join_ok.empty());
  for (int i = 0; i < 3; ++i) Echo(/*quiet=*/false);
  EXPECT_TRUE(Judge().join_ok.empty());
  Beat(Instance());
  Echo();
  EXPECT_TRUE(Judge().join_ok.empty());
  EXPECT_EQ(Judge().join_refused, std::vector<NodeName>{kNode});
}

TEST_F(LivenessTest, AnotherWorkersHeartbeatsDoNotCount) {
  Beat(Instance());
  for (int i = 0; i < 3; ++i) {
    Beat(Instance() + 1);
    Echo();
  }
  EXPECT_TRUE(Judge().silent.contains(kNode));
}

TEST_F(LivenessTest, AWorkerThatTakesOverASilentNameIsWelcomeAndNotCalledDown) {
  Beat(Instance());
  log_.SayJoined("n1", 999, kCapacity);
  EXPECT_TRUE(Judge().join_ok.empty()) << "the old one may still be there";
  for (int i = 0; i < 3; ++i) Echo();
  const Verdicts verdicts = Judge();
  EXPECT_EQ(verdicts.join_ok, std::set<NodeName>{kNode});
  EXPECT_TRUE(verdicts.silent.empty()) << "its launches may still run: no attempt is lost";
  log_.Decide({WelcomeNode{kNode, 999, 2}});
  EXPECT_TRUE(Judge().silent.empty()) << "the silence was the old worker's";
}

TEST_F(LivenessTest, AReturnedWorkerKeepsItsNameAgainstAnotherThatAsks) {
  log_.Decide({NodeDown{kNode, "test"}});
  log_.SayJoined("n1", 999, kCapacity);
  Beat(Instance());
  const Verdicts verdicts = Judge();
  EXPECT_TRUE(verdicts.join_ok.empty());
  EXPECT_EQ(verdicts.heard, std::vector<NodeName>{kNode});
}

TEST_F(LivenessTest, ASecondWorkerOfALivingNodeIsRefused) {
  Beat(Instance());
  log_.SayJoined("n1", 999, kCapacity);
  EXPECT_TRUE(Judge().join_refused.empty());
  Beat(Instance());
  EXPECT_EQ(Judge().join_refused, std::vector<NodeName>{kNode});
}

TEST_F(LivenessTest, ManyThatGoSilentTogetherAreNotBelievedAtOnce) {
  for (int i = 2; i <= 6; ++i) log_.Join("n" + std::to_string(i), kCapacity);
  Echo();
  for (int i = 0; i < 3; ++i) Echo();
  EXPECT_TRUE(Judge().silent.empty());
  EXPECT_NE(notice_.find("6 of 6 nodes"), std::string::npos) << notice_;
  for (int i = 0; i < 29; ++i) Echo();
  EXPECT_TRUE(Judge().silent.empty());
  // Then one with each echo.
  for (std::size_t i = 1; i <= 3; ++i) {
    Echo();
    const Verdicts verdicts = Judge();
    EXPECT_EQ(verdicts.silent.size(), 1u);
    log_.Decide({NodeDown{verdicts.silent.begin()->first, "silent"}});
  }
  // One speaks again; of the two that are left no more is made than of any two.
  Heartbeat beat;
  beat.node = "n6";
  beat.instance = log_.view().nodes.at(NodeName::Trusted("n6")).instance;
  liveness_.OnHeartbeat(log_.view(), beat, /*claims=*/false);
  Echo();
  EXPECT_EQ(Judge().silent.size(), 2u);
}

TEST_F(LivenessTest, AHundredthOfManySilentNodesIsCalledDownAtATime) {
  for (int i = 2; i <= 400; ++i) log_.Join("n" + std::to_string(i), kCapacity);
  for (int i = 0; i < 33; ++i) Echo();
  EXPECT_TRUE(Judge().silent.empty());
  Echo();
  EXPECT_EQ(Judge().silent.size(), 4u);
  Echo();
  EXPECT_EQ(Judge().silent.size(), 8u) << "none has been called down yet";
}

TEST_F(LivenessTest, ADownNodeThatBeatsAgainIsHeard) {
  log_.Decide({NodeDown{kNode, "test"}});
  EXPECT_TRUE(Judge().heard.empty());
  Beat(Instance());
  EXPECT_EQ(Judge().heard, std::vector<NodeName>{kNode});
  log_.Decide({NodeUp{kNode}});
  EXPECT_TRUE(Judge().heard.empty());
}

// It would be told what the log knows, and end what the log has lost.
TEST_F(LivenessTest, ADownNodeThatShowsALossIsNotCalledUpBeforeThatIsJudged) {
  log_.Decide({NodeDown{kNode, "silent"}});
  Beat(Instance(), /*claims=*/true);
  EXPECT_TRUE(Judge().heard.empty());
  Beat(Instance());
  EXPECT_EQ(Judge().heard, std::vector<NodeName>{kNode});
  Beat(Instance(), /*claims=*/true);
  EXPECT_TRUE(Judge().heard.empty());
}

TEST_F(LivenessTest, ANodeThatShowsALossIsNotSilent) {
  Echo();
  for (int i = 0; i < 5; ++i) {
    Beat(Instance(), /*claims=*/true);
    Echo();
  }
  EXPECT_TRUE(Judge().silent.empty());
}

}  // namespace
}  // namespace cube::manager
