// What arrives on cube.jobs.*: both forms, and what becomes of bad input.
#include <cube/v1/jobs.pb.h>
#include <gtest/gtest.h>

#include "shared/wire/codec.h"
#include "shared/wire/convert_jobs.h"
#include "shared/wire/human.h"
#include "shared/wire/subjects.h"

namespace cube::wire {
namespace {

constexpr std::string_view kSubmit = "cube.jobs.submit";
constexpr std::string_view kStop = "cube.jobs.stop";
constexpr std::string_view kScale = "cube.jobs.scale";

const InvalidItem& Invalid(const IntentBatch& batch, std::size_t index = 0) {
  return std::get<InvalidItem>(batch.items.at(index));
}
const JobSpec& Submitted(const IntentBatch& batch) {
  return std::get<SubmitJob>(batch.items.at(0)).spec;
}

TEST(JobIntents, AJobInTheHumanForm) {
  const auto batch = DecodeIntents(kSubmit, {}, R"({"name":"web","replicas":3,
      "task":{"image":"nginx"},"update":{"parallel":2,"timeout":"30s"}})");
  const JobSpec& job = Submitted(batch);
  EXPECT_EQ(job.name.str(), "web");
  EXPECT_EQ(job.type, JobType::kService);
  EXPECT_EQ(job.replicas, 3u);
  EXPECT_EQ(job.update, (UpdatePolicy{2, std::chrono::seconds(30)}));
  EXPECT_EQ(job.task->name.str(), "web") << "the template has the job's name";
  EXPECT_EQ(job.task->image, "nginx");
}

TEST(JobIntents, TheRestartThatNobodyNamedIsTheTypes) {
  const auto restart = [](const std::string& type, const std::string& more) {
    const auto batch = DecodeIntents(
        kSubmit, {},
        R"({"name":"web","type":")" + type + R"(","task":{"image":"nginx")" + more + "}}");
    return Submitted(batch).task->restart;
  };
  const RestartPolicy always{RestartMode::kAlways, 0};
  EXPECT_EQ(restart("service", ""), always);
  EXPECT_EQ(restart("system", ""), always);
  EXPECT_EQ(restart("batch", ""), RestartPolicy{});
  EXPECT_EQ(restart("service", R"(,"restart":"on-failure:3")"), RestartPolicy{});
  // And so in protobuf.
  v1::SubmitJob message;
  message.mutable_job()->set_name("web");
  message.mutable_job()->mutable_task()->set_image("nginx");
  EXPECT_EQ(Submitted(DecodeIntents(kSubmit, {}, message.SerializeAsString())).task->restart,
            always);
  message.mutable_job()->set_type(v1::JOB_TYPE_BATCH);
  EXPECT_EQ(Submitted(DecodeIntents(kSubmit, {}, message.SerializeAsString())).task->restart,
            RestartPolicy{});
}

TEST(JobIntents, TheMovesThatNobodyNamedAreTheTypesAndComeBackAsTheyWere) {
  using Mode = ReschedulePolicy::Mode;
  const auto moves = [](const std::string& type, const std::string& more) {
    const auto batch = DecodeIntents(
        kSubmit, {},
        R"({"name":"web","type":")" + type + R"(","task":{"image":"nginx")" + more + "}}");
    const JobSpec job = Submitted(batch);
    v1::JobSpec message;
    ToProto(job, message);
    EXPECT_EQ(FromProto(message)->task->reschedule, job.task->reschedule) << type << more;
    const auto human = JobFromHuman(nlohmann::json::parse(JobToHuman(job).dump()));
    EXPECT_EQ(human->task->reschedule, job.task->reschedule) << type << more;
    return job.task->reschedule;
  };
  EXPECT_EQ(moves("service", ""), (ReschedulePolicy{Mode::kOnFailure, 3}));
  EXPECT_EQ(moves("system", ""), ReschedulePolicy{});
  EXPECT_EQ(moves("batch", ""), ReschedulePolicy{});
  EXPECT_EQ(moves("service", R"(,"reschedule":"on-lost")"), ReschedulePolicy{});
  EXPECT_EQ(moves("service", R"(,"reschedule":"never")"), (ReschedulePolicy{Mode::kNever, 0}));
  EXPECT_EQ(moves("batch", R"(,"reschedule":"on-failure:2")"),
            (ReschedulePolicy{Mode::kOnFailure, 2}));
  v1::SubmitJob message;
  message.mutable_job()->set_name("web");
  message.mutable_job()->mutable_task()->set_image("nginx");
  EXPECT_EQ(Submitted(DecodeIntents(kSubmit, {}, message.SerializeAsString())).task->reschedule,
            (ReschedulePolicy{Mode::kOnFailure, 3}));
}

TEST(JobIntents, BadJobsNameTheField) {
  const std::vector<std::pair<const char*, const char*>> cases = {
      {R"({"task":{"image":"x"}})", "name"},
      {R"({"name":"web"})", "task"},
      {R"({"name":"web","task":{}})", "task.image"},
      {R"({"name":"web","task":{"image":"x","imag":"y"}})", "task.imag"},
      {R"({"name":"web","task":{"image":"x","name":"other"}})", "task.name"},
      {R"({"name":"web","task":{"image":"x","id":"a"}})", "task.id"},
      {R"({"name":"web","task":{"image":"x"},"replicas":-1})", "replicas"},
      {R"({"name":"web","task":{"image":"x"},"replicas":1000001})", "replicas"},
      {R"({"name":"web","type":"batch","task":{"image":"x"},"replicas":0})", "replicas"},
      {R"({"name":"web","type":"system","task":{"image":"x"},"replicas":2})", "replicas"},
      {R"({"name":"web","type":"cron","task":{"image":"x"}})", "type"},
      {R"({"name":"web","task":{"image":"x"},"update":{"parallel":0}})", "update.parallel"},
      {R"({"name":"web","task":{"image":"x"},"update":{"timeout":"0s"}})", "update.timeout"},
      {R"({"name":"web","task":{"image":"x"},"update":{"paralel":1}})", "update.paralel"},
      {R"({"name":"web","task":{"image":"x"},"count":2})", "count"},
      {R"({"name":"Web","task":{"image":"x"}})", "name"}};
  for (const auto& [text, field] : cases) {
    const auto batch = DecodeIntents(kSubmit, {}, text);
    ASSERT_EQ(batch.items.size(), 1U) << text;
    EXPECT_EQ(Invalid(batch).error.field, field) << text << ": " << Invalid(batch).error.Text();
  }
  EXPECT_FALSE(Invalid(DecodeIntents(kSubmit, {}, "[]")).error.message.empty());
  EXPECT_EQ(Invalid(DecodeIntents(kSubmit, {}, R"({"name":"web","task":{}})")).name, "web");
}

TEST(JobIntents, StopsAndScales) {
  for (const char* text : {R"("web")", R"({"name":"web"})", R"(["web"])", R"({"jobs":["web"]})"}) {
    const auto stop = DecodeIntents(kStop, {}, text);
    EXPECT_EQ(std::get<StopJob>(stop.items.at(0)).name.str(), "web") << text;
  }
  const auto stop =
      DecodeIntents(kStop, {}, R"([{"name":"web","grace":"5s"},{"name":"W"},{"x":1}])");
  EXPECT_EQ(std::get<StopJob>(stop.items.at(0)).grace, std::chrono::seconds(5));
  EXPECT_EQ(Invalid(stop, 1).error.field, "name");
  EXPECT_EQ(Invalid(stop, 2).error.field, "x");
  const auto scale = DecodeIntents(
      kScale, {}, R"([{"name":"web","replicas":5},{"name":"web"},{"name":"web","replicas":"5"}])");
  EXPECT_EQ(std::get<ScaleJob>(scale.items.at(0)).replicas, 5u);
  EXPECT_EQ(Invalid(scale, 1).error.field, "replicas");
  EXPECT_EQ(Invalid(scale, 2).error.field, "replicas");
}

TEST(JobIntents, SubjectsHaveTheirVerbs) {
  EXPECT_EQ(Subjects().Jobs("submit"), kSubmit);
  EXPECT_EQ(Subjects().EventsOfName("web"), "cube.events.web.*.*");
}

}  // namespace
}  // namespace cube::wire
