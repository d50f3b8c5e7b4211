#include "services/worker/saved_output.h"

#include <gtest/gtest.h>

#include "services/worker/engine/output_log.h"
#include "shared/base/random.h"

namespace cube::worker {
namespace {

constexpr auto kFrames = SavedOutput::Form::kFrames;
constexpr auto kPlain = SavedOutput::Form::kPlain;

std::string Frame(std::int64_t at, bool is_stderr, std::string_view text, bool full = true) {
  std::string frame;
  engine::AppendFrame(WallFromNanos(at), is_stderr, full, text, &frame);
  return frame;
}

// "<o|e><time>:<bytes>;" of each piece.
std::string All(SavedOutput output, std::size_t bytes_max = 1000) {
  std::string text;
  while (const auto piece = output.Next(bytes_max)) {
    EXPECT_FALSE(piece->bytes.empty());
    EXPECT_LE(piece->bytes.size(), bytes_max);
    text += (piece->is_stderr ? "e" : "o") + std::to_string(ToNanos(piece->time)) + ":" +
            piece->bytes + ";";
  }
  EXPECT_TRUE(output.done());
  return text;
}

TEST(SavedOutput, FramesKeepStreamAndTime) {
  const std::string frames = Frame(1, false, "one") + Frame(2, true, "two") + Frame(3, false, "") +
                             Frame(4, true, "x", false);
  EXPECT_EQ(All(SavedOutput(frames, kFrames)), "o1:one\n;e2:two\n;o3:\n;e4:x;");
}

TEST(SavedOutput, LongLinesAreCutWhereTheCreditEnds) {
  const std::string frames = Frame(1, false, "12345") + Frame(2, true, "6", false);
  EXPECT_EQ(All(SavedOutput(frames, kFrames), 2), "o1:12;o1:34;o1:5\n;e2:6;");
  EXPECT_EQ(All(SavedOutput(frames, kFrames), 5), "o1:12345;o1:\n;e2:6;");
  EXPECT_EQ(All(SavedOutput("12345", kPlain), 2), "o0:12;o0:34;o0:5;");
}

TEST(SavedOutput, TailIsCountedInLines) {
  for (const auto& [lines, expected] :
       {std::pair{0, ""}, {1, "o3:c\n;"}, {2, "o2:b\n;o3:c\n;"}, {9, "o1:a\n;o2:b\n;o3:c\n;"}}) {
    SavedOutput output(Frame(1, false, "a") + Frame(2, false, "b") + Frame(3, false, "c"), kFrames);
    output.SkipToTail(lines);
    EXPECT_EQ(All(std::move(output)), expected) << lines;
  }
  for (const auto& [lines, expected] :
       {std::pair{0, ""}, {1, "o0:c\n;"}, {2, "o0:b\nc\n;"}, {9, "o0:a\nb\nc\n;"}}) {
    SavedOutput output("a\nb\nc\n", kPlain);
    output.SkipToTail(lines);
    EXPECT_EQ(All(std::move(output)), expected) << lines;
  }
}

TEST(SavedOutput, WhatIsOlderIsSkippedWhereTimesAreKnown) {
  SavedOutput frames(Frame(1, false, "a") + Frame(2, true, "b"), kFrames);
  frames.SkipBefore(WallFromNanos(2));
  EXPECT_EQ(All(std::move(frames)), "e2:b\n;");
  SavedOutput plain("a\n", kPlain);
  plain.SkipBefore(WallFromNanos(2));
  EXPECT_EQ(All(std::move(plain)), "o0:a\n;");
}

TEST(SavedOutput, KnowsThatItIsCut) {
  const std::string frames = Frame(1, false, "a");
  EXPECT_FALSE(SavedOutput(frames, kFrames).cut());
  SavedOutput output(std::string(engine::kCutMark) + frames, kFrames);
  EXPECT_TRUE(output.cut());
  EXPECT_EQ(All(std::move(output)), "o1:a\n;");
  EXPECT_FALSE(SavedOutput("a\n", kPlain).cut());
  EXPECT_TRUE(SavedOutput(std::string(kSavedOutputMax, 'a'), kPlain).cut());
  EXPECT_FALSE(SavedOutput().cut());
}

TEST(SavedOutput, AnyBytesMayBeThere) {
  EXPECT_EQ(All(SavedOutput()), "");
  EXPECT_EQ(All(SavedOutput("no frame\n" + Frame(1, false, "a") + "half a frame", kFrames)),
            "o1:a\n;");
  Random random(5);
  for (int i = 0; i < 2000; ++i) {
    std::string bytes = Frame(1, false, "abc") + Frame(2, true, "", false) + Frame(3, true, "x");
    for (int n = 0; n < 4; ++n) {
      bytes[random.Below(bytes.size())] = static_cast<char>(random.Below(256));
    }
    SavedOutput output(bytes, kFrames);
    if (random.Chance(500'000)) output.SkipToTail(static_cast<std::int64_t>(random.Below(5)));
    (void)All(std::move(output), 1 + random.Below(5));
  }
}

}  // namespace
}  // namespace cube::worker
