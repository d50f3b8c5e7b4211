// What arrives on cube.tasks.*: both forms, and what becomes of bad input.
#include <cube/v1/intents.pb.h>
#include <gtest/gtest.h>

#include "shared/wire/codec.h"
#include "shared/wire/limits.h"
#include "shared/wire/subjects.h"

namespace cube::wire {
namespace {

constexpr std::string_view kSubmit = "cube.tasks.submit";
constexpr std::string_view kStop = "cube.tasks.stop";

const InvalidItem& Invalid(const IntentBatch& batch, std::size_t index = 0) {
  return std::get<InvalidItem>(batch.items.at(index));
}
const SubmitTask& Submitted(const IntentBatch& batch, std::size_t index = 0) {
  return std::get<SubmitTask>(batch.items.at(index));
}
const StopTask& Stopped(const IntentBatch& batch, std::size_t index = 0) {
  return std::get<StopTask>(batch.items.at(index));
}

SubmitTask Task(const std::string& id, const std::string& name, std::size_t env_bytes = 0) {
  TaskSpec spec;
  spec.name = TaskName::Trusted(name);
  spec.image = "nginx";
  for (std::size_t i = 0; env_bytes > 0; ++i) {
    const std::size_t part = std::min(env_bytes, std::size_t{30'000});
    spec.env["V" + std::to_string(i)] = std::string(part, 'x');
    env_bytes -= part;
  }
  return {TaskId::Trusted(id), std::make_shared<const TaskSpec>(spec)};
}

TEST(Intents, ATaskInTheHumanForm) {
  const auto batch = DecodeIntents(kSubmit, {}, R"({"name":"web","image":"nginx"})");
  ASSERT_EQ(batch.items.size(), 1U);
  EXPECT_TRUE(Submitted(batch).id.empty());
  EXPECT_EQ(Submitted(batch).spec->name.str(), "web");
  EXPECT_EQ(Submitted(batch).spec->image, "nginx");
}

TEST(Intents, AListInTheHumanForm) {
  for (const char* text :
       {R"( [{"name":"a","image":"x"},{"id":"b1","name":"b","image":"x"}])",
        R"({"tasks":[{"name":"a","image":"x"},{"id":"b1","name":"b","image":"x"}]})",
        "\n[{\"name\":\"a\",\"image\":\"x\"},"
        "\r\n{\"id\":\"b1\",\"name\":\"b\",\"image\":\"x\"}]\n"}) {
    const auto batch = DecodeIntents(kSubmit, {}, text);
    ASSERT_EQ(batch.items.size(), 2U) << text;
    EXPECT_EQ(Submitted(batch, 0).spec->name.str(), "a");
    EXPECT_EQ(Submitted(batch, 1).id.str(), "b1");
  }
}

TEST(Intents, OneBadItemLeavesTheOthers) {
  const auto batch = DecodeIntents(
      kSubmit, {}, R"([{"name":"a","image":"x"},{"id":"b1","name":"b","imag":"x"},7])");
  ASSERT_EQ(batch.items.size(), 3U);
  EXPECT_EQ(Submitted(batch, 0).spec->name.str(), "a");
  EXPECT_EQ(Invalid(batch, 1).task, "b1");
  EXPECT_EQ(Invalid(batch, 1).name, "b");
  EXPECT_EQ(Invalid(batch, 1).error.field, "imag");
  EXPECT_EQ(Invalid(batch, 2).error.code, Code::kInvalid);
}

TEST(Intents, WhatCannotBeReadIsOneInvalidItem) {
  for (const char* text : {"", " ", "{", "[{]", "hello", "\x01\x02", "[]", "{\"tasks\":[]}",
                           "{\"tasks\":3}", "\xFF\xFF\xFF"}) {
    const auto batch = DecodeIntents(kSubmit, {}, text);
    ASSERT_EQ(batch.items.size(), 1U) << text;
    EXPECT_FALSE(Invalid(batch).error.message.empty()) << text;
  }
}

TEST(Intents, AnUnknownSubjectIsUnsupported) {
  for (const char* subject : {"cube.jobs.restart", "cube.tasks.restart", "submit", ""}) {
    const auto batch = DecodeIntents(subject, {}, "{}");
    ASSERT_EQ(batch.items.size(), 1U);
    EXPECT_EQ(Invalid(batch).error.code, Code::kUnsupported) << subject;
  }
}

TEST(Intents, StopInTheHumanForm) {
  const auto batch = DecodeIntents(kStop, {}, R"([{"id":"a","grace":"5s"},{"id":"b"},"c"])");
  ASSERT_EQ(batch.items.size(), 3U);
  EXPECT_EQ(Stopped(batch, 0).id.str(), "a");
  EXPECT_EQ(Stopped(batch, 0).grace, std::chrono::seconds(5));
  EXPECT_EQ(Stopped(batch, 1).grace, std::nullopt);
  EXPECT_EQ(Stopped(batch, 2).id.str(), "c");
  EXPECT_EQ(Stopped(DecodeIntents(kStop, {}, R"({"id":"a"})")).id.str(), "a");
  EXPECT_EQ(Stopped(DecodeIntents(kStop, {}, R"("a")")).id.str(), "a");
}

TEST(Intents, BadStops) {
  const auto batch = DecodeIntents(
      kStop, {}, R"([{"grace":"5s"},{"id":"A"},{"id":"a","grace":5},{"id":"a","force":true},
                     {"id":"a","grace":"48h"},"web/1",["a"]])");
  ASSERT_EQ(batch.items.size(), 7U);
  EXPECT_EQ(Invalid(batch, 0).error.field, "id");
  EXPECT_EQ(Invalid(batch, 1).error.field, "id");
  EXPECT_EQ(Invalid(batch, 1).task, "A");
  EXPECT_EQ(Invalid(batch, 2).error.field, "grace");
  EXPECT_EQ(Invalid(batch, 3).error.field, "force");
  EXPECT_EQ(Invalid(batch, 4).error.field, "grace");
  EXPECT_EQ(Invalid(batch, 5).error.field, "id");
  EXPECT_EQ(Invalid(batch, 6).error.field, "");
}

TEST(Intents, IdsOfJobsAreReserved) {
  const auto batch = DecodeIntents(kSubmit, {}, EncodeSubmit({Task("web-v1-0", "web")}));
  EXPECT_EQ(Invalid(batch).error.field, "id");
  EXPECT_EQ(Invalid(batch).name, "web");
}

TEST(Intents, ABadSpecIsInvalidForEachOfItsTasks) {
  v1::SubmitTasks message;
  message.add_specs()->set_name("web");  // nothing to run
  v1::TaskSpec* good = message.add_specs();
  good->set_name("db");
  good->set_image("postgres");
  for (std::uint32_t spec : {0U, 1U, 0U, 2U}) message.add_tasks()->set_spec(spec);
  const auto batch = DecodeIntents(kSubmit, {}, message.SerializeAsString());
  ASSERT_EQ(batch.items.size(), 4U);
  EXPECT_EQ(Invalid(batch, 0).error.field, "image");
  EXPECT_EQ(Submitted(batch, 1).spec->name.str(), "db");
  EXPECT_EQ(Invalid(batch, 2).name, "web");
  EXPECT_EQ(Invalid(batch, 3).error.field, "spec");
}

TEST(Intents, AnItemHasAtMost64KiB) {
  // Two texts below their own limit, together above the item's.
  const SubmitTask large = Task("big", "big", 66'000);
  for (const auto& batch :
       {DecodeIntents(kSubmit, {}, EncodeSubmit({large, Task("ok", "ok")})),
        DecodeIntents(kSubmit, {},
                      R"([{"id":"big","name":"big","image":"x","env":{"A":")" +
                          std::string(32'000, 'x') + R"(","B":")" + std::string(32'000, 'x') +
                          R"(","C":")" + std::string(2'000, 'x') +
                          R"("}},{"name":"ok","image":"x"}])")}) {
    ASSERT_EQ(batch.items.size(), 2U);
    EXPECT_EQ(Invalid(batch, 0).task, "big");
    EXPECT_NE(Invalid(batch, 0).error.message.find("at most 64 KiB"), std::string::npos);
    EXPECT_EQ(Submitted(batch, 1).spec->name.str(), "ok");
  }
  const auto below = DecodeIntents(kSubmit, {}, EncodeSubmit({Task("big", "big", 65'000)}));
  EXPECT_EQ(Submitted(below).id.str(), "big");
}

TEST(Intents, TooManyItems) {
  std::vector<StopTask> stops(kIntentItemsMax + 1, {TaskId::Trusted("a"), std::nullopt});
  const auto batch = DecodeIntents(kStop, {}, EncodeStop(stops));
  ASSERT_EQ(batch.items.size(), 1U);
  EXPECT_EQ(Invalid(batch).error.field, "tasks");
  stops.pop_back();
  EXPECT_EQ(DecodeIntents(kStop, {}, EncodeStop(stops)).items.size(), kIntentItemsMax);
}

// "\n{" begins a protobuf message whose first field has 123 bytes, and "\n[" one of 91.
TEST(Intents, ProtobufIsNotTakenForTheHumanForm) {
  int human_looking = 0;
  for (std::size_t length = 1; length < 300; ++length) {
    TaskSpec spec;
    spec.name = TaskName::Trusted("web");
    spec.image = std::string(length, 'i');
    const SubmitTask task{TaskId(), std::make_shared<const TaskSpec>(spec)};
    const std::string bytes = EncodeSubmit({task});
    human_looking += bytes.starts_with("\n{") || bytes.starts_with("\n[") ? 1 : 0;
    const auto batch = DecodeIntents(kSubmit, {}, bytes);
    ASSERT_EQ(batch.items.size(), 1U);
    ASSERT_TRUE(std::holds_alternative<SubmitTask>(batch.items[0])) << length;
    EXPECT_EQ(Submitted(batch).spec->image.size(), length);
  }
  EXPECT_EQ(human_looking, 2);
  for (std::size_t length = 1; length <= 63; ++length) {
    const std::string id(length, 'i');
    const auto bytes = EncodeStop({{TaskId::Trusted(id), std::nullopt}});
    ASSERT_EQ(Stopped(DecodeIntents(kStop, {}, bytes)).id.str(), id);
  }
}

TEST(Intents, OutcomeTokens) {
  const auto token = [](const std::string& value) {
    const bus::Headers headers{{std::string(kHeaderOutcome), value}};
    return DecodeIntents(kSubmit, headers, "{}").outcome_token;
  };
  EXPECT_EQ(token("aB3-_x"), "aB3-_x");
  // It becomes part of a subject.
  for (const char* bad : {"", "a.b", "*", ">", "a b", "ä"}) EXPECT_EQ(token(bad), "") << bad;
  EXPECT_EQ(token(std::string(65, 'a')), "");
  EXPECT_EQ(DecodeIntents(kSubmit, {}, "{}").outcome_token, "");
}

}  // namespace
}  // namespace cube::wire
