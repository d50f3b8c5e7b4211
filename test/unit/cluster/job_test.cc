#include "shared/cluster/job.h"

#include <gtest/gtest.h>

#include <vector>

#include "shared/base/random.h"

namespace cube {
namespace {

using Runs = std::vector<SlotRun>;

TEST(JobRuns, SlotsPassFromVersionToVersion) {
  Job job;
  job.version = 2;
  SetRun(job, 0, 5, 1);
  EXPECT_EQ(job.runs, (Runs{{0, 1}}));
  EXPECT_EQ(job.filled, 5u);
  SetRun(job, 0, 1, 2);
  EXPECT_EQ(job.runs, (Runs{{0, 2}, {1, 1}}));
  EXPECT_EQ(NextOldSlot(job, 0), 1u);
  EXPECT_EQ(SlotsUpdated(job), 1u);
  SetRun(job, 5, 2, 2);
  EXPECT_EQ(job.runs, (Runs{{0, 2}, {1, 1}, {5, 2}}));
  SetRun(job, 1, 4, 2);
  EXPECT_EQ(job.runs, (Runs{{0, 2}})) << "neighbours of one version are one run";
  EXPECT_EQ(NextOldSlot(job, 0), 7u);
  CutRuns(job, 3);
  EXPECT_EQ(job.filled, 3u);
  CutRuns(job, 0);
  EXPECT_TRUE(job.runs.empty());
}

TEST(JobRuns, AreWhatAListOfVersionsWouldBe) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    Random random(seed);
    Job job;
    std::vector<std::uint32_t> model;
    for (int step = 0; step < 30; ++step) {
      if (random.Below(4) == 0) {
        const auto first = static_cast<std::uint32_t>(random.Below(model.size() + 1));
        CutRuns(job, first);
        model.resize(first);
      } else {
        const auto first = static_cast<std::uint32_t>(random.Below(model.size() + 1));
        const auto count = static_cast<std::uint32_t>(1 + random.Below(6));
        const auto version = static_cast<std::uint32_t>(1 + random.Below(3));
        SetRun(job, first, count, version);
        model.resize(std::max<std::size_t>(model.size(), first + count));
        std::fill_n(model.begin() + first, count, version);
      }
      ASSERT_EQ(job.filled, model.size()) << "seed " << seed;
      for (std::uint32_t slot = 0; slot < model.size(); ++slot) {
        ASSERT_EQ(VersionOfSlot(job, slot), model[slot]) << "seed " << seed << " slot " << slot;
      }
      for (std::size_t i = 1; i < job.runs.size(); ++i) {
        ASSERT_NE(job.runs[i].version, job.runs[i - 1].version) << "seed " << seed;
      }
    }
  }
}

}  // namespace
}  // namespace cube
