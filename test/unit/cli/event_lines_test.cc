#include "services/cli/event_lines.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "services/cli/render/text.h"

namespace cube::cli {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;

constexpr std::int64_t kStored = 1'767'225'600'123'000'000;

LogItem Running(const std::string& task, const std::string& node) {
  LogItem item;
  item.source = Source::kFacts;
  item.time = WallFromNanos(kStored);
  item.task = task;
  item.node = node;
  item.text = "running\x1b[2J";
  return item;
}

std::string Lines(const std::vector<LogItem>& items, const TableLayout& layout, bool task = true) {
  std::string text;
  EventLines lines(layout, task, [&](const std::string& line) { text += line; });
  for (const auto& item : items) lines.Add(item);
  EXPECT_EQ(text, "") << "held back until the widths are known";
  lines.Flush();
  return text;
}

TEST(EventLines, ColumnsAreAsWideAsWhatIsInThem) {
  EXPECT_EQ(Lines({Running("web-1", "n1"), Running("", "a-node")}, {}),
            "TIME                      SOURCE    NODE    TASK   EVENT\n"
            "2026-01-01T00:00:00.123Z  fact      n1      web-1  running?[2J\n"
            "2026-01-01T00:00:00.123Z  fact      a-node  -      running?[2J\n");
  EXPECT_EQ(Lines({Running("web-1", "n1")}, {.headers = false}, /*task=*/false),
            "2026-01-01T00:00:00.123Z  fact      n1    running?[2J\n");
}

TEST(EventLines, ANarrowTerminalLosesTheDateAndKeepsTheEndOfIds) {
  EXPECT_EQ(Lines({Running("web-1", "w1")}, {.width = 80}),
            "TIME          SOURCE    NODE  TASK   EVENT\n"
            "00:00:00.123  fact      w1    web-1  running?[2J\n");
  const std::string text =
      Lines({Running("the-web-server-of-the-shop-k3x7q2ab", "w1")}, {.width = 70});
  EXPECT_THAT(text, HasSubstr("k3x7q2ab  running"));
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(DisplayWidth(line), 70u);
  EXPECT_THAT(Lines({Running("web-1", "w1")}, {.width = 40}), HasSubstr("w1    web-1  ru…\n"));
}

TEST(EventLines, WithNothingYetTheTitleComesAlone) {
  std::string text;
  EventLines lines({}, true, [&](const std::string& line) { text += line; });
  lines.Flush();
  EXPECT_THAT(text, EndsWith("EVENT\n"));
  lines.Add(Running("web-1", "n1"));
  EXPECT_THAT(text, EndsWith("fact      n1            web-1                   running?[2J\n"));
}

TEST(EventLines, ALongLogIsNotHeldBack) {
  std::size_t count = 0;
  EventLines lines({}, true, [&](const std::string&) { ++count; });
  for (int i = 0; i < 5'000; ++i) lines.Add(Running("web-1", "n1"));
  EXPECT_EQ(count, 5'001u);
}

TEST(EventLines, AFactHasTheTimeAtWhichItHappened) {
  LogItem item = Running("web-1", "n1");
  item.happened_at = WallFromNanos(kStored - 90'000'000'000);
  EXPECT_THAT(Lines({item}, {}), HasSubstr("2025-12-31T23:58:30.123Z"));
  EXPECT_EQ(item.ToJson()["time"], "2026-01-01T00:00:00.123Z") << "the log's own time";
  item.happened_at = WallFromNanos(kStored + 90'000'000'000);
  EXPECT_THAT(Lines({item}, {}), HasSubstr("2026-01-01T00:00:00.123Z")) << "a clock that is ahead";
}

}  // namespace
}  // namespace cube::cli
