#include "services/worker/engine/output_log.h"

#include <gtest/gtest.h>

#include "shared/base/random.h"

namespace cube::engine {
namespace {

constexpr std::int64_t kNoon = 1'769'860'800'123'456'789;  // 2026-01-31T12:00:00.123456789Z

std::string Line(std::string_view text, bool is_stderr = false, bool full = true) {
  std::string out;
  AppendFrame(WallFromNanos(kNoon), is_stderr, full, text, &out);
  return out;
}

std::string Payload(std::string_view frames) {
  std::string payload;
  for (std::size_t end = 0; !frames.empty(); frames.remove_prefix(end + 1)) {
    end = frames.find('\n');
    const auto frame = ParseFrame(frames.substr(0, end));
    if (!frame) return "no frame: " + std::string(frames);
    payload += frame->payload;
    if (frame->full) payload += '\n';
  }
  return payload;
}

TEST(OutputLogTest, FrameIsReadable) {
  EXPECT_EQ(Line("hello"), "2026-01-31T12:00:00.123456789Z stdout F hello\n");
  EXPECT_EQ(Line("", true, false), "2026-01-31T12:00:00.123456789Z stderr P \n");
  EXPECT_EQ(Line("").size(), kFrameHeaderBytes + 1);
}

TEST(OutputLogTest, FrameIsReadBack) {
  for (const bool is_stderr : {false, true}) {
    for (const bool full : {false, true}) {
      std::string line = Line("some \xff text ", is_stderr, full);
      line.pop_back();
      const auto frame = ParseFrame(line);
      ASSERT_TRUE(frame);
      EXPECT_EQ(frame->time, WallFromNanos(kNoon));
      EXPECT_EQ(frame->is_stderr, is_stderr);
      EXPECT_EQ(frame->full, full);
      EXPECT_EQ(frame->payload, "some \xff text ");
    }
  }
  for (const char* bad : {"", "hello", "2026-01-31T12:00:00.123456789Z stdout X hello",
                          "2026-01-31T12:00:00.123456789Z stdxxx F hello",
                          "2026-99-31T12:00:00.123456789Z stdout F "}) {
    EXPECT_FALSE(ParseFrame(bad)) << bad;
  }
}

// However the bytes of a stream are cut, the frames hold all of them, with the lines kept.
TEST(OutputLogTest, FramerKeepsEveryByte) {
  Random random(7);
  for (int round = 0; round < 50; ++round) {
    std::string text;
    while (text.size() < 100'000) {
      text.append(random.Below(random.Chance(50'000) ? 40'000 : 80), 'x');
      if (random.Chance(900'000)) text += '\n';
    }
    LineFramer framer(false);
    std::string frames;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t size = 1 + random.Below(20'000);
      framer.Add(WallFromNanos(kNoon), std::string_view(text).substr(at, size), &frames);
      at += size;
    }
    framer.Finish(WallFromNanos(kNoon), &frames);
    ASSERT_EQ(Payload(frames), text);
  }
}

TEST(OutputLogTest, TailCountsLinesNotFrames) {
  const std::string one = Line("one");
  const std::string two = Line("tw", false, false) + Line("o");
  const std::string three = Line("three", true);
  const std::string all = one + two + three;
  std::int64_t missing = -1;
  EXPECT_EQ(TailOffset(all, 0, &missing), all.size());
  EXPECT_EQ(TailOffset(all, 1, &missing), one.size() + two.size());
  EXPECT_EQ(TailOffset(all, 2, &missing), one.size());
  EXPECT_EQ(missing, 0);
  EXPECT_EQ(TailOffset(all, 3, &missing), 0u);
  EXPECT_EQ(missing, 0);
  EXPECT_EQ(TailOffset(all, 5, &missing), 0u);
  EXPECT_EQ(missing, 2);
  // A frame that is being written comes after all others.
  const std::string torn = all + "2026-01-31T12:00:00.1";
  EXPECT_EQ(TailOffset(torn, 0, &missing), all.size());
  EXPECT_EQ(TailOffset(torn, 1, &missing), one.size() + two.size());
  EXPECT_EQ(TailOffset("", 3, &missing), 0u);
  EXPECT_EQ(missing, 3);
  EXPECT_EQ(TailOffset("\n\n", 1, &missing), 1u);
}

TEST(OutputLogTest, TailFramesAreWhole) {
  const std::string one = Line("first line");
  const std::string two = Line("second line", true);
  const std::string three = Line("third", true, false);
  const std::string all = one + two + three;
  // Text with line feeds: 11, 12 and 6 bytes.
  EXPECT_EQ(TailFrames(all, 29), all);
  EXPECT_EQ(TailFrames(all, 28), two + three);
  EXPECT_EQ(TailFrames(all, 18), two + three);
  EXPECT_EQ(TailFrames(all, 17), three);
  EXPECT_EQ(TailFrames(all, 5), "") << "not even one fits";
  EXPECT_EQ(TailFrames(all, 0), "");
  EXPECT_EQ(TailFrames("", 5), "");
  EXPECT_EQ(TailFrames("half a frame", 5), "");
  EXPECT_EQ(TailFrames(one + "half", 1000), one);
  EXPECT_EQ(TailFrames(one + two + "half", 12), two);
  // A line feed takes 41 bytes of frame for one of text.
  std::string feeds;
  for (int i = 0; i < 1000; ++i) feeds += Line("");
  EXPECT_EQ(TailFrames(feeds, 1000).size(), 1000 * kFramesPerText / 41 * 41);
  EXPECT_FALSE(ParseFrame(kCutMark.substr(0, kCutMark.size() - 1)));
}

}  // namespace
}  // namespace cube::engine
