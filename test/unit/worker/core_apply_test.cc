// What the leader says, and what the worker makes of it.
#include <gtest/gtest.h>

#include "test/support/worker/core_rig.h"

namespace cube::worker {
namespace {

using std::chrono::seconds;

TEST(Welcome, StartsTheEnginesAndLeavesDesiredUnknown) {
  CoreRig rig;
  EXPECT_EQ(rig.Step(), "");
  EXPECT_EQ(rig.Apply(Batch(9, 0, {Welcomed{kInstance, 1}})), "welcomed");
  EXPECT_EQ(rig.Step(), "engine docker as c1/n1\n");
  EXPECT_FALSE(rig.core().DesiredKnown());
  EXPECT_EQ(rig.Apply(Batch(9, 0, {Welcomed{kInstance, 1}})), "gap") << "no set has come";
}

TEST(Welcome, OfAnotherInstanceIsNotOurs) {
  CoreRig rig;
  AssignBatch batch = Batch(9, 0, {Welcomed{78, 1}});
  batch.instance = 78;
  EXPECT_EQ(rig.Apply(batch), "ignored");
  EXPECT_EQ(rig.core().meta().incarnation, 0u);
}

TEST(Welcome, ASetOfOurInstanceIsOneToo) {
  CoreRig rig;
  EXPECT_EQ(rig.Apply(Set(10, {})), "applied");
  EXPECT_EQ(rig.core().meta().incarnation, 1u);
  EXPECT_EQ(rig.core().meta().position, 10u);
  EXPECT_EQ(rig.Step(), "engine docker as c1/n1\n");
}

TEST(Welcome, ByAnotherClusterIsToldApart) {
  CoreRig rig = CoreRig::Ready();
  AssignBatch batch = Batch(2, 0, {Welcomed{kInstance, 1}});
  batch.cluster = "c2";
  EXPECT_EQ(rig.Apply(batch), "other-cluster");
  // The live copy of the welcome may be lost: what speaks to our instance for another cluster comes
  // of a welcome there.
  DesiredPage page = Set(2, {Start("a")});
  page.cluster = "c2";
  EXPECT_EQ(rig.Apply(page), "other-cluster");
  batch.items = {Start("a")};
  EXPECT_EQ(rig.Apply(batch), "other-cluster");
  page.instance = batch.instance = 78;
  EXPECT_EQ(rig.Apply(page), "ignored");
  EXPECT_EQ(rig.Apply(batch), "ignored");
  EXPECT_EQ(rig.core().meta().position, 10u);
}

TEST(Welcome, InANewIncarnationTellsAllAgain) {
  CoreRig rig = CoreRig::Ready();
  rig.Apply(Batch(11, 10, {Start("a"), Start("b")}));
  rig.Step();
  rig.See(Status(Key("a"), LaunchState::kRunning));
  rig.See(Exited(Key("b"), 0));
  EXPECT_EQ(rig.Step(), "1 a/1/0 running\n2 b/1/0 exited code 0 final\n");
  AssignBatch batch = Batch(20, 0, {Welcomed{kInstance, 2}});
  batch.incarnation = 2;
  EXPECT_EQ(rig.Apply(batch), "welcomed");
  EXPECT_EQ(rig.Step(), "1 a/1/0 running\n2 b/1/0 exited code 0 final\n");
  EXPECT_FALSE(rig.core().DesiredKnown());
}

AssignBatch Welcoming(std::uint32_t incarnation, Term term = kTerm) {
  AssignBatch batch = Batch(20, 0, {Welcomed{kInstance, incarnation}});
  batch.incarnation = incarnation;
  batch.term = term;
  return batch;
}

DesiredPage SetOf(std::uint32_t incarnation, Term term, std::vector<Assignment> assignments) {
  DesiredPage page = Set(21, std::move(assignments), kUp);
  page.incarnation = incarnation;
  page.term = term;
  return page;
}

// Two exited launches and one that runs; facts 1 to 4.
CoreRig WithExitedLaunches() {
  CoreRig rig = CoreRig::Ready();
  rig.Apply(Batch(11, 10, {Start("a", 1, Spec("docker", {RestartMode::kAlways, 0})), Start("b")}));
  rig.Step();
  rig.See(Status(Key("a"), LaunchState::kRunning));
  rig.See(Exited(Key("a"), 3));
  rig.Pass(seconds(1));
  rig.Step();
  rig.See(Status(Key("a", 1, 1), LaunchState::kRunning));
  rig.See(Exited(Key("b"), 0));
  EXPECT_EQ(rig.Step(), "3 a/1/1 running\n4 b/1/0 exited code 0 final\n");
  return rig;
}

const Assignment kA = Start("a", 1, Spec("docker", {RestartMode::kAlways, 0}));

TEST(Welcome, ExitedContainersWaitForTheNewNumberOfTheirFact) {
  CoreRig rig = WithExitedLaunches();
  EXPECT_EQ(rig.Apply(Welcoming(2)), "welcomed");
  EXPECT_EQ(rig.Apply(SetOf(2, kTerm, {kA, Start("b")})), "applied");
  EXPECT_EQ(rig.Step(),
            "1 a/1/0 exited code 3\n2 a/1/1 running\n3 b/1/0 exited code 0 final\n"
            "4 reported 1\n");
  rig.core().Acked(1);
  EXPECT_EQ(rig.Step(), "remove docker a/1/0\n");
  rig.core().Acked(2);
  EXPECT_EQ(rig.Step(), "") << "not before the fact of the end is in the log";
  rig.core().Acked(3);
  EXPECT_EQ(rig.Step(), "remove docker b/1/0\n");
}

TEST(Welcome, AcknowledgedEndsAreNotWaitedForUnderTheirOldNumber) {
  CoreRig rig = CoreRig::Ready();
  DesiredPage far = Set(11, {Start("b")});
  far.last_fact = 1000;
  rig.Apply(far);
  rig.Step();
  rig.See(Exited(Key("b"), 0));
  EXPECT_EQ(rig.Step(), "1001 b/1/0 exited code 0 final\n");
  rig.Apply(Welcoming(2));
  rig.Apply(SetOf(2, kTerm, {Start("b")}));
  EXPECT_EQ(rig.Step(), "1 b/1/0 exited code 0 final\n2 reported 1\n");
  rig.AckAll();
  EXPECT_EQ(rig.Step(), "remove docker b/1/0\n");
}

TEST(Welcome, EndsOfContainersThatNobodyWantsAreToldAgain) {
  CoreRig rig = CoreRig::Ready();
  rig.See(Exited(Key("stale"), 7));
  EXPECT_EQ(rig.Step(), "1 stale/1/0 exited code 7 final stop-asked\n");
  rig.Apply(Welcoming(2));
  EXPECT_EQ(rig.Step(), "") << "what is wanted is unknown";
  rig.Apply(SetOf(2, kTerm, {}));
  EXPECT_EQ(rig.Step(), "1 stale/1/0 exited code 7 final stop-asked\n2 reported 1\n");
  rig.AckAll();
  EXPECT_EQ(rig.Step(), "remove docker stale/1/0\n");
}

// A log that lost its end has lost the welcome too; what it gives in a newer term counts.
TEST(Welcome, OfANewerTermCountsWhateverItsIncarnation) {
  const Term newer{.epoch = 4, .id = 10};
  for (const std::uint32_t incarnation : {1u, 2u, 3u}) {
    CoreRig rig = CoreRig::Ready();
    rig.Apply(Welcoming(2));
    DesiredPage set = SetOf(2, kTerm, {Start("b")});
    set.last_fact = 50;
    rig.Apply(set);
    rig.Step();
    rig.See(Exited(Key("b"), 0));
    rig.Step();
    EXPECT_EQ(rig.Apply(Welcoming(incarnation, newer)), "welcomed") << incarnation;
    EXPECT_EQ(rig.core().meta().incarnation, incarnation);
    EXPECT_FALSE(rig.core().DesiredKnown());
    EXPECT_EQ(rig.Step(), "1 b/1/0 exited code 0 final\n") << "all is told again";
    EXPECT_EQ(rig.Apply(Welcoming(incarnation, newer)), "gap") << "only once";
    EXPECT_EQ(rig.Apply(SetOf(incarnation, newer, {Start("b")})), "applied");
    EXPECT_EQ(rig.Apply(Welcoming(incarnation, newer)), "duplicate");
    EXPECT_EQ(rig.core().meta().incarnation, incarnation);
  }
}

// What was told beyond the beginning of the new term is not in the log any more; the worker goes on
// as it is, and says where it stands.
TEST(Apply, OfATermThatBeganBehindUsKeepsWhereWeStand) {
  CoreRig rig = CoreRig::Ready();
  AssignBatch batch = Batch(20, 9, {Start("b")});
  batch.term = {.epoch = kTerm.epoch + 1, .id = 10};
  batch.term_seq = 10;
  EXPECT_EQ(rig.Apply(batch), "gap");
  batch.items = {UpToDate{}};
  EXPECT_EQ(rig.Apply(batch), "gap");
  EXPECT_EQ(rig.core().meta().position, 10u);
  EXPECT_EQ(rig.core().meta().term, kTerm);
  EXPECT_EQ(rig.Step(), "");
  batch.items = {Start("b")};
  batch.term_seq = 11;
  batch.term_before = {.epoch = kTerm.epoch, .id = kTerm.id + 1};
  EXPECT_EQ(rig.Apply(batch), "gap") << "it has another one before it than ours";
  batch.term_before = kTerm;
  EXPECT_EQ(rig.Apply(batch), "applied");
  EXPECT_EQ(rig.Step(), "launch docker b/1/0\n");
}

TEST(Welcome, OfAnOlderOrTheSameTermCountsOnlyIfItsIncarnationIsHigher) {
  CoreRig rig = CoreRig::Ready();
  EXPECT_EQ(rig.Apply(Welcoming(3)), "welcomed");
  rig.Apply(SetOf(3, kTerm, {}));
  EXPECT_EQ(rig.Apply(Welcoming(2)), "ignored");
  EXPECT_EQ(rig.Apply(Welcoming(9, {.epoch = 2, .id = 5})), "other-term");
  EXPECT_EQ(rig.Apply(SetOf(9, {.epoch = 2, .id = 5}, {})), "other-term");
  EXPECT_EQ(rig.core().meta().incarnation, 3u);
}

TEST(Welcome, ASetOfALowerIncarnationInANewerTermIsOneToo) {
  const Term newer{.epoch = 4, .id = 10};
  CoreRig rig = CoreRig::Ready();
  rig.Apply(Welcoming(3));
  rig.Apply(SetOf(3, kTerm, {Start("b")}));
  rig.Step();
  rig.See(Status(Key("b"), LaunchState::kRunning));
  rig.Step();
  EXPECT_EQ(rig.Apply(SetOf(2, kTerm, {})), "ignored") << "old";
  AssignBatch copy = Batch(30, 0, {UpToDate{}});
  copy.incarnation = 2;
  copy.term = newer;
  EXPECT_EQ(rig.Apply(copy), "gap") << "the set is asked for: it says which numbers are taken";
  DesiredPage set = SetOf(2, newer, {Start("b")});
  set.last_fact = 40;
  EXPECT_EQ(rig.Apply(set), "applied");
  EXPECT_EQ(rig.core().meta().incarnation, 2u);
  EXPECT_EQ(rig.Step(), "41 b/1/0 running\n42 reported 1\n");
}

TEST(Welcome, OfALogWhoseEpochsWentBackCountsOnceTheLogIsLookedAt) {
  const Term older{.epoch = 2, .id = 10};
  CoreRig rig = CoreRig::Ready();
  EXPECT_EQ(rig.Apply(Welcoming(1, older)), "other-term");
  EXPECT_EQ(rig.Apply(SetOf(1, older, {})), "other-term");
  EXPECT_TRUE(rig.core().LogIsOf(older));
  EXPECT_FALSE(rig.core().LogIsOf(older));
  EXPECT_EQ(rig.Apply(Welcoming(1, older)), "welcomed");
  EXPECT_EQ(rig.Apply(SetOf(1, older, {})), "applied");
}

TEST(JoinRefused, OnlyForOurInstance) {
  CoreRig rig;
  EXPECT_EQ(rig.Apply(Batch(9, 0, {JoinRefused{78, "taken"}})), "ignored");
  EXPECT_EQ(rig.Apply(Batch(9, 0, {JoinRefused{kInstance, "taken"}})), "refused");
}

TEST(Addressee, OthersAreIgnored) {
  CoreRig rig = CoreRig::Ready();
  AssignBatch other_node = Batch(11, 10, {Start("a")});
  other_node.node = NodeName::Trusted("n2");
  AssignBatch other_instance = Batch(11, 10, {Start("a")});
  other_instance.instance = 5;
  AssignBatch older_incarnation = Batch(11, 10, {Start("a")});
  older_incarnation.incarnation = 0;
  for (const AssignBatch& batch : {other_node, other_instance, older_incarnation}) {
    EXPECT_EQ(rig.Apply(batch), "ignored");
  }
  DesiredPage set = Set(11, {Start("a")});
  set.instance = 5;
  EXPECT_EQ(rig.Apply(set), "ignored");
  EXPECT_EQ(rig.core().meta().position, 10u);
}

TEST(Term, ANewerOneIsFollowedAnOlderOneLookedInto) {
  CoreRig rig = CoreRig::Ready();
  AssignBatch newer = Batch(11, 10, {Start("a")});
  newer.term = {.epoch = 4, .id = 1};
  EXPECT_EQ(rig.Apply(newer), "applied");
  EXPECT_EQ(rig.core().meta().term.epoch, 4u);
  AssignBatch rival = Batch(12, 11, {Start("b")});
  rival.term = {.epoch = 4, .id = 2};
  EXPECT_EQ(rig.Apply(rival), "other-term");
  EXPECT_EQ(rig.Apply(Batch(12, 11, {Start("b")})), "other-term");
  EXPECT_EQ(rig.Apply(Set(12, {})), "other-term");
}

TEST(Term, OfTheLogThatIsARivalMayWelcomeAndKeepsUntilThenWhatShowsTheLoss) {
  CoreRig rig = CoreRig::Ready();
  const Term rival{.epoch = kTerm.epoch, .id = kTerm.id + 1};
  EXPECT_EQ(rig.Apply(Welcoming(2, rival)), "other-term");
  EXPECT_EQ(rig.Apply(SetOf(2, rival, {})), "other-term");
  EXPECT_TRUE(rig.core().LogIsOf(rival));
  AssignBatch batch = Batch(12, 10, {Start("b")});
  batch.term = rival;
  EXPECT_EQ(rig.Apply(batch), "other-term");
  EXPECT_EQ(rig.Apply(SetOf(1, rival, {})), "other-term");
  EXPECT_EQ(rig.core().meta().term, kTerm);
  EXPECT_EQ(rig.core().meta().position, 10u);
  EXPECT_EQ(rig.Apply(Welcoming(2, rival)), "welcomed");
  EXPECT_EQ(rig.Apply(SetOf(2, rival, {Start("b")})), "applied");
  EXPECT_EQ(rig.core().meta().term, rival);
}

TEST(Term, ThatGivesAKnownSequenceAwayAgainMakesDesiredUnknownUntilItsSetComes) {
  CoreRig rig = CoreRig::Ready();
  rig.Apply(Batch(120, 10, {Start("a")}));
  rig.Step();
  AssignBatch again = Batch(101, 10, {Start("b")});  // the log had ended at 100
  again.term = {again.term.epoch + 1, 999};
  EXPECT_EQ(rig.Apply(again), "gap");
  EXPECT_FALSE(rig.core().DesiredKnown()) << "nothing is started or stopped before the set";
  EXPECT_EQ(rig.Step(), "");
  DesiredPage set = Set(101, {Start("b")});
  set.term = again.term;
  EXPECT_EQ(rig.Apply(set), "applied");
  EXPECT_EQ(rig.core().meta().position, 101u);
}

TEST(Set, OlderOnesAreDropped) {
  CoreRig rig = CoreRig::Ready();
  rig.Apply(Batch(12, 10, {Start("a")}));
  EXPECT_EQ(rig.Apply(Set(11, {})), "duplicate");
  EXPECT_NE(rig.core().Find({TaskId::Trusted("a"), 1}), nullptr);
}

TEST(Set, PagesMayComeInAnyOrderAndTwice) {
  CoreRig rig = CoreRig::Ready();
  std::vector<DesiredPage> pages;
  for (std::uint32_t i = 0; i < 3; ++i) {
    pages.push_back(Set(12, {Start("t" + std::to_string(i))}));
    pages.back().page = i;
    pages.back().pages = 3;
  }
  EXPECT_EQ(rig.Apply(pages[2]), "partial");
  EXPECT_EQ(rig.Apply(pages[0]), "partial");
  EXPECT_EQ(rig.Apply(pages[2]), "partial");
  EXPECT_EQ(rig.core().meta().position, 10u);
  EXPECT_EQ(rig.Apply(pages[1]), "applied");
  EXPECT_EQ(rig.core().attempts().size(), 3u);
}

TEST(Set, PagesOfDifferentSetsAreNotMixed) {
  CoreRig rig = CoreRig::Ready();
  DesiredPage old_page = Set(12, {Start("old")});
  old_page.pages = 2;
  DesiredPage new_page = Set(13, {Start("new")});
  new_page.pages = 2;
  new_page.page = 1;
  DesiredPage new_first = Set(13, {});
  new_first.pages = 2;
  EXPECT_EQ(rig.Apply(old_page), "partial");
  EXPECT_EQ(rig.Apply(new_page), "partial");
  EXPECT_EQ(rig.Apply(old_page), "duplicate");
  EXPECT_EQ(rig.Apply(new_first), "applied");
  EXPECT_EQ(rig.core().attempts().size(), 1u);
  EXPECT_NE(rig.core().Find({TaskId::Trusted("new"), 1}), nullptr);
}

TEST(Set, AttemptsThatItDoesNotNameEnd) {
  CoreRig rig = CoreRig::Ready();
  rig.Apply(Batch(11, 10, {Start("kept"), Start("gone"), Start("waits")}));
  rig.Step();
  rig.See(Status(Key("kept"), LaunchState::kRunning));
  rig.See(Status(Key("gone"), LaunchState::kRunning));
  rig.Step();
  EXPECT_EQ(rig.Apply(Set(20, {Start("kept")}, kUp)), "applied");
  EXPECT_EQ(rig.Step(), "stop docker gone/1/0 SIGQUIT 10s\nstop docker waits/1/0 SIGQUIT 10s\n");
  rig.See(Exited(Key("gone"), 0));
  EXPECT_EQ(rig.Step(), "3 gone/1/0 exited code 0 final stop-asked\n") << "no report yet";
  rig.Observe(engine::OpFailed{Key("waits"), {Code::kNotFound, "no such launch", {}}});
  EXPECT_EQ(rig.Step(), "4 waits/1/0 exited start-failed final stop-asked\n5 reported 1\n");
}

TEST(Set, ContainersOfUnknownOrOtherwisePlacedAttemptsAreStale) {
  CoreRig rig;
  rig.Apply(Batch(9, 0, {Welcomed{kInstance, 1}}));
  rig.Step();
  engine::LaunchStatus elsewhere = Status(Key("moved"), LaunchState::kRunning);
  elsewhere.placement = {.term_id = 1, .cycle = 1};
  rig.Observe(engine::Up{"1", true});
  rig.Observe(engine::Listed{
      {Status(Key("unknown"), LaunchState::kRunning), elsewhere, Exited(Key("over"), 3)}});
  EXPECT_EQ(rig.Step(), "") << "desired is unknown: nothing is touched";
  rig.Apply(Set(10, {Start("moved")}, kUp));
  EXPECT_EQ(rig.Step(),
            "1 over/1/0 exited code 3 final stop-asked\n"
            "stop docker moved/1/0 10s\n"
            "stop docker unknown/1/0 10s\n");
  engine::LaunchStatus moved_end = Exited(Key("moved"), 0);
  moved_end.placement = elsewhere.placement;
  rig.See(moved_end);
  rig.See(Exited(Key("unknown"), 0));
  EXPECT_EQ(rig.Step(),
            "2 moved/1/0 exited code 0 final stop-asked\n"
            "3 unknown/1/0 exited code 0 final stop-asked\n"
            "4 reported 1\n")
      << "the name moved/1/0 is still taken: it is not launched";
  rig.AckAll();
  EXPECT_EQ(rig.Step(),
            "remove docker moved/1/0\nremove docker over/1/0\nremove docker unknown/1/0\n");
  for (const char* task : {"moved", "over", "unknown"}) rig.Observe(engine::Removed{Key(task)});
  EXPECT_EQ(rig.Step(), "launch docker moved/1/0\n");
}

TEST(Set, TheReportIsRepeatedIfItIsStillDue) {
  CoreRig rig = CoreRig::Ready();
  rig.Apply(Set(20, {}, kUp));
  EXPECT_EQ(rig.Step(), "1 reported 1\n");
  EXPECT_EQ(rig.Step(), "");
  rig.Apply(Set(20, {}, kUp));
  EXPECT_EQ(rig.Step(), "2 reported 1\n");
}

TEST(Set, TheReportWaitsForEveryEngine) {
  CoreRig rig(CoreRig::Fresh(), {"docker", "process"});
  rig.Apply(Set(10, {}, kUp));
  rig.Observe(engine::Up{"1", true});
  rig.Observe(engine::Listed{});
  EXPECT_EQ(rig.Step(), "engine docker as c1/n1\nengine process as c1/n1\n");
  rig.Observe(engine::Down{"away"}, "process");
  EXPECT_EQ(rig.Step(), "");
  rig.Observe(engine::Up{"1", true}, "process");
  EXPECT_EQ(rig.Step(), "");
  rig.Observe(engine::Listed{}, "process");
  EXPECT_EQ(rig.Step(), "1 reported 1\n");
}

const EngineState& Process(CoreRig& rig) { return rig.core().engines().at("process"); }

TEST(Set, TheReportLeavesAnEngineOutThatDoesNotAnswer) {
  CoreRig rig(CoreRig::Fresh(), {"docker", "process"});
  rig.Apply(Set(10, {}, kUp));
  rig.Step();
  rig.Pass(kEngineListWait * 3);
  rig.Observe(engine::Up{"1", true}, "process");
  EXPECT_EQ(rig.Step(), "") << "none has listed: the node would be good for nothing";
  rig.Observe(engine::Up{"1", true});
  rig.Observe(engine::Listed{});
  EXPECT_EQ(rig.Step(), "");
  EXPECT_FALSE(Process(rig).usable());
  EXPECT_EQ(rig.core().NextDeadline(), rig.now().mono + kLeftOutBefore)
      << "so that it is described as down before";
  rig.Pass(kLeftOutBefore);
  EXPECT_EQ(rig.Step(), "1 reported 1\n");
}

TEST(Set, AnEngineThatWasLeftOutIsUsableOnceNothingRunsThereThatShouldNot) {
  CoreRig rig(CoreRig::Fresh(), {"docker", "process"});
  rig.Apply(Set(10, {Start("wanted", 1, Spec("process"))}, kUp));
  rig.Observe(engine::Up{"1", true});
  rig.Observe(engine::Listed{});
  rig.Step();
  EXPECT_EQ(rig.core().NextDeadline(), rig.now().mono + kEngineListWait);
  rig.Pass(kEngineListWait);
  EXPECT_EQ(rig.Step(), "");
  rig.Pass(kLeftOutBefore);
  EXPECT_EQ(rig.Step(), "1 reported 1\n");
  rig.Observe(engine::Up{"1", true}, "process");
  rig.Observe(engine::Listed{{Status(Key("wanted"), LaunchState::kRunning),
                              Status(Key("stale"), LaunchState::kRunning)}},
              "process");
  EXPECT_EQ(rig.Step(), "2 wanted/1/0 running\nstop process stale/1/0 10s\n");
  EXPECT_FALSE(Process(rig).usable());
  rig.Observe(engine::Changed{Exited(Key("stale"), 0)}, "process");
  EXPECT_EQ(rig.Step(), "3 stale/1/0 exited code 0 final stop-asked\n");
  EXPECT_TRUE(Process(rig).usable());
}

TEST(Set, AStartDoesNotTrustAnEngineThatWasLeftOutBefore) {
  CoreRig rig = CoreRig::Ready({"docker", "process"});
  rig.Crash();
  rig.Step();
  rig.Observe(engine::Up{"1", true}, "process");
  EXPECT_FALSE(Process(rig).usable()) << "it has not listed";
  rig.Observe(engine::Listed{{Status(Key("stale"), LaunchState::kRunning)}}, "process");
  EXPECT_FALSE(Process(rig).usable());
  EXPECT_EQ(rig.Step(), "stop process stale/1/0 10s\n");
  rig.Observe(engine::Changed{Exited(Key("stale"), 0)}, "process");
  rig.Step();
  EXPECT_TRUE(Process(rig).usable());
}

TEST(Set, DoneAttemptsAreNotStartedAgain) {
  CoreRig rig = CoreRig::Ready();
  rig.Apply(Batch(11, 10, {Start("a")}));
  rig.Step();
  rig.See(Status(Key("a"), LaunchState::kRunning));
  rig.See(Exited(Key("a"), 0));
  EXPECT_EQ(rig.Step(), "1 a/1/0 running\n2 a/1/0 exited code 0 final\n");
  // The leader wrote the set before it had folded the end.
  EXPECT_EQ(rig.Apply(Set(12, {Start("a")})), "applied");
  EXPECT_EQ(rig.Step(), "");
  rig.Crash();
  EXPECT_EQ(rig.Apply(Set(13, {Start("a")})), "applied");
  rig.Observe(engine::Up{"1", true});
  rig.Observe(engine::Listed{{Exited(Key("a"), 0)}});
  EXPECT_EQ(rig.Step(), "engine docker as c1/n1\n");
}

TEST(Set, RecordsOfEndedAttemptsGoWhenASetDoesNotNameThem) {
  CoreRig rig = CoreRig::Ready();
  rig.Apply(Batch(11, 10, {Start("a")}));
  rig.Step();
  rig.See(Exited(Key("a"), 0));
  rig.Step();
  rig.Apply(Set(12, {}));
  rig.Step();
  EXPECT_NE(rig.Stored("a"), nullptr) << "its container is still there";
  rig.AckAll();
  EXPECT_EQ(rig.Step(), "remove docker a/1/0\n");
  rig.Observe(engine::Removed{Key("a")});
  rig.Step();
  EXPECT_EQ(rig.Stored("a"), nullptr);
}

TEST(Set, RecordsAreBoundedAndWhatWasDroppedIsNotStartedAgain) {
  CoreRig rig = CoreRig::Ready();
  std::uint64_t seq = 10;
  for (std::size_t i = 0; i < kDoneRecordsMax + 5; ++i) {
    const std::string task = "t" + std::to_string(i);
    rig.Apply(Batch(seq + 1, seq, {Start(task)}));
    ++seq;
    rig.Step();
    rig.See(StartFailed(Key(task), Code::kNotFound));
    rig.Step();
  }
  EXPECT_EQ(rig.core().attempts().size(), kDoneRecordsMax + 5) << "unacknowledged: kept";
  rig.AckAll();
  rig.Step();
  EXPECT_EQ(rig.core().attempts().size(), kDoneRecordsMax);
  EXPECT_EQ(rig.Stored("t0"), nullptr);
  EXPECT_EQ(rig.core().meta().forgotten_fact, 5u);
  DesiredPage old = Set(seq + 1, {Start("t0")});
  old.last_fact = 4;
  EXPECT_EQ(rig.Apply(old), "gap");
  old.assignments.clear();
  old.last_fact = 5;
  EXPECT_EQ(rig.Apply(old), "applied");
}

TEST(Set, TheNextNumberOfALostStoreIsToldByIt) {
  CoreRig rig(CoreRig::Fresh());
  Assignment a = Start("a");
  a.launches = 4;
  rig.Apply(Set(10, {a}));
  rig.Observe(engine::Up{"1", true});
  rig.Observe(engine::Listed{});
  EXPECT_EQ(rig.Step(), "1 a/1/3 exited vanished final\nengine docker as c1/n1\n");
}

TEST(Set, ARestartAfterALostStoreHasANewNumber) {
  CoreRig rig(CoreRig::Fresh());
  Assignment a = Start("a", 1, Spec("docker", {RestartMode::kAlways, 0}));
  a.launches = 4;
  rig.Apply(Set(10, {a}));
  rig.Observe(engine::Up{"1", true});
  // What is left of older launches does not count as the current one.
  rig.Observe(engine::Listed{{Exited(Key("a", 1, 1), 0)}});
  EXPECT_EQ(rig.Step(), "1 a/1/1 exited code 0\n2 a/1/3 exited vanished\nengine docker as c1/n1\n");
  rig.Pass(seconds(1));
  EXPECT_EQ(rig.Step(), "launch docker a/1/4\n");
}

TEST(Set, NumbersOfFactsGoOnBehindWhatWasFolded) {
  CoreRig rig = CoreRig::Ready();
  DesiredPage page = Set(12, {}, kUp);
  page.last_fact = 40;
  rig.Apply(page);
  EXPECT_EQ(rig.Step(), "41 reported 1\n");
}

TEST(Supersede, ANewerAttemptWaitsForTheEndOfTheOlder) {
  CoreRig rig = CoreRig::Ready();
  rig.Apply(Batch(11, 10, {Start("a", 1)}));
  rig.Step();
  rig.See(Status(Key("a", 1), LaunchState::kRunning));
  rig.Step();
  rig.Apply(Batch(12, 11, {Start("a", 2)}));
  EXPECT_EQ(rig.Step(), "stop docker a/1/0 SIGQUIT 10s\n");
  rig.See(Exited(Key("a", 1), 0));
  EXPECT_EQ(rig.Step(), "2 a/1/0 exited code 0 final stop-asked\nlaunch docker a/2/0\n");
}

}  // namespace
}  // namespace cube::worker
