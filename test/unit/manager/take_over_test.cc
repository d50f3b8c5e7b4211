// How a manager takes over: cluster time, terms, and what follows an append of unknown outcome.
#include <gtest/gtest.h>

#include <chrono>

#include "test/support/manager/loop_rig.h"

namespace cube::manager {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

constexpr WallTime kDecidedAt = WallFromNanos(1'700'000'000'000'000'000);
constexpr std::uint64_t kLastSeq = 7;

// The view that the manager has committed: one message of another manager's term.
View CommittedView() {
  View view;
  view.decision_seq = kLastSeq;
  view.valid_seq = kLastSeq;
  view.term = {3, 33};
  view.stamp = {33, 5};
  view.decided_at = kDecidedAt;
  view.term_start = TermStart{"testcluster", "other", 1, {}, {}};
  return view;
}

// A manager that is alone, and whose clock is ahead of the log's last decision.
class Rig : public test::LoopRig {
 public:
  explicit Rig(Duration clock_is_ahead) : LoopRig(CommittedView(), kDecidedAt + clock_is_ahead) {
    Connect();
  }
};

TEST(TakeOver, OpensATermBehindTheLog) {
  Rig rig(seconds(1));
  ASSERT_TRUE(rig.sent());
  const DecisionBatch batch = rig.batch();
  EXPECT_EQ(rig.sent()->expected_last_seq, kLastSeq);
  EXPECT_EQ(batch.prev, (Stamp{33, 5}));
  EXPECT_EQ(batch.term.epoch, 4u);
  EXPECT_NE(batch.term.id, 33u);
  EXPECT_EQ(batch.cycle, 1u);
  ASSERT_TRUE(batch.term_start);
  EXPECT_EQ(batch.term_start->cluster, "testcluster");
  EXPECT_EQ(rig.warnings(), 0);
}

TEST(TakeOver, ClusterTimeGoesOnFromThisMachinesClockHoweverLongNobodyLed) {
  Rig rig(hours(14));
  ASSERT_TRUE(rig.sent());
  EXPECT_EQ(rig.batch().decided_at, kDecidedAt + hours(14));
  EXPECT_GT(rig.warnings(), 0);
}

TEST(TakeOver, ClusterTimeNeverGoesBack) {
  Rig rig(-hours(14));
  ASSERT_TRUE(rig.sent());
  EXPECT_EQ(rig.batch().decided_at, kDecidedAt);
}

TEST(TakeOver, AnAppendWithoutAGoodOutcomeIsForgottenAndANewTermOpened) {
  for (const Code code : {Code::kTimedOut, Code::kAborted}) {
    Rig rig(seconds(1));
    ASSERT_TRUE(rig.sent());
    const DecisionBatch first = rig.batch();
    const int loads = rig.loads();
    rig.FailAppend(code);
    EXPECT_EQ(rig.loads(), loads + 1);  // back to the last commit
    EXPECT_FALSE(rig.sent());           // and not at once again
    rig.Pass(kRetryAfter);
    ASSERT_TRUE(rig.sent());
    const DecisionBatch second = rig.batch();
    EXPECT_EQ(second.term.epoch, first.term.epoch + 1);
    EXPECT_NE(second.term.id, first.term.id);
    EXPECT_EQ(second.cycle, 1u);
    EXPECT_EQ(second.prev, first.prev);
    EXPECT_TRUE(second.term_start);
  }
}

}  // namespace
}  // namespace cube::manager
