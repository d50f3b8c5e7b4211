// Workers, supervisors and machines that die, and files that are damaged.
#include <sys/wait.h>

#include "test/integration/engine/process_test_base.h"

namespace cube::engine {
namespace {

// With control groups, and with only process numbers to go by.
class SupervisorKilled : public ProcessEngineTest, public ::testing::WithParamInterface<bool> {
 protected:
  ProcessEngineOptions Options() {
    auto options = fixture_.Options();
    if (!GetParam()) options.cgroup_root = "/nowhere";
    return options;
  }
};
INSTANTIATE_TEST_SUITE_P(ControlGroups, SupervisorKilled, ::testing::Bool());

TEST_P(SupervisorKilled, TakesItsProcessesAlong) {
  StartEngine(Options());
  const auto key = Key("orphaned");
  const auto running =
      RunUntil(key, ProcessFixture::Shell("sleep 1000 & echo $!; exec sleep 1000"), "\n");
  const auto pids = PidsOf(key);
  EXPECT_EQ(running.container_id, std::to_string(pids.command.pid));
  const auto child = PrintedPids(key);
  ASSERT_EQ(child.size(), 1u);
  kill(pids.supervisor.pid, SIGKILL);
  const auto exited = WaitExit(key);
  EXPECT_EQ(exited.cause, ExitCause::kVanished);
  EXPECT_EQ(exited.exit_code, -1);
  EXPECT_NE(exited.detail.find("killed by signal 9"), std::string::npos) << exited.detail;
  EXPECT_TRUE(WaitGone(pids.command.pid));
  EXPECT_TRUE(WaitGone(child[0]));
  // The next engine says the same.
  StartEngine(Options());
  const auto listed = WaitListed(mark_);
  ASSERT_EQ(listed.launches.size(), 1u);
  EXPECT_EQ(listed.launches[0], exited);
}

TEST_P(SupervisorKilled, WhileNobodyWatches) {
  StartEngine(Options());
  const auto key = Key("unseen");
  RunUntil(key, ProcessFixture::Shell("sleep 1000 & echo $!; exec sleep 1000"), "\n");
  const auto child = PrintedPids(key);
  ASSERT_EQ(child.size(), 1u);
  const auto pids = PidsOf(key);
  engine_.reset();
  kill(pids.supervisor.pid, SIGKILL);
  ASSERT_TRUE(WaitGone(pids.supervisor.pid));
  StartEngine(Options());
  const auto listed = WaitListed(mark_);
  ASSERT_EQ(listed.launches.size(), 1u);
  EXPECT_EQ(listed.launches[0].cause, ExitCause::kVanished);
  EXPECT_TRUE(WaitGone(pids.command.pid));
  EXPECT_TRUE(WaitGone(child[0]));
}

// A worker that is killed with -9, as a process of its own.
TEST_F(ProcessEngineTest, WorkerIsKilledAndTheNextOneTakesUp) {
  const auto lasting = Key("lasting");
  const auto ending = Key("ending");
  const std::string gate = (fixture_.LaunchesFolder().parent_path() / "gate").string();
  const Owner owner = TheOwner();
  const pid_t worker = fork();
  if (worker == 0) {
    // Only the state folder is shared. Runs until it is killed.
    Recorder recorder;
    ProcessEngine engine(fixture_.Options(), recorder.MakeSink());
    engine.Start(owner);
    engine.Launch(Request(lasting, fixture_.LongRunning()));
    engine.Launch(
        Request(ending, ProcessFixture::Shell("until test -e " + gate +
                                              "; do sleep 0.01; done; echo bye; exit 5")));
    for (;;) pause();
  }
  ASSERT_GT(worker, 0);
  const auto runs = [&](const LaunchKey& key) {
    const auto bytes = process::ReadFile((FolderOf(key) / process::kStatusFile).string(), 4096);
    return process::DecodeStatus(bytes.value_or("")).has_value();
  };
  ASSERT_TRUE(WaitFor([&] { return runs(lasting) && runs(ending); }));
  kill(worker, SIGKILL);
  ASSERT_EQ(waitpid(worker, nullptr, 0), worker);
  const auto pids = PidsOf(ending);
  std::ofstream(gate) << "open";
  ASSERT_TRUE(WaitGone(pids.supervisor.pid));

  StartEngine();
  const auto listed = WaitListed(mark_);
  ASSERT_EQ(listed.launches.size(), 2u);
  EXPECT_EQ(listed.launches[0].key, ending);
  EXPECT_EQ(listed.launches[0].state, LaunchState::kExited);
  EXPECT_EQ(listed.launches[0].cause, ExitCause::kExited);
  EXPECT_EQ(listed.launches[0].exit_code, 5);
  EXPECT_EQ(listed.launches[0].placement, (Stamp{7, 8}));
  EXPECT_EQ(listed.launches[1].state, LaunchState::kRunning);
  EXPECT_EQ(AllOutput(ending), "bye\n");
  engine_->Stop(lasting, "SIGTERM", std::chrono::seconds(60));
  EXPECT_EQ(WaitExit(lasting).exit_code, 128 + SIGTERM);
}

// Whatever is in the folder: the engine comes up, and what is known to be ours is told.
TEST_F(ProcessEngineTest, DamagedFoldersAreNoHarm) {
  StartEngine();
  std::vector<LaunchKey> keys;
  for (const char* name : {"no-status", "bad-status", "no-pid", "bad-label", "fine"}) {
    keys.push_back(Key(name));
    engine_->Launch(Request(keys.back(), ProcessFixture::Shell("exit 6")));
    WaitExit(keys.back());
  }
  engine_.reset();
  std::filesystem::remove(FolderOf(Key("no-status")) / process::kStatusFile);
  std::ofstream(FolderOf(Key("bad-status")) / process::kStatusFile) << "\x01garbage\xff";
  std::filesystem::remove(FolderOf(Key("no-pid")) / process::kPidFile);
  std::ofstream(FolderOf(Key("bad-label")) / process::kLaunchFile) << "{\"cluster\": 5";
  std::filesystem::create_directory(fixture_.LaunchesFolder() / "empty-1-0");
  std::filesystem::create_directory(fixture_.LaunchesFolder() / ".new-half-1-0");
  std::ofstream(fixture_.LaunchesFolder() / "a-file") << "x";
  StartEngine();
  const auto listed = WaitListed(mark_);
  std::map<std::string, LaunchStatus> by_name;
  for (const auto& status : listed.launches) by_name[status.key.task.str()] = status;
  EXPECT_EQ(by_name.size(), 4u);
  EXPECT_EQ(by_name["no-status"].cause, ExitCause::kVanished);
  EXPECT_FALSE(by_name["no-status"].detail.empty());
  EXPECT_EQ(by_name["bad-status"].cause, ExitCause::kVanished);
  EXPECT_EQ(by_name["no-pid"].exit_code, 6);
  EXPECT_EQ(by_name["fine"].exit_code, 6);
  EXPECT_FALSE(std::filesystem::exists(fixture_.LaunchesFolder() / ".new-half-1-0"));
  // What is not understood is not touched, until its name is needed and nobody holds it.
  EXPECT_TRUE(std::filesystem::exists(FolderOf(Key("bad-label"))));
  engine_->Launch(Request(Key("bad-label"), ProcessFixture::Shell("exit 8")));
  EXPECT_EQ(WaitExit(Key("bad-label"), mark_).exit_code, 8);
}

// A launch of another owner under the same name is not ours to replace.
TEST_F(ProcessEngineTest, FolderOfAnotherOwnerIsAConflict) {
  StartEngine();
  engine_->Launch(Request(Key("name"), ProcessFixture::Shell("exit 6")));
  WaitExit(Key("name"));
  engine_.reset();
  mark_ = recorder_.Count();
  engine_ = std::make_unique<ProcessEngine>(fixture_.Options(), recorder_.MakeSink());
  engine_->Start({"another", NodeName::Trusted("node-1")});
  EXPECT_TRUE(WaitListed(mark_).launches.empty());
  engine_->Launch(Request(Key("name"), ProcessFixture::Shell("exit 6")));
  EXPECT_EQ(WaitExit(Key("name"), mark_).failure, Code::kConflict);
  EXPECT_TRUE(std::filesystem::exists(FolderOf(Key("name"))));
}

// A live supervisor is found even if the file with its number is damaged.
TEST_F(ProcessEngineTest, DamagedPidFileOfARunningLaunch) {
  StartEngine();
  RunUntil(Key("found"), ProcessFixture::Shell("echo up; exec sleep 1000"), "up");
  const auto pids = PidsOf(Key("found"));
  engine_.reset();
  std::ofstream(FolderOf(Key("found")) / process::kPidFile) << "cube-launch 1\nsupervisor_pid 1\n";
  StartEngine();
  const auto listed = WaitListed(mark_);
  ASSERT_EQ(listed.launches.size(), 1u);
  EXPECT_EQ(listed.launches[0].state, LaunchState::kRunning);
  engine_->Stop(Key("found"), "SIGTERM", std::chrono::seconds(60));
  EXPECT_EQ(WaitExit(Key("found")).exit_code, 128 + SIGTERM);
  EXPECT_TRUE(WaitGone(pids.command.pid));
}

// No new file can be made (as on a full disk): the exit code arrives all the same.
TEST_F(ProcessEngineTest, ExitCodeWithoutRoomForANewFile) {
  StartEngine();
  const auto key = Key("full-disk");
  RunUntil(key,
           ProcessFixture::Shell("trap 'exit 9' TERM; echo up; "
                                 "while :; do sleep 1000 & wait; done"),
           "up\n");
  std::filesystem::create_directory(FolderOf(key) / (std::string(process::kStatusFile) + ".tmp"));
  engine_->Stop(key, "", std::chrono::seconds(60));
  const auto exited = WaitExit(key);
  EXPECT_EQ(exited.cause, ExitCause::kExited);
  EXPECT_EQ(exited.exit_code, 9);
}

// A restart of the machine, told by the boot id: nothing runs, whoever has the numbers now.
TEST_F(ProcessEngineTest, MachineWasRestarted) {
  StartEngine();
  RunUntil(Key("rebooted"), ProcessFixture::Shell("echo up; exec sleep 1000"), "up");
  engine_->Launch(Request(Key("ended"), ProcessFixture::Shell("exit 2")));
  WaitExit(Key("ended"));
  const auto pids = PidsOf(Key("rebooted"));
  engine_.reset();
  kill(pids.supervisor.pid, SIGKILL);
  ASSERT_TRUE(WaitGone(pids.supervisor.pid));
  ASSERT_TRUE(WaitGone(pids.command.pid));
  // A stranger that got the supervisor's old number, as far as the files can tell.
  auto stranger = process::PidRecord{"00000000-0000-0000-0000-000000000000",
                                     {getpid(), *process::StartTicks(getpid())},
                                     {getpid(), *process::StartTicks(getpid())}};
  std::ofstream(FolderOf(Key("rebooted")) / process::kPidFile) << process::EncodePid(stranger);
  for (const char* name : {"rebooted", "ended"}) {
    const auto path = FolderOf(Key(name)) / process::kLaunchFile;
    auto record = process::DecodeRecord(process::ReadFile(path.string(), 1u << 20).value_or(""));
    ASSERT_TRUE(record);
    record->boot_id = stranger.boot_id;
    std::ofstream(path) << process::EncodeRecord(*record);
  }
  StartEngine();
  const auto listed = WaitListed(mark_);
  ASSERT_EQ(listed.launches.size(), 2u);
  EXPECT_EQ(listed.launches[0].exit_code, 2);
  EXPECT_EQ(listed.launches[1].cause, ExitCause::kVanished);
  EXPECT_NE(listed.launches[1].detail.find("restarted"), std::string::npos);
}

// Made, but its supervisor was never started: the worker died in between.
TEST_F(ProcessEngineTest, LaunchThatNeverRan) {
  StartEngine();
  engine_->Launch(Request(Key("never"), ProcessFixture::Shell("exit 2")));
  WaitExit(Key("never"));
  engine_.reset();
  for (const char* file : {process::kPidFile, process::kStatusFile}) {
    std::filesystem::remove(FolderOf(Key("never")) / file);
  }
  StartEngine();
  const auto listed = WaitListed(mark_);
  ASSERT_EQ(listed.launches.size(), 1u);
  EXPECT_EQ(listed.launches[0].cause, ExitCause::kStartFailed);
  EXPECT_EQ(listed.launches[0].failure, Code::kUnavailable);
}

}  // namespace
}  // namespace cube::engine
