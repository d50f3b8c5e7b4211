#include <gtest/gtest.h>

#include "test/support/worker/core_rig.h"

namespace cube::worker {
namespace {

// What a worker has is told to a log that may have lost it.
TEST(Held, IsToldOnceBeforeAnythingElseIsTold) {
  CoreRig rig = CoreRig::Ready();
  rig.Apply(Batch(11, 10, {Start("a"), Start("b")}));
  rig.Step();
  rig.See(Status(Key("a"), LaunchState::kRunning));
  rig.See(Exited(Key("b"), 0));
  rig.Step();
  EXPECT_EQ(rig.Apply(Batch(20, 0, {JoinAgain{kInstance}})), "join-again");
  AssignBatch other = Batch(20, 0, {JoinAgain{kInstance + 1}});
  other.instance = kInstance + 1;
  EXPECT_EQ(rig.Apply(other), "ignored");
  AssignBatch batch = Batch(21, 0, {Welcomed{kInstance, 600, true}});
  batch.incarnation = 600;
  batch.term = {kTerm.epoch + 1, kTerm.id + 1};
  EXPECT_EQ(rig.Apply(batch), "welcomed");
  EXPECT_EQ(rig.Step(),
            "1 a/1/0 running\n2 b/1/0 exited code 0 final\n3 held a/1\n4 held b/1 done\n"
            "5 all held\n");
  // Until it is answered it is told so again, by one leader after the other.
  batch.term = {kTerm.epoch + 2, kTerm.id + 2};
  EXPECT_EQ(rig.Apply(batch), "gap");
  rig.Crash();
  EXPECT_EQ(rig.Apply(batch), "gap");
  EXPECT_EQ(rig.Step().find("held"), std::string::npos);
}

// The log has lost the stop with its end, and has taken the attempt up again.
TEST(Held, AStopThatNoEngineWasAskedForIsTakenBackByTheSet) {
  for (const bool asked : {false, true}) {
    CoreRig rig = CoreRig::Ready();
    rig.Apply(Batch(11, 10, {Start("a")}));
    rig.Step();
    rig.See(Status(Key("a"), LaunchState::kRunning));
    rig.Step();
    if (!asked) rig.Observe(engine::Down{"away"});
    rig.Apply(Batch(12, 11, {StopOf("a")}));
    EXPECT_EQ(rig.Step(), asked ? "stop docker a/1/0 SIGQUIT 7s\n" : "");
    AssignBatch welcome = Batch(21, 0, {Welcomed{kInstance, 600, true}});
    welcome.incarnation = 600;
    welcome.term = {kTerm.epoch + 1, kTerm.id + 1};
    EXPECT_EQ(rig.Apply(welcome), "welcomed");
    DesiredPage set = Set(22, {Start("a")});
    set.incarnation = 600;
    set.term = welcome.term;
    EXPECT_EQ(rig.Apply(set), "applied");
    rig.Step();
    EXPECT_EQ(rig.Stored("a")->stop, asked);
    rig.Observe(engine::Up{"docker", true});
    rig.Observe(engine::Listed{{Status(Key("a"), LaunchState::kRunning)}});
    if (!asked) {
      EXPECT_EQ(rig.Step().find("stop"), std::string::npos);
    }
  }
}

TEST(Held, WhoMissedItsWelcomeTellsAtTheNext) {
  CoreRig rig = CoreRig::Ready();
  rig.Apply(Batch(11, 10, {Start("a")}));
  rig.Step();
  AssignBatch batch = Batch(21, 20, {StopOf("x")});
  batch.incarnation = 600;
  batch.term = {kTerm.epoch + 1, kTerm.id + 1};
  EXPECT_EQ(rig.Apply(batch), "welcomed");
  rig.Step();
  batch.items = {Welcomed{kInstance, 600, true}};
  EXPECT_EQ(rig.Apply(batch), "gap");
  EXPECT_NE(rig.Step().find("held a/1"), std::string::npos);
}

}  // namespace
}  // namespace cube::worker
