// What a task's record keeps of a fact is all of it.
#include <gtest/gtest.h>

#include "shared/cluster/view.h"
#include "test/support/wire/values.h"

namespace cube {
namespace {

TEST(ObservedLaunch, GivesTheFactBackAndComparesAsItDoes) {
  Random random(7);
  Task task;
  task.own_id = std::string_view("web");
  task.attempt = 3;
  task.placement = {11, 5};
  const auto fact_of_it = [&] {
    LaunchFact fact = testing::RandomLaunchFact(random);
    fact.key = {IdOf(task), task.attempt, static_cast<std::uint32_t>(random.Below(3))};
    fact.placement = task.placement;
    return fact;
  };
  int forward = 0;
  for (int i = 0; i < 5000; ++i) {
    const LaunchFact a = fact_of_it();
    LaunchFact b = random.Below(3) == 0 ? a : fact_of_it();
    if (random.Below(3) == 0) b.state = a.state;
    task.observed = a;
    ASSERT_EQ(FactOf(task), a);
    ASSERT_EQ(MovesForward(ObservedLaunch(a), b), MovesForward(a, b));
    ASSERT_EQ(ObservedLaunch(a) == ObservedLaunch(b), a == b);
    forward += MovesForward(a, b) ? 1 : 0;
  }
  EXPECT_GT(forward, 500);
  EXPECT_LT(forward, 4500);
}

}  // namespace
}  // namespace cube
