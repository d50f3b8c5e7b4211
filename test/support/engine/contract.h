// What every Engine must do: one suite of tests, run on the real engines and on the twin.
//
// To run it on an engine, write a fixture class, then instantiate the suite in a .cc file:
//
//   class MyFixture : public EngineFixture { ... };
//   INSTANTIATE_TYPED_TEST_SUITE_P(MyEngine, EngineContract, MyFixture);
//
// The fixture is default-constructed once per test and stands for one machine: launches live in
// it, not in the engine object, so a second MakeEngine sees what the first has launched. Its
// destructor ends and removes whatever is left. If the machine cannot be had, the constructor
// says so with ADD_FAILURE or by throwing.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "services/worker/engine/engine.h"
#include "services/worker/engine/output_log.h"
#include "test/support/engine/fixture.h"
#include "test/support/engine/recorder.h"

namespace cube::engine {

template <class Fixture>
class EngineContract : public ::testing::Test {
 protected:
  EngineContract() {
    recorder_.SetPump([this] { return fixture_.Pump(); });
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    std::string folder = std::string("cube-engine-") + std::to_string(::getpid()) + "-" +
                         (test != nullptr ? test->name() : "test");
    folder_ = std::filesystem::temp_directory_path() / folder;
    std::filesystem::create_directories(folder_);
  }
  ~EngineContract() override {
    engine_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  Engine& StartEngine(Owner owner) {
    engine_.reset();
    const std::size_t mark = recorder_.Count();
    engine_ = fixture_.MakeEngine(recorder_.MakeSink());
    engine_->Start(std::move(owner));
    EXPECT_TRUE(recorder_.template WaitFor<Listed>(mark)) << "the engine does not come up";
    return *engine_;
  }
  Engine& StartEngine() { return StartEngine(TheOwner()); }
  void StopEngine() { engine_.reset(); }

  // Names differ between test processes, since real engines are shared.
  static Owner TheOwner() {
    return {"contract" + std::to_string(::getpid()), NodeName::Trusted("node-1")};
  }
  static LaunchKey Key(const std::string& task, std::uint32_t attempt = 1,
                       std::uint32_t launch = 0) {
    return {TaskId::Trusted(task), attempt, launch};
  }
  static constexpr Stamp kPlacement{.term_id = 0xfedcba9876543210ULL, .cycle = 42};

  static LaunchRequest Request(LaunchKey key, TaskSpec spec) {
    return {std::move(key), kPlacement, std::make_shared<const TaskSpec>(std::move(spec))};
  }

  // Launches and waits until it runs.
  LaunchStatus Run(const LaunchKey& key, TaskSpec spec) {
    const std::size_t mark = recorder_.Count();
    engine_->Launch(Request(key, std::move(spec)));
    auto running = recorder_.WaitForState(key, LaunchState::kRunning, mark);
    EXPECT_TRUE(running) << key.task.str() << " does not run";
    return running.value_or(LaunchStatus{});
  }
  // Launches what ignores SIGTERM and waits until it does.
  void RunStubborn(const LaunchKey& key) {
    Run(key, fixture_.Stubborn());
    const std::string text = fixture_.StubbornPrints();
    if (text.empty()) return;
    constexpr std::uint64_t kStream = 1000;
    engine_->OpenLogs(kStream, key, {.follow = true, .tail_lines = -1, .since = {}});
    engine_->LogCredit(kStream, text.size());
    EXPECT_TRUE(recorder_.WaitUntil([&](const std::vector<Event>& events) {
      return Recorder::OutputOf(events, kStream).out == text;
    })) << key.task.str()
        << " does not get ready";
    engine_->CloseLogs(kStream);
  }
  LaunchStatus WaitExit(const LaunchKey& key) {
    auto exited = recorder_.WaitForState(key, LaunchState::kExited);
    EXPECT_TRUE(exited) << key.task.str() << " does not end";
    return exited.value_or(LaunchStatus{});
  }
  // Asks for a list and gives it back.
  std::vector<LaunchStatus> List() {
    const std::size_t mark = recorder_.Count();
    engine_->List();
    auto listed = recorder_.template WaitFor<Listed>(mark);
    EXPECT_TRUE(listed) << "no answer to List";
    return listed ? listed->launches : std::vector<LaunchStatus>{};
  }
  void ExpectRemoved(const LaunchKey& key, const std::string& save_to = "",
                     std::size_t save_bytes = 0) {
    const std::size_t mark = recorder_.Count();
    engine_->Remove(key, save_to, save_bytes);
    EXPECT_TRUE(
        recorder_.template WaitFor<Removed>([&](const Removed& r) { return r.key == key; }, mark));
  }
  // States of a launch only move forward, and nothing follows the exit.
  void ExpectForward(const LaunchKey& key) {
    LaunchState last = LaunchState::kPulling;
    for (const LaunchStatus& s : recorder_.History(key)) {
      EXPECT_GE(s.state, last) << key.task.str();
      EXPECT_EQ(s.placement, kPlacement);
      EXPECT_EQ(s.cause == ExitCause::kNone, s.state != LaunchState::kExited);
      last = s.state;
    }
  }
  Recorder::Output WaitOutput(std::uint64_t stream) {
    EXPECT_TRUE(recorder_.WaitUntil([&](const std::vector<Event>& events) {
      return Recorder::OutputOf(events, stream).ended;
    })) << "the log stream does not end";
    return recorder_.OutputOf(stream);
  }
  // Saved output: "out:" or "err:" before the text of each frame.
  static std::string SavedText(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    std::string text;
    for (std::string line; std::getline(file, line);) {
      if (line + "\n" == kCutMark) {
        text += "cut:\n";
        continue;
      }
      const auto frame = ParseFrame(line);
      if (!frame) return "no frame: " + line;
      EXPECT_TRUE(IsSet(frame->time));
      text += frame->is_stderr ? "err:" : "out:";
      text += frame->payload;
      if (frame->full) text += '\n';
    }
    return text;
  }

  Fixture fixture_;
  Recorder recorder_;
  std::filesystem::path folder_;
  std::unique_ptr<Engine> engine_;
};

inline constexpr std::size_t kPlentyOfCredit = std::size_t{1} << 30;

TYPED_TEST_SUITE_P(EngineContract);

TYPED_TEST_P(EngineContract, ComesUpAndListsNothing) {
  this->StartEngine();
  const std::vector<Event> events = this->recorder_.All();
  ASSERT_GE(events.size(), 2u);
  ASSERT_TRUE(std::holds_alternative<Up>(events[0]));
  EXPECT_FALSE(std::get<Up>(events[0]).version.empty());
  ASSERT_TRUE(std::holds_alternative<Listed>(events[1]));
  EXPECT_TRUE(std::get<Listed>(events[1]).launches.empty());
}

TYPED_TEST_P(EngineContract, ReportsStartAndExitCode) {
  Engine& engine = this->StartEngine();
  const LaunchKey key = this->Key("exits-7");
  engine.Launch(this->Request(key, this->fixture_.ExitsWith(7, "hello", "")));
  const LaunchStatus exited = this->WaitExit(key);
  EXPECT_EQ(exited.cause, ExitCause::kExited);
  EXPECT_EQ(exited.exit_code, 7);
  EXPECT_FALSE(exited.container_id.empty());
  EXPECT_TRUE(IsSet(exited.started_at));
  EXPECT_GE(exited.finished_at, exited.started_at);
  // However short it was, it was seen running.
  const auto running = this->recorder_.WaitForState(key, LaunchState::kRunning);
  ASSERT_TRUE(running);
  EXPECT_EQ(running->container_id, exited.container_id);
  EXPECT_TRUE(IsSet(running->started_at));
  this->ExpectForward(key);
}

TYPED_TEST_P(EngineContract, PassesEnvironment) {
  Engine& engine = this->StartEngine();
  const LaunchKey key = this->Key("env");
  TaskSpec spec = this->fixture_.PrintsEnv("GREETING");
  spec.env["GREETING"] = "good day = \"$HOME\" \\ 'x'";
  engine.Launch(this->Request(key, std::move(spec)));
  EXPECT_EQ(this->WaitExit(key).exit_code, 0);
  engine.OpenLogs(1, key, {});
  engine.LogCredit(1, kPlentyOfCredit);
  EXPECT_EQ(this->WaitOutput(1).out, "good day = \"$HOME\" \\ 'x'\n");
}

TYPED_TEST_P(EngineContract, FailedStartLeavesNothingBehind) {
  Engine& engine = this->StartEngine();
  const LaunchKey key = this->Key("cannot-start");
  engine.Launch(this->Request(key, this->fixture_.FailsToStart()));
  const LaunchStatus exited = this->WaitExit(key);
  EXPECT_EQ(exited.cause, ExitCause::kStartFailed);
  EXPECT_FALSE(exited.detail.empty());
  EXPECT_NE(exited.failure, Code::kUnavailable) << "trying again does not help";
  EXPECT_TRUE(this->List().empty());
  this->ExpectForward(key);
}

TYPED_TEST_P(EngineContract, StopsBySignal) {
  Engine& engine = this->StartEngine();
  const LaunchKey key = this->Key("long");
  this->Run(key, this->fixture_.LongRunning());
  const std::size_t mark = this->recorder_.Count();
  engine.Stop(key, "SIGTERM", std::chrono::seconds(50));
  const auto exited = this->recorder_.WaitForState(key, LaunchState::kExited, mark);
  ASSERT_TRUE(exited);
  EXPECT_NE(exited->exit_code, 137) << "killed, though it obeys";
  EXPECT_TRUE(exited->cause == ExitCause::kExited || exited->cause == ExitCause::kSignaled);
  this->ExpectForward(key);
}

TYPED_TEST_P(EngineContract, KillsAfterGrace) {
  Engine& engine = this->StartEngine();
  const LaunchKey key = this->Key("stubborn");
  this->RunStubborn(key);
  engine.Stop(key, "SIGTERM", std::chrono::milliseconds(300));
  const LaunchStatus exited = this->WaitExit(key);
  EXPECT_EQ(exited.cause, ExitCause::kSignaled);
  EXPECT_EQ(exited.exit_code, 137);
}

TYPED_TEST_P(EngineContract, AStopWithoutGraceIsAKill) {
  Engine& engine = this->StartEngine();
  const LaunchKey key = this->Key("at-once");
  this->Run(key, this->fixture_.LongRunning());
  engine.Stop(key, "SIGTERM", Duration{0});
  const LaunchStatus exited = this->WaitExit(key);
  EXPECT_EQ(exited.cause, ExitCause::kSignaled);
  EXPECT_EQ(exited.exit_code, 137);
}

TYPED_TEST_P(EngineContract, SecondStopMayShortenTheGrace) {
  Engine& engine = this->StartEngine();
  const LaunchKey key = this->Key("stubborn2");
  this->RunStubborn(key);
  engine.Stop(key, "SIGTERM", std::chrono::hours(1));
  engine.Stop(key, "SIGTERM", std::chrono::milliseconds(100));
  EXPECT_EQ(this->WaitExit(key).exit_code, 137);
}

TYPED_TEST_P(EngineContract, StopRightAfterLaunchEndsIt) {
  Engine& engine = this->StartEngine();
  const LaunchKey key = this->Key("changed-my-mind");
  engine.Launch(this->Request(key, this->fixture_.LongRunning()));
  engine.Stop(key, "SIGTERM", std::chrono::seconds(50));
  const LaunchStatus exited = this->WaitExit(key);
  // It may have come to run; if it did not, nothing of it is left.
  if (exited.cause == ExitCause::kStartFailed) {
    EXPECT_EQ(exited.failure, Code::kAborted);
    EXPECT_TRUE(this->List().empty());
  }
  this->ExpectForward(key);
}

TYPED_TEST_P(EngineContract, StopOfUnknownIsNotFound) {
  Engine& engine = this->StartEngine();
  const LaunchKey key = this->Key("never-was");
  engine.Stop(key, "SIGTERM", std::chrono::seconds(1));
  const auto failed = this->recorder_.template WaitFor<OpFailed>();
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->key, key);
  EXPECT_EQ(failed->error.code, Code::kNotFound);
}

TYPED_TEST_P(EngineContract, StopOfExitedSaysSoAgain) {
  Engine& engine = this->StartEngine();
  const LaunchKey key = this->Key("was-done");
  engine.Launch(this->Request(key, this->fixture_.ExitsWith(3, "", "")));
  const LaunchStatus first = this->WaitExit(key);
  const std::size_t mark = this->recorder_.Count();
  engine.Stop(key, "SIGTERM", std::chrono::seconds(1));
  const auto again = this->recorder_.WaitForState(key, LaunchState::kExited, mark);
  ASSERT_TRUE(again);
  EXPECT_EQ(*again, first);
}

TYPED_TEST_P(EngineContract, RemovesExited) {
  Engine& engine = this->StartEngine();
  const LaunchKey key = this->Key("to-remove");
  engine.Launch(this->Request(key, this->fixture_.ExitsWith(0, "", "")));
  this->WaitExit(key);
  ASSERT_EQ(this->List().size(), 1u);
  this->ExpectRemoved(key);
  EXPECT_TRUE(this->List().empty());
  this->ExpectRemoved(key);  // was not there: Removed all the same
  this->ExpectForward(key);
}

TYPED_TEST_P(EngineContract, RefusesToRemoveWhatRuns) {
  Engine& engine = this->StartEngine();
  const LaunchKey key = this->Key("still-runs");
  this->Run(key, this->fixture_.LongRunning());
  engine.Remove(key, "", 0);
  const auto failed = this->recorder_.template WaitFor<OpFailed>();
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->error.code, Code::kPrecondition);
  ASSERT_EQ(this->List().size(), 1u);
  EXPECT_EQ(this->List()[0].state, LaunchState::kRunning);
}

TYPED_TEST_P(EngineContract, RemoveSavesTheEndOfTheOutput) {
  Engine& engine = this->StartEngine();
  const LaunchKey key = this->Key("saved");
  engine.Launch(this->Request(key, this->fixture_.ExitsWith(0, "one\ntwo\nthree\n", "four\n")));
  this->WaitExit(key);
  const std::string path = (this->folder_ / "output").string();
  this->ExpectRemoved(key, path, 1u << 20);
  EXPECT_EQ(this->SavedText(path), "out:one\nout:two\nout:three\nerr:four\n");

  const LaunchKey second = this->Key("saved-2");
  engine.Launch(this->Request(second, this->fixture_.ExitsWith(0, "one\ntwo\nthree\n", "four\n")));
  this->WaitExit(second);
  this->ExpectRemoved(second, path, 11);
  EXPECT_EQ(this->SavedText(path), "cut:\nout:three\nerr:four\n");
  // The temporary file is gone.
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(this->folder_)) {
    (void)entry;
    ++files;
  }
  EXPECT_EQ(files, 1u);
}

TYPED_TEST_P(EngineContract, LaunchingTwiceIsLaunchingOnce) {
  Engine& engine = this->StartEngine();
  const LaunchKey key = this->Key("once");
  const TaskSpec spec = this->fixture_.LongRunning();
  engine.Launch(this->Request(key, spec));
  engine.Launch(this->Request(key, spec));
  const auto running = this->recorder_.WaitForState(key, LaunchState::kRunning);
  ASSERT_TRUE(running);
  const std::size_t mark = this->recorder_.Count();
  engine.Launch(this->Request(key, spec));
  const auto again = this->recorder_.WaitForState(key, LaunchState::kRunning, mark);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->container_id, running->container_id);
  EXPECT_EQ(this->List().size(), 1u);
}

TYPED_TEST_P(EngineContract, AnotherEngineAdopts) {
  this->StartEngine();
  const LaunchKey key = this->Key("adopted", 3, 2);
  const LaunchStatus before = this->Run(key, this->fixture_.LongRunning());
  this->StopEngine();

  const std::size_t mark = this->recorder_.Count();
  Engine& engine = this->StartEngine();
  const auto listed = this->recorder_.template WaitFor<Listed>(mark);
  ASSERT_TRUE(listed);
  ASSERT_EQ(listed->launches.size(), 1u);
  EXPECT_EQ(listed->launches[0], before);
  // Launching it again takes it up; stopping it works.
  const LaunchStatus after = this->Run(key, this->fixture_.LongRunning());
  EXPECT_EQ(after.container_id, before.container_id);
  engine.Stop(key, "SIGTERM", std::chrono::seconds(50));
  this->WaitExit(key);
  EXPECT_EQ(this->List().size(), 1u);
}

TYPED_TEST_P(EngineContract, ExitWhileNobodyWatchesIsKept) {
  this->StartEngine();
  const LaunchKey key = this->Key("unwatched");
  this->Run(key, this->fixture_.ExitsAfter(std::chrono::milliseconds(500), 9));
  this->StopEngine();
  this->StartEngine();
  ASSERT_TRUE(this->recorder_.WaitUntil([&](const std::vector<Event>& events) {
    for (const Event& event : events) {
      const auto* changed = std::get_if<Changed>(&event);
      if (changed != nullptr && changed->status.state == LaunchState::kExited) return true;
      const auto* listed = std::get_if<Listed>(&event);
      if (listed != nullptr && !listed->launches.empty() &&
          listed->launches[0].state == LaunchState::kExited)
        return true;
    }
    return false;
  }));
  const std::vector<LaunchStatus> launches = this->List();
  ASSERT_EQ(launches.size(), 1u);
  EXPECT_EQ(launches[0].state, LaunchState::kExited);
  EXPECT_EQ(launches[0].cause, ExitCause::kExited);
  EXPECT_EQ(launches[0].exit_code, 9);
  EXPECT_EQ(launches[0].placement, this->kPlacement);
}

TYPED_TEST_P(EngineContract, LeavesLaunchesOfOthersAlone) {
  this->StartEngine();
  const LaunchKey key = this->Key("mine");
  const LaunchStatus before = this->Run(key, this->fixture_.LongRunning());
  Owner other_node = this->TheOwner();
  other_node.node = NodeName::Trusted("node-2");
  Owner other_cluster = this->TheOwner();
  other_cluster.cluster += "x";
  for (const Owner& other : {other_node, other_cluster}) {
    Engine& engine = this->StartEngine(other);
    EXPECT_TRUE(this->List().empty());
    const std::size_t mark = this->recorder_.Count();
    engine.Stop(key, "SIGTERM", std::chrono::seconds(0));
    const auto failed = this->recorder_.template WaitFor<OpFailed>(mark);
    ASSERT_TRUE(failed);
    EXPECT_EQ(failed->error.code, Code::kNotFound);
    this->ExpectRemoved(key);
  }
  this->StartEngine();
  const std::vector<LaunchStatus> launches = this->List();
  ASSERT_EQ(launches.size(), 1u);
  EXPECT_EQ(launches[0], before);
}

TYPED_TEST_P(EngineContract, StartsTenAtOnce) {
  Engine& engine = this->StartEngine();
  for (int i = 0; i < 10; ++i)
    engine.Launch(
        this->Request(this->Key("many-" + std::to_string(i)), this->fixture_.LongRunning()));
  std::set<std::string> ids;
  for (int i = 0; i < 10; ++i) {
    const LaunchKey key = this->Key("many-" + std::to_string(i));
    const auto running = this->recorder_.WaitForState(key, LaunchState::kRunning);
    ASSERT_TRUE(running);
    ids.insert(running->container_id);
  }
  EXPECT_EQ(ids.size(), 10u);
  EXPECT_EQ(this->List().size(), 10u);
}

TYPED_TEST_P(EngineContract, ReportsDynamicPorts) {
  this->StartEngine();
  TaskSpec spec = this->fixture_.LongRunning();
  spec.ports.push_back({.port = 8080, .host_port = 0, .protocol = Protocol::kTcp, .name = "http"});
  spec.ports.push_back({.port = 5353, .host_port = 0, .protocol = Protocol::kUdp, .name = ""});
  const LaunchStatus running = this->Run(this->Key("ports"), std::move(spec));
  ASSERT_EQ(running.ports.size(), 2u);
  EXPECT_EQ(running.ports[0].port, 5353);
  EXPECT_EQ(running.ports[0].protocol, Protocol::kUdp);
  EXPECT_NE(running.ports[0].host_port, 0);
  EXPECT_EQ(running.ports[1].port, 8080);
  EXPECT_EQ(running.ports[1].protocol, Protocol::kTcp);
  EXPECT_NE(running.ports[1].host_port, 0);
  EXPECT_EQ(this->List()[0].ports, running.ports);
}

TYPED_TEST_P(EngineContract, LogsOfAnExitedLaunch) {
  Engine& engine = this->StartEngine();
  const LaunchKey key = this->Key("talks");
  engine.Launch(this->Request(key, this->fixture_.ExitsWith(0, "a\nb\nc\n", "oops\n")));
  this->WaitExit(key);
  engine.OpenLogs(1, key, {});
  engine.LogCredit(1, kPlentyOfCredit);
  Recorder::Output output = this->WaitOutput(1);
  EXPECT_EQ(output.out, "a\nb\nc\n");
  EXPECT_EQ(output.err, "oops\n");
  EXPECT_FALSE(output.error);

  engine.OpenLogs(2, key, {.follow = true, .tail_lines = 2, .since = {}});
  engine.LogCredit(2, kPlentyOfCredit);
  output = this->WaitOutput(2);
  EXPECT_EQ(output.out + output.err, "c\noops\n");
}

TYPED_TEST_P(EngineContract, LogsOfUnknownAreNotFound) {
  Engine& engine = this->StartEngine();
  engine.OpenLogs(1, this->Key("never-was"), {});
  const Recorder::Output output = this->WaitOutput(1);
  ASSERT_TRUE(output.error);
  EXPECT_EQ(output.error->code, Code::kNotFound);
}

TYPED_TEST_P(EngineContract, LogsKeepToTheCredit) {
  Engine& engine = this->StartEngine();
  const LaunchKey key = this->Key("credit");
  std::string text;
  for (int i = 0; i < 500; ++i) text += "line " + std::to_string(i) + "\n";
  engine.Launch(this->Request(key, this->fixture_.ExitsWith(0, text, "")));
  this->WaitExit(key);
  engine.OpenLogs(7, key, {});
  std::size_t allowed = 0;
  for (const std::size_t more : {std::size_t{10}, std::size_t{1}, std::size_t{1000}}) {
    allowed += more;
    engine.LogCredit(7, more);
    EXPECT_TRUE(this->recorder_.WaitUntil([&](const std::vector<Event>& events) {
      return Recorder::OutputOf(events, 7).bytes >= allowed;
    }));
    // A round trip through the engine: whatever it would send too much has had time to come.
    this->List();
    EXPECT_EQ(this->recorder_.OutputOf(7).bytes, allowed);
  }
  engine.LogCredit(7, kPlentyOfCredit);
  EXPECT_EQ(this->WaitOutput(7).out, text);
}

TYPED_TEST_P(EngineContract, LogsFollowUntilTheEnd) {
  Engine& engine = this->StartEngine();
  const LaunchKey key = this->Key("follow");
  engine.Launch(this->Request(key, this->fixture_.PrintsAndRuns("ready\n")));
  ASSERT_TRUE(this->recorder_.WaitForState(key, LaunchState::kRunning));
  engine.OpenLogs(1, key, {.follow = true, .tail_lines = -1, .since = {}});
  engine.LogCredit(1, kPlentyOfCredit);
  ASSERT_TRUE(this->recorder_.WaitUntil([&](const std::vector<Event>& events) {
    return Recorder::OutputOf(events, 1).out == "ready\n";
  }));
  EXPECT_FALSE(this->recorder_.OutputOf(1).ended);
  engine.Stop(key, "SIGTERM", std::chrono::seconds(50));
  EXPECT_FALSE(this->WaitOutput(1).error);
  this->WaitExit(key);
}

TYPED_TEST_P(EngineContract, ClosedLogsEndOnce) {
  Engine& engine = this->StartEngine();
  const LaunchKey key = this->Key("closed");
  engine.Launch(this->Request(key, this->fixture_.PrintsAndRuns("ready\n")));
  ASSERT_TRUE(this->recorder_.WaitForState(key, LaunchState::kRunning));
  engine.OpenLogs(1, key, {.follow = true, .tail_lines = -1, .since = {}});
  engine.LogCredit(1, 2);
  ASSERT_TRUE(this->recorder_.WaitUntil(
      [&](const std::vector<Event>& events) { return Recorder::OutputOf(events, 1).bytes == 2; }));
  engine.CloseLogs(1);
  engine.CloseLogs(1);
  engine.LogCredit(1, kPlentyOfCredit);
  EXPECT_FALSE(this->WaitOutput(1).error);
  this->List();
  EXPECT_EQ(this->recorder_.OutputOf(1).bytes, 2u);
  std::size_t ends = 0;
  for (const Event& event : this->recorder_.All())
    ends += std::holds_alternative<LogEnd>(event) ? 1u : 0u;
  EXPECT_EQ(ends, 1u);
}

TYPED_TEST_P(EngineContract, TellsWhatRunningLaunchesUse) {
  Engine& engine = this->StartEngine();
  const auto look = [&] {
    const std::size_t mark = this->recorder_.Count();
    engine.Usage();
    const auto usages = this->recorder_.template WaitFor<Usages>(mark);
    EXPECT_TRUE(usages) << "no answer to Usage";
    return usages.value_or(Usages{});
  };
  EXPECT_TRUE(look().launches.empty());
  const LaunchKey busy = this->Key("busy");
  const LaunchKey ended = this->Key("ended");
  engine.Launch(this->Request(ended, this->fixture_.ExitsWith(0, "", "")));
  this->WaitExit(ended);
  this->Run(busy, this->fixture_.Busy());
  const auto only = [](const Usages& usages) {
    EXPECT_EQ(usages.launches.size(), 1u);
    return usages.launches.empty() ? LaunchUsage{} : usages.launches.front();
  };
  const LaunchUsage first = only(look());
  EXPECT_EQ(first.key, busy);
  // It computes all the time, so its counter moves; a tick of the coarsest one is 10 ms.
  LaunchUsage later = first;
  const auto deadline = std::chrono::steady_clock::now() + kWaitMax;
  while (later.cpu_nanos <= first.cpu_nanos && std::chrono::steady_clock::now() < deadline) {
    later = only(look());
  }
  EXPECT_GT(later.cpu_nanos, first.cpu_nanos) << "what it computes does not show";
  EXPECT_GT(later.at, first.at);
  EXPECT_GT(later.memory_bytes, 0);
  EXPECT_LT(later.memory_bytes, std::int64_t{1} << 30);
}

REGISTER_TYPED_TEST_SUITE_P(EngineContract, ComesUpAndListsNothing, ReportsStartAndExitCode,
                            PassesEnvironment, FailedStartLeavesNothingBehind, StopsBySignal,
                            KillsAfterGrace, AStopWithoutGraceIsAKill, SecondStopMayShortenTheGrace,
                            StopRightAfterLaunchEndsIt, StopOfUnknownIsNotFound,
                            StopOfExitedSaysSoAgain, RemovesExited, RefusesToRemoveWhatRuns,
                            RemoveSavesTheEndOfTheOutput, LaunchingTwiceIsLaunchingOnce,
                            AnotherEngineAdopts, ExitWhileNobodyWatchesIsKept,
                            LeavesLaunchesOfOthersAlone, StartsTenAtOnce, ReportsDynamicPorts,
                            LogsOfAnExitedLaunch, LogsOfUnknownAreNotFound, LogsKeepToTheCredit,
                            LogsFollowUntilTheEnd, ClosedLogsEndOnce, TellsWhatRunningLaunchesUse);

}  // namespace cube::engine
