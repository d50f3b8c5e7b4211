// Checks of running launches, and what follows from them.
#include <gtest/gtest.h>

#include "services/worker/core/restart.h"
#include "test/support/worker/core_rig.h"

namespace cube::worker {
namespace {

using engine::ProbeResult;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Outcome = ProbeResult::Outcome;
using OnFailure = HealthCheck::OnFailure;

TaskSpec Checked(RestartPolicy restart, OnFailure on_failure = OnFailure::kRestart) {
  TaskSpec spec = SpecOf("docker", restart);
  spec.ports = {{80, 0, Protocol::kTcp, ""}};
  HealthCheck& check = spec.health.emplace();
  check.kind = HealthCheck::Kind::kTcp;
  check.interval = seconds(1);
  check.timeout = seconds(1);
  check.retries = 2;
  check.on_failure = on_failure;
  return spec;
}

engine::LaunchStatus Running(const CoreRig& rig, std::uint32_t launch = 0) {
  engine::LaunchStatus status = Status(Key("a", 1, launch), LaunchState::kRunning);
  status.started_at = rig.now().wall;
  status.address = "172.17.0.2";
  return status;
}

// Task "a" runs, and its first check is under way.
CoreRig Begun(const TaskSpec& spec) {
  CoreRig rig = CoreRig::Ready();
  rig.Apply(Batch(11, 10, {Start("a", 1, std::make_shared<const TaskSpec>(spec))}));
  rig.Step();
  rig.See(Running(rig));
  EXPECT_EQ(rig.Step(), "1 a/1/0 running\nprobe docker a/1/0 #1\n");
  return rig;
}

void Answer(CoreRig& rig, std::uint64_t id, Outcome outcome, std::uint32_t launch = 0) {
  rig.core().Probed({id, Key("a", 1, launch), outcome,
                     outcome == Outcome::kPassed ? "" : "tcp port 80: connection refused"},
                    rig.now());
}

// From a first check under way to the verdict: checks after 0, 1 and 2 s.
std::string Fail(CoreRig& rig, std::uint64_t first, std::uint32_t launch = 0) {
  std::string text;
  for (std::uint64_t id = first;; ++id) {
    Answer(rig, id, Outcome::kFailed, launch);
    const std::string step = rig.Step();
    text += step;
    if (step.find("unhealthy") != std::string::npos || id > first + 50) break;
    while (rig.core().NextDeadline() > rig.now().mono) {
      rig.Pass(rig.core().NextDeadline() - rig.now().mono);
      text += rig.Step();
      if (text.find('#' + std::to_string(id + 1)) != std::string::npos) break;
    }
  }
  return text.substr(text.rfind('#') + 1);
}

TEST(Checks, OneAtATimeAndTheNextAfterTheInterval) {
  CoreRig rig = Begun(Checked({RestartMode::kNo, 0}));
  rig.Pass(seconds(3));
  EXPECT_EQ(rig.Step(), "") << "the first one has no answer yet";
  Answer(rig, 1, Outcome::kPassed);
  EXPECT_EQ(rig.Step(), "2 a/1/0 healthy\n");
  EXPECT_EQ(rig.core().NextDeadline(), rig.now().mono + seconds(1));
  rig.Pass(milliseconds(999));
  EXPECT_EQ(rig.Step(), "");
  rig.Pass(milliseconds(1));
  EXPECT_EQ(rig.Step(), "probe docker a/1/0 #2\n");
  Answer(rig, 2, Outcome::kPassed);
  EXPECT_EQ(rig.Step(), "") << "no news";
}

TEST(Checks, ATaskWithoutACheckHasNone) {
  CoreRig rig = CoreRig::Ready();
  rig.Apply(Batch(11, 10, {Start("a")}));
  rig.Step();
  rig.See(Running(rig));
  EXPECT_EQ(rig.Step(), "1 a/1/0 running\n");
  rig.Pass(std::chrono::hours(1));
  EXPECT_EQ(rig.Step(), "");
}

TEST(Checks, AnUnhealthyLaunchIsEndedAndTheNextOneFollows) {
  CoreRig rig = Begun(Checked({RestartMode::kOnFailure, 2}));
  // The fact is on disk before the engine hears of the stop.
  const std::string stop = "stop docker a/1/0 SIGQUIT 10s\n";
  EXPECT_TRUE(Fail(rig, 1).ends_with("2 a/1/0 unhealthy tcp port 80: connection refused\n" + stop));
  EXPECT_EQ(rig.Step(), "") << "asked once, and not checked any more";
  rig.See(Exited(Key("a"), 0));
  EXPECT_EQ(rig.Step(), "3 a/1/0 exited unhealthy tcp port 80: connection refused\n")
      << "whatever its exit code";
  rig.AckAll();
  rig.Pass(seconds(1));
  EXPECT_EQ(rig.Step(), "remove docker a/1/0\nlaunch docker a/1/1\n");
  rig.See(Running(rig, 1));
  const std::string begun = rig.Step();
  EXPECT_TRUE(begun.starts_with("4 a/1/1 running\nprobe docker a/1/1 #")) << begun;
  const std::uint64_t first = std::stoull(begun.substr(begun.find('#') + 1));
  EXPECT_NE(Fail(rig, first, 1).find("5 a/1/1 unhealthy"), std::string::npos);
  rig.See(Exited(Key("a", 1, 1), 143));
  EXPECT_EQ(rig.Step(), "6 a/1/1 exited unhealthy tcp port 80: connection refused final\n");
}

TEST(Checks, OfReadinessAloneNothingFollows) {
  CoreRig rig = Begun(Checked({RestartMode::kAlways, 0}, OnFailure::kNone));
  const std::string text = Fail(rig, 1);
  EXPECT_TRUE(text.ends_with("2 a/1/0 unhealthy tcp port 80: connection refused\n")) << text;
  rig.Pass(seconds(1));
  const std::string next = rig.Step();
  ASSERT_TRUE(next.starts_with("probe docker a/1/0 #")) << next;
  Answer(rig, std::stoull(next.substr(next.find('#') + 1)), Outcome::kPassed);
  EXPECT_EQ(rig.Step(), "3 a/1/0 healthy\n");
}

TEST(Checks, AnEndThatNobodyAskedForKeepsItsOwnCause) {
  CoreRig rig = Begun(Checked({RestartMode::kNo, 0}));
  Answer(rig, 1, Outcome::kFailed);
  rig.See(Exited(Key("a"), 3));
  EXPECT_EQ(rig.Step(), "2 a/1/0 exited code 3 final\n");
}

TEST(Checks, AStopByTheUserWhileItIsEndedIsAStop) {
  CoreRig rig = Begun(Checked({RestartMode::kAlways, 0}));
  Fail(rig, 1);
  rig.Apply(Batch(12, 11, {StopOf("a")}));
  EXPECT_EQ(rig.Step(), "stop docker a/1/0 SIGQUIT 7s\n");
  rig.See(Exited(Key("a"), 0));
  EXPECT_EQ(rig.Step(), "3 a/1/0 exited code 0 final stop-asked\n");
}

TEST(Checks, WhatIsToEndIsNotChecked) {
  CoreRig rig = Begun(Checked({RestartMode::kAlways, 0}));
  rig.Apply(Batch(12, 11, {StopOf("a")}));
  rig.Step();
  Answer(rig, 1, Outcome::kFailed);
  rig.Pass(seconds(5));
  EXPECT_EQ(rig.Step(), "");
}

TEST(Checks, AnAnswerAboutAnOlderLaunchCountsForNothing) {
  CoreRig rig = Begun(Checked({RestartMode::kAlways, 0}));
  rig.See(Exited(Key("a"), 1));
  rig.Step();
  rig.AckAll();
  rig.Pass(seconds(1));
  rig.Step();
  rig.See(Running(rig, 1));
  rig.Step();
  Answer(rig, 1, Outcome::kPassed);
  EXPECT_EQ(rig.Step().find("healthy"), std::string::npos);
}

TEST(Checks, OneThatIsNeverAnsweredIsAskedAgain) {
  CoreRig rig = Begun(Checked({RestartMode::kNo, 0}));
  rig.Pass(seconds(1) + kProbeSlack);
  rig.Step();
  rig.Pass(seconds(1));
  EXPECT_EQ(rig.Step(), "probe docker a/1/0 #2\n");
  Answer(rig, 1, Outcome::kFailed);
  EXPECT_EQ(rig.Step(), "") << "too late";
}

TEST(Checks, OneThatCouldNotBeMadeSaysNothingOfTheLaunch) {
  CoreRig rig = Begun(Checked({RestartMode::kNo, 0}));
  Answer(rig, 1, Outcome::kPassed);
  rig.Step();
  for (std::uint64_t id = 2; id < 10; ++id) {
    rig.Pass(seconds(1));
    EXPECT_EQ(rig.Step(), "probe docker a/1/0 #" + std::to_string(id) + "\n");
    Answer(rig, id, Outcome::kUnknown);
    EXPECT_EQ(rig.Step(), "");
  }
  EXPECT_EQ(rig.notices().size(), 1u) << "said once, however often it is tried";
  rig.Pass(seconds(1));
  rig.Step();
  Answer(rig, 10, Outcome::kPassed);
  rig.Pass(seconds(1));
  rig.Step();
  Answer(rig, 11, Outcome::kUnknown);
  rig.Step();
  EXPECT_EQ(rig.notices().size(), 2u) << "it could be checked in between";
}

TEST(Checks, ACrashOfTheWorkerKeepsTheVerdict) {
  CoreRig rig = Begun(Checked({RestartMode::kOnFailure, 2}));
  Answer(rig, 1, Outcome::kPassed);
  EXPECT_EQ(rig.Step(), "2 a/1/0 healthy\n");
  rig.Crash();
  rig.Observe(engine::Up{"1", true});
  EXPECT_EQ(rig.Step(), "engine docker as c1/n1\n") << "where it is, nobody has said yet";
  rig.Observe(engine::Listed{{Running(rig)}});
  EXPECT_EQ(rig.Step(), "probe docker a/1/0 #1\n");
  Answer(rig, 1, Outcome::kPassed);
  EXPECT_EQ(rig.Step(), "") << "that is known already";
}

TEST(Checks, OfAnEngineThatTheWorkerNoLongerHasNothingIsAsked) {
  for (const auto kind : {HealthCheck::Kind::kTcp, HealthCheck::Kind::kCommand}) {
    TaskSpec spec = Checked({RestartMode::kAlways, 0});
    spec.health->kind = kind;
    if (kind == HealthCheck::Kind::kCommand) spec.health->command = {"true"};
    CoreRig rig = Begun(spec);
    EXPECT_EQ(rig.core().EngineWith(Key("a")), "docker");
    EXPECT_TRUE(rig.core().HasStarted(Key("a")));
    rig.SetEngines({"process"});
    rig.Crash();
    rig.Observe(engine::Up{"1", true}, "process");
    rig.Observe(engine::Listed{}, "process");
    EXPECT_EQ(rig.Step(), "engine process as c1/n1\n");
    rig.Pass(std::chrono::hours(1));
    EXPECT_EQ(rig.Step(), "");
    EXPECT_FALSE(rig.core().EngineWith(Key("a"))) << "nobody can be asked for its output";
    EXPECT_FALSE(rig.core().HasStarted(Key("a")));
  }
}

TEST(Checks, ACrashOfTheWorkerBeforeTheStopStillEndsIt) {
  CoreRig rig = Begun(Checked({RestartMode::kNo, 0}));
  Fail(rig, 1);
  rig.Crash();
  rig.Observe(engine::Up{"1", true});
  rig.Observe(engine::Listed{{Running(rig)}});
  EXPECT_EQ(rig.Step(), "engine docker as c1/n1\nstop docker a/1/0 SIGQUIT 10s\n");
  rig.See(Exited(Key("a"), 0));
  EXPECT_EQ(rig.Step(), "3 a/1/0 exited unhealthy tcp port 80: connection refused final\n");
}

TEST(Checks, WhatIsKnownIsSaidAgainInANewIncarnation) {
  CoreRig rig = Begun(Checked({RestartMode::kNo, 0}));
  Answer(rig, 1, Outcome::kPassed);
  rig.Step();
  rig.Apply(Batch(12, 11, {Welcomed{kInstance, 2}}));
  EXPECT_EQ(rig.Step(), "1 a/1/0 running\n2 a/1/0 healthy\n");
}

TEST(Checks, TheReasonOfAnEndByMemoryNamesTheLimit) {
  TaskSpec spec = SpecOf();
  spec.resources.memory_bytes = 64 << 20;
  CoreRig rig = CoreRig::Ready();
  rig.Apply(Batch(11, 10, {Start("a", 1, std::make_shared<const TaskSpec>(spec))}));
  rig.Step();
  engine::LaunchStatus end = Exited(Key("a"), 137);
  end.cause = ExitCause::kOutOfMemory;
  rig.See(end);
  rig.Step();
  ASSERT_TRUE(rig.Stored("a")->last_fact);
  EXPECT_EQ(DescribeEnd(*rig.Stored("a")->last_fact), "out of memory (limit 64 MiB)");
}

}  // namespace
}  // namespace cube::worker
