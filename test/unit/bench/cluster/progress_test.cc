#include "bench/cluster/progress.h"

#include <gtest/gtest.h>

namespace cube::bench {
namespace {

constexpr const char* kOne = "one";
constexpr const char* kTwo = "two";

TEST(Progress, CountsEachTaskOnce) {
  Progress progress;
  progress.Placed(kOne, 1);
  progress.Placed(kOne, 1);
  progress.Placed(kTwo, 1);
  progress.Runs(kOne, 1);
  progress.Runs(kOne, 1);
  EXPECT_EQ(progress.scheduled(), 2U);
  EXPECT_EQ(progress.running(), 1U);
  EXPECT_EQ(progress.moves(), 0U);
}

TEST(Progress, ATaskThatMovesRunsOnlyWhereItIs) {
  Progress progress;
  progress.Placed(kOne, 1);
  progress.Runs(kOne, 1);
  progress.Placed(kOne, 2);
  EXPECT_EQ(progress.running(), 0U);
  progress.Runs(kOne, 1);  // late
  EXPECT_EQ(progress.running(), 0U);
  progress.Runs(kOne, 2);
  progress.Ended(kOne, 1);  // late too
  EXPECT_EQ(progress.running(), 1U);
  EXPECT_EQ(progress.scheduled(), 1U);
  EXPECT_EQ(progress.moves(), 1U);
}

TEST(Progress, AMoveThatIsReadAfterItsFactsCountsAlike) {
  Progress progress;
  progress.Placed(kOne, 1);
  progress.Runs(kOne, 2);
  progress.Placed(kOne, 2);
  EXPECT_EQ(progress.running(), 1U);
  EXPECT_EQ(progress.moves(), 1U);
  progress.Runs(kTwo, 1);
  progress.Placed(kTwo, 1);
  EXPECT_EQ(progress.running(), 2U);
  EXPECT_EQ(progress.scheduled(), 2U);
}

TEST(Progress, ALaunchThatEndsRunsNoMore) {
  Progress progress;
  progress.Placed(kOne, 1);
  progress.Runs(kOne, 1);
  progress.Ended(kOne, 1);
  EXPECT_EQ(progress.running(), 0U);
  progress.Runs(kOne, 1);  // its next launch
  EXPECT_EQ(progress.running(), 1U);
}

}  // namespace
}  // namespace cube::bench
