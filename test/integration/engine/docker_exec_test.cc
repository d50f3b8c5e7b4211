// Commands inside containers, beyond the contract.
#include <gmock/gmock.h>

#include "services/worker/engine/docker/exec_kill.h"
#include "test/support/engine/docker_test.h"
#include "test/support/engine/flaky_proxy.h"

namespace cube::engine {
namespace {

using ::testing::HasSubstr;

class DockerExecTest : public DockerTest {
 protected:
  Recorder::Execution WaitEnd(std::uint64_t exec) {
    EXPECT_TRUE(recorder_.WaitUntil([&](const std::vector<Event>& events) {
      return Recorder::ExecOf(events, exec).ended;
    })) << "the command does not end";
    return recorder_.ExecOf(exec);
  }
  Recorder::Execution Do(std::uint64_t exec, const LaunchKey& key, ExecRequest request) {
    engine_->Exec(exec, key, std::move(request));
    engine_->ExecCredit(exec, 1u << 20);
    return WaitEnd(exec);
  }
  static ExecRequest Shell(const std::string& script) {
    ExecRequest request;
    request.command = Script(script).command;
    return request;
  }
};

TEST_F(DockerExecTest, RunsAsUserInFolder) {
  StartEngine();
  const LaunchKey key = Launch("who", LongRunning());
  WaitRunning(key);
  ExecRequest request = Shell("id -u; pwd; grep NoNewPrivs /proc/self/status");
  request.user = "1234";
  request.workdir = "/tmp";
  EXPECT_EQ(Do(1, key, std::move(request)).out, "1234\n/tmp\nNoNewPrivs:\t1\n");
}

// Where the engine's processes cannot be seen from here, the container must do it itself. It goes
// by names in /proc, so that what process 99 waits for, 100, is killed before it, and with fifty
// more in between it would have the time to go on: it must not.
TEST_F(DockerExecTest, KillerCommandKillsWhatBearsTheMark) {
  StartEngine();
  const LaunchKey key = Launch("killer", LongRunning());
  WaitRunning(key);
  ExecRequest victim = Shell(R"sh(
    while [ "$(exec sh -c 'echo $$')" -lt 98 ]; do :; done
    ( sleep 70010 & s=$!
      for i in $(seq 50); do sleep 70010 & done
      read me rest </proc/self/stat; echo "up $me $s"
      wait $s; : >/tmp/went-on ); true)sh");
  victim.env["MARK"] = "abc123";
  engine_->Exec(1, key, std::move(victim));
  engine_->ExecCredit(1, 1u << 20);
  ASSERT_TRUE(recorder_.WaitUntil([](const std::vector<Event>& events) {
    return Recorder::ExecOf(events, 1).out.ends_with("\n");
  }));
  EXPECT_EQ(recorder_.ExecOf(1).out, "up 99 100\n");
  ExecRequest killer;
  killer.command = docker::KillerCommand("MARK=abc123");
  EXPECT_EQ(Do(2, key, std::move(killer)).exit_code, 0);
  EXPECT_EQ(WaitEnd(1).exit_code, 137);
  const std::string left = "ls /tmp/went-on; grep -ls MARK=abc123 /proc/[0-9]*/environ";
  EXPECT_EQ(Do(3, key, Shell(left)).out, "");
  EXPECT_EQ(List().at(0).state, LaunchState::kRunning);
}

TEST_F(DockerExecTest, PausedLaunchSaysSo) {
  StartEngine();
  const LaunchKey key = Launch("paused", LongRunning());
  WaitRunning(key);
  ASSERT_EQ(Docker(real_, {"pause", Name(key)}).exit_code, 0);
  const auto done = Do(1, key, Shell("true"));
  ASSERT_TRUE(done.error);
  EXPECT_EQ(done.error->code, Code::kPrecondition);
  EXPECT_THAT(done.error->message, HasSubstr("paused"));
  Docker(real_, {"unpause", Name(key)});
}

TEST_F(DockerExecTest, LostEngineEndsThem) {
  if (real_.unix_socket.empty()) GTEST_SKIP() << "the proxy speaks to Unix sockets only";
  docker::Endpoint endpoint = real_;
  endpoint.unix_socket = (folder_ / "proxy.sock").string();
  FlakyProxy proxy(endpoint.unix_socket, real_.unix_socket);
  proxy.Open();
  StartEngine(endpoint);
  const LaunchKey key = Launch("lost", LongRunning());
  WaitRunning(key);
  engine_->Exec(1, key, Shell("echo up; sleep 70011"));
  engine_->ExecCredit(1, 1u << 20);
  ASSERT_TRUE(recorder_.WaitUntil(
      [](const std::vector<Event>& events) { return Recorder::ExecOf(events, 1).out == "up\n"; }));
  proxy.Close();
  const auto done = WaitEnd(1);
  ASSERT_TRUE(done.error);
  EXPECT_EQ(done.error->code, Code::kUnavailable);
}

}  // namespace
}  // namespace cube::engine
