#include "services/cli/job_views.h"

#include <gtest/gtest.h>

#include "services/cli/job_watch.h"

namespace cube::cli {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kNoon = 1'800'000'000 * kSecond;

v1::JobView Web() {
  v1::JobView job;
  job.set_name("web");
  job.set_type(v1::JOB_TYPE_SERVICE);
  job.set_replicas(5);
  job.set_version(2);
  job.set_status("running");
  job.set_up(5);
  job.set_unfinished(5);
  job.set_updated(5);
  job.set_created_at_ns(kNoon);
  job.mutable_task()->set_name("web");
  job.mutable_task()->set_image("nginx:1.27");
  return job;
}

TEST(JobViews, TableAndJson) {
  const ViewOptions options{.now = WallFromNanos(kNoon + 7'200 * kSecond), .cluster = {}};
  EXPECT_EQ(JobTable({Web()}, options).Render({}),
            "NAME   TYPE      READY   STATUS    VERSION   CREATED   IMAGE\n"
            "web    service     5/5   running         2   2h ago    nginx:1.27\n");
  const auto json = JobDetailJson(Web());
  EXPECT_EQ(json["replicas"], 5);
  EXPECT_EQ(json["spec"]["name"], "web");
  EXPECT_EQ(json["spec"]["task"]["image"], "nginx:1.27");
  EXPECT_TRUE(json["reason"].is_null());
}

TEST(JobViews, AFailedUpdateIsSeen) {
  v1::JobView job = Web();
  job.set_update_failed(true);
  job.set_updated(1);
  job.set_reason("web-v2-0 failed: exit code 1");
  const ViewOptions options{.now = WallFromNanos(kNoon), .cluster = {}};
  const std::string table = JobTable({job}, options).Render({});
  EXPECT_NE(table.find("running (update failed)"), std::string::npos) << table;
  EXPECT_EQ(JobSentence(job),
            "running, the update failed (1/5 replaced): web-v2-0 failed: exit code 1");
  EXPECT_TRUE(Reached(Goal::kUp, job));
  EXPECT_FALSE(IsGood(Goal::kUp, job));
}

TEST(JobViews, ScalingAfterAFailedUpdateIsAboutTheNumberOnly) {
  v1::JobView job = Web();
  job.set_update_failed(true);
  job.set_replicas(0);
  EXPECT_FALSE(Reached(Goal::kScaled, job)) << "some have to end";
  job.set_unfinished(0);
  job.set_up(0);
  EXPECT_TRUE(Reached(Goal::kScaled, job));
  EXPECT_TRUE(IsGood(Goal::kScaled, job));
  EXPECT_EQ(JobSentence(job), "running, the update failed");
  job.set_replicas(2);
  EXPECT_FALSE(Reached(Goal::kScaled, job));
  EXPECT_FALSE(IsGood(Goal::kScaled, job));
  job.set_status("failed");
  EXPECT_TRUE(Reached(Goal::kScaled, job));
  EXPECT_FALSE(IsGood(Goal::kScaled, job));
}

TEST(JobViews, WhatIsWaitedFor) {
  v1::JobView job = Web();
  EXPECT_TRUE(Reached(Goal::kUp, job));
  EXPECT_TRUE(IsGood(Goal::kUp, job));
  EXPECT_FALSE(Reached(Goal::kEnded, job));
  job.set_unfinished(6);
  EXPECT_FALSE(Reached(Goal::kUp, job)) << "one too many has to end";
  job = Web();
  job.set_up(4);
  EXPECT_FALSE(Reached(Goal::kUp, job));
  job.set_unfinished(4);
  job.set_failed(1);
  EXPECT_TRUE(Reached(Goal::kUp, job));
  EXPECT_FALSE(IsGood(Goal::kUp, job));
  job = Web();
  job.set_status("updating");
  EXPECT_FALSE(Reached(Goal::kUp, job));
  v1::JobView batch = Web();
  batch.set_type(v1::JOB_TYPE_BATCH);
  batch.set_up(2);
  batch.set_completed(3);
  batch.set_unfinished(2);
  EXPECT_TRUE(IsGood(Goal::kUp, batch));
  EXPECT_EQ(ReadyText(batch), "5/5");
  for (const char* status : {"completed", "failed", "stopped"}) {
    batch.set_status(status);
    EXPECT_TRUE(Reached(Goal::kEnded, batch)) << status;
    EXPECT_EQ(IsGood(Goal::kEnded, batch), std::string(status) != "failed") << status;
  }
}

}  // namespace
}  // namespace cube::cli
