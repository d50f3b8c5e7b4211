#include "shared/logging/logging.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

namespace cube::logging {
namespace {

using testing::MatchesRegex;

constexpr const char* kTime = "[0-9]+-[0-9]+-[0-9]+T[0-9]+:[0-9]+:[0-9]+[.][0-9][0-9][0-9]Z";

class LoggingTest : public testing::Test {
 protected:
  ~LoggingTest() override { Configure({}); }

  template <class F>
  static std::string Captured(const F& body) {
    testing::internal::CaptureStderr();
    body();
    return testing::internal::GetCapturedStderr();
  }
  // What follows the time of a line written with these options.
  static std::string Written(const Options& options, std::string_view message,
                             std::initializer_list<Field> fields) {
    Configure(options);
    return Captured([&] { Log(Level::kInfo, message, fields); });
  }
  static nlohmann::json Parsed(std::string_view message, std::initializer_list<Field> fields) {
    const std::string line = Written({.format = Format::kJson}, message, fields);
    EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1) << line;
    return nlohmann::json::parse(line);
  }
};

TEST_F(LoggingTest, TextLineHasTimeLevelMessageAndFields) {
  const std::string line = Written({}, "task started", {{"task", "web-1"}, {"attempt", 2}});
  EXPECT_THAT(line, MatchesRegex(std::string(kTime) + " info task started task=web-1 attempt=2\n"));
}

TEST_F(LoggingTest, TextValuesCannotBreakTheLineOrTheTerminal) {
  const std::string line = Written({}, "a\nb\x1b[31m", {{"k", "x y\n\x1b[0m\x7f"}, {"e", ""}});
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
  EXPECT_EQ(line.find('\x1b'), std::string::npos);
  EXPECT_EQ(line.find('\x7f'), std::string::npos);
  EXPECT_NE(line.find(R"(info a\nb\u001b[31m k="x y\n\u001b[0m" e="")"), std::string::npos) << line;
}

TEST_F(LoggingTest, JsonLineIsAnObjectWithTypedFields) {
  const nlohmann::json line = Parsed("said \"hi\"\n", {{"text", "tab\tquote\"back\\slash"},
                                                       {"negative", -5},
                                                       {"big", ~std::uint64_t{0}},
                                                       {"yes", true},
                                                       {"string", std::string("s")}});
  EXPECT_THAT(line.at("time").get<std::string>(), MatchesRegex(kTime));
  EXPECT_EQ(line.at("level"), "info");
  EXPECT_EQ(line.at("msg"), "said \"hi\"\n");
  EXPECT_EQ(line.at("text"), "tab\tquote\"back\\slash");
  EXPECT_EQ(line.at("negative"), -5);
  EXPECT_EQ(line.at("big"), ~std::uint64_t{0});
  EXPECT_EQ(line.at("yes"), true);
  EXPECT_EQ(line.at("string"), "s");
}

TEST_F(LoggingTest, JsonSurvivesBytesThatAreNotUtf8AndBracesAndPercent) {
  const nlohmann::json line = Parsed("{} %v %d", {{"bytes",
                                                   "a\xff\xfe"
                                                   "b"}});
  EXPECT_EQ(line.at("msg"), "{} %v %d");
  EXPECT_EQ(line.at("bytes"),
            "a\xef\xbf\xbd\xef\xbf\xbd"
            "b");
}

TEST_F(LoggingTest, LevelsBelowTheOneSetAreDropped) {
  Configure({.level = Level::kWarning});
  const std::string lines = Captured([] {
    Log(Level::kInfo, "quiet");
    Log(Level::kWarning, "loud");
    Log(Level::kError, "louder");
  });
  EXPECT_EQ(lines.find("quiet"), std::string::npos);
  EXPECT_NE(lines.find(" warning loud\n"), std::string::npos) << lines;
  EXPECT_NE(lines.find(" error louder\n"), std::string::npos) << lines;
  EXPECT_FALSE(Enabled(Level::kInfo));
  EXPECT_TRUE(Enabled(Level::kWarning));
}

TEST_F(LoggingTest, ErrorsAddTheirCodeTextAndField) {
  const Error error{Code::kResource, "disk full", "dir"};
  const std::string line =
      Captured([&] { LogError(Level::kError, "commit failed", error, {{"n", 1}}); });
  EXPECT_NE(line.find("commit failed n=1 code=resource error=\"disk full\" field=dir\n"),
            std::string::npos)
      << line;
}

TEST_F(LoggingTest, ThreadsNeverMixTheirLines) {
  Configure({.format = Format::kJson});
  const std::string lines = Captured([] {
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([t] {
        for (int i = 0; i < 200; ++i) Log(Level::kInfo, "line", {{"thread", t}, {"i", i}});
      });
    }
    for (std::thread& thread : threads) thread.join();
  });
  std::istringstream in(lines);
  int count = 0;
  for (std::string line; std::getline(in, line); ++count) {
    EXPECT_TRUE(nlohmann::json::accept(line)) << line;
  }
  EXPECT_EQ(count, 800);
}

TEST_F(LoggingTest, NamesOfLevelsAndFormats) {
  EXPECT_EQ(ParseLevel("trace"), Level::kTrace);
  EXPECT_EQ(ParseLevel("debug"), Level::kDebug);
  EXPECT_EQ(ParseLevel("warn"), Level::kWarning);
  EXPECT_EQ(ParseLevel("warning"), Level::kWarning);
  EXPECT_EQ(ParseLevel("error"), Level::kError);
  EXPECT_EQ(ParseLevel("loud").error().code, Code::kInvalid);
  EXPECT_EQ(ParseFormat("json"), Format::kJson);
  EXPECT_EQ(ParseFormat("text"), Format::kText);
  EXPECT_EQ(ParseFormat("xml").error().code, Code::kInvalid);
}

}  // namespace
}  // namespace cube::logging
