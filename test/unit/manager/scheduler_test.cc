#include "services/manager/core/scheduler.h"

#include <gtest/gtest.h>

#include "test/support/cluster/log_writer.h"

namespace cube::manager {
namespace {

using test::LogWriter;

constexpr std::int64_t kGi = std::int64_t{1} << 30;

TEST(SchedulerTest, ATaskCanBeKeptAwayFromNodes) {
  LogWriter log;
  for (const char* name : {"a", "b", "c"}) log.Join(name, {1000, kGi, 0});
  Scheduler scheduler = std::move(*Scheduler::Make("spread"));
  scheduler.Begin(log.view());
  const TaskSpec spec = test::Spec("t");
  const std::string shape = ShapeOf(spec);
  const std::vector<NodeName> avoided{NodeName::Trusted("a"), NodeName::Trusted("nowhere"),
                                      NodeName::Trusted("c"), NodeName::Trusted("a")};
  Choice choice = scheduler.Pick(spec, shape, avoided);
  ASSERT_NE(choice.node, nullptr);
  EXPECT_EQ(choice.node->name.str(), "b");
  EXPECT_EQ(choice.explanation->feasible, 1u);
  EXPECT_EQ(DescribeWait(*choice.explanation), "no fit on 3 nodes: failed there 2");
  choice = scheduler.Pick(spec, shape);
  EXPECT_EQ(choice.node->name.str(), "a") << "only for that one question";
  EXPECT_EQ(choice.explanation->feasible, 3u);
  EXPECT_TRUE(choice.explanation->filtered.empty());
}

TEST(SchedulerTest, PlacementsWithTheSameReasonShareIt) {
  LogWriter log;
  for (const char* name : {"a", "b"}) log.Join(name, {1000, kGi, 0});
  Scheduler scheduler = std::move(*Scheduler::Make("round-robin"));
  scheduler.Begin(log.view());
  TaskSpec spec = test::Spec("t");
  spec.resources.cpu_millis = 600;
  const std::string shape = ShapeOf(spec);
  const Choice first = scheduler.Pick(spec, shape);
  const Choice again = scheduler.Pick(spec, shape);
  EXPECT_EQ(again.explanation.shared(), first.explanation.shared());
  scheduler.Take(first, spec);
  const Choice next = scheduler.Pick(spec, shape);
  ASSERT_NE(next.node, nullptr);
  EXPECT_NE(next.explanation, first.explanation) << "one of both is full";
  EXPECT_EQ(next.explanation->feasible, 1u);
  EXPECT_EQ(DescribeWait(*next.explanation), "no fit on 2 nodes: cpu 1");
}

// Making room for a task that has yet to leave its node does not move the turn.
TEST(SchedulerTest, AReservationTakesRoomButNotTheTurn) {
  LogWriter log;
  for (const char* name : {"a", "b"}) log.Join(name, {1000, kGi, 0});
  Scheduler scheduler = std::move(*Scheduler::Make("round-robin"));
  scheduler.Begin(log.view());
  TaskSpec spec = test::Spec("t");
  spec.resources = {600, 0, 0};
  const std::string shape = ShapeOf(spec);
  scheduler.Reserve(scheduler.Pick(spec, shape), spec);
  EXPECT_EQ(scheduler.Pick(spec, shape).node->name.str(), "b") << "a is full";
  EXPECT_EQ(scheduler.Pick(test::Spec("u"), ShapeOf(test::Spec("u"))).node->name.str(), "a");
  scheduler.Begin(log.view());
  EXPECT_EQ(scheduler.Pick(spec, shape).node->name.str(), "a") << "forgotten in the next cycle";
}

// Shapes come from users, as many as they like.
TEST(SchedulerTest, ClassesAreBoundedAndOldOnesGo) {
  LogWriter log;
  log.Join("a", {1000, kGi, 0});
  Scheduler scheduler = std::move(*Scheduler::Make("epvm"));
  TaskSpec spec = test::Spec("t");
  for (int i = 0; i < 3000; ++i) {
    if (i % 100 == 0) scheduler.Begin(log.view());
    spec.resources = {i, 0, 0};
    EXPECT_EQ(scheduler.Pick(spec, ShapeOf(spec)).node != nullptr, i <= 1000) << i;
  }
  EXPECT_EQ(scheduler.classes(), kClassesMax);
  for (std::uint64_t i = 0; i <= 2 * kClassIdleCyclesMax; ++i) {
    scheduler.Begin(log.view());
    EXPECT_NE(scheduler.Pick(test::Spec("t"), ShapeOf(test::Spec("t"))).node, nullptr);
  }
  EXPECT_EQ(scheduler.classes(), 1u) << "only the one in use";
}

TEST(SchedulerTest, AnUnknownPolicyIsAnErrorThatListsTheOnesThereAre) {
  const auto scheduler = Scheduler::Make("best");
  ASSERT_FALSE(scheduler);
  EXPECT_EQ(scheduler.error().field, "scheduler");
  EXPECT_NE(scheduler.error().message.find("round-robin, spread, binpack"), std::string::npos);
  EXPECT_TRUE(Scheduler::Make("roundrobin")) << "the book's spelling";
}

}  // namespace
}  // namespace cube::manager
