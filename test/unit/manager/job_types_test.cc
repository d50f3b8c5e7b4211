// What is particular to batch and system jobs.
#include <gtest/gtest.h>

#include "services/manager/core/jobs.h"
#include "test/support/manager/jobs_rig.h"

namespace cube::manager {
namespace {

TEST_F(JobsTest, ABatchJobCompletesWhenAllItsTasksHave) {
  log.SubmitJob(test::JobOf("web", JobType::kBatch, 3, "load:1"));
  Settle();
  log.Exit("web-v1-0", 0, /*final=*/true);
  log.Exit("web-v1-2", 0, /*final=*/true);
  Settle();
  EXPECT_EQ(JobStatusOf(TheJob()), "running");
  log.Decide({ForgetTask{TaskId::Trusted("web-v1-0")}});  // what is forgotten still counts
  Settle();
  log.Exit("web-v1-1", 0, /*final=*/true);
  Settle();
  EXPECT_EQ(JobStatusOf(TheJob()), "completed");
  EXPECT_EQ(In(Status::kCompleted).size(), 2u);
}

TEST_F(JobsTest, ABatchJobFailsWhenATaskFailedAndAllHaveEnded) {
  log.SubmitJob(test::JobOf("web", JobType::kBatch, 2, "load:1"));
  Settle();
  log.Exit("web-v1-0", 1, /*final=*/true);
  Settle();
  EXPECT_EQ(JobStatusOf(TheJob()), "running") << "the others go on";
  log.Exit("web-v1-1", 0, /*final=*/true);
  Settle();
  EXPECT_EQ(JobStatusOf(TheJob()), "failed");
  EXPECT_EQ(TheJob().end_reason, "1 of 2 tasks did not complete");
}

TEST_F(JobsTest, WhatAnEarlierLifeOfTheJobHasDoneDoesNotCountForThisOne) {
  for (const int code : {0, 1}) {
    log.SubmitJob(test::JobOf("web", JobType::kBatch, 2, "load:1"));
    EXPECT_EQ(JobStatusOf(TheJob()), "pending") << "nothing of it has run yet";
    Settle();
    EXPECT_EQ(JobStatusOf(TheJob()), "running");
    EXPECT_EQ(CountsOf(TheJob()).completed + CountsOf(TheJob()).failed, 0u);
    for (const char* slot : {"-0", "-1"}) {
      log.Exit("web-v" + std::to_string(TheJob().version) + slot, code, /*final=*/true);
    }
    Settle();
    EXPECT_EQ(JobStatusOf(TheJob()), code == 0 ? "completed" : "failed");
  }
  log.SubmitJob(test::JobOf("web", JobType::kBatch, 2, "load:1"));
  EXPECT_EQ(CountsOf(TheJob()).failed, 0u);
}

TEST_F(JobsTest, ASystemTaskThatHasEndedIsNotForgottenAndStartedAgain) {
  Settings settings;
  settings.finished_count_max = 0;
  planner = std::move(*Planner::Make(settings));
  log.SubmitJob(test::JobOf("web", JobType::kSystem, 0, "once:1"));
  Settle();
  log.Exit("web-v1-0", 0, /*final=*/true);
  Settle();
  ASSERT_NE(Find("web-v1-0"), nullptr);
  EXPECT_EQ(In(Status::kCompleted), (Ids{"web-v1-0"}));
  log.StopJob("web");
  Settle();
  EXPECT_EQ(Find("web-v1-0"), nullptr) << "with the job it goes";
}

TEST_F(JobsTest, ASystemJobAfterAFailedUpdateLooksAtNodesAsTheOldVersionDoes) {
  const auto of = [](const std::string& image, const std::string& zone) {
    JobSpec spec = test::JobOf("web", JobType::kSystem, 0, image);
    TaskSpec task = *spec.task;
    task.constraints = {{"zone", Constraint::Op::kEquals, {zone}}};
    spec.task = std::make_shared<const TaskSpec>(std::move(task));
    return spec;
  };
  const auto label = [this](const std::string& node, const std::string& zone) {
    NodeDescription description = log.view().nodes.at(NodeName::Trusted(node)).description;
    description.labels["zone"] = zone;
    log.Fact(node, NodeDescribed{description});
  };
  for (const char* node : {"a", "b", "c"}) label(node, "old");
  log.SubmitJob(of("agent:1", "old"));
  Settle();
  ASSERT_EQ(In(Status::kRunning).size(), 3u);
  log.Join("d", {8000, kGi, 0});
  label("d", "new");
  log.SubmitJob(of("agent:2", "new"));
  for (int i = 0; i < 3; ++i) {
    Cycle();
    Obey(false);
  }
  log.Exit("web-v2-3", 1, /*final=*/true);
  Settle();
  ASSERT_FALSE(TheJob().failure.empty());
  log.Join("e", {8000, kGi, 0});
  label("e", "new");
  log.Join("f", {8000, kGi, 0});
  label("f", "old");
  Settle();
  EXPECT_EQ(Find("web-v1-4") == nullptr ? "" : Find("web-v1-4")->node.str(), "f");
  EXPECT_TRUE(In(Status::kPending).empty()) << "none is pinned to a node that it cannot run on";
}

TEST_F(JobsTest, ANodeThatComesAsAnUpdateFailsDoesNotGetWhatFailed) {
  log.SubmitJob(test::JobOf("web", JobType::kSystem, 0, "agent:1"));
  Settle();
  log.SubmitJob(test::JobOf("web", JobType::kSystem, 0, "agent:2"));
  for (int i = 0; i < 10 && (Find("web-v2-0") == nullptr || Find("web-v2-0")->attempt == 0); ++i) {
    Obey(false);
    Cycle();
  }
  log.Exit("web-v2-0", 1, /*final=*/true);
  log.Join("d", {8000, kGi, 0});
  Settle();
  ASSERT_FALSE(TheJob().failure.empty());
  EXPECT_EQ(Find("web-v2-3"), nullptr);
  ASSERT_NE(Find("web-v1-3"), nullptr);
  EXPECT_EQ(Find("web-v1-3")->node.str(), "d");
}

TEST_F(JobsTest, ASystemJobHasATaskOnEachEligibleNode) {
  log.Cordon("c", true);
  log.SubmitJob(test::JobOf("web", JobType::kSystem, 0, "agent:1"));
  Settle();
  EXPECT_EQ(Find("web-v1-0")->node.str(), "a");
  EXPECT_EQ(Find("web-v1-1")->node.str(), "b");
  EXPECT_EQ(In(Status::kRunning).size(), 2u);
  log.Join("d", {8000, kGi, 0});
  Settle();
  EXPECT_EQ(Find("web-v1-2")->node.str(), "d") << "nodes that join later get one";
  log.Cordon("c", false);
  Settle();
  EXPECT_EQ(Find("web-v1-3")->node.str(), "c");
  EXPECT_TRUE(Cycle().empty());
}

// In the very decision that gives the node to another worker, which has to report first.
TEST_F(JobsTest, ASystemTaskWaitsForTheReportOfANodesNewWorker) {
  log.SubmitJob(test::JobOf("web", JobType::kSystem, 0, "load:1"));
  log.Decide(planner.Decide(log.view(), {}, WallFromNanos(1)));  // fills the slots
  ASSERT_FALSE(log.view().pinned.empty());
  const NodeName node = log.view().nodes.begin()->first;
  log.SayJoined(node.str(), 777, {4000, 1 << 30, 0});
  Verdicts verdicts;
  verdicts.join_ok.insert(node);
  for (const DecisionItem& item : planner.Decide(log.view(), verdicts, WallFromNanos(2))) {
    const auto* start = std::get_if<StartAttempt>(&item);
    EXPECT_TRUE(start == nullptr || start->node != node) << start->task.str();
  }
}

TEST_F(JobsTest, ASystemTaskEndsWithItsNodeAndComesBackWithIt) {
  log.SubmitJob(test::JobOf("web", JobType::kSystem, 0, "agent:1"));
  Settle();
  log.Decide({NodeDown{NodeName::Trusted("b"), "silent"}});
  Settle();
  EXPECT_EQ(log.StatusOf("web-v1-1"), Status::kLost) << "it does not move";
  EXPECT_EQ(In(Status::kRunning).size(), 2u);
  log.Decide({NodeUp{NodeName::Trusted("b")}});
  log.Fact("b", NodeReported{log.view().nodes.at(NodeName::Trusted("b")).up});
  Settle();
  EXPECT_EQ(log.StatusOf("web-v1-1"), Status::kRunning);
  EXPECT_EQ(Find("web-v1-1")->node.str(), "b");
  EXPECT_EQ(Find("web-v1-1")->attempt, 2u);
}

TEST_F(JobsTest, ADrainStopsSystemTasksWithoutReplacement) {
  log.SubmitJob(test::JobOf("web", JobType::kSystem, 0, "agent:1"));
  Settle();
  log.Drain("b");
  Settle();
  EXPECT_EQ(log.StatusOf("web-v1-1"), Status::kStopped);
  EXPECT_EQ(In(Status::kRunning).size(), 2u);
  EXPECT_TRUE(log.view().nodes.at(NodeName::Trusted("b")).attempts.empty());
  log.Cordon("b", false);
  Settle();
  EXPECT_EQ(In(Status::kRunning).size(), 3u);
  EXPECT_EQ(Find("web-v1-1")->node.str(), "b");
}

TEST_F(JobsTest, ASystemJobIsUpdatedNodeByNode) {
  log.SubmitJob(test::JobOf("web", JobType::kSystem, 0, "agent:1"));
  Settle();
  log.Decide({NodeDown{NodeName::Trusted("b"), "silent"}});
  log.SubmitJob(test::JobOf("web", JobType::kSystem, 0, "agent:2"));
  Settle();
  EXPECT_EQ(In(Status::kRunning), (Ids{"web-v2-0", "web-v2-2"}));
  EXPECT_FALSE(IsUpdating(TheJob())) << "a node that is away holds up nothing";
  log.Decide({NodeUp{NodeName::Trusted("b")}});
  log.Fact("b", NodeReported{log.view().nodes.at(NodeName::Trusted("b")).up});
  Settle();
  EXPECT_EQ(log.StatusOf("web-v2-1"), Status::kRunning);
}

TEST_F(JobsTest, ASystemTaskWithoutRoomSaysWhyOnItsNode) {
  JobSpec spec = test::JobOf("web", JobType::kSystem, 0, "agent:1");
  TaskSpec task = *spec.task;
  task.resources.cpu_millis = 9000;
  spec.task = std::make_shared<const TaskSpec>(task);
  log.SubmitJob(spec);
  Settle();
  EXPECT_EQ(log.StatusOf("web-v1-0"), Status::kPending);
  EXPECT_EQ(planner.WhyPending(log.view(), *Find("web-v1-0")), "only for node a: cpu");
}

}  // namespace
}  // namespace cube::manager
