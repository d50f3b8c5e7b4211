// The Docker driver when answers are lost, connections break, and the engine goes away.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test/support/engine/docker_test.h"
#include "test/support/engine/flaky_proxy.h"

namespace cube::engine {
namespace {

using ::testing::HasSubstr;

class DockerFaults : public DockerTest {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(DockerTest::SetUp());
    if (real_.unix_socket.empty()) GTEST_SKIP() << "the proxy speaks to Unix sockets only";
    const std::string path = (folder_ / "proxy.sock").string();
    proxy_ = std::make_unique<FlakyProxy>(path, real_.unix_socket);
    endpoint_ = real_;
    endpoint_.unix_socket = path;
    endpoint_.name = "unix://" + path;
  }
  void TearDown() override { engine_.reset(); }

  std::unique_ptr<FlakyProxy> proxy_;
  docker::Endpoint endpoint_;
};

TEST_F(DockerFaults, LostAnswerOfCreateMakesNoSecondContainer) {
  proxy_->Open();
  StartEngine(endpoint_);
  proxy_->LoseAnswers("/containers/create", 3);
  const LaunchKey key = Launch("create-lost", LongRunning());
  WaitRunning(key);
  EXPECT_EQ(Containers(), 1u);
  EXPECT_GE(proxy_->Seen("/containers/create"), 1);
  EXPECT_EQ(List().size(), 1u);
}

TEST_F(DockerFaults, LostAnswerOfStartIsLookedUp) {
  proxy_->Open();
  StartEngine(endpoint_);
  proxy_->LoseAnswers("/start ", 2);
  const LaunchKey key = Launch("start-lost", LongRunning());
  const LaunchStatus running = WaitRunning(key);
  EXPECT_EQ(Containers(), 1u);
  EXPECT_EQ(List()[0].container_id, running.container_id);
}

TEST_F(DockerFaults, LostAnswersOfAShortLaunch) {
  proxy_->Open();
  StartEngine(endpoint_);
  proxy_->LoseAnswers("/json ", 2);
  proxy_->LoseAnswers("/start ", 1);
  const LaunchKey key = Launch("short", Script("exit 5"));
  const LaunchStatus exited = WaitExit(key);
  EXPECT_EQ(exited.exit_code, 5);
  EXPECT_TRUE(recorder_.WaitForState(key, LaunchState::kRunning));
}

TEST_F(DockerFaults, LostAnswersOfStopAndRemove) {
  proxy_->Open();
  StartEngine(endpoint_);
  const LaunchKey key = Launch("stopped", LongRunning());
  WaitRunning(key);
  proxy_->LoseAnswers("/kill", 1);
  engine_->Stop(key, "SIGTERM", std::chrono::seconds(30));
  WaitExit(key);
  proxy_->LoseAnswers("DELETE", 1);
  // Lost or told by its event, in the end it is gone; a repeat says so.
  const std::size_t mark = recorder_.Count();
  engine_->Remove(key, "", 0);
  ASSERT_TRUE(recorder_.WaitUntil([&](const std::vector<Event>& events) {
    return std::any_of(
        events.begin() + static_cast<std::ptrdiff_t>(mark), events.end(), [](const Event& e) {
          return std::holds_alternative<Removed>(e) || std::holds_alternative<OpFailed>(e);
        });
  }));
  engine_->Remove(key, "", 0);
  EXPECT_TRUE(recorder_.WaitFor<Removed>());
  EXPECT_EQ(Containers(), 0u);
}

TEST_F(DockerFaults, ComesUpWhenTheEngineDoes) {
  StartEngine(endpoint_, /*wait=*/false);
  const auto down = recorder_.WaitFor<Down>();
  ASSERT_TRUE(down);
  EXPECT_THAT(down->reason, HasSubstr(endpoint_.name));
  // What is asked meanwhile is kept, or refused as a thing to repeat.
  const LaunchKey waits = Launch("waits", LongRunning());
  const LaunchKey unwanted = Launch("unwanted", LongRunning());
  engine_->Stop(unwanted, "SIGTERM", std::chrono::seconds(10));
  EXPECT_EQ(WaitExit(unwanted).failure, Code::kAborted);
  engine_->Remove(Key("some"), "", 0);
  const auto failed = recorder_.WaitFor<OpFailed>();
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->error.code, Code::kUnavailable);
  engine_->OpenLogs(1, waits, {});
  const auto end = recorder_.WaitFor<LogEnd>();
  ASSERT_TRUE(end && end->error);
  EXPECT_EQ(end->error->code, Code::kUnavailable);

  proxy_->Open();
  ASSERT_TRUE(recorder_.WaitFor<Listed>());
  WaitRunning(waits);
  EXPECT_EQ(Containers(), 1u);
}

TEST_F(DockerFaults, MissesNothingWhileCutOff) {
  proxy_->Open();
  StartEngine(endpoint_);
  const LaunchKey runs = Launch("runs", LongRunning());
  const LaunchKey ends = Launch("ends", LongRunning());
  const LaunchKey goes = Launch("goes", LongRunning());
  for (const LaunchKey& key : {runs, ends, goes}) WaitRunning(key);
  engine_->OpenLogs(1, runs, {.follow = true, .tail_lines = -1, .since = {}});
  std::size_t mark = recorder_.Count();
  proxy_->Close();
  ASSERT_TRUE(recorder_.WaitFor<Down>(mark));
  const auto end = recorder_.WaitFor<LogEnd>(mark);
  ASSERT_TRUE(end && end->error);
  EXPECT_EQ(end->error->code, Code::kUnavailable);
  ASSERT_EQ(Docker(real_, {"kill", Name(ends)}).exit_code, 0);
  ASSERT_EQ(Docker(real_, {"rm", "-f", Name(goes)}).exit_code, 0);

  mark = recorder_.Count();
  proxy_->Open();
  const auto up = recorder_.WaitFor<Up>(mark);
  ASSERT_TRUE(up);
  const auto listed = recorder_.WaitFor<Listed>(mark);
  ASSERT_TRUE(listed);
  ASSERT_EQ(listed->launches.size(), 2u);
  EXPECT_EQ(listed->launches[0].key, ends);
  EXPECT_EQ(listed->launches[0].exit_code, 137);
  EXPECT_EQ(listed->launches[1].state, LaunchState::kRunning);
  EXPECT_EQ(WaitExit(goes).cause, ExitCause::kVanished);
  EXPECT_EQ(WaitExit(ends).cause, ExitCause::kSignaled);
  // And it works on.
  engine_->Stop(runs, "SIGTERM", std::chrono::seconds(30));
  WaitExit(runs);
}

TEST_F(DockerFaults, CutOffWhileLaunching) {
  proxy_->Open();
  StartEngine(endpoint_);
  std::vector<LaunchKey> keys;
  for (int i = 0; i < 5; ++i) keys.push_back(Launch("cut-" + std::to_string(i), LongRunning()));
  // As soon as something was created.
  ASSERT_TRUE(recorder_.WaitFor<Changed>(
      [](const Changed& c) { return c.status.state == LaunchState::kStarting; }));
  proxy_->Close();
  ASSERT_TRUE(recorder_.WaitFor<Down>());
  proxy_->Open();
  for (const LaunchKey& key : keys) WaitRunning(key);
  EXPECT_EQ(Containers(), 5u);
  EXPECT_EQ(List().size(), 5u);
}

TEST_F(DockerFaults, RefusesAVersionThatTheEngineDoesNotSpeak) {
  docker::Endpoint endpoint = real_;
  endpoint.api_version = "1.99";
  StartEngine(endpoint, /*wait=*/false);
  const auto down = recorder_.WaitFor<Down>();
  ASSERT_TRUE(down);
  EXPECT_THAT(down->reason, HasSubstr("1.99"));
}

// A Docker engine of the test's own, which may be killed.
class OwnDockerd {
 public:
  explicit OwnDockerd(std::filesystem::path folder) : folder_(std::move(folder)) {}
  ~OwnDockerd() { Stop(SIGTERM); }
  OwnDockerd(const OwnDockerd&) = delete;
  OwnDockerd& operator=(const OwnDockerd&) = delete;

  [[nodiscard]] docker::Endpoint Endpoint() const {
    docker::Endpoint endpoint;
    endpoint.unix_socket = (folder_ / "d.sock").string();
    endpoint.base_url = "http://localhost";
    endpoint.name = "unix://" + endpoint.unix_socket;
    return endpoint;
  }
  bool Start() {
    const std::string root = folder_.string();
    // A killed one takes its containerd along; a pid file that still names it (or its zombie)
    // would keep the next from starting another.
    std::filesystem::remove(folder_ / "d.pid");
    std::filesystem::remove(folder_ / "exec/containerd/containerd.pid");
    // In a network of its own: an engine without a bridge removes docker0, whoever uses it.
    std::vector<std::string> arguments{"unshare",
                                       "--net",
                                       "dockerd",
                                       "--data-root",
                                       root + "/data",
                                       "--exec-root",
                                       root + "/exec",
                                       "--pidfile",
                                       root + "/d.pid",
                                       "--host",
                                       "unix://" + root + "/d.sock",
                                       "--bridge",
                                       "none",
                                       "--iptables=false"};
    std::vector<char*> argv;
    for (std::string& a : arguments) argv.push_back(a.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    const std::string log = root + "/log";
    posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    const int error = ::posix_spawnp(&pid_, argv[0], &actions, nullptr, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    return error == 0;
  }
  void Stop(int signal) {
    if (pid_ <= 0) return;
    ::kill(pid_, signal);
    ::waitpid(std::exchange(pid_, 0), nullptr, 0);
  }
  // Ends the containerd that a killed dockerd leaves behind (its own, by its pid file).
  void StopContainerd() const {
    const ToolResult pid = RunTool({"cat", (folder_ / "exec/containerd/containerd.pid").string()});
    if (pid.exit_code == 0) ::kill(static_cast<pid_t>(std::stol(pid.output)), SIGTERM);
  }

 private:
  const std::filesystem::path folder_;
  pid_t pid_ = 0;
};

class DaemonRestart : public DockerTest {
 protected:
  void SetUp() override {
    const bool possible =
        ::geteuid() == 0 && RunTool({"unshare", "--net", "dockerd", "--version"}).exit_code == 0;
    if (!possible) {
      ASSERT_EQ(std::getenv("CI"), nullptr) << "dockerd and root are needed";
      GTEST_SKIP() << "dockerd and root are needed";
    }
    dockerd_ = std::make_unique<OwnDockerd>(folder_);
    ASSERT_TRUE(dockerd_->Start());
    StartEngine(dockerd_->Endpoint());
    ASSERT_EQ(MakeTestImage(dockerd_->Endpoint()), "");
  }
  void TearDown() override {
    engine_.reset();
    if (!dockerd_) return;
    RemoveContainersOf(dockerd_->Endpoint(), owner_.cluster);
    dockerd_->Stop(SIGTERM);
    dockerd_->StopContainerd();
    // What a killed one leaves: shims, which name its folder, and mounts.
    const std::string folder = folder_.string();
    (void)RunTool({"sh", "-c",
                   "for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline 2>/dev/null |"
                   " grep -q 'containerd-shi[m].*" +
                       folder +
                       "' && kill -9 ${p#/proc/}; done;"
                       " grep -o '" +
                       folder +
                       "[^ ]*' /proc/self/mounts | sort -r |"
                       " xargs -r umount -l"});
  }

  void Restarts(int signal) {
    const LaunchKey first = Launch("first", LongRunning());
    const LaunchKey second = Launch("second", LongRunning());
    WaitRunning(first);
    WaitRunning(second);
    std::size_t mark = recorder_.Count();
    dockerd_->Stop(signal);
    ASSERT_TRUE(recorder_.WaitFor<Down>(mark));
    const LaunchKey late = Launch("late", LongRunning());
    mark = recorder_.Count();
    ASSERT_TRUE(dockerd_->Start());
    ASSERT_TRUE(recorder_.WaitFor<Up>(mark));
    const auto listed = recorder_.WaitFor<Listed>(mark);
    ASSERT_TRUE(listed);
    ASSERT_EQ(listed->launches.size(), 3u);
    WaitRunning(late);
    // Without live restore an engine ends what ran under it; that is seen and said.
    for (const LaunchKey& key : {first, second}) {
      EXPECT_NE(WaitExit(key).cause, ExitCause::kVanished);
      engine_->Remove(key, "", 0);
      EXPECT_TRUE(recorder_.WaitFor<Removed>([&](const Removed& r) { return r.key == key; }, mark));
    }
    EXPECT_EQ(List().size(), 1u);
  }

  std::unique_ptr<OwnDockerd> dockerd_;
};

TEST_F(DaemonRestart, Orderly) { Restarts(SIGTERM); }
TEST_F(DaemonRestart, Killed) { Restarts(SIGKILL); }

// No event tells of it, only that the list lacks it.
TEST_F(DaemonRestart, ForgetsAContainer) {
  const LaunchKey key = Launch("forgotten", LongRunning());
  const LaunchStatus running = WaitRunning(key);
  const ToolResult pid =
      Docker(dockerd_->Endpoint(), {"inspect", "--format", "{{.State.Pid}}", running.container_id});
  ASSERT_EQ(pid.exit_code, 0);
  dockerd_->Stop(SIGKILL);
  ::kill(static_cast<pid_t>(std::stol(pid.output)), SIGKILL);
  ASSERT_TRUE(recorder_.WaitFor<Down>());
  const std::size_t mark = recorder_.Count();
  const auto folder = folder_ / "data" / "containers" / running.container_id;
  ASSERT_GT(std::filesystem::remove_all(folder), 0u);
  ASSERT_TRUE(dockerd_->Start());
  const auto listed = recorder_.WaitFor<Listed>(mark);
  ASSERT_TRUE(listed);
  EXPECT_TRUE(listed->launches.empty());
  EXPECT_EQ(WaitExit(key).cause, ExitCause::kVanished);
}

}  // namespace
}  // namespace cube::engine
