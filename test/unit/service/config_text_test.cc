#include "shared/service/config_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cube::service {
namespace {

using ::testing::EndsWith;
using ::testing::StartsWith;

TEST(ConfigText, NamesWithTheirValues) {
  const auto entries = ParseConfig(
      "# the manager\n"
      "server = \"nats://10.0.0.5:4222\"   # the log\n"
      "\n"
      "max-tasks=100\n"
      "allow-unsafe-tls = true\n"
      "nats-password = 'a # \\ b'\n"
      "name = \"a \\\"quoted\\\" \\\\\"\r\n"
      "label = [\"zone=a\", 'disk=ssd',\n"
      "  # and\n"
      "  \"gpu=\" ,\n"
      "]\n"
      "empty = []\n"
      "cpus = 0.5\n"
      "memory = 0x10\n"
      "\"log-level\" = 'warn'");
  ASSERT_TRUE(entries) << entries.error().Text();
  const std::vector<ConfigEntry> expected = {{"server", {"nats://10.0.0.5:4222"}, 2},
                                             {"max-tasks", {"100"}, 4},
                                             {"allow-unsafe-tls", {"true"}, 5},
                                             {"nats-password", {"a # \\ b"}, 6},
                                             {"name", {"a \"quoted\" \\"}, 7},
                                             {"label", {"zone=a", "disk=ssd", "gpu="}, 8},
                                             {"empty", {}, 12},
                                             {"cpus", {"0.5"}, 13},
                                             {"memory", {"16"}, 14},
                                             {"log-level", {"warn"}, 15}};
  EXPECT_EQ(*entries, expected);
  EXPECT_TRUE(ParseConfig("")->empty());
}

TEST(ConfigText, WhatIsWrongHasItsLine) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"a = 1\n[worker]\n",
       "line 2: 'worker' is a section: there are none here, every line is name = value"},
      {"a.b = 1", "line 1: 'a' is a section: there are none here, every line is name = value"},
      {"[[a]]\nb = 1", "line 1: 'a' is a section: there are none here, every line is name = value"},
      {"a = [1,\n[2]]", "line 2: a value of 'a' is a list in a list: give a text, a = \"...\""},
      {"a = 2026-11-29", "line 1: a value of 'a' is a date: give a text, a = \"...\""},
      {"a = [1, {b = 2}]", "line 1: a value of 'a' is a section: give a text, a = \"...\""},
  };
  for (const auto& [text, error] : cases) {
    const auto entries = ParseConfig(text);
    ASSERT_FALSE(entries) << text;
    EXPECT_EQ(entries.error().Text(), error) << text;
  }
}

// In brackets the library says what it expected and saw, in words that are its own.
TEST(ConfigText, WhatIsNotTomlHasItsLineAndAWayOut) {
  const std::vector<std::pair<std::string, std::string>> unnamed = {
      {"\nserver nats\n", "line 2: "}, {"= 3", "line 1: "}, {"\na = [1\n2]", "line 3: "}};
  for (const auto& [text, line] : unnamed) {
    const auto entries = ParseConfig(text);
    ASSERT_FALSE(entries) << text;
    EXPECT_THAT(entries.error().Text(), StartsWith(line + "is not TOML (")) << text;
    EXPECT_THAT(entries.error().Text(), EndsWith("): every line is name = value")) << text;
  }
  const std::vector<std::pair<std::string, std::string>> named = {
      {"a =\nb = 1", "line 1: 'a' "},
      {"a = \"b", "line 1: 'a' "},
      {"a = \"b\\q\"", "line 1: 'a' "},
      {"a = b c", "line 1: 'a' "},
      {"\n  log-level = debug", "line 2: 'log-level' "},
      {"keep-finished = 24h", "line 1: 'keep-finished' "},
      {"a = 1\nb = 2\na = 3", "line 3: 'a' "},
      {"a = 1\r\nb = \"\xff\"", "line 2: 'b' "}};
  for (const auto& [text, where] : named) {
    const auto entries = ParseConfig(text);
    ASSERT_FALSE(entries) << text;
    EXPECT_THAT(entries.error().Text(), StartsWith(where + "is not TOML (")) << text;
    EXPECT_THAT(entries.error().Text(), EndsWith("): write each name once, and a text in quotes"))
        << text;
  }
}

// Texts that end version 3.3.0 of the library by an assertion.
TEST(ConfigText, ASectionWithoutANameIsRefused) {
  for (const char* section : {"[=]", "[.", "[.a]", "  [ = ]"}) {
    const auto entries = ParseConfig("a = 1\n" + std::string(section) + "\nb = 2");
    ASSERT_FALSE(entries) << section;
    EXPECT_EQ(entries.error().field, "line 2") << entries.error().Text();
    EXPECT_THAT(entries.error().Text(), EndsWith("every line is name = value"));
  }
}

// Some have no defined behaviour in version 3.3.0 of the library.
TEST(ConfigText, WhatIsNotAsciiNeedsQuotes) {
  const auto entries = ParseConfig(
      "# \u00e4\n"
      "a = \"\u00e4 \\\" \ufefb\"\n"
      "b = '\u00e4 \\'  # '\n"
      "c = \"\"\"\u00e4 \"x\" \n \u00e4\"\"\"\"\n"
      "d = '''\u00e4'''");
  ASSERT_TRUE(entries) << entries.error().Text();
  EXPECT_EQ(entries->at(0).values[0], "\u00e4 \" \ufefb");
  EXPECT_EQ(entries->at(2).values[0], "\u00e4 \"x\" \n \u00e4\"");
  for (const char* line : {"b = {\ufefb 1}", "\u00e4 = 1", "b = 1\u00a0", "b = '' \ufefb",
                           "b = \"\"\"x\"\"\" \ufefb", "b = 0.ex\"s\ufefb"}) {
    const auto bad = ParseConfig("a = 'x'\n" + std::string(line) + "\n");
    ASSERT_FALSE(bad) << line;
    EXPECT_THAT(bad.error().Text(), StartsWith("line 2: "));
  }
}

TEST(ConfigText, AFileOfAnotherKindIsNotRead) {
  EXPECT_TRUE(ParseConfig("#" + std::string(kConfigBytesMax - 1, 'x')));
  const auto entries = ParseConfig("#" + std::string(kConfigBytesMax, 'x'));
  ASSERT_FALSE(entries);
  EXPECT_EQ(entries.error().Text(),
            "line 1: the file has 1048577 bytes, more than 1048576: is it one with flags?");
  EXPECT_FALSE(ParseConfig("a = " + std::string(100'000, '[')));
}

}  // namespace
}  // namespace cube::service
