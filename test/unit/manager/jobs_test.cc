#include "services/manager/core/jobs.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "shared/base/random.h"
#include "test/support/manager/jobs_rig.h"

namespace cube::manager {
namespace {

TEST_F(JobsTest, AServiceGetsItsTasksWithTheirIds) {
  const auto results = log.SubmitJob(Service(3));
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].kind, IntentResult::Kind::kAccepted);
  EXPECT_EQ(results[0].task, "web");
  EXPECT_EQ(JobStatusOf(TheJob()), "pending");
  Settle();
  EXPECT_EQ(In(Status::kRunning), (Ids{"web-v1-0", "web-v1-1", "web-v1-2"}));
  EXPECT_EQ(JobStatusOf(TheJob()), "running");
  const Task& task = *Find("web-v1-1");
  EXPECT_EQ(task.slot, 1u);
  EXPECT_EQ(task.job->version, 1u);
  EXPECT_EQ(task.spec.get(), Find("web-v1-2")->spec.get()) << "one specification for all";
  EXPECT_TRUE(log.view().jobs_due.empty()) << "a settled job costs nothing";
}

TEST_F(JobsTest, TheSameAgainChangesNothing) {
  log.SubmitJob(Service(3));
  Settle();
  EXPECT_EQ(log.SubmitJob(Service(3))[0].kind, IntentResult::Kind::kUnchanged);
  EXPECT_TRUE(Cycle().empty());
  EXPECT_EQ(TheJob().version, 1u);
}

TEST_F(JobsTest, ScalingTakesTheLastSlotsAndGivesThemTheirNextAttempt) {
  log.SubmitJob(Service(3));
  Settle();
  EXPECT_EQ(log.ScaleJob("web", 1)[0].kind, IntentResult::Kind::kAccepted);
  Settle();
  EXPECT_EQ(In(Status::kRunning), (Ids{"web-v1-0"}));
  EXPECT_EQ(In(Status::kStopped), (Ids{"web-v1-1", "web-v1-2"}));
  log.ScaleJob("web", 2);
  Settle();
  EXPECT_EQ(In(Status::kRunning), (Ids{"web-v1-0", "web-v1-1"}));
  EXPECT_EQ(Find("web-v1-1")->attempt, 2u);
  EXPECT_EQ(log.ScaleJob("web", 2)[0].kind, IntentResult::Kind::kUnchanged);
}

TEST_F(JobsTest, ASlotThatIsWantedAgainWhileItStopsWaitsForItsEnd) {
  log.SubmitJob(Service(2));
  Settle();
  log.ScaleJob("web", 1);
  Cycle();
  log.ScaleJob("web", 2);
  Cycle();
  Cycle();
  EXPECT_EQ(log.StatusOf("web-v1-1"), Status::kStopping);
  Settle();
  EXPECT_EQ(In(Status::kRunning), (Ids{"web-v1-0", "web-v1-1"}));
  EXPECT_EQ(Find("web-v1-1")->attempt, 2u);
}

TEST_F(JobsTest, WhatHasToEndIsNotStartedInTheSameCycle) {
  log.SubmitJob(Service(3));
  Cycle();  // filled, waiting for a place
  log.ScaleJob("web", 1);
  for (const DecisionItem& item : Cycle()) {
    const auto* start = std::get_if<StartAttempt>(&item);
    if (start != nullptr) {
      EXPECT_EQ(start->task.str(), "web-v1-0");
    }
  }
  Settle();
  EXPECT_EQ(In(Status::kRunning), (Ids{"web-v1-0"}));
}

TEST_F(JobsTest, AForgottenSlotGoesOnCountingItsAttempts) {
  log.SubmitJob(Service(2));
  Settle();
  log.ScaleJob("web", 1);
  Settle();
  log.Decide({ForgetTask{TaskId::Trusted("web-v1-1")}});
  EXPECT_EQ(Find("web-v1-1"), nullptr);
  log.ScaleJob("web", 2);
  Settle();
  EXPECT_EQ(Find("web-v1-1")->attempt, 2u);
}

TEST_F(JobsTest, AnotherTemplateReplacesTheTasksOneByOne) {
  log.SubmitJob(Service(3));
  Settle();
  log.SubmitJob(Service(3, "web:2"));
  std::uint32_t least = 3;
  for (int i = 0; i < 60; ++i) {
    Cycle();
    least = std::min(least, CountsOf(TheJob()).up);
    Obey(true);
  }
  EXPECT_EQ(least, 2u) << "one at a time";
  EXPECT_EQ(In(Status::kRunning), (Ids{"web-v2-0", "web-v2-1", "web-v2-2"}));
  EXPECT_EQ(In(Status::kStopped), (Ids{"web-v1-0", "web-v1-1", "web-v1-2"}));
  EXPECT_FALSE(IsUpdating(TheJob()));
  EXPECT_TRUE(TheJob().failure.empty());
  EXPECT_TRUE(log.view().jobs_due.empty());
}

TEST_F(JobsTest, TheNextIsReplacedOnlyWhenTheOneBeforeIsUp) {
  log.SubmitJob(Service(3));
  Settle();
  log.SubmitJob(Service(3, "web:2"));
  for (int i = 0; i < 10; ++i) {
    Cycle();
    Obey(/*new_ones_run=*/false);
  }
  EXPECT_EQ(In(Status::kRunning), (Ids{"web-v1-1", "web-v1-2"}));
  EXPECT_EQ(In(Status::kScheduled), (Ids{"web-v2-0"}));
  EXPECT_EQ(JobStatusOf(TheJob()), "updating");
}

TEST_F(JobsTest, AsManyAtATimeAsTheUpdateSays) {
  JobSpec spec = Service(5);
  spec.update.parallel = 2;
  log.SubmitJob(spec);
  Settle();
  JobSpec next = Service(5, "web:2");
  next.update.parallel = 2;
  log.SubmitJob(next);
  std::uint32_t least = 5;
  for (int i = 0; i < 60; ++i) {
    Cycle();
    least = std::min(least, CountsOf(TheJob()).up);
    Obey(true);
  }
  EXPECT_EQ(least, 3u);
  EXPECT_EQ(SlotsUpdated(TheJob()), 5u);
}

TEST_F(JobsTest, AnUpdateThatFailsStopsAndTheRestStaysAsItWas) {
  log.SubmitJob(Service(3));
  Settle();
  log.SubmitJob(Service(3, "web:bad"));
  for (int i = 0; i < 10 && Find("web-v2-0") == nullptr; ++i) {
    Cycle();
    Obey(false);
  }
  Cycle();
  log.Exit("web-v2-0", 1, /*final=*/true);
  Settle(false);
  EXPECT_EQ(In(Status::kRunning), (Ids{"web-v1-1", "web-v1-2"}));
  EXPECT_EQ(TheJob().failure, "web-v2-0 failed: exit code 1");
  EXPECT_FALSE(IsUpdating(TheJob()));
  EXPECT_TRUE(log.view().jobs_due.empty());
  // New slots get what works.
  log.ScaleJob("web", 4);
  Settle();
  EXPECT_EQ(Find("web-v1-3")->attempt, 1u);
  // The same again is another try; a better one gets everywhere.
  EXPECT_EQ(log.SubmitJob(Service(4, "web:bad"))[0].kind, IntentResult::Kind::kAccepted);
  log.SubmitJob(Service(4, "web:3"));
  Settle();
  EXPECT_EQ(In(Status::kRunning), (Ids{"web-v4-0", "web-v4-1", "web-v4-2", "web-v4-3"}));
}

TEST_F(JobsTest, WhatCrashesAgainAndAgainFailsTheUpdate) {
  log.SubmitJob(Service(2));
  Settle();
  log.SubmitJob(Service(2, "web:bad"));
  for (int i = 0; i < 10 && Find("web-v2-0") == nullptr; ++i) {
    Cycle();
    Obey(false);
  }
  Cycle();
  for (std::uint32_t launch = 0; launch < kCrashingLaunches; ++launch) {
    EXPECT_TRUE(IsUpdating(TheJob())) << launch;
    LaunchFact fact = log.FactOf("web-v2-0", LaunchState::kExited, launch);
    fact.cause = ExitCause::kExited;
    fact.exit_code = 3;
    log.Fact(Find("web-v2-0")->node.str(), fact);
    Cycle();
  }
  EXPECT_FALSE(IsUpdating(TheJob()));
  EXPECT_EQ(TheJob().failure, "web-v2-0 does not come up: exit code 3");
  EXPECT_EQ(log.StatusOf("web-v1-1"), Status::kRunning);
}

TEST_F(JobsTest, AnUpdateThatRunsAndIsNotHealthyFailsAndSaysSo) {
  log.SubmitJob(Service(2));
  Settle();
  JobSpec next = Service(2, "web:2");
  TaskSpec spec = *next.task;
  spec.health = HealthCheck{};
  spec.health->http_path = "/health";
  spec.health->port = 80;
  next.task = std::make_shared<const TaskSpec>(std::move(spec));
  log.SubmitJob(next);
  for (int i = 0; i < 20; ++i) {
    Cycle();
    Obey(true);
  }
  ASSERT_EQ(log.StatusOf("web-v2-0"), Status::kRunning);
  now += std::chrono::minutes(6);
  log.Decide(planner.Decide(log.view(), {}, now));
  EXPECT_EQ(TheJob().failure, "web-v2-0 runs and is not healthy after 5m");
}

TEST_F(JobsTest, AnUpdateThatDoesNotComeUpInTimeFailsAndWhatItHadStoppedStartsAgain) {
  log.SubmitJob(Service(2));
  Settle();
  log.SubmitJob(Service(2, "web:2"));
  Cycle();  // web-v1-0 has to end
  Cycle();
  ASSERT_EQ(log.StatusOf("web-v1-0"), Status::kStopping);
  now += std::chrono::minutes(6);
  const auto items = planner.Decide(log.view(), {}, now);
  log.Decide(items);
  EXPECT_EQ(TheJob().failure, "the next task has not ended after 5m");
  Settle();
  EXPECT_EQ(In(Status::kRunning), (Ids{"web-v1-0", "web-v1-1"}));
  EXPECT_EQ(Find("web-v1-0")->attempt, 2u);
  EXPECT_TRUE(TheJob().open.empty());
}

TEST_F(JobsTest, WhatANewLeaderCouldNotKnowIsGivenItsTime) {
  log.SubmitJob(Service(2));
  Settle();
  log.SubmitJob(Service(2, "web:2"));
  Cycle();
  now += std::chrono::hours(1);  // nobody led
  log.view().term_began = now;
  for (const DecisionItem& item : planner.Decide(log.view(), {}, now)) {
    EXPECT_FALSE(std::holds_alternative<EndUpdate>(item));
  }
  now += std::chrono::minutes(6);
  const auto items = planner.Decide(log.view(), {}, now);
  EXPECT_TRUE(std::ranges::any_of(
      items, [](const auto& item) { return std::holds_alternative<EndUpdate>(item); }));
}

TEST_F(JobsTest, ALongReasonIsCutBeforeItIsDecided) {
  log.SubmitJob(Service(1));
  Settle();
  log.SubmitJob(Service(1, "web:2"));
  Settle(/*new_ones_run=*/false);
  LaunchFact fact = log.FactOf("web-v2-0", LaunchState::kExited);
  fact.cause = ExitCause::kStartFailed;
  fact.detail = std::string(4000, 'x');
  fact.final = true;
  log.Fact(Find("web-v2-0")->node.str(), fact);
  for (const DecisionItem& item : Cycle()) {
    const auto* end = std::get_if<EndUpdate>(&item);
    EXPECT_TRUE(end == nullptr || end->failure.size() <= 1024u);
  }
  EXPECT_FALSE(TheJob().failure.empty());
}

TEST_F(JobsTest, AnUpdateInTheMiddleOfAnotherGoesOnFromWhereItIs) {
  log.SubmitJob(Service(4));
  Settle();
  log.SubmitJob(Service(4, "web:2"));
  for (int i = 0; i < 60 && SlotsUpdated(TheJob()) < 2; ++i) {
    Cycle();
    Obey(true);
  }
  log.SubmitJob(Service(4, "web:3"));
  Settle();
  EXPECT_EQ(In(Status::kRunning), (Ids{"web-v3-0", "web-v3-1", "web-v3-2", "web-v3-3"}));
  EXPECT_EQ(TheJob().runs, (std::vector<SlotRun>{{0, 3}}));
}

TEST_F(JobsTest, WhatAnEarlierUpdateHasTakenDownCountsForTheNextOne) {
  log.SubmitJob(Service(4));
  Settle();
  log.SubmitJob(Service(4, "web:2"));
  for (int i = 0; i < 60 && log.StatusOf("web-v1-2") != Status::kStopping; ++i) {
    Obey(true);
    Cycle();
  }
  ASSERT_EQ(In(Status::kRunning), (Ids{"web-v1-3", "web-v2-0", "web-v2-1"}));
  log.SubmitJob(Service(4, "web:3"));
  Cycle();
  Cycle();
  EXPECT_EQ(In(Status::kRunning), (Ids{"web-v1-3", "web-v2-0", "web-v2-1"}));
  for (int i = 0; i < 20 && Find("web-v3-2") == nullptr; ++i) Obey(true), Cycle();
  EXPECT_NE(Find("web-v3-2"), nullptr) << "the slot that was down comes first";
  EXPECT_EQ(In(Status::kRunning), (Ids{"web-v1-3", "web-v2-0", "web-v2-1"}));
  Settle();
  EXPECT_EQ(In(Status::kRunning), (Ids{"web-v3-0", "web-v3-1", "web-v3-2", "web-v3-3"}));
}

TEST_F(JobsTest, ASlotWaitsForTheEndOfATaskOfAnyVersion) {
  log.SubmitJob(Service(2));
  Settle();
  log.ScaleJob("web", 1);
  Cycle();
  log.SubmitJob(Service(2, "web:2"));
  for (int i = 0; i < 5; ++i) Cycle();
  EXPECT_EQ(log.StatusOf("web-v1-1"), Status::kStopping);
  EXPECT_EQ(Find("web-v2-1"), nullptr);
  Settle();
  EXPECT_EQ(In(Status::kRunning), (Ids{"web-v2-0", "web-v2-1"}));
}

TEST_F(JobsTest, WhatFailsForGoodFailsTheUpdateThoughItMayMove) {
  log.SubmitJob(Service(2));
  Settle();
  JobSpec bad = Service(2, "web:bad");
  TaskSpec task = *bad.task;
  task.reschedule = DefaultReschedule(JobType::kService);
  bad.task = std::make_shared<const TaskSpec>(task);
  log.SubmitJob(bad);
  for (int i = 0; i < 10 && Find("web-v2-0") == nullptr; ++i) {
    Cycle();
    Obey(false);
  }
  Cycle();
  const std::string node = Find("web-v2-0")->node.str();
  log.Exit("web-v2-0", 1, /*final=*/true);
  Cycle();
  EXPECT_FALSE(IsUpdating(TheJob()));
  EXPECT_EQ(TheJob().failure, "web-v2-0 does not come up: failed on " + node + ": exit code 1");
  // It is tried elsewhere all the same; the rest stays as it was.
  EXPECT_EQ(Find("web-v2-0")->attempt, 2u);
  EXPECT_NE(Find("web-v2-0")->node.str(), node);
  EXPECT_EQ(In(Status::kRunning), (Ids{"web-v1-1"}));
}

TEST_F(JobsTest, ScalingDuringAnUpdate) {
  log.SubmitJob(Service(4));
  Settle();
  log.SubmitJob(Service(4, "web:2"));
  for (int i = 0; i < 3; ++i) Cycle(), Obey(true);
  log.ScaleJob("web", 2);
  for (int i = 0; i < 3; ++i) Cycle(), Obey(true);
  log.ScaleJob("web", 6);
  Settle();
  EXPECT_EQ(In(Status::kRunning).size(), 6u);
  for (const std::string& id : In(Status::kRunning)) EXPECT_TRUE(id.starts_with("web-v2-")) << id;
}

TEST_F(JobsTest, StoppingAJobEndsItAndFreesItsName) {
  log.SubmitJob(Service(3));
  Settle();
  EXPECT_EQ(log.StopJob("web")[0].kind, IntentResult::Kind::kAccepted);
  EXPECT_EQ(log.StopJob("web")[0].kind, IntentResult::Kind::kUnchanged);
  EXPECT_EQ(log.SubmitJob(Service(3))[0].error.code, Code::kConflict) << "it is being stopped";
  EXPECT_EQ(JobStatusOf(TheJob()), "stopping");
  Settle();
  EXPECT_EQ(JobStatusOf(TheJob()), "stopped");
  EXPECT_EQ(In(Status::kStopped).size(), 3u);
  EXPECT_EQ(log.ScaleJob("web", 1)[0].error.code, Code::kNotFound);
  // The version counter outlives the job.
  log.SubmitJob(Service(1));
  Settle();
  EXPECT_EQ(In(Status::kRunning), (Ids{"web-v2-0"}));
}

TEST_F(JobsTest, WhenItsTasksAreForgottenOnlyTheNameAndItsVersionAreRemembered) {
  log.SubmitJob(Service(2));
  Settle();
  log.StopJob("web");
  Settle();
  log.Decide({ForgetTask{TaskId::Trusted("web-v1-0")}});
  EXPECT_FALSE(TheJob().versions.empty());
  log.Decide({ForgetTask{TaskId::Trusted("web-v1-1")}});
  EXPECT_TRUE(TheJob().versions.empty());
  log.SubmitJob(Service(1));
  EXPECT_EQ(TheJob().version, 2u);
}

TEST_F(JobsTest, LostTasksOfAServiceMoveWithTheirIds) {
  log.SubmitJob(Service(3));
  Settle();
  const std::string node = Find("web-v1-0")->node.str();
  log.Decide({NodeDown{NodeName::Trusted(node), "silent"}});
  Settle();
  EXPECT_EQ(In(Status::kRunning), (Ids{"web-v1-0", "web-v1-1", "web-v1-2"}));
  EXPECT_EQ(Find("web-v1-0")->attempt, 2u);
}

TEST_F(JobsTest, WhatIsRefused) {
  log.SubmitJob(Service(1));
  EXPECT_EQ(log.SubmitJob(test::JobOf("web", JobType::kBatch, 1, "x:1"))[0].error.field, "type");
  EXPECT_EQ(log.ScaleJob("nobody", 1)[0].error.code, Code::kNotFound);
  EXPECT_EQ(log.StopJob("nobody")[0].error.code, Code::kNotFound);
  log.SubmitJob(test::JobOf("agent", JobType::kSystem, 0, "x:1"));
  EXPECT_EQ(log.ScaleJob("agent", 1)[0].error.code, Code::kInvalid);
  log.SubmitJob(test::JobOf("load", JobType::kBatch, 1, "x:1"));
  EXPECT_EQ(log.ScaleJob("load", 0)[0].error.field, "replicas");
}

TEST_F(JobsTest, ALargeJobIsFilledInPieces) {
  log.SubmitJob(Service(10'000));
  std::size_t cycles = 0;
  while (TheJob().filled < 10'000 && cycles < 10) {
    const auto items = Cycle();
    std::uint32_t slots = 0;
    for (const DecisionItem& item : items) {
      if (const auto* fill = std::get_if<FillSlots>(&item)) slots += fill->count;
    }
    EXPECT_LE(slots, kSlotsPerCycle);
    ++cycles;
  }
  EXPECT_EQ(TheJob().filled, 10'000u);
  EXPECT_EQ(cycles, 3u);
  log.StopJob("web");
  for (int i = 0; i < 12; ++i) Cycle();
  EXPECT_EQ(TheJob().filled, 0u);
}

// The view after any history is the one that its records give back, counts and indexes included.
TEST_F(JobsTest, CountsAndIndexesFollowFromTheRecords) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    Random random(seed);
    LogWriter other;
    log = std::move(other);
    planner = std::move(*Planner::Make({}));
    SetUp();
    for (int step = 0; step < 60; ++step) {
      switch (random.Below(6)) {
        case 0:
          log.SubmitJob(Service(static_cast<std::uint32_t>(random.Below(6)),
                                "web:" + std::to_string(random.Below(3))));
          break;
        case 1:
          log.ScaleJob("web", static_cast<std::uint32_t>(random.Below(8)));
          break;
        case 2:
          if (random.Below(3) == 0) log.StopJob("web");
          break;
        case 3:
          for (const Task& task : log.view().tasks) {
            if (!IsLive(task) || random.Below(4) != 0) continue;
            log.Exit(IdOf(task).str(), static_cast<int>(random.Below(2)), random.Below(2) == 0);
            break;
          }
          break;
        default:
          Obey(random.Below(3) != 0);
          break;
      }
      Cycle();
      if (random.Below(8) == 0 && !log.view().finished.empty()) {
        const TaskNumber number = log.view().finished.begin()->second;
        log.Decide({ForgetTask{IdOf(log.view().tasks.At(number))}});
      }
      ASSERT_EQ(test::WrongIndex(log.view()), "") << "seed " << seed << " step " << step;
    }
  }
}

}  // namespace
}  // namespace cube::manager
