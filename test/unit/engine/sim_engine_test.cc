// The contract of engine.h on the simulated engine, alone and in real time; and what only the
// simulated one has: determinism and faults.
#include "services/worker/engine/sim/sim_engine.h"

#include <gtest/gtest.h>

#include <fstream>

#include "services/worker/engine/sim/sim_driver.h"
#include "test/support/engine/contract.h"
#include "test/support/engine/contract_exec.h"

namespace cube::engine {
namespace {

Result<void> SaveToFile(const std::string& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << bytes;
  return {};
}

SimMachine::Options SavingOptions() {
  SimMachine::Options options;
  options.save = SaveToFile;
  return options;
}

TaskSpec Labeled(std::map<std::string, std::string> labels) {
  TaskSpec spec;
  spec.name = TaskName::Trusted("test");
  spec.labels = std::move(labels);
  return spec;
}

class SimSpecs : public EngineFixture {
 public:
  TaskSpec LongRunning() override { return Labeled({}); }
  TaskSpec Stubborn() override { return Labeled({{"sim.stop", "never"}}); }
  TaskSpec ExitsWith(int code, std::string out, std::string err) override {
    return Labeled({{"sim.exit", std::to_string(code)}, {"sim.out", out}, {"sim.err", err}});
  }
  TaskSpec ExitsAfter(Duration run_time, int code) override {
    return Labeled({{"sim.run", FormatDuration(run_time)}, {"sim.exit", std::to_string(code)}});
  }
  TaskSpec PrintsEnv(const std::string& variable) override {
    return Labeled({{"sim.print-env", variable}, {"sim.exit", "0"}});
  }
  TaskSpec PrintsAndRuns(std::string out) override { return Labeled({{"sim.out", out}}); }
  TaskSpec Busy() override {
    return Labeled({{"sim.cpu-millis", "1000"}, {"sim.memory-bytes", "1048576"}});
  }
  TaskSpec FailsToStart() override { return Labeled({{"sim.fail", "no such program"}}); }
  Words ExecSays(const std::string& out, const std::string& err, int code) override {
    return {"say", out, err, std::to_string(code)};
  }
  Words ExecCopies() override { return {"cat"}; }
  Words ExecRuns(const std::string& /*mark*/) override { return {"sleep"}; }
  Words ExecPrintsEnv(const std::string& variable) override { return {"print-env", variable}; }
  bool ExecIsRunning(const std::string& /*mark*/) override { return false; }
  [[nodiscard]] bool MakesProcesses() const override { return false; }

 protected:
  std::shared_ptr<SimMachine> machine_ = std::make_shared<SimMachine>(SavingOptions());
};

// Time passes in steps of 10 ms while a test waits.
class SimFixture final : public SimSpecs {
 public:
  std::unique_ptr<Engine> MakeEngine(Sink sink) override {
    return std::make_unique<SimEngine>(machine_, std::move(sink));
  }
  bool Pump() override {
    now_.mono += std::chrono::milliseconds(10);
    now_.wall += std::chrono::milliseconds(10);
    machine_->Advance(now_);
    return true;
  }

 private:
  Now now_{MonoFromNanos(1'000'000'000), WallFromNanos(1'800'000'000'000'000'000)};
};

class SimDriverFixture final : public SimSpecs {
 public:
  std::unique_ptr<Engine> MakeEngine(Sink sink) override {
    return driver_.MakeEngine(machine_, std::move(sink));
  }

 private:
  SimDriver driver_;
};

}  // namespace

INSTANTIATE_TYPED_TEST_SUITE_P(Sim, EngineContract, SimFixture);
INSTANTIATE_TYPED_TEST_SUITE_P(SimInRealTime, EngineContract, SimDriverFixture);
INSTANTIATE_TYPED_TEST_SUITE_P(Sim, EngineExecContract, SimFixture);
INSTANTIATE_TYPED_TEST_SUITE_P(SimInRealTime, EngineExecContract, SimDriverFixture);

namespace {

class SimEngineTest : public ::testing::Test {
 protected:
  SimEngineTest() {
    engine_ = std::make_unique<SimEngine>(machine_, recorder_.MakeSink());
    engine_->Start(owner_);
    Advance(Duration{0});
  }
  void Advance(Duration by) {
    now_.mono += by;
    now_.wall += by;
    machine_->Advance(now_);
  }
  static LaunchKey Key(const std::string& task) { return {TaskId::Trusted(task), 1, 0}; }
  void Launch(const std::string& task, std::map<std::string, std::string> labels) {
    engine_->Launch({Key(task), {1, 2}, std::make_shared<TaskSpec>(Labeled(std::move(labels)))});
  }
  LaunchStatus Last(const std::string& task) {
    const auto history = recorder_.History(Key(task));
    return history.empty() ? LaunchStatus{} : history.back();
  }

  Owner owner_{"c1", NodeName::Trusted("n1")};
  Now now_{MonoFromNanos(1'000'000'000), WallFromNanos(1'800'000'000'000'000'000)};
  Recorder recorder_;
  std::shared_ptr<SimMachine> machine_ = std::make_shared<SimMachine>();
  std::unique_ptr<SimEngine> engine_;
};

TEST_F(SimEngineTest, UsesWhatItsLabelsSay) {
  Launch(
      "a",
      {{"sim.cpu-millis", "250"}, {"sim.memory-bytes", "5000000"}, {"sim.network-bytes", "1000"}});
  Advance(std::chrono::milliseconds(1));
  Advance(std::chrono::seconds(4));
  engine_->Usage();
  Advance(Duration{0});
  const auto usages = recorder_.WaitFor<Usages>();
  ASSERT_TRUE(usages);
  ASSERT_EQ(usages->launches.size(), 1u);
  const LaunchUsage& usage = usages->launches[0];
  EXPECT_EQ(usage.at, now_.mono);
  EXPECT_EQ(usage.cpu_nanos, 1'000'000'000u);
  EXPECT_EQ(usage.memory_bytes, 5'000'000);
  EXPECT_EQ(usage.network, (LaunchUsage::Traffic{4000, 4000}));
}

TEST_F(SimEngineTest, UsageOfAnEngineThatIsDownIsEmpty) {
  Launch("a", {});
  Advance(std::chrono::seconds(1));
  machine_->SetReachable(false);
  Advance(Duration{0});
  engine_->Usage();
  Advance(Duration{0});
  const auto usages = recorder_.WaitFor<Usages>();
  ASSERT_TRUE(usages);
  EXPECT_TRUE(usages->launches.empty());
}

TEST_F(SimEngineTest, EachPhaseTakesItsTime) {
  Launch("a", {{"sim.pull", "5s"}, {"sim.start", "1s"}, {"sim.run", "10s"}, {"sim.exit", "4"}});
  const WallTime begin = now_.wall;
  Advance(Duration{0});
  EXPECT_EQ(Last("a").state, LaunchState::kPulling);
  Advance(std::chrono::milliseconds(4999));
  EXPECT_EQ(Last("a").state, LaunchState::kPulling);
  Advance(std::chrono::milliseconds(1));
  EXPECT_EQ(Last("a").state, LaunchState::kStarting);
  EXPECT_EQ(machine_->NextDue(), now_.mono + std::chrono::seconds(1));
  // One long step: things happen at their own times all the same.
  Advance(std::chrono::seconds(100));
  const LaunchStatus last = Last("a");
  EXPECT_EQ(last.state, LaunchState::kExited);
  EXPECT_EQ(last.exit_code, 4);
  EXPECT_EQ(last.started_at, begin + std::chrono::seconds(6));
  EXPECT_EQ(last.finished_at, begin + std::chrono::seconds(16));
  EXPECT_EQ(machine_->NextDue(), std::nullopt);
}

TEST_F(SimEngineTest, NothingIsSentOutsideAdvance) {
  const std::size_t before = recorder_.Count();
  Launch("a", {});
  engine_->List();
  engine_->Stop(Key("a"), "", Duration{0});
  EXPECT_EQ(recorder_.Count(), before);
  Advance(Duration{0});
  EXPECT_GT(recorder_.Count(), before);
}

TEST_F(SimEngineTest, OutOfMemoryAndKilledFromOutside) {
  Launch("a", {{"sim.exit", "oom"}});
  Launch("b", {});
  Advance(std::chrono::seconds(1));
  EXPECT_EQ(Last("a").cause, ExitCause::kOutOfMemory);
  machine_->Exit(Key("b"), ExitCause::kSignaled, 139);
  Advance(Duration{0});
  EXPECT_EQ(Last("b").cause, ExitCause::kSignaled);
  EXPECT_EQ(Last("b").exit_code, 139);
}

TEST_F(SimEngineTest, VanishedIsReportedOnceAndGone) {
  Launch("a", {});
  Advance(std::chrono::seconds(1));
  machine_->Vanish(Key("a"));
  Advance(Duration{0});
  EXPECT_EQ(Last("a").cause, ExitCause::kVanished);
  EXPECT_TRUE(machine_->All().empty());
}

TEST_F(SimEngineTest, DownLosesNothing) {
  Launch("runs", {});
  Launch("ends", {{"sim.run", "10s"}, {"sim.exit", "6"}});
  Launch("vanishes", {});
  Advance(std::chrono::seconds(1));
  machine_->SetReachable(false, "gone fishing");
  Advance(Duration{0});
  const auto down = recorder_.WaitFor<Down>();
  ASSERT_TRUE(down);
  EXPECT_NE(down->reason.find("gone fishing"), std::string::npos);
  const std::size_t mark = recorder_.Count();
  machine_->Vanish(Key("vanishes"));
  Launch("late", {});
  engine_->Stop(Key("runs"), "", Duration{0});
  Advance(std::chrono::seconds(20));
  ASSERT_EQ(recorder_.Count(), mark + 1);  // only that the stop cannot be done
  EXPECT_EQ(std::get<OpFailed>(recorder_.All().back()).error.code, Code::kUnavailable);

  machine_->SetReachable(true);
  Advance(std::chrono::seconds(1));
  EXPECT_TRUE(recorder_.WaitFor<Up>(mark));
  EXPECT_EQ(Last("vanishes").cause, ExitCause::kVanished);
  EXPECT_EQ(Last("late").state, LaunchState::kRunning);
  const auto listed = recorder_.WaitFor<Listed>(mark);
  ASSERT_TRUE(listed);
  ASSERT_EQ(listed->launches.size(), 3u);  // ends, late (being launched), runs
  EXPECT_EQ(listed->launches[0].exit_code, 6);
  EXPECT_EQ(listed->launches[2].state, LaunchState::kRunning);
}

TEST_F(SimEngineTest, AWorkerThatDiesWhileStartingLeavesACreatedContainer) {
  Launch("a", {{"sim.start", "10s"}});
  Launch("b", {{"sim.pull", "10s"}});
  Advance(std::chrono::seconds(1));
  engine_.reset();
  Advance(std::chrono::seconds(60));
  engine_ = std::make_unique<SimEngine>(machine_, recorder_.MakeSink());
  const std::size_t mark = recorder_.Count();
  engine_->Start(owner_);
  Advance(Duration{0});
  const auto listed = recorder_.WaitFor<Listed>(mark);
  ASSERT_TRUE(listed);
  ASSERT_EQ(listed->launches.size(), 1u);
  EXPECT_EQ(listed->launches[0].state, LaunchState::kStarting);
  Launch("a", {{"sim.start", "10s"}});
  Advance(std::chrono::seconds(10));
  EXPECT_EQ(Last("a").state, LaunchState::kRunning);
}

// Same calls, same times: same events, in the same order.
TEST(SimDeterminism, SameCallsSameEvents) {
  const auto run = [] {
    Recorder recorder;
    auto machine = std::make_shared<SimMachine>();
    SimEngine engine(machine, recorder.MakeSink());
    engine.Start({"c", NodeName::Trusted("n")});
    Now now{MonoFromNanos(1), WallFromNanos(1)};
    for (int i = 0; i < 50; ++i) {
      TaskSpec spec = Labeled({{"sim.run", std::to_string(i % 7) + "ms"}, {"sim.exit", "1"}});
      engine.Launch({{TaskId::Trusted("t" + std::to_string(i)), 1, 0},
                     {},
                     std::make_shared<TaskSpec>(std::move(spec))});
      if (i % 3 == 0) engine.Stop({TaskId::Trusted("t" + std::to_string(i / 2)), 1, 0}, "", {});
      now.mono += std::chrono::microseconds(700);
      now.wall += std::chrono::microseconds(700);
      machine->Advance(now);
    }
    std::vector<LaunchStatus> trace;
    for (const Event& event : recorder.All())
      if (const auto* changed = std::get_if<Changed>(&event)) trace.push_back(changed->status);
    return trace;
  };
  const auto first = run();
  EXPECT_GT(first.size(), 100u);
  EXPECT_EQ(first, run());
}

}  // namespace
}  // namespace cube::engine
