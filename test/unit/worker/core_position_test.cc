// Which live copies apply, by where the worker stands.
#include <gtest/gtest.h>

#include "test/support/worker/core_rig.h"

namespace cube::worker {
namespace {

TEST(Position, ItemsApplyInTheirOrderOnly) {
  CoreRig rig = CoreRig::Ready();
  struct Case {
    std::uint64_t seq, prev;
    const char* applied;
    std::uint64_t position;
  };
  const Case cases[] = {
      {12, 10, "applied", 12}, {12, 10, "duplicate", 12}, {11, 10, "duplicate", 12},
      {20, 15, "gap", 12},     {15, 12, "applied", 15},   {20, 15, "applied", 20},
      {25, 3, "applied", 25},  // prev is older than what we know: nothing is missing
  };
  for (const Case& c : cases) {
    EXPECT_EQ(rig.Apply(Batch(c.seq, c.prev, {Start("t" + std::to_string(c.seq))})), c.applied)
        << c.seq;
    EXPECT_EQ(rig.core().meta().position, c.position) << c.seq;
  }
  EXPECT_NE(rig.core().Find({TaskId::Trusted("t20"), 1}), nullptr);
  EXPECT_EQ(rig.core().Find({TaskId::Trusted("t11"), 1}), nullptr);
}

// Which of its attempts have ended and been forgotten since cannot be told.
TEST(Position, WhatSeveralMessagesSayAppliesAsAWholeOnly) {
  CoreRig rig = CoreRig::Ready();
  AssignBatch later = Batch(14, 10, {Start("a"), Start("b")});
  later.first = 11;
  EXPECT_EQ(rig.Apply(Batch(12, 10, {Start("a")})), "applied");
  EXPECT_EQ(rig.Apply(later), "gap");
  EXPECT_EQ(rig.core().meta().position, 12u);
  later.prev = later.first = 13;
  EXPECT_EQ(rig.Apply(later), "gap") << "13 is missing";
  later.prev = 12;
  EXPECT_EQ(rig.Apply(later), "applied");
  EXPECT_EQ(rig.core().meta().position, 14u);
}

TEST(Position, UpToDateMovesIt) {
  CoreRig rig = CoreRig::Ready();
  EXPECT_EQ(rig.Apply(Batch(30, 8, {UpToDate{}})), "applied");
  EXPECT_EQ(rig.core().meta().position, 30u);
  EXPECT_EQ(rig.Apply(Batch(25, 8, {UpToDate{}})), "applied") << "an answer, if an old one";
  EXPECT_EQ(rig.core().meta().position, 30u);
  EXPECT_EQ(rig.Apply(Batch(50, 40, {UpToDate{}})), "gap") << "something at 40 is missing";
}

TEST(Position, IsUnknownUntilASetComes) {
  CoreRig rig;
  rig.Apply(Batch(9, 0, {Welcomed{kInstance, 1}}));
  EXPECT_EQ(rig.Apply(Batch(11, 9, {Start("a")})), "gap");
  EXPECT_EQ(rig.Apply(Batch(11, 9, {UpToDate{}})), "gap");
  EXPECT_EQ(rig.core().attempts().size(), 0u);
}

}  // namespace
}  // namespace cube::worker
