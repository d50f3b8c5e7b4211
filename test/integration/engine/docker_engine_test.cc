// What the Docker driver does beyond the contract, on a real engine.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "test/support/engine/docker_test.h"

namespace cube::engine {
namespace {

using ::testing::HasSubstr;

using DockerEngineTest = DockerTest;

// A TCP socket that somebody on this host listens on.
class TakenPort {
 public:
  TakenPort() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    socklen_t length = sizeof(address);
    EXPECT_EQ(::bind(fd_, reinterpret_cast<const sockaddr*>(&address), length), 0);
    EXPECT_EQ(::listen(fd_, 1), 0);
    EXPECT_EQ(::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &length), 0);
    port_ = ntohs(address.sin_port);
  }
  ~TakenPort() { Free(); }
  TakenPort(const TakenPort&) = delete;
  TakenPort& operator=(const TakenPort&) = delete;
  void Free() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  [[nodiscard]] std::uint16_t port() const { return port_; }

 private:
  int fd_;
  std::uint16_t port_ = 0;
};

TaskSpec Publishing(std::uint16_t host_port) {
  TaskSpec spec = Script("exec sleep 1000");
  spec.ports.push_back(
      {.port = 80, .host_port = host_port, .protocol = Protocol::kTcp, .name = ""});
  return spec;
}

TEST_F(DockerEngineTest, SaysWhatItIs) {
  StartEngine();
  const auto up = recorder_.WaitFor<Up>();
  ASSERT_TRUE(up);
  EXPECT_THAT(up->version, ::testing::MatchesRegex("docker .+ \\(API 1\\.[0-9]+\\)"));
}

// The same container through the kernel's files and through the engine: one counter, read in turn.
TEST_F(DockerEngineTest, UsageOfABusyContainer) {
  StartEngine();
  const LaunchKey key = Launch("busy", Script("while :; do :; done"));
  WaitRunning(key);
  const auto look = [&] {
    const std::size_t mark = recorder_.Count();
    engine_->Usage();
    const auto usages = recorder_.WaitFor<Usages>(mark);
    EXPECT_TRUE(usages && usages->launches.size() == 1);
    return usages && !usages->launches.empty() ? usages->launches[0] : LaunchUsage{};
  };
  const LaunchUsage first = look();
  LaunchUsage busy = first;
  // A good part of a second of real work, however busy this machine is.
  constexpr std::uint64_t kWork = 300'000'000;
  const auto deadline = std::chrono::steady_clock::now() + kWaitMax;
  while (busy.cpu_nanos < first.cpu_nanos + kWork && std::chrono::steady_clock::now() < deadline) {
    busy = look();
  }
  const double cpus = static_cast<double>(busy.cpu_nanos - first.cpu_nanos) /
                      static_cast<double>((busy.at - first.at).count());
  EXPECT_GT(cpus, 0.01);
  EXPECT_LT(cpus, 1.2) << "one thread cannot use more than a cpu";
  EXPECT_GT(busy.memory_bytes, 0);
  ASSERT_TRUE(busy.network);

  docker::Endpoint asked = real_;
  asked.same_machine = false;
  StartEngine(asked);
  const LaunchUsage told = look();
  EXPECT_GE(told.cpu_nanos, busy.cpu_nanos);
  EXPECT_LT(told.memory_bytes, 4 * busy.memory_bytes + (1 << 20));
  EXPECT_GT(told.memory_bytes, busy.memory_bytes / 4);
  ASSERT_TRUE(told.network);
  EXPECT_GE(told.network->rx_bytes, busy.network->rx_bytes);
  StartEngine();
  EXPECT_GE(look().cpu_nanos, told.cpu_nanos);
}

TEST_F(DockerEngineTest, UsageOfManyContainersIsAskedForInTurns) {
  docker::Endpoint asked = real_;
  asked.same_machine = false;
  StartEngine(asked);
  constexpr int kContainers = 12;  // more than are asked for at once
  for (int i = 0; i < kContainers; ++i) Launch("u" + std::to_string(i), LongRunning());
  for (int i = 0; i < kContainers; ++i) WaitRunning(Key("u" + std::to_string(i)));
  const std::size_t mark = recorder_.Count();
  engine_->Usage();
  engine_->Usage();  // answered by the same look
  const auto usages = recorder_.WaitFor<Usages>(mark);
  ASSERT_TRUE(usages);
  EXPECT_EQ(usages->launches.size(), static_cast<std::size_t>(kContainers));
  EXPECT_TRUE(std::is_sorted(usages->launches.begin(), usages->launches.end(),
                             [](const auto& a, const auto& b) { return a.key < b.key; }));
}

TEST_F(DockerEngineTest, SetsLimitsLabelsAndPolicies) {
  StartEngine();
  TaskSpec spec = Script("exec sleep 1000");
  spec.resources = {.cpu_millis = 500, .memory_bytes = 64 << 20, .disk_bytes = 0};
  spec.labels["team"] = "blue";
  const LaunchKey key = Launch("limited", std::move(spec));
  const LaunchStatus running = WaitRunning(key);
  const ToolResult seen = Docker(
      real_, {"inspect", "--format",
              "{{.HostConfig.NanoCpus}} {{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} "
              "{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.SecurityOpt}} "
              "{{index .Config.Labels \"cube.placement\"}} {{index .Config.Labels \"team\"}}",
              Name(key)});
  EXPECT_EQ(seen.output, "500000000 67108864 67108864 no [no-new-privileges] 1:2 blue\n");
  EXPECT_EQ(running.placement, (Stamp{1, 2}));
}

TEST_F(DockerEngineTest, EndsBySignal) {
  StartEngine();
  const LaunchStatus exited = WaitExit(Launch("segv", Script("sh -c 'kill -SEGV $$'; exit $?")));
  EXPECT_EQ(exited.cause, ExitCause::kSignaled);
  EXPECT_EQ(exited.exit_code, 139);
}

TEST_F(DockerEngineTest, MemoryLimitKills) {
  StartEngine();
  // As a child of PID 1, so that the container's memory group outlives the kill.
  TaskSpec spec = Script("(x=0123456789abcdef; while :; do x=$x$x; done); exit $?");
  spec.resources.memory_bytes = 16 << 20;
  const LaunchStatus exited = WaitExit(Launch("hog", std::move(spec)));
  EXPECT_EQ(exited.exit_code, 137);
  // Some engines do not notice why; then the text says what may have happened.
  if (exited.cause != ExitCause::kOutOfMemory) {
    EXPECT_THAT(exited.detail, HasSubstr("memory limit"));
  }
}

// The only process, so that the control group goes away with the kill.
TEST_F(DockerEngineTest, MemoryLimitKillsTheOnlyProcess) {
  StartEngine();
  for (int i = 0; i < 4; ++i) {
    TaskSpec spec = Script("");
    spec.command = {"tail", "/dev/zero"};
    spec.resources.memory_bytes = 8 << 20;
    const LaunchStatus exited = WaitExit(Launch("hog-" + std::to_string(i), std::move(spec)));
    EXPECT_EQ(exited.exit_code, 137);
    EXPECT_EQ(exited.cause, ExitCause::kOutOfMemory) << exited.detail;
  }
}

// Killed by hand at a memory limit that was never reached.
TEST_F(DockerEngineTest, AKillIsNotTakenForTheMemoryLimit) {
  StartEngine();
  TaskSpec spec = LongRunning();
  spec.resources.memory_bytes = 64 << 20;
  const LaunchKey key = Launch("murdered", std::move(spec));
  WaitRunning(key);
  ASSERT_EQ(Docker(real_, {"kill", Name(key)}).exit_code, 0);
  const LaunchStatus exited = WaitExit(key);
  EXPECT_EQ(exited.cause, ExitCause::kSignaled);
  EXPECT_THAT(exited.detail, HasSubstr("killed from outside"));
}

TEST_F(DockerEngineTest, RemovedOutsideHasVanished) {
  StartEngine();
  const LaunchKey key = Launch("removed", LongRunning());
  WaitRunning(key);
  ASSERT_EQ(Docker(real_, {"rm", "-f", Name(key)}).exit_code, 0);
  EXPECT_EQ(WaitExit(key).cause, ExitCause::kVanished);
  EXPECT_TRUE(List().empty());
  EXPECT_EQ(recorder_.History(key).back().cause, ExitCause::kVanished);
}

TEST_F(DockerEngineTest, KilledOutsideIsSeenAtOnce) {
  StartEngine();
  // The fastest of some counts, since the machine may be busy; a driver that polled would be slow
  // in all.
  auto best = Duration::max();
  for (int i = 0; i < 5 && best > std::chrono::seconds(1); ++i) {
    const LaunchKey key = Launch("killed-" + std::to_string(i), LongRunning());
    WaitRunning(key);
    ASSERT_EQ(Docker(real_, {"kill", Name(key)}).exit_code, 0);
    const LaunchStatus exited = WaitExit(key);
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    best = std::min(
        best, std::chrono::duration_cast<Duration>(now) - exited.finished_at.time_since_epoch());
    EXPECT_EQ(exited.cause, ExitCause::kSignaled);
    EXPECT_EQ(exited.exit_code, 137);
  }
  EXPECT_LT(best, std::chrono::seconds(1));
}

TEST_F(DockerEngineTest, ForeignContainerOfThatNameIsLeftAlone) {
  StartEngine();
  const LaunchKey key = Key("taken");
  ASSERT_EQ(Docker(real_, {"create", "--name", Name(key), kTestImage}).exit_code, 0);
  Launch("taken", LongRunning());
  const LaunchStatus exited = WaitExit(key);
  EXPECT_EQ(exited.cause, ExitCause::kStartFailed);
  EXPECT_EQ(exited.failure, Code::kConflict);
  engine_->Remove(key, "", 0);
  EXPECT_TRUE(recorder_.WaitFor<Removed>());
  EXPECT_EQ(Docker(real_, {"rm", Name(key)}).exit_code, 0) << "it is not there any more";
}

TEST_F(DockerEngineTest, PortOfAnotherContainerIsAConflict) {
  StartEngine();
  TakenPort free;
  free.Free();
  const LaunchKey first = Launch("first", Publishing(free.port()));
  const LaunchStatus running = WaitRunning(first);
  ASSERT_EQ(running.ports.size(), 1u);
  EXPECT_EQ(running.ports[0].host_port, free.port());
  const LaunchStatus exited = WaitExit(Launch("second", Publishing(free.port())));
  EXPECT_EQ(exited.cause, ExitCause::kStartFailed);
  EXPECT_EQ(exited.failure, Code::kConflict) << exited.detail;
  EXPECT_EQ(Containers(), 1u);
}

TEST_F(DockerEngineTest, PortOfAProcessIsAConflict) {
  StartEngine();
  const TakenPort taken;
  const LaunchStatus exited = WaitExit(Launch("clash", Publishing(taken.port())));
  EXPECT_EQ(exited.cause, ExitCause::kStartFailed);
  EXPECT_EQ(exited.failure, Code::kConflict) << exited.detail;
  EXPECT_EQ(Containers(), 0u);
}

TEST_F(DockerEngineTest, WhatCanNeverWorkIsInvalid) {
  StartEngine();
  TaskSpec small = LongRunning();
  small.resources.memory_bytes = 100;  // below the engine's minimum
  EXPECT_EQ(WaitExit(Launch("small", std::move(small))).failure, Code::kInvalid);
  TaskSpec image = LongRunning();
  image.image = "UPPER CASE";
  EXPECT_EQ(WaitExit(Launch("image", std::move(image))).failure, Code::kInvalid);
  TaskSpec command = LongRunning();
  command.command = {"/etc"};  // a folder
  const LaunchStatus exited = WaitExit(Launch("command", std::move(command)));
  EXPECT_EQ(exited.failure, Code::kInvalid) << exited.detail;
  EXPECT_EQ(exited.exit_code, kExitNotExecutable);
  TaskSpec missing = LongRunning();
  missing.command = {"/no/such/program"};
  const LaunchStatus gone = WaitExit(Launch("missing", std::move(missing)));
  EXPECT_EQ(gone.failure, Code::kInvalid) << gone.detail;
  EXPECT_EQ(gone.exit_code, kExitNoSuchCommand);
  TaskSpec workdir = LongRunning();
  workdir.image = "cube-test-no-such-image";
  workdir.pull = PullPolicy::kNever;
  EXPECT_EQ(WaitExit(Launch("absent", std::move(workdir))).failure, Code::kNotFound);
  EXPECT_EQ(Containers(), 0u);
}

class CreatedContainer : public DockerTest {
 protected:
  // As a worker leaves it that dies between create and start.
  void MakeOne(const LaunchKey& key, const std::string& node = "node-1") {
    std::vector<std::string> command{"create", "--name", Name(key)};
    const std::map<std::string, std::string> labels{{"cube.cluster", owner_.cluster},
                                                    {"cube.node", node},
                                                    {"cube.task", key.task.str()},
                                                    {"cube.attempt", "1"},
                                                    {"cube.launch", "0"},
                                                    {"cube.placement", "7:8"}};
    for (const auto& [name, value] : labels) {
      command.emplace_back("--label");
      command.push_back(fmt::format("{}={}", name, value));
    }
    for (const char* part : {kTestImage, "sleep", "1000"}) command.emplace_back(part);
    ASSERT_EQ(Docker(real_, command).exit_code, 0);
  }
};

TEST_F(CreatedContainer, IsListedAndTakenUp) {
  MakeOne(Key("made"));
  StartEngine();
  const std::vector<LaunchStatus> launches = List();
  ASSERT_EQ(launches.size(), 1u);
  EXPECT_EQ(launches[0].state, LaunchState::kStarting);
  const LaunchStatus running = WaitRunning(Launch("made", LongRunning()));
  EXPECT_EQ(running.container_id, launches[0].container_id);
  EXPECT_EQ(running.placement, (Stamp{7, 8}));
  EXPECT_EQ(Containers(), 1u);
}

// Its node ends it, as the log does not know of it.
TEST_F(CreatedContainer, OfAnotherNodeThatHasTheNameIsWaitedFor) {
  const LaunchKey key = Key("made");
  MakeOne(key, "node-2");
  StartEngine();
  Launch("made", LongRunning());
  ASSERT_TRUE(recorder_.WaitForState(key, LaunchState::kStarting)) << "it waits, and says so";
  ASSERT_EQ(Docker(real_, {"rm", "-f", Name(key)}).exit_code, 0) << "it is not there any more";
  EXPECT_EQ(WaitRunning(key).state, LaunchState::kRunning);
}

TEST_F(CreatedContainer, IsRemovedByAStop) {
  MakeOne(Key("made"));
  StartEngine();
  engine_->Stop(Key("made"), "SIGTERM", std::chrono::seconds(10));
  const LaunchStatus exited = WaitExit(Key("made"));
  EXPECT_EQ(exited.cause, ExitCause::kStartFailed);
  EXPECT_EQ(exited.failure, Code::kAborted);
  EXPECT_EQ(Containers(), 0u);
}

TEST_F(DockerEngineTest, LogTimesAndSince) {
  StartEngine();
  const LaunchKey key = Launch("times", Script("echo one; sleep 1.1; echo two"));
  WaitExit(key);
  engine_->OpenLogs(1, key, {});
  engine_->LogCredit(1, 1000);
  ASSERT_TRUE(recorder_.WaitFor<LogEnd>());
  std::vector<LogChunk> chunks;
  for (const Event& event : recorder_.All())
    if (const auto* chunk = std::get_if<LogChunk>(&event)) chunks.push_back(*chunk);
  ASSERT_EQ(chunks.size(), 2u);
  EXPECT_GE(chunks[1].time - chunks[0].time, std::chrono::seconds(1));
  const std::size_t mark = recorder_.Count();
  engine_->OpenLogs(2, key, {.follow = false, .tail_lines = -1, .since = chunks[1].time});
  engine_->LogCredit(2, 1000);
  ASSERT_TRUE(recorder_.WaitFor<LogEnd>(mark));
  EXPECT_EQ(recorder_.OutputOf(2).out, "two\n");
}

// More than all buffers on the way hold, taken in small bites: nothing is lost or doubled.
TEST_F(DockerEngineTest, LongOutputFlowsByCredit) {
  StartEngine();
  // 4 MB in long lines: the engine's file, with its own words to each line, stays below its limit.
  const LaunchKey key = Launch(
      "chatty", Script("awk 'BEGIN { for (i = 1; i <= 20000; ++i) printf \"%0200d\\n\", i }'"));
  WaitExit(key);
  std::string expected;
  for (int i = 1; i <= 20000; ++i) expected += fmt::format("{:0200}\n", i);
  engine_->OpenLogs(1, key, {.follow = true, .tail_lines = -1, .since = {}});
  std::size_t allowed = 0;
  while (allowed < expected.size()) {
    allowed = std::min(allowed + 200'000, expected.size());
    engine_->LogCredit(1, 200'000);
    std::size_t seen = 0;
    std::size_t next = 0;
    ASSERT_TRUE(recorder_.WaitUntil([&](const std::vector<Event>& events) {
      for (; next < events.size(); ++next)
        if (const auto* chunk = std::get_if<LogChunk>(&events[next])) seen += chunk->bytes.size();
      return seen >= allowed;
    })) << seen
        << " of " << allowed << " bytes";
    EXPECT_EQ(seen, allowed);
  }
  ASSERT_TRUE(recorder_.WaitFor<LogEnd>());
  EXPECT_TRUE(recorder_.OutputOf(1).out == expected);
}

// Docker 20.10 loses and repeats lines for who follows over a change of its files. Some 23 MB of
// them are written here, in bursts, so that the reader is at their end and behind it.
TEST_F(DockerEngineTest, FollowersGetEachLineOnceOverTheEnginesFiles) {
  StartEngine();
  const LaunchKey key = Launch("files", Script("for i in 1 2 3; do seq 1 100000; sleep 0.3; done"));
  WaitRunning(key);
  engine_->OpenLogs(1, key, {.follow = true, .tail_lines = -1, .since = {}});
  engine_->LogCredit(1, std::size_t{1} << 30);
  ASSERT_TRUE(recorder_.WaitFor<LogEnd>());
  std::string expected;
  for (int i = 0; i < 300'000; ++i) expected += fmt::format("{}\n", i % 100'000 + 1);
  EXPECT_TRUE(recorder_.OutputOf(1).out == expected) << recorder_.OutputOf(1).out.size();
  for (const Event& event : recorder_.All()) {
    const auto* chunk = std::get_if<LogChunk>(&event);
    ASSERT_TRUE(chunk == nullptr || chunk->gap == LogChunk::Gap::kNone);
  }
}

// One that sees the beginning go says so.
TEST_F(DockerEngineTest, OutputBeyondWhatIsKeptIsTold) {
  StartEngine();
  const LaunchKey key = Launch("much", Script("seq 1 800000"));
  WaitExit(key);
  engine_->OpenLogs(1, key, {});
  engine_->LogCredit(1, std::size_t{1} << 30);
  ASSERT_TRUE(recorder_.WaitFor<LogEnd>());
  const std::string out = recorder_.OutputOf(1).out;
  EXPECT_TRUE(out.ends_with("\n799999\n800000\n"));
  EXPECT_FALSE(out.starts_with("1\n")) << "the test writes too little";
  std::size_t gaps = 0;
  for (const Event& event : recorder_.All()) {
    const auto* chunk = std::get_if<LogChunk>(&event);
    if (chunk != nullptr && chunk->gap == LogChunk::Gap::kMaybeBeginning) ++gaps;
  }
  EXPECT_EQ(gaps, 1u);
}

TEST_F(DockerEngineTest, OutputThatCannotBeSavedKeepsTheContainer) {
  StartEngine();
  const LaunchKey key = Launch("kept", Script("echo x"));
  WaitExit(key);
  engine_->Remove(key, (folder_ / "no" / "such" / "folder").string(), 100);
  const auto failed = recorder_.WaitFor<OpFailed>();
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->error.code, Code::kPrecondition);
  EXPECT_EQ(Containers(), 1u);
  engine_->Remove(key, "", 0);
  EXPECT_TRUE(recorder_.WaitFor<Removed>());
  EXPECT_EQ(Containers(), 0u);
}

}  // namespace
}  // namespace cube::engine
