#include "shared/service/config_text.h"

#include <gtest/gtest.h>

namespace cube::service {
namespace {

TEST(ConfigText, NamesWithTheirValues) {
  const auto entries = ParseConfig(
      "# the manager\n"
      "server = \"nats://10.0.0.5:4222\"   # the log\n"
      "\n"
      "max-tasks=100\n"
      "allow-unsafe-tls = true\n"
      "nats-password = 'a # \\ b'\n"
      "name = \"a \\\"quoted\\\" \\\\\"\r\n"
      "label = [\"zone=a\", disk=ssd,\n"
      "  # and\n"
      "  \"gpu=\" ,\n"
      "]\n"
      "empty = []");
  ASSERT_TRUE(entries) << entries.error().Text();
  const std::vector<ConfigEntry> expected = {{"server", {"nats://10.0.0.5:4222"}, 2},
                                             {"max-tasks", {"100"}, 4},
                                             {"allow-unsafe-tls", {"true"}, 5},
                                             {"nats-password", {"a # \\ b"}, 6},
                                             {"name", {"a \"quoted\" \\"}, 7},
                                             {"label", {"zone=a", "disk=ssd", "gpu="}, 8},
                                             {"empty", {}, 12}};
  EXPECT_EQ(*entries, expected);
  EXPECT_TRUE(ParseConfig("")->empty());
}

TEST(ConfigText, WhatIsWrongHasItsLine) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"a = 1\n[worker]\n", "line 2: there are no sections here: every line is name = value"},
      {"\nserver nats\n", "line 2: is not name = value"},
      {"= 3", "line 1: is not name = value"},
      {"a =\nb = 1", "line 1: a value is missing, or needs quotes"},
      {"a = \"b\nc = 1", "line 1: the closing \" is missing"},
      {"a = \"b\\n\"",
       "line 1: after \\ comes \\ or \"; in '...' each character stands for itself"},
      {"a = b c", "line 1: more follows after the value of 'a': a text with spaces needs quotes"},
      {"\na = [1,\n2", "line 2: a list goes on with ',' or ends with ']'"},
      {"a = [1\n2]", "line 2: a list goes on with ',' or ends with ']'"},
      {"a = 1\nb = 2\na = 3", "line 3: 'a' is there already, in line 1"},
  };
  for (const auto& [text, error] : cases) {
    const auto entries = ParseConfig(text);
    ASSERT_FALSE(entries) << text;
    EXPECT_EQ(entries.error().Text(), error) << text;
  }
}

}  // namespace
}  // namespace cube::service
