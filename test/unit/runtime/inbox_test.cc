#include "shared/runtime/inbox.h"

#include <gtest/gtest.h>

#include <memory>
#include <thread>

namespace cube {
namespace {

MonoTime In(Duration d) { return SystemClock().now().mono + d; }
constexpr Duration kGenerous = std::chrono::seconds(30);

TEST(InboxTest, GivesBackInOrderAndAtMostMax) {
  Inbox<int> inbox(10);
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(inbox.Push(i));
  std::vector<int> out;
  EXPECT_EQ(inbox.TakeUntil(out, 3, MonoTime{}), 3U);
  EXPECT_EQ(out, (std::vector<int>{0, 1, 2}));
  EXPECT_EQ(inbox.TakeUntil(out, 3, MonoTime{}), 2U);
  EXPECT_EQ(out, (std::vector<int>{0, 1, 2, 3, 4}));
}

TEST(InboxTest, RefusesWhenFullButCompletionsGetIn) {
  Inbox<int> inbox(1);
  EXPECT_TRUE(inbox.Push(1));
  EXPECT_FALSE(inbox.Push(2));
  inbox.PushAlways(3);
  EXPECT_EQ(inbox.dropped(), 1U);
  std::vector<int> out;
  inbox.TakeUntil(out, 10, MonoTime{});
  EXPECT_EQ(out, (std::vector<int>{1, 3}));
}

TEST(InboxTest, ReturnsEmptyAtTheDeadline) {
  Inbox<int> inbox(1);
  std::vector<int> out;
  const MonoTime deadline = In(std::chrono::milliseconds(20));
  EXPECT_EQ(inbox.TakeUntil(out, 10, deadline), 0U);
  EXPECT_GE(SystemClock().now().mono, deadline);
}

TEST(InboxTest, APushEndsTheWait) {
  Inbox<std::unique_ptr<int>> inbox(1);
  std::thread pusher([&] { inbox.Push(std::make_unique<int>(7)); });
  std::vector<std::unique_ptr<int>> out;
  EXPECT_EQ(inbox.TakeUntil(out, 10, In(kGenerous)), 1U);
  pusher.join();
  EXPECT_EQ(*out.at(0), 7);
}

TEST(InboxTest, WakeEndsOneWait) {
  Inbox<int> inbox(1);
  inbox.Wake();
  std::vector<int> out;
  EXPECT_EQ(inbox.TakeUntil(out, 10, MonoTime::max()), 0U);
  EXPECT_EQ(inbox.TakeUntil(out, 10, In(std::chrono::milliseconds(1))), 0U);
}

TEST(InboxTest, CloseLetsTheRestOutAndNothingIn) {
  Inbox<int> inbox(4);
  inbox.Push(1);
  std::thread closer([&] { inbox.Close(); });
  closer.join();
  EXPECT_FALSE(inbox.Push(2));
  inbox.PushAlways(3);
  std::vector<int> out;
  EXPECT_EQ(inbox.TakeUntil(out, 10, MonoTime::max()), 1U);
  EXPECT_EQ(inbox.TakeUntil(out, 10, MonoTime::max()), 0U);
  EXPECT_EQ(out, (std::vector<int>{1}));
  EXPECT_TRUE(inbox.closed());
}

TEST(InboxTest, ManyThreadsLoseNothing) {
  constexpr int kThreads = 4;
  constexpr int kEach = 5000;
  Inbox<int> inbox(kThreads * kEach);
  std::vector<std::thread> pushers;
  for (int t = 0; t < kThreads; ++t) {
    pushers.emplace_back([&inbox, t] {
      for (int i = 0; i < kEach; ++i) inbox.Push(t * kEach + i);
    });
  }
  std::vector<int> out;
  while (out.size() < kThreads * kEach && inbox.TakeUntil(out, 1000, In(kGenerous)) > 0) {
  }
  for (auto& p : pushers) p.join();
  ASSERT_EQ(out.size(), static_cast<std::size_t>(kThreads * kEach));
  std::vector<int> newest(kThreads, -1);
  for (const int v : out) {
    EXPECT_LT(newest[static_cast<std::size_t>(v / kEach)], v);  // each thread's own order holds
    newest[static_cast<std::size_t>(v / kEach)] = v;
  }
}

}  // namespace
}  // namespace cube
