#include "services/worker/engine/docker/log_cursor.h"

#include <gtest/gtest.h>

#include <deque>
#include <string>
#include <vector>

#include "shared/base/random.h"

namespace cube::engine::docker {
namespace {

LogPiece Entry(std::int64_t ns, std::string text, bool is_stderr = false) {
  return {.is_stderr = is_stderr, .time = WallFromNanos(ns), .bytes = std::move(text)};
}

// A log that keeps its newest entries, and who reads it again and again.
struct Reader {
  std::deque<LogPiece> log;
  LogCursor cursor;
  std::string seen;
  int lost = 0;
  std::vector<std::int64_t> asked;

  // One reading. -> false: it was not enough.
  bool Once(std::int64_t entries) {
    asked.push_back(entries);
    const auto count = entries == LogCursor::kAll
                           ? log.size()
                           : std::min(log.size(), static_cast<std::size_t>(entries));
    for (std::size_t i = log.size() - count; i < log.size(); ++i) {
      switch (cursor.Look(log[i])) {
        case LogCursor::Verdict::kOld:
          break;
        case LogCursor::Verdict::kTooFew:
          return false;
        case LogCursor::Verdict::kLost:
          ++lost;
          [[fallthrough]];
        case LogCursor::Verdict::kNew:
          seen += log[i].bytes;
      }
    }
    return cursor.Finish();
  }
  void First(std::int64_t entries) { EXPECT_TRUE(Once(cursor.BeginFirst(entries))); }
  void Next() {
    asked.clear();
    while (!Once(cursor.Begin())) ASSERT_LT(asked.size(), 20u) << "it never ends";
  }
};

TEST(LogCursor, GivesWhatIsNew) {
  Reader r;
  r.log = {Entry(1, "a"), Entry(2, "b")};
  r.First(LogCursor::kAll);
  r.log.push_back(Entry(3, "c"));
  r.Next();
  r.Next();
  EXPECT_EQ(r.seen, "abc");
  EXPECT_EQ(r.lost, 0);
}

TEST(LogCursor, BeginsAtTheEndWhereOnlyTheEndWasAsked) {
  Reader r;
  r.log = {Entry(1, "a"), Entry(2, "b"), Entry(3, "c")};
  r.First(2);
  r.log.push_back(Entry(4, "d"));
  r.Next();
  EXPECT_EQ(r.seen, "bcd");
}

TEST(LogCursor, AnEmptyLogIsReadFromItsBeginningLater) {
  Reader r;
  r.First(1);
  for (int i = 0; i < 100; ++i) r.log.push_back(Entry(i + 1, "x"));
  r.Next();
  EXPECT_EQ(r.seen, std::string(100, 'x'));
}

TEST(LogCursor, AsksForMoreUntilItReachesBack) {
  Reader r;
  r.log = {Entry(1, "a")};
  r.First(LogCursor::kAll);
  for (int i = 0; i < 1000; ++i) r.log.push_back(Entry(i + 2, "x"));
  r.Next();
  EXPECT_EQ(r.seen, "a" + std::string(1000, 'x'));
  EXPECT_EQ(r.asked, (std::vector<std::int64_t>{16, 128, 1024}));
  r.log.push_back(Entry(2000, "y"));
  r.Next();
  EXPECT_EQ(r.asked.size(), 1u) << "it expects as many as came the last time";
  EXPECT_EQ(r.seen.back(), 'y');
}

// The parts of a long line share its time, and may be the same bytes.
TEST(LogCursor, PartsOfOneLineAreTold) {
  Reader r;
  r.log = {Entry(1, "a"), Entry(2, "p"), Entry(2, "p")};
  r.First(LogCursor::kAll);
  r.log.push_back(Entry(5, "e", true));
  r.log.push_back(Entry(2, "p"));
  r.log.push_back(Entry(2, "q"));
  r.Next();
  r.Next();
  EXPECT_EQ(r.seen, "appepq");
  EXPECT_EQ(r.lost, 0);
}

TEST(LogCursor, AReadingThatBeginsWithinALineIsTooFew) {
  Reader r;
  r.log = {Entry(1, "a")};
  for (int i = 0; i < 20; ++i) r.log.push_back(Entry(2, "p"));
  r.First(LogCursor::kAll);
  for (int i = 0; i < 10; ++i) r.log.push_back(Entry(2, "q"));
  r.Next();
  EXPECT_EQ(r.seen, "a" + std::string(20, 'p') + std::string(10, 'q'));
}

TEST(LogCursor, SaysWhatWasLost) {
  Reader r;
  r.log = {Entry(1, "a")};
  r.First(LogCursor::kAll);
  r.log = {Entry(7, "y"), Entry(8, "z")};
  r.Next();
  EXPECT_EQ(r.seen, "ayz");
  EXPECT_EQ(r.lost, 1);
  r.log.push_back(Entry(9, "!"));
  r.Next();
  EXPECT_EQ(r.seen, "ayz!");
  EXPECT_EQ(r.lost, 1);
}

// A clock that was set back: nothing can be told by times, and all that is kept comes.
TEST(LogCursor, FindsItsPlaceBesideAClockThatWasSetBack) {
  Reader r;
  r.log = {Entry(100, "a"), Entry(200, "b")};
  r.First(LogCursor::kAll);
  r.log.push_back(Entry(50, "c"));
  r.Next();
  r.log.push_back(Entry(60, "d"));
  r.Next();
  EXPECT_EQ(r.seen, "abcd");
  r.log = {Entry(20, "e")};
  r.Next();
  EXPECT_EQ(r.seen, "abcde");
  EXPECT_EQ(r.lost, 1);
}

// Whatever comes between two readings, two streams, parts of lines: all once, in order.
TEST(LogCursor, NothingIsLostOrDoubled) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    Reader r;
    std::string all;
    std::int64_t times[2] = {1'000, 1'000};
    r.First(LogCursor::kAll);
    for (int round = 0; round < 30; ++round) {
      const std::uint64_t count = random.Below(4) == 0 ? random.Below(400) : random.Below(4);
      for (std::uint64_t i = 0; i < count; ++i) {
        const bool err = random.Below(3) == 0;
        std::int64_t& time = times[err ? 1 : 0];
        if (random.Below(4) != 0) time = std::max(time + 1, times[err ? 0 : 1] - 50);
        const std::string text(1, static_cast<char>('a' + random.Below(3)));
        r.log.push_back(Entry(time, text, err));
        all += text;
      }
      r.Next();
      ASSERT_EQ(r.seen, all);
    }
    EXPECT_EQ(r.lost, 0);
  }
}

}  // namespace
}  // namespace cube::engine::docker
