// The life of launches: started, restarted, stopped, removed, adopted.
#include <gtest/gtest.h>

#include "services/worker/core/restart.h"
#include "test/support/worker/core_rig.h"

namespace cube::worker {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr RestartPolicy kAlways{RestartMode::kAlways, 0};
constexpr RestartPolicy kOnFailure3{RestartMode::kOnFailure, 3};

// A rig with task "a" begun.
CoreRig Begun(RestartPolicy restart = {RestartMode::kNo, 0}) {
  CoreRig rig = CoreRig::Ready();
  rig.Apply(Batch(11, 10, {Start("a", 1, Spec("docker", restart))}));
  EXPECT_EQ(rig.Step(), "launch docker a/1/0\n");
  return rig;
}

TEST(Launch, IsStoredBeforeTheEngineIsAsked) {
  CoreRig rig = Begun();
  ASSERT_NE(rig.Stored("a"), nullptr);
  EXPECT_EQ(rig.Stored("a")->launch, 0);
  EXPECT_EQ(rig.Step(), "") << "asking once is enough";
}

TEST(Launch, IsReportedAsItGoesOn) {
  CoreRig rig = Begun();
  rig.See(Status(Key("a"), LaunchState::kPulling));
  EXPECT_EQ(rig.Step(), "1 a/1/0 pulling\n");
  rig.See(Status(Key("a"), LaunchState::kStarting));
  rig.See(Status(Key("a"), LaunchState::kRunning));
  EXPECT_EQ(rig.Step(), "2 a/1/0 running\n") << "it was up at once";
  rig.See(Status(Key("a"), LaunchState::kRunning));
  rig.See(Status(Key("a"), LaunchState::kStarting));
  EXPECT_EQ(rig.Step(), "") << "nothing goes backwards";
  rig.See(Exited(Key("a"), 0));
  EXPECT_EQ(rig.Step(), "3 a/1/0 exited code 0 final\n");
}

TEST(Launch, ThatStartsForLongIsSaidToBeStarting) {
  CoreRig rig = Begun();
  rig.See(Status(Key("a"), LaunchState::kStarting));
  EXPECT_EQ(rig.Step(), "");
  EXPECT_EQ(rig.core().NextDeadline(), rig.now().mono + kStartingToldAfter);
  rig.Pass(kStartingToldAfter - milliseconds(1));
  rig.See(Status(Key("a"), LaunchState::kStarting));
  EXPECT_EQ(rig.Step(), "") << "an engine that repeats itself does not begin anew";
  rig.Pass(milliseconds(1));
  EXPECT_EQ(rig.Step(), "1 a/1/0 starting\n");
  rig.Pass(seconds(1));
  EXPECT_EQ(rig.Step(), "");
  rig.See(Status(Key("a"), LaunchState::kRunning));
  EXPECT_EQ(rig.Step(), "2 a/1/0 running\n");
}

TEST(Launch, ThatFailsAtOnceWasNeverStarting) {
  CoreRig rig = Begun();
  rig.See(Status(Key("a"), LaunchState::kStarting));
  rig.Step();
  rig.See(StartFailed(Key("a"), Code::kInvalid));
  EXPECT_EQ(rig.Step(), "1 a/1/0 exited start-failed final\n");
  rig.Pass(seconds(1));
  EXPECT_EQ(rig.Step(), "");
}

TEST(Launch, PullProgressIsThrottled) {
  CoreRig rig = Begun();
  engine::LaunchStatus status = Status(Key("a"), LaunchState::kPulling);
  std::string facts;
  for (int percent = 0; percent < 30; ++percent) {
    status.detail = std::to_string(percent) + "%";
    rig.See(status);
    facts += rig.Step();
    rig.Pass(milliseconds(100));
  }
  EXPECT_EQ(facts, "1 a/1/0 pulling\n2 a/1/0 pulling\n3 a/1/0 pulling\n");
}

TEST(Launch, OnAnEngineThatIsNotThereFails) {
  CoreRig rig = CoreRig::Ready();
  rig.Apply(Batch(11, 10, {Start("a", 1, Spec("process", kAlways))}));
  EXPECT_EQ(rig.Step(), "1 a/1/0 exited start-failed final\n");
}

// The port was promised anew while the launch that has it is still to end.
TEST(Launch, WaitsForAHostPortThatAnEndingLaunchHolds) {
  TaskSpec with_port = SpecOf();
  with_port.ports = {{80, 8080, Protocol::kTcp, ""}};
  const auto spec = std::make_shared<const TaskSpec>(with_port);
  const auto running = [](const std::string& task, std::uint16_t host_port) {
    engine::LaunchStatus status = Status(Key(task), LaunchState::kRunning);
    status.ports = {{80, host_port, Protocol::kTcp}};
    return status;
  };
  CoreRig rig = CoreRig::Ready();
  rig.See(running("stale", 8080));
  EXPECT_EQ(rig.Step(), "stop docker stale/1/0 10s\n");
  rig.Apply(Batch(11, 10, {Start("a", 1, spec)}));
  EXPECT_EQ(rig.Step(), "");
  engine::LaunchStatus other = running("other", 9090);
  rig.See(other);
  rig.Step();
  EXPECT_EQ(rig.Stored("a")->launch, -1);
  rig.See(Exited(Key("stale"), 0));
  EXPECT_NE(rig.Step().find("launch docker a/1/0\n"), std::string::npos);
  rig.See(running("a", 8080));
  rig.Apply(Batch(12, 11, {StopOf("a")}));
  rig.Apply(Batch(13, 12, {Start("b", 1, spec)}));
  EXPECT_EQ(rig.Step().find("launch"), std::string::npos) << "one that is asked to stop";
  rig.See(Exited(Key("a"), 0));
  EXPECT_NE(rig.Step().find("launch docker b/1/0\n"), std::string::npos);
}

TEST(Launch, WaitsForTheEngineAndItsList) {
  CoreRig rig = CoreRig::Ready();
  rig.Observe(engine::Down{"away"});
  rig.Apply(Batch(11, 10, {Start("a")}));
  EXPECT_EQ(rig.Step(), "");
  rig.Observe(engine::Up{"1", true});
  EXPECT_EQ(rig.Step(), "");
  rig.Observe(engine::Listed{});
  EXPECT_EQ(rig.Step(), "launch docker a/1/0\n");
}

TEST(Launch, BeginsAreBounded) {
  CoreRig rig = CoreRig::Ready();
  std::vector<AssignItem> items;
  for (std::size_t i = 0; i < kLaunchesInFlightMax + 10; ++i) {
    items.emplace_back(Start("t" + std::to_string(i)));
  }
  rig.Apply(Batch(11, 10, std::move(items)));
  std::size_t begun = 0;
  for (int step = 0; step < 20; ++step) {
    const std::string text = rig.Step();
    const auto lines = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
    EXPECT_LE(lines, kBeginsPerReconcileMax);
    begun += lines;
    if (begun < kLaunchesInFlightMax) {
      EXPECT_LE(rig.core().NextDeadline(), rig.now().mono);
    }
  }
  EXPECT_EQ(begun, kLaunchesInFlightMax);
  rig.See(Status(Key("t0"), LaunchState::kRunning));
  EXPECT_NE(rig.Step().find("launch"), std::string::npos);
}

TEST(Restart, FollowsTheBackoffUnderTheNextNumber) {
  CoreRig rig = Begun(kAlways);
  rig.See(Status(Key("a"), LaunchState::kRunning));
  rig.See(Exited(Key("a"), 1));
  EXPECT_EQ(rig.Step(), "1 a/1/0 running\n2 a/1/0 exited code 1\n");
  const MonoTime due = rig.core().NextDeadline();
  EXPECT_GE(due - rig.now().mono, milliseconds(160));
  EXPECT_LE(due - rig.now().mono, milliseconds(240));
  EXPECT_EQ(rig.Stored("a")->restart_at - rig.now().wall, due - rig.now().mono);
  rig.Pass(due - rig.now().mono - milliseconds(1));
  EXPECT_EQ(rig.Step(), "");
  rig.Pass(milliseconds(1));
  EXPECT_EQ(rig.Step(), "launch docker a/1/1\n");
}

TEST(Restart, OnFailureEndsAfterItsLaunches) {
  CoreRig rig = Begun(kOnFailure3);
  for (std::uint32_t launch = 0; launch < 2; ++launch) {
    rig.See(Exited(Key("a", 1, launch), 1));
    EXPECT_EQ(rig.Step().find("final"), std::string::npos);
    rig.Pass(seconds(2));
    EXPECT_EQ(rig.Step(), "launch docker a/1/" + std::to_string(launch + 1) + "\n");
  }
  rig.See(Exited(Key("a", 1, 2), 1));
  EXPECT_EQ(rig.Step(), "3 a/1/2 exited code 1 final\n");
}

TEST(Restart, SurvivesACrashAndAJumpOfTheClock) {
  CoreRig rig = Begun(kAlways);
  for (std::uint32_t launch = 0; launch < 9; ++launch) {
    rig.See(Exited(Key("a", 1, launch), 1));
    rig.Step();
    if (launch == 8) break;
    rig.Pass(seconds(40));
    EXPECT_EQ(rig.Step(), "launch docker a/1/" + std::to_string(launch + 1) + "\n");
  }
  const Duration left = rig.core().NextDeadline() - rig.now().mono;
  EXPECT_GE(left, seconds(24));
  rig.Crash();
  rig.Observe(engine::Up{"1", true});
  rig.Observe(engine::Listed{{Exited(Key("a", 1, 8), 1)}});
  EXPECT_EQ(rig.Step(), "engine docker as c1/n1\n");
  EXPECT_EQ(rig.core().NextDeadline() - rig.now().mono, left);
}

TEST(Restart, DoesNotHappenWhileDesiredIsUnknown) {
  CoreRig rig = Begun(kAlways);
  rig.See(Status(Key("a"), LaunchState::kRunning));
  rig.Step();
  rig.Apply(Batch(9, 0, {Welcomed{kInstance, 2}}));
  rig.Step();
  rig.See(Exited(Key("a"), 1));
  EXPECT_EQ(rig.Step(), "2 a/1/0 exited code 1\n") << "what is seen is told all the same";
  rig.Pass(seconds(60));
  EXPECT_EQ(rig.Step(), "");
}

// ---- stops ------------------------------------------------------------------------------------

TEST(Stop, BeforeAnyLaunch) {
  CoreRig rig = CoreRig::Ready();
  rig.Observe(engine::Down{"away"});
  rig.Apply(Batch(11, 10, {Start("a")}));
  rig.Step();
  rig.Apply(Batch(12, 11, {StopOf("a")}));
  EXPECT_EQ(rig.Step(), "1 a/1/0 exited start-failed final stop-asked\n");
}

TEST(Stop, AfterALossOfTheStoreWaitsForTheList) {
  CoreRig rig;
  Assignment stopped = Start("a");
  stopped.stop = true;
  stopped.grace = seconds(7);
  rig.Apply(Set(10, {stopped}));
  EXPECT_EQ(rig.Step(), "engine docker as c1/n1\n") << "it may run";
  rig.Observe(engine::Up{"1", true});
  rig.Observe(engine::Listed{{Status(Key("a"), LaunchState::kRunning)}});
  EXPECT_EQ(rig.Step(), "1 a/1/0 running\nstop docker a/1/0 SIGQUIT 7s\n");
}

TEST(Stop, WhilePullingOrStarting) {
  for (const LaunchState state : {LaunchState::kPulling, LaunchState::kStarting}) {
    CoreRig rig = Begun(kAlways);
    rig.See(Status(Key("a"), state));
    rig.Pass(kStartingToldAfter);
    rig.Step();
    rig.Apply(Batch(12, 11, {StopOf("a")}));
    EXPECT_EQ(rig.Step(), "stop docker a/1/0 SIGQUIT 7s\n");
    EXPECT_EQ(rig.Step(), "");
    rig.See(StartFailed(Key("a"), Code::kAborted));
    EXPECT_EQ(rig.Step(), "2 a/1/0 exited start-failed final stop-asked\n");
  }
}

TEST(Stop, WhileRunning) {
  CoreRig rig = Begun(kAlways);
  rig.See(Status(Key("a"), LaunchState::kRunning));
  rig.Step();
  rig.Apply(Batch(12, 11, {StopOf("a")}));
  EXPECT_EQ(rig.Step(), "stop docker a/1/0 SIGQUIT 7s\n");
  rig.Apply(Batch(13, 12, {StopOf("a", 1, seconds(9))}));
  EXPECT_EQ(rig.Step(), "") << "a longer grace changes nothing";
  rig.Apply(Batch(14, 13, {StopOf("a", 1, seconds(1))}));
  EXPECT_EQ(rig.Step(), "stop docker a/1/0 SIGQUIT 1s\n");
  rig.See(Exited(Key("a"), 143));
  EXPECT_EQ(rig.Step(), "2 a/1/0 exited code 143 final stop-asked\n");
}

TEST(Stop, WhileWaitingForARestart) {
  CoreRig rig = Begun(kAlways);
  rig.See(Exited(Key("a"), 1));
  EXPECT_EQ(rig.Step(), "1 a/1/0 exited code 1\n");
  rig.Apply(Batch(12, 11, {StopOf("a")}));
  EXPECT_EQ(rig.Step(), "2 a/1/0 exited code 1 final stop-asked\n");
  rig.Pass(seconds(60));
  EXPECT_EQ(rig.Step(), "");
}

TEST(Stop, AfterTheEndDoesNothing) {
  CoreRig rig = Begun();
  rig.See(Exited(Key("a"), 0));
  rig.Step();
  rig.Apply(Batch(12, 11, {StopOf("a")}));
  EXPECT_EQ(rig.Step(), "");
}

TEST(Stop, OfALaunchThatTheEngineNeverGot) {
  CoreRig rig = Begun();
  rig.Crash();
  rig.Apply(Batch(12, 11, {StopOf("a")}));
  rig.Observe(engine::Up{"1", true});
  rig.Observe(engine::Listed{});
  EXPECT_EQ(rig.Step(), "engine docker as c1/n1\nstop docker a/1/0 SIGQUIT 7s\n");
  rig.Observe(engine::OpFailed{Key("a"), {Code::kNotFound, "no such launch", {}}});
  EXPECT_EQ(rig.Step(), "1 a/1/0 exited start-failed final stop-asked\n");
}

TEST(Stop, IsAskedAgainWhenTheEngineIsBack) {
  CoreRig rig = Begun();
  rig.See(Status(Key("a"), LaunchState::kRunning));
  rig.Step();
  rig.Apply(Batch(12, 11, {StopOf("a")}));
  rig.Step();
  rig.Observe(engine::Down{"restarts"});
  EXPECT_EQ(rig.Step(), "");
  rig.Observe(engine::Up{"1", true});
  rig.Observe(engine::Listed{{Status(Key("a"), LaunchState::kRunning)}});
  EXPECT_EQ(rig.Step(), "stop docker a/1/0 SIGQUIT 7s\n");
}

TEST(Stop, ThatFailedIsTriedAgainLater) {
  CoreRig rig = Begun();
  rig.See(Status(Key("a"), LaunchState::kRunning));
  rig.Apply(Batch(12, 11, {StopOf("a")}));
  rig.Step();
  rig.Observe(engine::OpFailed{Key("a"), {Code::kInternal, "status 500", {}}});
  EXPECT_EQ(rig.Step(), "");
  EXPECT_EQ(rig.core().NextDeadline(), rig.now().mono + kOperationRetryAfter);
  rig.Pass(kOperationRetryAfter);
  EXPECT_EQ(rig.Step(), "stop docker a/1/0 SIGQUIT 7s\n");
}

// ---- removal ----------------------------------------------------------------------------------

TEST(Removal, WaitsForTheAcknowledgementOfTheExit) {
  CoreRig rig = Begun();
  rig.See(Status(Key("a"), LaunchState::kRunning));
  rig.See(Exited(Key("a"), 0));
  EXPECT_EQ(rig.Step(), "1 a/1/0 running\n2 a/1/0 exited code 0 final\n");
  rig.core().Acked(1);
  EXPECT_EQ(rig.Step(), "");
  rig.core().Acked(2);
  EXPECT_EQ(rig.Step(), "remove docker a/1/0\n");
  EXPECT_EQ(rig.Step(), "");
  rig.Observe(engine::Removed{Key("a")});
  EXPECT_EQ(rig.Step(), "");
}

TEST(Removal, WaitsForTheAcknowledgementAfterACrashToo) {
  CoreRig rig = Begun();
  rig.See(Exited(Key("a"), 0));
  rig.Step();
  rig.Crash(0);
  rig.Observe(engine::Up{"1", true});
  rig.Observe(engine::Listed{{Exited(Key("a"), 0)}});
  EXPECT_EQ(rig.Step(), "engine docker as c1/n1\n");
  rig.core().Acked(1);
  EXPECT_EQ(rig.Step(), "remove docker a/1/0\n");
  rig.Crash(1);
  rig.Observe(engine::Up{"1", true});
  rig.Observe(engine::Listed{{Exited(Key("a"), 0)}});
  EXPECT_EQ(rig.Step(), "engine docker as c1/n1\nremove docker a/1/0\n");
}

TEST(Removal, OfACrashLoopGoesOnWithoutNats) {
  CoreRig rig = Begun(kAlways);
  std::string text;
  for (std::uint32_t launch = 0; launch < kExitedUnackedMax + 1; ++launch) {
    rig.See(Exited(Key("a", 1, launch), 1));
    text = rig.Step();
    rig.Pass(seconds(40));
    rig.Step();
  }
  EXPECT_EQ(text.substr(text.find('\n') + 1, 20), "remove docker a/1/0\n");
}

TEST(Removal, WaitsForReaders) {
  CoreRig rig = Begun();
  rig.See(Exited(Key("a"), 0));
  rig.Step();
  rig.AckAll();
  rig.core().SetPins({Key("a")});
  EXPECT_EQ(rig.Step(), "");
  EXPECT_EQ(rig.core().NextDeadline(), rig.now().mono + kPinMax);
  rig.core().SetPins({});
  EXPECT_EQ(rig.Step(), "remove docker a/1/0\n");
}

TEST(Removal, DoesNotWaitForReadersForEver) {
  CoreRig rig = Begun();
  rig.See(Exited(Key("a"), 0));
  rig.Step();
  rig.AckAll();
  rig.core().SetPins({Key("a")});
  rig.Pass(kPinMax);
  EXPECT_EQ(rig.Step(), "remove docker a/1/0\n");
}

// ---- crashes and adoption ---------------------------------------------------------------------

TEST(Crash, BetweenStoreAndEngineLaunchesUnderTheSameNumber) {
  CoreRig rig = Begun();
  rig.Crash();
  rig.Observe(engine::Up{"1", true});
  EXPECT_EQ(rig.Step(), "engine docker as c1/n1\n");
  rig.Observe(engine::Listed{});
  EXPECT_EQ(rig.Step(), "launch docker a/1/0\n");
}

TEST(Crash, AfterTheEngineTakesUpWhatRuns) {
  CoreRig rig = Begun();
  rig.Crash();
  rig.Observe(engine::Up{"1", true});
  rig.Observe(engine::Listed{{Status(Key("a"), LaunchState::kRunning)}});
  EXPECT_EQ(rig.Step(), "1 a/1/0 running\nengine docker as c1/n1\n");
}

TEST(Crash, BetweenCreateAndStartGoesOn) {
  CoreRig rig = Begun();
  rig.Crash();
  rig.Observe(engine::Up{"1", true});
  rig.Observe(engine::Listed{{Status(Key("a"), LaunchState::kStarting)}});
  EXPECT_EQ(rig.Step(), "engine docker as c1/n1\nlaunch docker a/1/0\n");
  rig.Pass(kStartingToldAfter);
  EXPECT_EQ(rig.Step(), "1 a/1/0 starting\n");
}

TEST(Crash, ExitMeanwhileIsSeen) {
  CoreRig rig = Begun();
  rig.See(Status(Key("a"), LaunchState::kRunning));
  rig.Step();
  rig.Crash();
  rig.Observe(engine::Up{"1", true});
  rig.Observe(engine::Listed{{Exited(Key("a"), 4)}});
  EXPECT_EQ(rig.Step(), "2 a/1/0 exited code 4 final\nengine docker as c1/n1\n");
}

TEST(Missing, OnlyTheSecondListIsBelieved) {
  CoreRig rig = Begun(kAlways);
  rig.See(Status(Key("a"), LaunchState::kRunning));
  rig.Step();
  rig.Observe(engine::Listed{});
  EXPECT_EQ(rig.Step(), "list docker\n");
  rig.Observe(engine::Listed{});
  EXPECT_EQ(rig.Step(), "2 a/1/0 exited vanished\n");
  rig.Pass(seconds(1));
  EXPECT_EQ(rig.Step(), "launch docker a/1/1\n");
}

TEST(Missing, ALateListDoesNoHarm) {
  CoreRig rig = Begun(kAlways);
  rig.See(Status(Key("a"), LaunchState::kRunning));
  rig.Observe(engine::Listed{});
  EXPECT_EQ(rig.Step(), "1 a/1/0 running\nlist docker\n");
  rig.Observe(engine::Listed{{Status(Key("a"), LaunchState::kRunning)}});
  EXPECT_EQ(rig.Step(), "");
  rig.Observe(engine::Listed{});
  EXPECT_EQ(rig.Step(), "list docker\n") << "the count begins anew";
}

TEST(Missing, ALaunchOnItsWayIsAskedForAgain) {
  CoreRig rig = Begun();
  rig.Observe(engine::Listed{});
  EXPECT_EQ(rig.Step(), "launch docker a/1/0\n");
}

TEST(Vanished, CountsAsAFailure) {
  CoreRig rig = Begun(kOnFailure3);
  rig.See(Status(Key("a"), LaunchState::kRunning));
  engine::LaunchStatus gone = Status(Key("a"), LaunchState::kExited);
  gone.cause = ExitCause::kVanished;
  rig.See(gone);
  EXPECT_EQ(rig.Step(), "1 a/1/0 running\n2 a/1/0 exited vanished\n");
  rig.Pass(seconds(1));
  EXPECT_EQ(rig.Step(), "launch docker a/1/1\n");
}

TEST(Adopt, ALostStoreTakesUpWhatRunsAndTellsIt) {
  CoreRig rig;
  rig.Apply(Batch(9, 0, {Welcomed{kInstance, 1}}));
  rig.Observe(engine::Up{"1", true});
  rig.Observe(
      engine::Listed{{Exited(Key("a", 1, 2), 1), Status(Key("a", 1, 3), LaunchState::kRunning)}});
  EXPECT_EQ(rig.Step(), "engine docker as c1/n1\n");
  rig.Pass(seconds(100));
  EXPECT_EQ(rig.Step(), "") << "desired is unknown, not empty";
  rig.Apply(Set(10, {Start("a", 1, Spec("docker", kAlways))}, kUp));
  EXPECT_EQ(rig.Step(), "1 a/1/2 exited code 1\n2 a/1/3 running\n3 reported 1\n");
  rig.See(Exited(Key("a", 1, 3), 1));
  rig.Step();
  rig.Pass(seconds(1));
  EXPECT_EQ(rig.Step(), "launch docker a/1/4\n");
}

TEST(Adopt, ExitedLaunchesWithTheirPolicy) {
  CoreRig rig;
  rig.Apply(Batch(9, 0, {Welcomed{kInstance, 1}}));
  rig.Observe(engine::Up{"1", true});
  rig.Observe(engine::Listed{{Exited(Key("a"), 0), Exited(Key("b"), 0)}});
  rig.Step();
  rig.Apply(Set(10, {Start("a"), Start("b", 1, Spec("docker", kAlways))}));
  EXPECT_EQ(rig.Step(), "1 a/1/0 exited code 0 final\n2 b/1/0 exited code 0\n");
  rig.Pass(seconds(1));
  EXPECT_EQ(rig.Step(), "launch docker b/1/1\n");
}

TEST(Adopt, TheNewestLaunchDecides) {
  CoreRig rig;
  Assignment stopped = Start("a", 1, Spec("docker", kAlways));
  stopped.stop = true;
  rig.Apply(Set(10, {stopped, Start("b")}));
  rig.Observe(engine::Up{"1", true});
  rig.Observe(
      engine::Listed{{Exited(Key("a", 1, 0), 1), Exited(Key("a", 1, 1), 2),
                      Exited(Key("b", 1, 0), 1), Status(Key("b", 1, 1), LaunchState::kRunning)}});
  EXPECT_EQ(rig.Step(),
            "1 a/1/0 exited code 1\n2 a/1/1 exited code 2 final stop-asked\n"
            "3 b/1/0 exited code 1\n4 b/1/1 running\nengine docker as c1/n1\n");
}

TEST(Retire, BeginsNothingMore) {
  CoreRig rig = Begun(kAlways);
  rig.See(Exited(Key("a"), 1));
  rig.core().Retire();
  rig.Apply(Batch(12, 11, {Start("b")}));
  rig.Pass(seconds(60));
  EXPECT_EQ(rig.Step(), "1 a/1/0 exited code 1\n");
}

TEST(Reconcile, IsIdempotent) {
  CoreRig rig = CoreRig::Ready();
  rig.Apply(Batch(11, 10, {Start("a"), Start("b"), Start("c")}));
  rig.Step();
  rig.See(Status(Key("a"), LaunchState::kRunning));
  rig.See(Exited(Key("b"), 0));
  rig.Apply(Batch(12, 11, {StopOf("a"), StopOf("c")}));
  EXPECT_NE(rig.Step(), "");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(rig.Step(), "");
}

}  // namespace
}  // namespace cube::worker
