#include "shared/bus/append_window.h"

#include <gtest/gtest.h>

namespace cube::bus {
namespace {

MonoTime At(std::int64_t s) { return MonoTime(std::chrono::seconds(s)); }

std::vector<OpId> Ops(const std::vector<AppendWindow::Ended>& ended) {
  std::vector<OpId> ops;
  for (const auto& e : ended) ops.push_back(e.op);
  return ops;
}

TEST(AppendWindowTest, FinishesInAnyOrderOnce) {
  AppendWindow window;
  const auto a = window.Add(1, "s.a", At(5));
  const auto b = window.Add(2, "s.b", At(5));
  const auto c = window.Add(3, "s.c", At(5));
  EXPECT_EQ(window.Finish(b)->op, 2U);
  EXPECT_FALSE(window.Finish(b));
  EXPECT_EQ(window.Finish(a)->subject, "s.a");
  EXPECT_FALSE(window.Finish(a));
  EXPECT_EQ(window.size(), 1U);
  EXPECT_EQ(window.Finish(c)->op, 3U);
  EXPECT_EQ(window.size(), 0U);
  EXPECT_EQ(window.next_deadline(), MonoTime::max());
  EXPECT_FALSE(window.Finish(c + 1));
  EXPECT_FALSE(window.Finish(0));
}

TEST(AppendWindowTest, ExpiresTheDueOnlyAndOldestFirst) {
  AppendWindow window;
  window.Add(1, "", At(9));
  const auto b = window.Add(2, "", At(3));
  window.Add(3, "", At(4));
  EXPECT_EQ(window.next_deadline(), At(3));
  EXPECT_TRUE(window.TakeExpired(At(2)).empty());
  EXPECT_EQ(window.next_deadline(), At(3));
  EXPECT_EQ(Ops(window.TakeExpired(At(4))), (std::vector<OpId>{2, 3}));
  EXPECT_FALSE(window.Finish(b));  // its acknowledgement comes too late
  EXPECT_EQ(window.next_deadline(), At(9));
}

TEST(AppendWindowTest, AnOldConnectionsTokensMeanNothingLater) {
  AppendWindow window;
  const auto a = window.Add(1, "", At(5));
  window.Add(2, "", At(5));
  EXPECT_EQ(Ops(window.TakeAll()), (std::vector<OpId>{1, 2}));
  const auto c = window.Add(3, "", At(5));
  EXPECT_GT(c, a + 1);
  EXPECT_FALSE(window.Finish(a));
  EXPECT_EQ(window.Finish(c)->op, 3U);
}

}  // namespace
}  // namespace cube::bus
