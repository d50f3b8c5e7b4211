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
