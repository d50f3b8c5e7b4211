// JSON and YAML as texts: limits, positions, typing.
#include <gtest/gtest.h>

#include "shared/wire/human.h"
#include "shared/wire/limits.h"

namespace cube::wire {
namespace {

using nlohmann::json;

std::string Repeated(std::string_view text, std::size_t count) {
  std::string all;
  for (std::size_t i = 0; i < count; ++i) all += text;
  return all;
}

TEST(ParseJson, ReadsValues) {
  const auto value = ParseJson(R"({"a":[1,-2,0.5,true,null,"x\u00e4"],"b":{}})");
  ASSERT_TRUE(value);
  EXPECT_EQ(value->dump(), R"({"a":[1,-2,0.5,true,null,"xä"],"b":{}})");
}

TEST(ParseJson, SaysWhere) {
  const auto value = ParseJson("{\n  \"a\": 1,\n  \"b\" 2\n}");
  ASSERT_FALSE(value);
  EXPECT_NE(value.error().message.find("line 3, column 7"), std::string::npos)
      << value.error().message;
}

TEST(ParseJson, Refuses) {
  for (const char* bad : {"", "{", "{}x", "{\"a\":1,}", "[1 2]", "NaN", "1e999", "'a'", "\"\xFF\"",
                          "{\"a\":1,\"a\":2}", "{\"a\":{\"b\":1,\"b\":1}}", "// c\n{}"}) {
    const auto value = ParseJson(bad);
    EXPECT_FALSE(value) << bad;
    if (!value) {
      EXPECT_EQ(value.error().code, Code::kInvalid);
    }
  }
  EXPECT_EQ(ParseJson("{\"a\":1,\"a\":2}").error().field, "a");
}

TEST(ParseJson, IsBounded) {
  EXPECT_TRUE(ParseJson(Repeated("[", kHumanDepthMax) + Repeated("]", kHumanDepthMax)));
  EXPECT_FALSE(ParseJson(Repeated("[", kHumanDepthMax + 1) + Repeated("]", kHumanDepthMax + 1)));
  EXPECT_FALSE(ParseJson(Repeated("[", 1'000'000)));
  EXPECT_FALSE(ParseJson(Repeated("{\"a\":", 1'000'000)));
  EXPECT_FALSE(ParseJson("[" + Repeated("1,", kHumanValuesMax) + "1]"));
  EXPECT_FALSE(ParseJson(std::string(kHumanBytesMax + 1, ' ')));
}

TEST(ParseYaml, ReadsWhatJsonWouldSay) {
  const auto value = ParseYaml(
      "# a task\n"
      "name: web\n"
      "command: [sleep, 60]\n"
      "ports:\n"
      "  - 8080:80/tcp\n"
      "  - {port: 90, protocol: udp}\n"
      "restart: no\n"
      "cpus: 0.5\n"
      "priority: -3\n"
      "flag: true\n"
      "nothing: ~\n"
      "quoted: '60'\n"
      "tagged: !!str 60\n"
      "text: |\n"
      "  two\n"
      "  lines\n");
  ASSERT_TRUE(value) << value.error().Text();
  EXPECT_EQ(*value, json::parse(R"({"name":"web","command":["sleep",60],
      "ports":["8080:80/tcp",{"port":90,"protocol":"udp"}],"restart":"no","cpus":0.5,
      "priority":-3,"flag":true,"nothing":null,"quoted":"60","tagged":"60",
      "text":"two\nlines\n"})"));
}

TEST(ParseYaml, KeepsTextsThatANumberWouldLose) {
  const auto value =
      ParseYaml("[1.10, 007, 0x1f, 1e3, +5, 1_000, True, yes, .5, -0, 12345678901234567890]");
  ASSERT_TRUE(value);
  EXPECT_EQ(value->dump(), R"(["1.10","007","0x1f","1e3","+5","1_000","True","yes",".5","-0",)"
                           R"("12345678901234567890"])");
}

TEST(ParseYaml, Anchors) {
  const auto value = ParseYaml("a: &x {k: [1, 2]}\nb: *x\nc: &y text\nd: *y\n");
  ASSERT_TRUE(value) << value.error().Text();
  EXPECT_EQ(value->dump(), R"({"a":{"k":[1,2]},"b":{"k":[1,2]},"c":"text","d":"text"})");
}

TEST(ParseYaml, SaysWhere) {
  const auto value = ParseYaml("name: web\nports: [80\nimage: x\n");
  ASSERT_FALSE(value);
  EXPECT_NE(value.error().message.find("line "), std::string::npos) << value.error().message;
}

TEST(ParseYaml, Refuses) {
  for (const char* bad : {"", "# nothing\n", "a: [", "a: 1\na: 2\n", "? [a]\n: b\n", "? ~\n: b\n",
                          "a: *x\n", "a: &x [*x]\n", "a: !!binary aGk=\n", "a: 1\n---\nb: 2\n",
                          "\xFF", "a: b: c\n", "\tname: web\n", "\"a"}) {
    const auto value = ParseYaml(bad);
    EXPECT_FALSE(value) << bad;
    if (!value) {
      EXPECT_EQ(value.error().code, Code::kInvalid);
    }
  }
}

TEST(ParseYaml, IsBounded) {
  EXPECT_FALSE(ParseYaml(Repeated("[", 10'000)));
  EXPECT_FALSE(ParseYaml(Repeated("- ", 10'000)));
  EXPECT_FALSE(ParseYaml(std::string(kYamlBytesMax + 1, ' ')));
  // Aliases of aliases: nine lines that stand for a billion values.
  std::string laughs = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";
  for (int i = 1; i < 9; ++i) {
    const std::string last = "*a" + std::to_string(i - 1);
    laughs += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + last;
    for (int j = 1; j < 10; ++j) laughs += "," + last;
    laughs += "]\n";
  }
  EXPECT_FALSE(ParseYaml(laughs));
}

}  // namespace
}  // namespace cube::wire
