#include "shared/service/flag_parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "test/support/temp_dir.h"

namespace cube::service {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class FlagParserTest : public ::testing::Test {
 protected:
  FlagParserTest() {
    app_.set_config("--config", "", "the file");
    app_.add_option("--replicas", replicas_)
        ->envname("CUBE_TEST_REPLICAS")
        ->check(CLI::IsMember({1, 3, 5}));
    app_.add_option("--count", count_)->envname("CUBE_TEST_COUNT");
    app_.add_option("--label", labels_)->envname("CUBE_TEST_LABEL")->delimiter(',');
    app_.add_option("--log-level", level_)->envname("CUBE_TEST_LOG_LEVEL");
  }
  ~FlagParserTest() override {
    for (const auto& name : variables_) ::unsetenv(name.c_str());
  }
  void Environment(const std::string& name, const std::string& value) {
    variables_.push_back(name);
    ::setenv(name.c_str(), value.c_str(), 1);
  }
  std::string File(const std::string& text) {
    std::ofstream(path_) << text;
    return "--config=" + path_;
  }
  std::optional<int> Parse(std::vector<std::string> words) {
    words.insert(words.begin(), "cube-test");
    std::vector<const char*> argv;
    for (const auto& word : words) argv.push_back(word.c_str());
    ::testing::internal::CaptureStderr();
    const auto code = parser_.Parse(static_cast<int>(argv.size()), argv.data());
    err_ = ::testing::internal::GetCapturedStderr();
    return code;
  }

  test::TempDir dir_;
  std::string path_ = dir_.path() + "/test.toml";
  std::vector<std::string> variables_;
  CLI::App app_{"", "cube-test"};
  int replicas_ = 1;
  int count_ = 0;
  std::vector<std::string> labels_;
  std::string level_ = "info";
  FlagParser parser_{app_};
  std::string err_;
};

TEST_F(FlagParserTest, AFlagWinsOverTheFileAndTheFileOverTheEnvironment) {
  Environment("CUBE_TEST_REPLICAS", "5");
  Environment("CUBE_TEST_COUNT", "7");
  Environment("CUBE_TEST_LABEL", "a=1,b=2");
  EXPECT_EQ(Parse({File("replicas = 3\ncount = 8\n"), "--count", "9"}), std::nullopt) << err_;
  EXPECT_EQ(replicas_, 3);
  EXPECT_EQ(count_, 9);
  EXPECT_EQ(labels_, (std::vector<std::string>{"a=1", "b=2"}));
}

TEST_F(FlagParserTest, ListsOfTheFile) {
  EXPECT_EQ(Parse({File("label = [\"a=1\", \"b=2\"]\n")}), std::nullopt) << err_;
  EXPECT_EQ(labels_, (std::vector<std::string>{"a=1", "b=2"}));
}

TEST_F(FlagParserTest, WhatIsWrongInTheFileNamesProgramFileAndLine) {
  EXPECT_EQ(Parse({File("count = 1\nnosuch = 3\n")}), 64);
  EXPECT_EQ(err_, "cube-test: " + path_ +
                      ": line 2: there is no flag --nosuch; 'cube-test --help' lists them\n"
                      "Run 'cube-test --help' for more information.\n");
}

TEST_F(FlagParserTest, ANameThatIsSpelledOtherwiseIsGuessed) {
  EXPECT_EQ(Parse({File("log_level = \"debug\"\n")}), 64);
  EXPECT_THAT(err_, HasSubstr("there is no flag --log_level; did you mean log-level?"));
  EXPECT_EQ(Parse({File("labels = [\"a=1\"]\n")}), 64);
  EXPECT_THAT(err_, HasSubstr("did you mean label?"));
}

TEST_F(FlagParserTest, BadTextOfTheFile) {
  EXPECT_EQ(Parse({File("count = \"1\nreplicas = 3\n")}), 64);
  EXPECT_THAT(err_, StartsWith("cube-test: " + path_ + ": line 1: 'count' is not TOML ("));
  EXPECT_EQ(Parse({"--config", path_ + ".nosuch"}), 64);
  EXPECT_THAT(err_, HasSubstr("cube-test: " + path_ + ".nosuch"));
}

TEST_F(FlagParserTest, ABadValueNamesWhereItCameFrom) {
  EXPECT_EQ(Parse({File("\nreplicas = 4\n")}), 64);
  EXPECT_THAT(err_, StartsWith("cube-test: " + path_ + ", line 2: --replicas: "));
}

TEST_F(FlagParserTest, ABadVariableIsNamed) {
  Environment("CUBE_TEST_REPLICAS", "4");
  EXPECT_EQ(Parse({}), 64);
  EXPECT_THAT(err_, StartsWith("cube-test: CUBE_TEST_REPLICAS: --replicas: "));
}

TEST_F(FlagParserTest, ABadNumberOfAVariable) {
  Environment("CUBE_TEST_COUNT", "many");
  EXPECT_EQ(Parse({"--replicas", "3"}), 64);
  EXPECT_THAT(err_, StartsWith("cube-test: CUBE_TEST_COUNT: "));
  EXPECT_THAT(err_, HasSubstr("--count"));
}

TEST_F(FlagParserTest, ABadFlagIsTheFlagAlone) {
  Environment("CUBE_TEST_REPLICAS", "3");
  EXPECT_EQ(Parse({"--replicas=4"}), 64);
  EXPECT_THAT(err_, StartsWith("cube-test: --replicas: "));
}

TEST_F(FlagParserTest, WhatIsFoundWrongLaterNamesTheSourceToo) {
  Environment("CUBE_TEST_LOG_LEVEL", "loud");
  ASSERT_EQ(Parse({}), std::nullopt);
  const Error error{Code::kInvalid, "'loud' is no level", "--log-level"};
  EXPECT_EQ(parser_.Text(error), "cube-test: CUBE_TEST_LOG_LEVEL: --log-level: 'loud' is no level");
  EXPECT_EQ(parser_.Text({Code::kInvalid, "is in use", "--replicas"}),
            "cube-test: --replicas: is in use");
  EXPECT_EQ(parser_.Text({Code::kUnavailable, "no server", ""}), "cube-test: no server");
}

TEST_F(FlagParserTest, HelpIsNoError) {
  ::testing::internal::CaptureStdout();
  EXPECT_EQ(Parse({"--help"}), 0);
  EXPECT_THAT(::testing::internal::GetCapturedStdout(), HasSubstr("--replicas"));
}

}  // namespace
}  // namespace cube::service
