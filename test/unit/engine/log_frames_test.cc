#include "services/worker/engine/docker/log_frames.h"

#include <gtest/gtest.h>

#include "shared/base/random.h"

namespace cube::engine::docker {
namespace {

std::string Frame(int type, const std::string& payload) {
  std::string frame(8, '\0');
  frame[0] = static_cast<char>(type);
  for (std::size_t i = 0; i < 4; ++i)
    frame[7 - i] = static_cast<char>((payload.size() >> (8 * i)) & 0xff);
  return frame + payload;
}

struct Collected {
  std::vector<LogPiece> pieces;
  std::string Text() const {
    std::string text;
    for (const LogPiece& p : pieces) text += (p.is_stderr ? "E:" : "O:") + p.bytes;
    return text;
  }
};

// Feeds `bytes` in parts of `step` bytes.
Result<void> Feed(LogFrames& frames, std::string_view bytes, std::size_t step, Collected& out) {
  while (!bytes.empty()) {
    const auto part = bytes.substr(0, step);
    CUBE_TRY_VOID(frames.Add(part, [&](LogPiece p) { out.pieces.push_back(std::move(p)); }));
    bytes.remove_prefix(part.size());
  }
  frames.Finish([&](LogPiece p) { out.pieces.push_back(std::move(p)); });
  return {};
}

TEST(LogFrames, EveryCutGivesTheSame) {
  const std::string stream = Frame(1, "2026-11-22T19:21:28.464898756Z hi\n") +
                             Frame(2, "2026-11-22T19:21:28.466406742Z err\n") + Frame(1, "") +
                             Frame(1, "no time\n");
  for (std::size_t step = 1; step <= stream.size(); ++step) {
    LogFrames frames(LogFrames::Format::kFrames, true);
    Collected out;
    ASSERT_TRUE(Feed(frames, stream, step, out));
    ASSERT_EQ(out.Text(), "O:hi\nE:err\nO:no time\n") << step;
    EXPECT_EQ(ToNanos(out.pieces[1].time) % 1'000'000'000, 466406742);
    EXPECT_FALSE(IsSet(out.pieces[2].time));
  }
}

TEST(LogFrames, LongEntriesComeInPartsWithOneTime) {
  const std::string line(100'000, 'x');
  LogFrames frames(LogFrames::Format::kFrames, true);
  Collected out;
  ASSERT_TRUE(Feed(frames, Frame(2, "2026-11-22T19:21:28Z " + line + "\n"), 4096, out));
  std::string text;
  for (const LogPiece& p : out.pieces) {
    EXPECT_TRUE(p.is_stderr);
    EXPECT_TRUE(IsSet(p.time));
    EXPECT_LE(p.bytes.size(), LogFrames::kPieceBytesMax);
    text += p.bytes;
  }
  EXPECT_EQ(text, line + "\n");
  EXPECT_GE(out.pieces.size(), 3u);
}

TEST(LogFrames, GarbageIsAnErrorAndStaysOne) {
  LogFrames frames(LogFrames::Format::kFrames, true);
  Collected out;
  EXPECT_FALSE(Feed(frames, "this is no frame at all", 5, out));
  EXPECT_FALSE(Feed(frames, Frame(1, "x"), 100, out));
  EXPECT_TRUE(out.pieces.empty());
}

TEST(LogFrames, AHugeLengthAsksForNoMemory) {
  LogFrames frames(LogFrames::Format::kFrames, false);
  Collected out;
  std::string stream = Frame(1, "");
  stream[4] = stream[5] = stream[6] = stream[7] = '\xff';
  ASSERT_TRUE(Feed(frames, stream + "cut off", 3, out));
  EXPECT_EQ(out.Text(), "O:cut off");
}

TEST(LogFrames, RawIsCutIntoLines) {
  for (const std::size_t step : {1u, 3u, 100u}) {
    LogFrames frames(LogFrames::Format::kRaw, true);
    Collected out;
    ASSERT_TRUE(Feed(frames, "2026-11-22T19:21:28Z a\r\n2026-11-22T19:21:29Z b", step, out));
    EXPECT_EQ(out.Text(), "O:a\r\nO:b");
    EXPECT_EQ(out.pieces[1].time - out.pieces[0].time, std::chrono::seconds(1));
  }
}

TEST(LogFrames, RandomBytesNeverCrash) {
  Random random(7);
  for (int round = 0; round < 300; ++round) {
    LogFrames frames(round % 2 == 0 ? LogFrames::Format::kFrames : LogFrames::Format::kRaw, true);
    Collected out;
    std::string bytes = Frame(1, "2026-11-22T19:21:28Z a\n") + Frame(2, "b");
    for (int i = 0; i < 3; ++i)
      bytes[random.Below(bytes.size())] = static_cast<char>(random.Below(256));
    (void)Feed(frames, bytes, 1 + random.Below(20), out);
  }
}

TEST(LineBuffer, CutsLinesAndRefusesEndlessOnes) {
  LineBuffer buffer;
  std::vector<std::string> lines;
  const auto give = [&](std::string_view line) { lines.emplace_back(line); };
  for (const std::string_view part : {"{\"a\"", ":1}\r\n\r\n{", "}\n", "rest"})
    ASSERT_TRUE(buffer.Add(part, give));
  EXPECT_EQ(lines, (std::vector<std::string>{"{\"a\":1}", "{}"}));
  const std::string much(LineBuffer::kLineBytesMax, 'x');
  const auto result = buffer.Add(much, give);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::kResource);
}

}  // namespace
}  // namespace cube::engine::docker
