#include "services/cli/args.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/cli/complete.h"
#include "services/cli/exit_code.h"

namespace cube::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Result<int> Nothing(Session& /*session*/) { return kExitDone; }

// A small tree with each shape that the real one has.
CommandSpec Tree() {
  return {
      .name = "cube",
      .children = {
          {.name = "run",
           .flags = {{.name = "name", .value = "NAME"},
                     {.name = "publish", .letter = 'p', .value = "PORT", .repeated = true},
                     {.name = "detach", .letter = 'd'},
                     {.name = "file",
                      .letter = 'f',
                      .value = "FILE",
                      .value_if_bare = "task.json",
                      .word = Word::kFile},
                     {.name = "timeout", .value = "TIME", .fallback = "5m"},
                     {.name = "pull", .value = "WHEN", .choices = {"always", "never"}}},
           .operands_max = kOperandsMany,
           .flags_end_at_operand = true,
           .run = Nothing},
          {.name = "stop",
           .operands = "TASK...",
           .flags = {{.name = "time", .letter = 't', .value = "SECONDS"}},
           .operands_min = 1,
           .operands_max = 2,
           .word = Word::kTask,
           .run = Nothing},
          {.name = "node",
           .children = {{.name = "ls",
                         .flags = {{.name = "quiet", .letter = 'q'},
                                   {.name = "all", .letter = 'a'}},
                         .run = Nothing},
                        {.name = "inspect",
                         .operands_min = 1,
                         .operands_max = 1,
                         .word = Word::kNode,
                         .run = Nothing}},
           .default_child = "ls"},
          {.name = "worker", .operands_max = kOperandsMany, .passes_through = true, .run = Nothing},
          {.name = "__complete", .hidden = true, .run = Nothing}}};
}

class ArgsTest : public ::testing::Test {
 protected:
  Args Parsed(const std::vector<std::string>& words) {
    auto result = Parse(tree_, words);
    EXPECT_TRUE(result) << (result ? "" : result.error().Text());
    if (!result) return {};
    path_ = PathText(result->path);
    help_ = result->help;
    return result->args;
  }
  std::string Refused(const std::vector<std::string>& words) {
    const auto result = Parse(tree_, words);
    if (result) return "accepted";
    EXPECT_EQ(result.error().code, Code::kInvalid);
    EXPECT_EQ(ExitCodeOf(result.error()), kExitUsage);
    return result.error().Text();
  }
  const CommandSpec tree_ = Tree();
  std::string path_;
  bool help_ = false;
};

TEST_F(ArgsTest, ValuesOfFlagsInEverySpelling) {
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"run", "--publish", "80", "image"},
        {"run", "--publish=80", "image"},
        {"run", "-p", "80", "image"},
        {"run", "-p80", "image"},
        {"run", "-p=80", "image"},
        {"run", "-dp80", "image"}}) {
    const Args args = Parsed(words);
    EXPECT_EQ(args.Text("publish"), "80") << words[1];
    EXPECT_THAT(args.operands, ElementsAre("image"));
  }
}

TEST_F(ArgsTest, RepeatedFlagsKeepTheirOrderAndTheLastOneWins) {
  const Args args = Parsed({"run", "-p", "80", "--name", "a", "-p", "90", "--name=b", "image"});
  EXPECT_THAT(args.All("publish"), ElementsAre("80", "90"));
  EXPECT_EQ(args.Text("name"), "b");
}

TEST_F(ArgsTest, DefaultsAreReadButNotGiven) {
  const Args args = Parsed({"run", "image"});
  EXPECT_EQ(args.Text("timeout"), "5m");
  EXPECT_FALSE(args.Has("timeout"));
  EXPECT_FALSE(args.Get("name"));
}

TEST_F(ArgsTest, WhatFollowsTheImageIsTheTasksOwn) {
  const Args args = Parsed({"run", "-d", "busybox", "ls", "-l", "--name", "x", "--help"});
  EXPECT_TRUE(args.Has("detach"));
  EXPECT_FALSE(args.Has("name"));
  EXPECT_FALSE(help_);
  EXPECT_THAT(args.operands, ElementsAre("busybox", "ls", "-l", "--name", "x", "--help"));
}

TEST_F(ArgsTest, TwoDashesEndTheFlags) {
  EXPECT_THAT(Parsed({"stop", "--", "-t", "x"}).operands, ElementsAre("-t", "x"));
  EXPECT_THAT(Parsed({"run", "--", "--odd"}).operands, ElementsAre("--odd"));
}

TEST_F(ArgsTest, AFlagWithAnOptionalValue) {
  EXPECT_EQ(Parsed({"run", "-f"}).Text("file"), "task.json");
  EXPECT_EQ(Parsed({"run", "-f", "-d"}).Text("file"), "task.json");
  EXPECT_EQ(Parsed({"run", "-f", "-"}).Text("file"), "-");
  EXPECT_EQ(Parsed({"run", "-f", "x.yaml", "-d"}).Text("file"), "x.yaml");
  EXPECT_EQ(Parsed({"run", "--file=x.yaml"}).Text("file"), "x.yaml");
}

TEST_F(ArgsTest, GlobalFlagsStandAnywhere) {
  EXPECT_EQ(Parsed({"--server", "x", "stop", "a"}).Text("server"), "x");
  EXPECT_EQ(Parsed({"stop", "a", "--server=x"}).Text("server"), "x");
}

TEST_F(ArgsTest, TheDefaultSubCommand) {
  Parsed({"node"});
  EXPECT_EQ(path_, "cube node ls");
  EXPECT_TRUE(Parsed({"node", "-aq"}).Has("quiet"));
  EXPECT_EQ(path_, "cube node ls");
  Parsed({"node", "inspect", "a"});
  EXPECT_EQ(path_, "cube node inspect");
}

TEST_F(ArgsTest, HelpOfEachLevel) {
  Parsed({"--help"});
  EXPECT_TRUE(help_);
  EXPECT_EQ(path_, "cube");
  Parsed({"node", "-h"});
  EXPECT_TRUE(help_);
  EXPECT_EQ(path_, "cube node");
  Parsed({"stop", "--help"});  // without the operand that it needs
  EXPECT_TRUE(help_);
}

TEST_F(ArgsTest, OtherProgramsGetTheirWordsAsTheyAre) {
  const Args args = Parsed({"--server", "x", "worker", "--name", "a", "--help", "--"});
  EXPECT_EQ(args.Text("server"), "x");
  EXPECT_THAT(args.operands, ElementsAre("--name", "a", "--help", "--"));
  EXPECT_FALSE(help_);
}

TEST_F(ArgsTest, TyposAreMetWithWhatWasMeant) {
  EXPECT_THAT(Refused({"ruun"}), HasSubstr("Did you mean 'cube run'?"));
  EXPECT_THAT(Refused({"sotp", "a"}), HasSubstr("Did you mean 'cube stop'?"));
  EXPECT_THAT(Refused({"node", "inspct", "a"}), HasSubstr("Did you mean 'cube node inspect'?"));
  EXPECT_THAT(Refused({"run", "--nmae", "x"}), HasSubstr("Did you mean '--name'?"));
  EXPECT_THAT(Refused({"run", "--pull", "alway", "x"}), HasSubstr("Did you mean 'always'?"));
  EXPECT_THAT(Refused({"kubernetes"}), ::testing::Not(HasSubstr("Did you mean")));
}

TEST_F(ArgsTest, WhatIsMissingOrTooMuch) {
  EXPECT_THAT(Refused({"stop"}), HasSubstr("'cube stop' needs TASK..."));
  EXPECT_THAT(Refused({"stop", "a", "b", "c"}), HasSubstr("does not take 'c'"));
  EXPECT_THAT(Refused({"stop", "-t"}), HasSubstr("-t needs a value"));
  EXPECT_THAT(Refused({"run", "--detach=yes", "x"}), HasSubstr("--detach takes no value"));
  EXPECT_THAT(Refused({"run", "-x", "image"}), HasSubstr("'-x' is not a flag of 'cube run'"));
}

TEST(ArgsValues, NumbersAndTimes) {
  Args args;
  args.Add("tail", "12");
  args.Add("bad", "12x");
  args.Add("big", "70000");
  args.Add("grace", "2.5");
  args.Add("span", "1m30s");
  args.Add("soon", "soon");
  EXPECT_EQ(*args.Integer("tail", 0, 100).value(), 12);
  EXPECT_FALSE(args.Integer("bad", 0, 100));
  EXPECT_FALSE(args.Integer("big", 1, 65'535));
  EXPECT_EQ(args.Integer("none", 0, 1).value(), std::nullopt);
  EXPECT_EQ(*args.Time("grace").value(), std::chrono::milliseconds(2'500));
  EXPECT_EQ(*args.Time("span").value(), std::chrono::seconds(90));
  EXPECT_FALSE(args.Time("soon"));
}

// ---- completion ---------------------------------------------------------------------------------

std::vector<std::string> Offered(const std::vector<std::string>& words, bool* files = nullptr) {
  static const CommandSpec tree = Tree();
  const auto found = CompleteWords(tree, words, [](Word word) -> std::vector<Candidate> {
    if (word == Word::kTask) return {{"web-1", "running"}, {"db-1", "pending"}};
    return {{"node-a", "ready"}};
  });
  if (files != nullptr) *files = found.files;
  std::vector<std::string> offered;
  for (const auto& candidate : found.candidates) offered.push_back(candidate.word);
  return offered;
}

TEST(Complete, CommandsButNotHiddenOnes) {
  EXPECT_THAT(Offered({""}), ElementsAre("run", "stop", "node", "worker"));
  EXPECT_THAT(Offered({"s"}), ElementsAre("stop"));
  EXPECT_THAT(Offered({"node", ""}), ElementsAre("ls", "inspect"));
}

TEST(Complete, FlagsAndTheirValues) {
  EXPECT_THAT(Offered({"run", "--na"}),
              ElementsAre("--name", "--nats-user", "--nats-password", "--nats-token"));
  EXPECT_THAT(Offered({"run", "--pull", ""}), ElementsAre("always", "never"));
  EXPECT_THAT(Offered({"run", "--pull=a"}), ElementsAre("--pull=always"));
  bool files = false;
  EXPECT_THAT(Offered({"run", "-f", ""}, &files), ElementsAre());
  EXPECT_TRUE(files);
}

TEST(Complete, NamesOfTasksAndNodes) {
  EXPECT_THAT(Offered({"stop", "w"}), ElementsAre("web-1"));
  EXPECT_THAT(Offered({"stop", "web-1", ""}), ElementsAre("web-1", "db-1"));
  EXPECT_THAT(Offered({"stop", "-t", "3", "d"}), ElementsAre("db-1"));
  EXPECT_THAT(Offered({"stop", "-t", ""}), ElementsAre());
  EXPECT_THAT(Offered({"node", "inspect", ""}), ElementsAre("node-a"));
  EXPECT_THAT(Offered({"run", "image", "--na"}), ElementsAre());
}

}  // namespace
}  // namespace cube::cli
