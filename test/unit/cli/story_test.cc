#include "services/cli/story.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cube::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::int64_t kStart = 1'767'225'600'000'000'000;

LogItem Item(Source source, std::string kind, std::int64_t ms, std::string text,
             std::string task = "web-1") {
  LogItem item;
  item.source = source;
  item.kind = std::move(kind);
  item.time = WallFromNanos(kStart + ms * 1'000'000);
  item.task = std::move(task);
  item.text = std::move(text);
  return item;
}

LogItem Start(std::uint32_t attempt, const std::string& node, std::int64_t ms) {
  LogItem item = Item(Source::kDecisions, "start", ms, "goes to " + node);
  item.node = node;
  item.details["attempt"] = attempt;
  item.details["scheduler"] = "spread";
  item.details["nodes"] = 4;
  item.details["feasible"] = 1;
  item.details["filtered"] = {{"memory", 2}, {"down", 1}};
  return item;
}

// Asked for, placed, lost with its node, placed again.
std::vector<LogItem> Moved() {
  return {Item(Source::kIntents, "submit", 0, "run nginx"),
          Item(Source::kIntents, "submit", 1, "run other", "db-1"),
          Start(1, "node-a", 4),
          Item(Source::kFacts, "running", 504, "running"),
          Start(2, "node-b", 60'504),
          Item(Source::kFacts, "running", 61'704, "running")};
}

TEST(Story, AttemptsHaveTheirHopsAndTheirTimes) {
  const Story story = StoryOf("web-1", Moved());
  ASSERT_EQ(story.before.size(), 1u);
  EXPECT_EQ(story.before[0].after, Duration{0});
  ASSERT_EQ(story.attempts.size(), 2u);
  EXPECT_EQ(story.attempts[0].number, 1u);
  ASSERT_EQ(story.attempts[0].hops.size(), 2u);
  EXPECT_EQ(story.attempts[0].hops[0].after, std::chrono::milliseconds(4));
  EXPECT_EQ(story.attempts[0].hops[1].after, std::chrono::milliseconds(500));
  EXPECT_EQ(story.attempts[1].number, 2u);
  EXPECT_EQ(story.attempts[1].hops[0].after, std::chrono::minutes(1));
}

TEST(Story, StepsAreTimedByWhenTheyHappened) {
  auto items = Moved();
  items[3] = Item(Source::kFacts, "running", 30'004, "running");  // NATS was away
  items[3].happened_at = WallFromNanos(kStart + 304 * std::int64_t{1'000'000});
  const Story story = StoryOf("web-1", items);
  EXPECT_EQ(story.attempts[0].hops[1].after, std::chrono::milliseconds(300));
  EXPECT_THAT(RenderStory(story, 0), HasSubstr("2026-01-01T00:00:00.304Z"));
}

TEST(Story, ATaskWithOneNodeOnlyWasChosenByNobody) {
  LogItem start = Start(1, "node-a", 4);
  start.details["scheduler"] = kPinned;
  EXPECT_THAT(RenderStory(StoryOf("web-1", {start}), 0),
              HasSubstr("Attempt 1 on node-a, the only node for it\n"));
}

TEST(Story, OtherTasksAndForeignMessagesAreLeftOut) {
  auto items = Moved();
  LogItem foreign = Start(9, "node-z", 70'000);
  foreign.foreign = true;
  items.push_back(foreign);
  const Story story = StoryOf("web-1", items);
  EXPECT_EQ(story.attempts.size(), 2u);
  EXPECT_TRUE(StoryOf("nobody", items).empty());
}

TEST(Story, AChoiceCountsWhatFitsAndWhatDoesNot) {
  EXPECT_EQ(ChoiceText(Start(1, "node-a", 0)),
            "4 nodes were looked at: 1 fit; ruled out: memory 2, down 1.");
  LogItem scored = Start(1, "node-a", 0);
  scored.details["filtered"] = nlohmann::ordered_json::object();
  scored.details["score"] = 0.5;
  scored.details["runner_up_score"] = 1.25;
  scored.details["runner_up"] = "node-b";
  EXPECT_EQ(ChoiceText(scored),
            "4 nodes were looked at, all fit. Score 0.5000 against 1.2500 of node-b, the next "
            "best (lower is better).");
}

TEST(Story, IsReadTopDown) {
  const std::string text = RenderStory(StoryOf("web-1", Moved()), 0);
  EXPECT_THAT(text, HasSubstr("Attempt 1 on node-a, chosen by spread\n"));
  EXPECT_THAT(text, HasSubstr("+500 ms  fact      running\n"));
  EXPECT_THAT(text, HasSubstr("+60.0 s  decision  goes to node-b\n"));
  EXPECT_THAT(text, HasSubstr("+1.2 s"));
  EXPECT_LT(text.find("run nginx"), text.find("Attempt 1"));
  EXPECT_LT(text.find("Attempt 1"), text.find("Attempt 2"));
  EXPECT_THAT(text, Not(HasSubstr("run other")));
}

TEST(Story, LongTextsGoOnBelowThemselves) {
  auto items = Moved();
  items.back().text = "exited: could not start: no such file or directory on that node";
  const std::string text = RenderStory(StoryOf("web-1", items), 80);
  EXPECT_THAT(text, HasSubstr("exited: could not start: no such file or\n" + std::string(38, ' ') +
                              "directory on that node\n"));
}

TEST(Story, LinesAreCutToTheTerminal) {
  std::size_t at = 0;
  const std::string text = RenderStory(StoryOf("web-1", Moved()), 40);
  while (at < text.size()) {
    const std::size_t end = text.find('\n', at);
    // '…' has three bytes.
    EXPECT_LE(end - at, 42u) << text.substr(at, end - at);
    at = end + 1;
  }
}

TEST(Story, JsonHasEachHop) {
  const auto json = ToJson(StoryOf("web-1", Moved()));
  EXPECT_EQ(json["task"], "web-1");
  EXPECT_EQ(json["before"].size(), 1u);
  ASSERT_EQ(json["attempts"].size(), 2u);
  EXPECT_EQ(json["attempts"][0]["node"], "node-a");
  EXPECT_EQ(json["attempts"][0]["filtered"]["memory"], 2);
  EXPECT_TRUE(json["attempts"][0]["score"].is_null());
  EXPECT_EQ(json["attempts"][0]["hops"][1]["after_ms"], 500);
}

}  // namespace
}  // namespace cube::cli
