#include "shared/domain/launch.h"

#include <gtest/gtest.h>

namespace cube {
namespace {

LaunchFact Fact(std::uint32_t launch, LaunchState state) {
  LaunchFact fact;
  fact.key = {TaskId::Trusted("web"), 1, launch};
  fact.state = state;
  if (state == LaunchState::kExited) fact.cause = ExitCause::kExited;
  return fact;
}

TEST(MovesForward, StateGrowsWithinALaunch) {
  EXPECT_TRUE(MovesForward(Fact(0, LaunchState::kPulling), Fact(0, LaunchState::kRunning)));
  EXPECT_FALSE(MovesForward(Fact(0, LaunchState::kRunning), Fact(0, LaunchState::kStarting)));
}

TEST(MovesForward, ANewLaunchBeginsAnew) {
  EXPECT_TRUE(MovesForward(Fact(0, LaunchState::kExited), Fact(1, LaunchState::kPulling)));
  EXPECT_FALSE(MovesForward(Fact(1, LaunchState::kPulling), Fact(0, LaunchState::kExited)));
}

TEST(MovesForward, AnEndBecomesFinalButNotTheReverse) {
  LaunchFact end = Fact(0, LaunchState::kExited);
  LaunchFact final_end = end;
  final_end.final = true;
  EXPECT_TRUE(MovesForward(end, final_end));
  EXPECT_FALSE(MovesForward(final_end, end));
  EXPECT_FALSE(MovesForward(end, end));
}

TEST(MovesForward, ProgressWithinAStateCounts) {
  LaunchFact pulling = Fact(0, LaunchState::kPulling);
  LaunchFact further = pulling;
  further.detail = "42 %";
  EXPECT_TRUE(MovesForward(pulling, further));
  EXPECT_FALSE(MovesForward(pulling, pulling));
}

TEST(DescribeEnd, SaysHowItEnded) {
  LaunchFact fact = Fact(0, LaunchState::kExited);
  fact.exit_code = 3;
  EXPECT_EQ(DescribeEnd(fact), "exit code 3");
  fact.cause = ExitCause::kSignaled;
  fact.exit_code = 137;
  EXPECT_EQ(DescribeEnd(fact), "killed by SIGKILL");
  fact.exit_code = 139;
  EXPECT_EQ(DescribeEnd(fact), "killed by SIGSEGV");
  fact.exit_code = 128;
  EXPECT_EQ(DescribeEnd(fact), "killed by a signal");
  fact.cause = ExitCause::kOutOfMemory;
  EXPECT_EQ(DescribeEnd(fact), "out of memory");
  fact.detail = "limit 64 MiB";
  EXPECT_EQ(DescribeEnd(fact), "out of memory (limit 64 MiB)");
  fact.cause = ExitCause::kUnhealthy;
  fact.detail = "GET /health: 500";
  EXPECT_EQ(DescribeEnd(fact), "unhealthy: GET /health: 500");
  fact.cause = ExitCause::kStartFailed;
  fact.detail = "no such image";
  EXPECT_EQ(DescribeEnd(fact), "could not start: no such image");
  EXPECT_EQ(DescribeEnd(Fact(0, LaunchState::kRunning)), "");
}

TEST(HasExitCode, WhereSomethingRanOrTheCommandIsAtFault) {
  const auto has = [](ExitCause cause, std::int32_t code) {
    LaunchFact fact;
    fact.cause = cause;
    fact.exit_code = code;
    return HasExitCode(fact.cause, fact.exit_code);
  };
  EXPECT_TRUE(has(ExitCause::kExited, 0));
  EXPECT_TRUE(has(ExitCause::kSignaled, 137));
  EXPECT_TRUE(has(ExitCause::kStartFailed, kExitNoSuchCommand));
  EXPECT_FALSE(has(ExitCause::kStartFailed, -1));
  EXPECT_FALSE(has(ExitCause::kStartFailed, 0));
  EXPECT_TRUE(has(ExitCause::kOutOfMemory, 137));
  EXPECT_FALSE(has(ExitCause::kOutOfMemory, -1));
  EXPECT_FALSE(has(ExitCause::kVanished, -1));
  EXPECT_FALSE(has(ExitCause::kNone, -1));
}

TEST(ContainerName, NamesOfClustersDoNotClash) {
  const LaunchKey key{TaskId::Trusted("web-abc"), 2, 1};
  const std::string name = ContainerName("cluster-1", key);
  EXPECT_EQ(name.substr(0, name.size() - 7), "cube-web-abc-2-1-");
  EXPECT_EQ(name, ContainerName("cluster-1", key));
  EXPECT_NE(name, ContainerName("cluster-2", key));
}

}  // namespace
}  // namespace cube
