// `cube dev` and the commands against it: nats-server, manager, worker and process engine, real.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <nlohmann/json.hpp>

#include "test/support/cli/child.h"
#include "test/support/temp_dir.h"

namespace cube {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

struct Shown {
  int exit_code = -1;
  std::string output;
};

class CliDevTest : public ::testing::Test {
 protected:
  void SetUp() override {
    // No Docker engine, wherever the test runs: this is about the process engine.
    variables_["DOCKER_HOST"] = "unix:///nonexistent/docker.sock";
    variables_["CUBE_SERVER"] = "";
    variables_["NATS_URL"] = "";
    dev_.emplace(std::vector<std::string>{CUBE_BINARY, "dev", "--state-dir", folder_.path() + "/s"},
                 variables_);
    ASSERT_TRUE(dev_->ReadUntil("cube status\n")) << dev_->output();
    const std::string& text = dev_->output();
    const std::size_t begin = text.find("nats://");
    variables_["CUBE_SERVER"] = text.substr(begin, text.find('\n', begin) - begin);
  }

  Shown Cube(std::vector<std::string> words) {
    words.insert(words.begin(), CUBE_BINARY);
    test::ChildProcess child(std::move(words), variables_);
    Shown shown;
    shown.exit_code = child.Wait();
    shown.output = child.output();
    return shown;
  }

  const test::TempDir folder_;
  std::map<std::string, std::string> variables_;
  std::optional<test::ChildProcess> dev_;
};

TEST_F(CliDevTest, ATaskComesUpSpeaksAndIsStopped) {
  EXPECT_THAT(dev_->output(), HasSubstr("process (no Docker engine answers)"));
  const Shown node = Cube({"node", "ls", "-o", "json"});
  EXPECT_EQ(Json::parse(node.output)[0]["status"], "ready") << node.output;

  const Shown run = Cube({"run", "--engine", "process", "--id", "talk-1", "--name", "talk", "--",
                          "sh", "-c", "echo hello; exec sleep 600"});
  EXPECT_EQ(run.exit_code, 0) << run.output;
  EXPECT_THAT(run.output, HasSubstr("talk-1: running on dev"));
  EXPECT_EQ(Json::parse(Cube({"ps", "-o", "json"}).output)[0]["status"], "running");

  test::ChildProcess follower({CUBE_BINARY, "logs", "-f", "talk"}, variables_);
  EXPECT_TRUE(follower.ReadUntil("hello\n")) << follower.output();
  const Shown stop = Cube({"stop", "talk"});
  EXPECT_EQ(stop.exit_code, 0) << stop.output;
  EXPECT_EQ(follower.Wait(), 0) << follower.output();  // the end of the task ends the following
  EXPECT_EQ(Json::parse(Cube({"ps", "-a", "-o", "json"}).output)[0]["status"], "stopped");

  const Shown events = Cube({"events", "talk-1"});
  for (const char* what : {"intent", "decision", "fact", "attempt 1 goes to dev", "running"}) {
    EXPECT_THAT(events.output, HasSubstr(what));
  }
}

TEST_F(CliDevTest, AttachGivesOutputAndExitCode) {
  const Shown run =
      Cube({"run", "--attach", "--engine", "process", "--", "sh", "-c", "echo once; exit 7"});
  EXPECT_EQ(run.exit_code, 7) << run.output;
  EXPECT_THAT(run.output, HasSubstr("once\n"));
  EXPECT_EQ(run.output.find("once"), run.output.rfind("once")) << run.output;
}

TEST_F(CliDevTest, FollowedEventsEndByCtrlC) {
  test::ChildProcess follower({CUBE_BINARY, "events", "-f", "-o", "json"}, variables_);
  ASSERT_TRUE(follower.ReadUntil("\"welcome\"")) << follower.output();
  EXPECT_EQ(Cube({"run", "-d", "--engine", "process", "--id", "nap-1", "sleep", "600"}).exit_code,
            0);
  EXPECT_TRUE(follower.ReadUntil("\"kind\":\"running\",\"task\":\"nap-1\"")) << follower.output();
  follower.Signal(SIGINT);
  EXPECT_EQ(follower.Wait(), 130);
}

TEST_F(CliDevTest, CtrlCStopsTheTasksAndEverything) {
  ASSERT_EQ(Cube({"run", "--engine", "process", "--id", "nap-1", "sleep", "600"}).exit_code, 0);
  dev_->Signal(SIGINT);
  EXPECT_EQ(dev_->Wait(), 0) << dev_->output();
  EXPECT_THAT(dev_->output(), HasSubstr("nap-1: stopped on dev"));
  const Shown after = Cube({"ps"});
  EXPECT_EQ(after.exit_code, 69);
  EXPECT_THAT(after.output, HasSubstr("cannot reach NATS"));
}

TEST_F(CliDevTest, ASecondOneOnTheSameFolderIsRefused) {
  const Shown second = Cube({"dev", "--state-dir", folder_.path() + "/s"});
  EXPECT_EQ(second.exit_code, 4) << second.output;
  EXPECT_THAT(second.output, HasSubstr("another 'cube dev' uses"));
}

}  // namespace
}  // namespace cube
