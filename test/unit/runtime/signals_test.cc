#include "shared/runtime/signals.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <mutex>

namespace cube::runtime {
namespace {

using namespace std::chrono_literals;

class Seen {
 public:
  void Add(int signal_number) {
    const std::lock_guard lock(mutex_);
    numbers_.push_back(signal_number);
    changed_.notify_all();
  }
  // The signals seen once there are `count`, or what there is after 20 s.
  std::vector<int> WaitFor(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, 20s, [&] { return numbers_.size() >= count; });
    return numbers_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<int> numbers_;
};

TEST(SignalsTest, BothSignalsArriveWhileOtherThreadsRun) {
  std::atomic<bool> stop{false};
  // Older than the watch: signals may be delivered on any of these threads.
  std::vector<std::thread> others;
  for (int i = 0; i < 4; ++i) {
    others.emplace_back([&] {
      while (!stop.load()) std::this_thread::yield();
    });
  }
  Seen seen;
  {
    const auto watch = SignalWatch::Start([&](int number) { seen.Add(number); });
    ASSERT_TRUE(watch) << watch.error().message;
    ASSERT_EQ(::kill(::getpid(), SIGTERM), 0);
    EXPECT_EQ(seen.WaitFor(1), std::vector{SIGTERM});
    ASSERT_EQ(::kill(::getpid(), SIGINT), 0);
    EXPECT_EQ(seen.WaitFor(2), (std::vector{SIGTERM, SIGINT}));
  }
  stop.store(true);
  for (std::thread& other : others) other.join();
}

TEST(SignalsTest, AWatchCanFollowAnotherAndGetsOnlyItsOwn) {
  for (int i = 0; i < 50; ++i) {
    Seen seen;
    const auto watch = SignalWatch::Start([&](int number) { seen.Add(number); });
    ASSERT_TRUE(watch);
    ASSERT_EQ(::raise(SIGINT), 0);
    EXPECT_EQ(seen.WaitFor(1), std::vector{SIGINT});
  }
}

TEST(SignalsDeathTest, AfterTheWatchSignalsEndTheProcessAsBefore) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        {
          const auto watch = SignalWatch::Start([](int) {});
        }
        ::raise(SIGTERM);
      },
      testing::KilledBySignal(SIGTERM), "");
}

TEST(SignalsDeathTest, BrokenPipesBecomeErrors) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  const auto write_to_nobody = [] {
    int ends[2];
    if (::pipe(ends) != 0) ::_exit(2);
    ::close(ends[0]);
    ::_exit(::write(ends[1], "x", 1) == -1 && errno == EPIPE ? 0 : 1);
  };
  EXPECT_EXIT(write_to_nobody(), testing::KilledBySignal(SIGPIPE), "");
  EXPECT_EXIT(
      {
        IgnoreSigpipe();
        write_to_nobody();
      },
      testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace cube::runtime
