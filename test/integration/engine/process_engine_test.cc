// What only the process engine does, on real processes.
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <atomic>

#include "test/integration/engine/process_test_base.h"

namespace cube::engine {

// The suite is run by process_contract_test.cc; here only its fixture is used.
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(EngineContract);

namespace {

using process::StartTicks;

TEST_F(ProcessEngineTest, SignalIsToldAsSuch) {
  StartEngine();
  engine_->Launch(Request(Key("aborts"), ProcessFixture::Shell("kill -SEGV $$")));
  const auto exited = WaitExit(Key("aborts"));
  EXPECT_EQ(exited.cause, ExitCause::kSignaled);
  EXPECT_EQ(exited.exit_code, 128 + SIGSEGV);
}

TEST_F(ProcessEngineTest, RefusesWhatItCannotRun) {
  StartEngine();
  TaskSpec image = fixture_.LongRunning();
  image.image = "nginx";
  EXPECT_NE(ExpectStartFails("image", image, Code::kInvalid).detail.find("image"),
            std::string::npos);
  ExpectStartFails("empty", TaskSpec{}, Code::kInvalid);
  TaskSpec workdir = fixture_.LongRunning();
  workdir.workdir = "/no/such/folder";
  EXPECT_EQ(ExpectStartFails("workdir", workdir, Code::kNotFound).exit_code, -1);
  TaskSpec user = fixture_.LongRunning();
  user.user = "no-such-user";
  ExpectStartFails("user", user, Code::kNotFound);
  TaskSpec missing;
  missing.command = {"no-such-program-in-the-path"};
  const LaunchStatus gone = ExpectStartFails("missing", missing, Code::kNotFound);
  EXPECT_NE(gone.detail.find("no-such-program"), std::string::npos);
  EXPECT_EQ(gone.exit_code, kExitNoSuchCommand);
  TaskSpec folder;
  folder.command = {"/tmp"};
  EXPECT_EQ(ExpectStartFails("folder", folder, Code::kPermission).exit_code, kExitNotExecutable);
}

TEST_F(ProcessEngineTest, RunsInFolderAsUserWithItsEnvironmentOnly) {
  StartEngine();
  setenv("CUBE_TEST_SECRET", "leaks", 1);
  TaskSpec spec = ProcessFixture::Shell(
      "pwd; id -u; echo \"$CUBE_TASK $CUBE_ATTEMPT $CUBE_LAUNCH $CUBE_NODE\"; "
      "echo \"[$CUBE_TEST_SECRET]\"; test -t 0 || echo no-terminal; cat");
  spec.workdir = "/usr";
  if (geteuid() == 0) spec.user = "65534:65534";
  engine_->Launch(Request(Key("where", 3), spec));
  EXPECT_EQ(WaitExit(Key("where", 3)).exit_code, 0);
  unsetenv("CUBE_TEST_SECRET");
  EXPECT_EQ(AllOutput(Key("where", 3)),
            "/usr\n" + std::string(geteuid() == 0 ? "65534" : std::to_string(geteuid())) +
                "\nwhere 1 3 node-1\n[]\nno-terminal\n");
}

TEST_F(ProcessEngineTest, PortsArePassedAndDiffer) {
  StartEngine();
  std::set<std::uint16_t> seen;
  for (int i = 0; i < 20; ++i) {
    TaskSpec spec = ProcessFixture::Shell("echo \"$CUBE_PORT_80\"; exec sleep 1000");
    spec.ports.push_back({.port = 80, .host_port = 0, .protocol = Protocol::kTcp, .name = ""});
    const auto key = Key("port-" + std::to_string(i));
    const auto running = RunUntil(key, spec, "\n");
    ASSERT_EQ(running.ports.size(), 1u);
    EXPECT_EQ(AllOutput(key), std::to_string(running.ports[0].host_port) + "\n");
    EXPECT_TRUE(seen.insert(running.ports[0].host_port).second);
  }
  // A static one that somebody holds is a conflict, be it a launch of ours or a stranger.
  TaskSpec spec = fixture_.LongRunning();
  spec.ports.push_back(
      {.port = 80, .host_port = *seen.begin(), .protocol = Protocol::kTcp, .name = ""});
  ExpectStartFails("taken", spec, Code::kConflict);
  const process::Fd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(listen(listener.get(), 1), 0);
  sockaddr_in address{};
  socklen_t size = sizeof(address);
  ASSERT_EQ(getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  spec.ports[0].host_port = ntohs(address.sin_port);
  ExpectStartFails("stranger", spec, Code::kConflict);
}

TEST_F(ProcessEngineTest, StopKillsChildrenThatDetached) {
  StartEngine();
  const auto key = Key("family");
  RunUntil(key,
           ProcessFixture::Shell("setsid sh -c 'trap \"\" TERM; echo $$; while :; do sleep 1000; "
                                 "done' & sleep 1000 & echo $!; wait; exec sleep 1000"),
           "\n");
  ASSERT_TRUE(WaitFor([&] { return PrintedPids(key).size() == 2; }));
  const auto pids = PrintedPids(key);
  for (const pid_t pid : pids) EXPECT_TRUE(StartTicks(pid));
  engine_->Stop(key, "TERM", std::chrono::seconds(60));
  const auto exited = WaitExit(key);
  EXPECT_EQ(exited.exit_code, 128 + SIGTERM);
  // When the end is told they are gone already.
  for (const pid_t pid : pids) EXPECT_FALSE(StartTicks(pid)) << pid;
}

TEST_F(ProcessEngineTest, WhatACommandLeavesBehindIsKilled) {
  StartEngine();
  const auto key = Key("leaves");
  engine_->Launch(Request(
      key, ProcessFixture::Shell("(setsid sleep 1000 & echo $!) & wait; sleep 1000 & echo $!")));
  EXPECT_EQ(WaitExit(key).exit_code, 0);
  const auto pids = PrintedPids(key);
  ASSERT_EQ(pids.size(), 2u);
  for (const pid_t pid : pids) EXPECT_FALSE(StartTicks(pid)) << pid;
}

TEST_F(ProcessEngineTest, HundredLaunchesAndNothingLeft) {
  StartEngine();
  const auto begin = std::chrono::steady_clock::now();
  const auto ms = [&] {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                                 begin)
        .count();
  };
  constexpr int kCount = 100;
  std::vector<LaunchKey> keys;
  for (int i = 0; i < kCount; ++i) {
    keys.push_back(Key("many-" + std::to_string(i)));
    engine_->Launch(Request(keys.back(), fixture_.LongRunning()));
  }
  std::vector<process::PidRecord> pids;
  for (const auto& key : keys) {
    ASSERT_TRUE(recorder_.WaitForState(key, LaunchState::kRunning));
    pids.push_back(PidsOf(key));
  }
  RecordProperty("hundred_running_ms", std::to_string(ms()));
  for (const auto& key : keys) engine_->Stop(key, "SIGTERM", std::chrono::seconds(60));
  for (const auto& key : keys) {
    WaitExit(key);
    engine_->Remove(key, "", 0);
  }
  for (const auto& key : keys) {
    ASSERT_TRUE(recorder_.WaitFor<Removed>([&](const Removed& r) { return r.key == key; }));
  }
  std::printf("100 launches: all running, then stopped and removed after %ld ms\n",
              static_cast<long>(ms()));
  EXPECT_TRUE(fixture_.LaunchFolders().empty());
  for (const auto& pid : pids) {
    EXPECT_FALSE(StartTicks(pid.supervisor.pid));
    EXPECT_FALSE(StartTicks(pid.command.pid));
  }
  EXPECT_TRUE(GroupsLeft().empty());
}

TEST_F(ProcessEngineTest, WithoutItsSupervisorItIsDownUntilThatIsThere) {
  auto options = fixture_.Options();
  options.supervise_path = (fixture_.LaunchesFolder().parent_path() / "supervise").string();
  StartEngine(options);
  const auto down = recorder_.WaitFor<Down>();
  ASSERT_TRUE(down);
  EXPECT_NE(down->reason.find(options.supervise_path), std::string::npos);
  engine_->Launch(Request(Key("stopped"), fixture_.LongRunning()));
  engine_->Launch(Request(Key("patient"), ProcessFixture::Shell("exit 4")));
  engine_->Stop(Key("stopped"), "", std::chrono::seconds(1));
  EXPECT_EQ(WaitExit(Key("stopped")).failure, Code::kAborted);
  std::filesystem::create_symlink(process::DefaultSupervisePath(), options.supervise_path);
  engine_->List();
  ASSERT_TRUE(recorder_.WaitFor<Up>());
  EXPECT_EQ(WaitExit(Key("patient")).exit_code, 4);
}

// Files that the worker has open, even without O_CLOEXEC, are not the command's.
TEST_F(ProcessEngineTest, DescriptorsAreNotPassedOn) {
  StartEngine();
  const std::string path = (fixture_.LaunchesFolder().parent_path() / "secret").string();
  const process::Fd open_file(open(path.c_str(), O_RDWR | O_CREAT, 0600));
  ASSERT_TRUE(open_file.valid());
  engine_->Launch(Request(Key("files"), ProcessFixture::Shell("ls -l /proc/self/fd")));
  EXPECT_EQ(WaitExit(Key("files")).exit_code, 0);
  const std::string listing = AllOutput(Key("files"));
  EXPECT_NE(listing.find(" 1 -> "), std::string::npos) << listing;
  EXPECT_EQ(listing.find("secret"), std::string::npos) << listing;
  EXPECT_EQ(listing.find("lock"), std::string::npos) << listing;
}

// A machine that shuts down sends SIGTERM to everybody: the command gets it, and its grace.
TEST_F(ProcessEngineTest, SupervisorPassesOnAShutdown) {
  StartEngine();
  const auto key = Key("shutdown");
  RunUntil(key,
           ProcessFixture::Shell("trap 'echo bye; exit 9' TERM; echo up; "
                                 "while :; do sleep 1000 & wait; done"),
           "up\n");
  kill(PidsOf(key).supervisor.pid, SIGTERM);
  EXPECT_EQ(WaitExit(key).exit_code, 9);
  EXPECT_EQ(AllOutput(key), "up\nbye\n");
}

// What runs beside a launch is the worker's, not the launch's: it must not outlive it.
TEST_F(ProcessEngineTest, CommandsBesideLaunchesEndWithTheWorker) {
  StartEngine();
  const auto key = Key("beside");
  RunUntil(key, ProcessFixture::Shell("echo up; exec sleep 1000"), "up");
  const std::string mark = "70020." + std::to_string(getpid());
  ExecRequest request;
  request.command = ProcessFixture::Shell("setsid sleep " + mark + " & echo up; wait").command;
  engine_->Exec(1, key, std::move(request));
  engine_->ExecCredit(1, 1000);
  ASSERT_TRUE(recorder_.WaitUntil(
      [](const std::vector<Event>& events) { return Recorder::ExecOf(events, 1).out == "up\n"; }));
  EXPECT_TRUE(SomeCommandHas(mark));
  engine_.reset();
  const auto deadline = std::chrono::steady_clock::now() + kWaitMax;
  while (SomeCommandHas(mark) && std::chrono::steady_clock::now() < deadline) usleep(1000);
  EXPECT_FALSE(SomeCommandHas(mark));
  StartEngine();
  EXPECT_EQ(WaitListed(mark_).launches.at(0).state, LaunchState::kRunning);
}

TEST_F(ProcessEngineTest, ACommandThatFloodsIsKilledInTimeAndKeepsNobodyWaiting) {
  std::atomic<bool> floods = false;  // outlives the engine
  const auto record = recorder_.MakeSink();
  engine_ = std::make_unique<ProcessEngine>(fixture_.Options(), [&, record](Event event) {
    if (std::holds_alternative<ExecOutput>(event)) {
      floods = true;
    } else {
      record(std::move(event));
    }
  });
  engine_->Start(TheOwner());
  const LaunchKey key = Key("beside");
  RunUntil(key, ProcessFixture::Shell("echo up; exec sleep 1000"), "up");
  ExecRequest request;
  request.command = {"yes"};
  request.timeout = std::chrono::seconds(1);
  engine_->Exec(1, key, std::move(request));
  engine_->ExecCredit(1, std::size_t{1} << 40);
  const auto deadline = std::chrono::steady_clock::now() + kWaitMax;
  while (!floods && std::chrono::steady_clock::now() < deadline) usleep(1000);
  ASSERT_TRUE(floods);
  const std::size_t mark = recorder_.Count();
  engine_->List();
  WaitListed(mark);
  const auto ended = recorder_.WaitFor<ExecEnded>([](const ExecEnded& e) { return e.exec == 1; });
  ASSERT_TRUE(ended);
  ASSERT_TRUE(ended->error);
  EXPECT_EQ(ended->error->code, Code::kTimedOut);
  engine_.reset();
}

TEST_F(ProcessEngineTest, UnknownStopSignalIsRefused) {
  StartEngine();
  RunUntil(Key("signal"), ProcessFixture::Shell("echo up; exec sleep 1000"), "up");
  engine_->Stop(Key("signal"), "SIGNONSENSE", std::chrono::seconds(1));
  const auto failed = recorder_.WaitFor<OpFailed>();
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->error.code, Code::kInvalid);
  EXPECT_EQ(failed->error.field, "stop_signal");
  engine_->Stop(Key("signal"), "int", std::chrono::seconds(60));
  EXPECT_EQ(WaitExit(Key("signal")).exit_code, 128 + SIGINT);
}

}  // namespace
}  // namespace cube::engine
