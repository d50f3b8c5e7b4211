#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "services/cli/line_writer.h"
#include "services/cli/render/format.h"
#include "services/cli/render/table.h"
#include "services/cli/render/text.h"
#include "services/cli/render/values.h"

namespace cube::cli {
namespace {

using Json = nlohmann::ordered_json;
using std::chrono::seconds;
using testing::ElementsAre;

TEST(Text, WidthsOfUtf8) {
  EXPECT_EQ(DisplayWidth("abc"), 3u);
  EXPECT_EQ(DisplayWidth("größe"), 5u);
  EXPECT_EQ(DisplayWidth("…"), 1u);
  EXPECT_EQ(DisplayWidth("日本"), 4u);
  EXPECT_EQ(DisplayWidth("e\xcc\x81"), 1u);  // e and a combining accent
  EXPECT_EQ(DisplayWidth("\xff\xfe"), 2u);
}

TEST(Text, CutsBetweenCharacters) {
  EXPECT_EQ(CutToWidth("abcdef", 6), "abcdef");
  EXPECT_EQ(CutToWidth("abcdef", 4), "abc…");
  EXPECT_EQ(CutToWidth("日本語", 4), "日…");
  EXPECT_EQ(CutToWidth("größer", 4), "grö…");
  EXPECT_EQ(CutToWidth("abc", 0), "");
}

TEST(Text, NothingSteersTheTerminal) {
  EXPECT_EQ(Printable("a\x1b[2Jb\r\n\tc\x7f"), "a?[2Jb?  c?");
  EXPECT_EQ(Printable("\xc2\x9b"
                      "x"),
            "?x");  // CSI as one character
  EXPECT_EQ(Printable("a\xe2\x80\xae"
                      "b"),
            "a?b");  // right-to-left override
  EXPECT_EQ(Printable("größe \xff"), "größe ?");
}

TEST(Values, Ages) {
  const WallTime now = WallFromNanos(1'000'000'000'000'000'000);
  EXPECT_EQ(FormatAge(WallTime{}, now), "-");
  EXPECT_EQ(FormatAge(now, now), "just now");
  EXPECT_EQ(FormatAge(now + seconds(5), now), "just now");
  EXPECT_EQ(FormatAge(now - seconds(42), now), "42s ago");
  EXPECT_EQ(FormatAge(now - seconds(119), now), "119s ago");
  EXPECT_EQ(FormatAge(now - seconds(180), now), "3m ago");
  EXPECT_EQ(FormatAge(now - seconds(3 * 3600), now), "3h ago");
  EXPECT_EQ(FormatAge(now - seconds(3 * 86'400), now), "3d ago");
}

TEST(Values, Amounts) {
  EXPECT_EQ(FormatCpus(0), "0");
  EXPECT_EQ(FormatCpus(500), "0.5");
  EXPECT_EQ(FormatCpus(1'250), "1.25");
  EXPECT_EQ(FormatCpus(4'000), "4");
  EXPECT_EQ(FormatMebibytes(512 << 20), "512");
  EXPECT_EQ(FormatGibibytes((std::int64_t{3} << 30) / 2), "1.5");
  EXPECT_EQ(FormatSize(0), "0 B");
  EXPECT_EQ(FormatSize(512 << 20), "512 MiB");
  EXPECT_EQ(FormatSize((std::int64_t{3} << 30) / 2), "1.5 GiB");
}

Table Sample() {
  Table table({{"ID", false, 8}, {"STATE"}, {"N", true}, {"IMAGE", false, 6}});
  table.Add({{"web-k3x7q2ab"}, {"running", 32}, {"7"}, {"docker.io/library/nginx:1.25"}});
  table.Add({{"db"}, {"pending", 33}, {"12345"}, {""}});
  return table;
}

TEST(Table, AlignsColumns) {
  EXPECT_EQ(Sample().Render({}),
            "ID             STATE         N   IMAGE\n"
            "web-k3x7q2ab   running       7   docker.io/library/nginx:1.25\n"
            "db             pending   12345\n");
}

TEST(Table, WithoutTitles) {
  EXPECT_EQ(Sample().Render({.headers = false}),
            "web-k3x7q2ab   running       7   docker.io/library/nginx:1.25\n"
            "db             pending   12345\n");
}

TEST(Table, FitsEveryTerminalAndNeverWraps) {
  EXPECT_EQ(Sample().Render({.width = 44}),
            "ID             STATE         N   IMAGE\n"
            "web-k3x7q2ab   running       7   docker.io/…\n"
            "db             pending   12345\n");
  for (std::size_t width = 1; width <= 70; ++width) {
    std::istringstream lines(Sample().Render({.width = width}));
    for (std::string line; std::getline(lines, line);) {
      EXPECT_LE(DisplayWidth(line), width) << line;
    }
  }
}

TEST(Table, BriefFormsFirstThenLesserColumnsGiveWay) {
  Table table({{"ID", false, 8},
               {"NAME", false, 4, 1},
               {"BOX", false, 4, 2},
               {"PORTS", false, 4},
               {"REASON", false, 6, 0, 10}});
  table.Add({{"web-k3x7"}, {"web"}, {"cube-web"}, {"a:80->80", 0, "80"}, {"no node has 64 cpus"}});
  const auto titles = [&](std::size_t width) {
    const std::string text = table.Render({.width = width});
    return text.substr(0, text.find('\n'));
  };
  EXPECT_EQ(table.Render({.width = 62}),
            "ID         NAME   BOX        PORTS      REASON\n"
            "web-k3x7   web    cube-web   a:80->80   no node has 64 cpus\n");
  EXPECT_EQ(table.Render({.width = 56}),
            "ID         NAME   BOX        PORTS   REASON\n"
            "web-k3x7   web    cube-web   80      no node has 64 cpus\n");
  EXPECT_EQ(titles(49), "ID         NAME   BOX        PORTS   REASON") << "the reason is cut";
  EXPECT_EQ(titles(46), "ID         NAME   PORTS   REASON");
  EXPECT_EQ(table.Render({.width = 35}),
            "ID         PORTS   REASON\n"
            "web-k3x7   80      no node has 64 …\n");
}

TEST(Table, NumbersAreNeverCut) {
  Table table({{"NODE"}, {"MEMORY", true}, {"TASKS", true}});
  table.Add({{"node-a"}, {"1024/8192"}, {"12345"}});
  EXPECT_EQ(table.Render({.width = 26}),
            "NODE        MEMORY   TASKS\n"
            "node-a   1024/8192   12345\n");
  EXPECT_EQ(table.Render({.width = 25}),
            "NODE        MEMORY\n"
            "node-a   1024/8192\n");
  EXPECT_EQ(table.Render({.width = 17}), "NODE\nnode-a\n");
  EXPECT_EQ(table.Render({.width = 5}), "NODE\nnode…\n");
}

TEST(Table, IdsKeepTheirEnd) {
  Table table({{.title = "ID", .width_min = 12, .middle = true}, {"N", true}});
  table.Add({{"the-web-server-k3x7q2ab"}, {"1"}});
  EXPECT_EQ(table.Render({.width = 21}),
            "ID                  N\n"
            "the-web-…k3x7q2ab   1\n");
}

TEST(Text, IsCutInTheMiddle) {
  EXPECT_EQ(CutInTheMiddle("web-k3x7q2ab", 12), "web-k3x7q2ab");
  EXPECT_EQ(CutInTheMiddle("web-k3x7q2ab", 11), "web-k…7q2ab");
  EXPECT_EQ(CutInTheMiddle("web-k3x7q2ab", 2), "w…");
  for (std::size_t width = 0; width < 12; ++width) {
    EXPECT_LE(DisplayWidth(CutInTheMiddle("größe漢字k3x7q2ab", width)), width);
  }
}

TEST(Text, WrapsBetweenWords) {
  EXPECT_THAT(Wrap("one two three", 7), ElementsAre("one two", "three"));
  EXPECT_THAT(Wrap("größe ist das", 9), ElementsAre("größe ist", "das"));
  EXPECT_THAT(Wrap("a nats://127.0.0.1:4222 b", 8), ElementsAre("a", "nats://127.0.0.1:4222", "b"));
  EXPECT_THAT(Wrap("one two three", 0), ElementsAre("one two three"));
}

TEST(Table, ColoursDoNotCountAsWidth) {
  const std::string text = Sample().Render({.width = 44, .color = true});
  EXPECT_THAT(text, ::testing::HasSubstr("web-k3x7q2ab   \x1b[32mrunning\x1b[0m       7   dock"));
}

TEST(Format, JsonAndYamlOfTheSameValue) {
  const Json value = {{"id", "web-1"},
                      {"n", 3},
                      {"big", 9'007'199'254'740'993},
                      {"none", nullptr},
                      {"yes", "yes"},
                      {"version", "1.25"},
                      {"list", Json::array()},
                      {"map", {{"a", true}}},
                      {"text", "a: b\nc"}};
  EXPECT_EQ(ToJsonLine(value),
            "{\"id\":\"web-1\",\"n\":3,\"big\":9007199254740993,\"none\":null,\"yes\":\"yes\","
            "\"version\":\"1.25\",\"list\":[],\"map\":{\"a\":true},\"text\":\"a: b\\nc\"}\n");
  EXPECT_EQ(ToYamlText(value),
            "id: web-1\nn: 3\nbig: 9007199254740993\nnone: ~\nyes: \"yes\"\n"
            "version: \"1.25\"\nlist: []\nmap:\n  a: true\ntext: \"a: b\\nc\"\n");
}

TEST(Format, TimesAreRfc3339OrNull) {
  EXPECT_EQ(TimeJson(0), nullptr);
  EXPECT_EQ(TimeJson(1'767'225'600'123'000'000), "2026-01-01T00:00:00.123Z");
}

TEST(Format, WhatIsNotUtf8IsReplaced) {
  EXPECT_EQ(ToJsonLine(Json("a\xff")), "\"a\xef\xbf\xbd\"\n");
}

class LinesTest : public ::testing::Test {
 protected:
  std::ostringstream out_;
  std::ostringstream err_;
  Terminal terminal_{.out = out_, .err = err_};
};

TEST_F(LinesTest, RawOutputIsNotTouched) {
  LineWriter writer(terminal_, {});
  writer.Write("web", false, 0, "a\x1b[1m");
  writer.Write("web", true, 0, "oops\n");
  EXPECT_EQ(out_.str(), "a\x1b[1m");
  EXPECT_EQ(err_.str(), "oops\n");
}

TEST_F(LinesTest, PrefixesStandBeforeWholeLines) {
  LineWriter writer(terminal_, {.prefixes = true});
  writer.Expect("web");
  writer.Expect("worker");
  writer.Write("web", false, 0, "first\nsec");
  writer.Write("worker", false, 0, "other\n");
  writer.Write("web", false, 0, "ond\n\nlast");
  writer.Finish();
  EXPECT_EQ(out_.str(),
            "web    | first\nworker | other\nweb    | second\nweb    | \nweb    | last\n");
}

TEST_F(LinesTest, TimesStandBeforeLines) {
  LineWriter writer(terminal_, {.times = true});
  writer.Write("web", false, 1'767'225'600'123'000'000, "hello\n");
  EXPECT_EQ(out_.str(), "2026-01-01T00:00:00.123Z hello\n");
}

TEST_F(LinesTest, ProgressIsPlainLinesWhenPiped) {
  Progress progress(terminal_);
  progress.Step("web: pulling");
  progress.Step("web: pulling");
  progress.Waiting("spinning");
  progress.Step("web: running\x1b[2J");
  EXPECT_EQ(err_.str(), "web: pulling\nweb: running?[2J\n");
  EXPECT_EQ(out_.str(), "");
}

}  // namespace
}  // namespace cube::cli
