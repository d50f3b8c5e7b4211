#include "services/worker/exit_guard.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>

namespace cube::worker {
namespace {

using std::chrono::milliseconds;

// Far beyond what a loaded machine needs.
constexpr std::chrono::seconds kWaitMax{60};

TEST(ExitGuard, BeatsAndEndsWhileNobodyElseDoesAnything) {
  std::atomic<int> beats = 0;
  std::promise<int> up;
  ExitGuard guard(milliseconds(1),
                  {.beat = [&] { ++beats; }, .time_up = [&] { up.set_value(beats); }});
  guard.Arm(milliseconds(200));
  guard.Arm(milliseconds(1));  // armed once
  auto future = up.get_future();
  ASSERT_EQ(future.wait_for(kWaitMax), std::future_status::ready);
  EXPECT_GT(future.get(), 2);
}

TEST(ExitGuard, ThatIsNotArmedDoesNothing) {
  std::atomic<int> calls = 0;
  {
    ExitGuard guard(milliseconds(1), {.beat = [&] { ++calls; }, .time_up = [&] { ++calls; }});
  }
  EXPECT_EQ(calls, 0);
}

TEST(ExitGuard, StoppedBeatsLeaveTheLimit) {
  std::atomic<int> beats = 0;
  std::promise<void> up;
  ExitGuard guard(milliseconds(1), {.beat = [&] { ++beats; }, .time_up = [&] { up.set_value(); }});
  guard.StopBeats();
  guard.Arm(milliseconds(50));
  ASSERT_EQ(up.get_future().wait_for(kWaitMax), std::future_status::ready);
  EXPECT_EQ(beats, 0);
}

TEST(ExitGuard, AProcessThatEndsByItselfIsNotEnded) {
  std::atomic<int> ups = 0;
  {
    ExitGuard guard(milliseconds(1), {.beat = [] {}, .time_up = [&] { ++ups; }});
    guard.Arm(std::chrono::hours(1));
  }
  EXPECT_EQ(ups, 0);
}

}  // namespace
}  // namespace cube::worker
