#include "services/cli/log_items.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shared/wire/codec.h"
#include "shared/wire/subjects.h"

namespace cube::cli {
namespace {

using ::testing::HasSubstr;

bus::StreamMessage Message(std::string subject, std::string payload) {
  bus::StreamMessage message;
  message.seq = 12;
  message.time = WallFromNanos(1'767'225'600'123'000'000);
  message.subject = std::move(subject);
  message.payload = std::move(payload);
  return message;
}

TaskSpecPtr Spec(const std::string& name) {
  TaskSpec spec;
  spec.name = TaskName::Trusted(name);
  spec.image = "nginx:1.25";
  return std::make_shared<TaskSpec>(std::move(spec));
}

TEST(LogItems, Intents) {
  const auto items = ItemsOf(Source::kIntents,
                             Message(wire::Subjects().TasksSubmit(),
                                     wire::EncodeSubmit({{TaskId::Trusted("web-1"), Spec("web")},
                                                         {TaskId(), Spec("db")}})),
                             nullptr);
  ASSERT_EQ(items.size(), 2u);
  EXPECT_EQ(items[0].kind, "submit");
  EXPECT_EQ(items[0].task, "web-1");
  EXPECT_EQ(items[0].text, "run nginx:1.25");
  // The id that every reader computes for a submission without one.
  EXPECT_EQ(items[1].task, GeneratedTaskId(TaskName::Trusted("db"), {12, 1}).str());
}

TEST(LogItems, AnIntentThatCannotBeReadSaysWhy) {
  const auto items =
      ItemsOf(Source::kIntents,
              Message(wire::Subjects().TasksSubmit(), R"({"name":"a","imge":"x"})"), nullptr);
  ASSERT_EQ(items.size(), 1u);
  EXPECT_EQ(items[0].kind, "invalid");
  EXPECT_THAT(items[0].text, HasSubstr("imge"));
}

DecisionBatch Decisions() {
  DecisionBatch batch;
  batch.term = {3, 77};
  batch.cycle = 5;
  batch.prev = {77, 4};
  batch.intents.seq = 9;
  batch.facts.seq = 8;
  batch.decided_at = WallFromNanos(1'767'225'600'000'000'000);
  StartAttempt start;
  start.task = TaskId::Trusted("web-1");
  start.attempt = 2;
  start.node = NodeName::Trusted("node-a");
  start.spec = Spec("web");
  Explanation why;
  why.scheduler = "round-robin";
  why.nodes = 3;
  why.filtered = {{"memory", 1}};
  start.explanation = why;
  batch.items.emplace_back(start);
  batch.items.emplace_back(RefuseIntent{9, 1, "db", {Code::kConflict, "taken", "id"}});
  return batch;
}

TEST(LogItems, DecisionsSayWhyAndWhere) {
  DecisionOrder order;
  const auto items =
      ItemsOf(Source::kDecisions,
              Message(wire::Subjects().Decisions(), wire::EncodeDecisions(Decisions())), &order);
  EXPECT_EQ(order.stamp, (Stamp{77, 5}));
  EXPECT_EQ(order.prev, (Stamp{77, 4}));
  EXPECT_EQ(order.intents, 9u);
  EXPECT_EQ(order.facts, 8u);
  ASSERT_EQ(items.size(), 2u);
  EXPECT_EQ(items[0].text,
            "attempt 2 goes to node-a (round-robin of 3 nodes; ruled out: memory 1)");
  EXPECT_EQ(items[0].name, "web");
  DecisionBatch scored = Decisions();
  auto& start = std::get<StartAttempt>(scored.items[0]);
  Explanation why = *start.explanation;
  why.scheduler = "spread";
  why.feasible = 2;
  why.score = std::int64_t{1} << 30;
  why.runner_up = NodeName::Trusted("node-b");
  why.runner_up_score = std::int64_t{3} << 31;
  start.explanation = why;
  const auto spread =
      ItemsOf(Source::kDecisions,
              Message(wire::Subjects().Decisions(), wire::EncodeDecisions(scored)), &order);
  EXPECT_EQ(spread[0].text,
            "attempt 2 goes to node-a (spread of 3 nodes; score 0.2500, next node-b with 1.5000; "
            "ruled out: memory 1)");
  why = Explanation{};
  why.scheduler = "pinned";
  why.nodes = 1;
  start.explanation = why;
  EXPECT_EQ(ItemsOf(Source::kDecisions,
                    Message(wire::Subjects().Decisions(), wire::EncodeDecisions(scored)), &order)[0]
                .text,
            "attempt 2 goes to node-a (the only node for it)");
  EXPECT_EQ(spread[0].details["feasible"], 2);
  EXPECT_EQ(spread[0].details["runner_up_score"], 1.5);
  EXPECT_EQ(items[1].ToJson().dump(),
            R"({"time":"2026-01-01T00:00:00.123Z","stream":"decisions","seq":12,"index":1,)"
            R"("kind":"refuse","task":"db","name":null,"node":null,)"
            R"("decided_at":"2026-01-01T00:00:00.000Z","intent":9,"item":1,"code":"conflict",)"
            R"("field":"id","reason":"taken","text":"refused: id: taken"})");
}

TEST(LogItems, AStopWithoutANode) {
  DecisionBatch batch = Decisions();
  batch.items = {StopAttempt{TaskId::Trusted("web-1"), 0, {}, {}}};
  // Also of a task that had run before its node went down.
  EXPECT_EQ(ItemsOf(Source::kDecisions,
                    Message(wire::Subjects().Decisions(), wire::EncodeDecisions(batch)), nullptr)[0]
                .text,
            "stopped while no node had it");
}

TEST(LogItems, Facts) {
  FactBatch batch{.node = NodeName::Trusted("node-a"),
                  .instance = 1,
                  .incarnation = 1,
                  .first_number = 1,
                  .facts = {}};
  LaunchFact launch;
  launch.key = {TaskId::Trusted("web-1"), 1, 2};
  launch.placement = {77, 5};
  launch.state = LaunchState::kExited;
  launch.cause = ExitCause::kExited;
  launch.exit_code = 3;
  launch.final = true;
  batch.facts.push_back({WallFromNanos(1), launch});
  batch.facts.push_back({{}, launch});
  const auto items = ItemsOf(
      Source::kFacts, Message(wire::Subjects().Facts("node-a"), wire::EncodeFacts(batch)), nullptr);
  ASSERT_EQ(items.size(), 2u);
  EXPECT_EQ(items[0].When(), WallFromNanos(1)) << "it had to wait for NATS";
  EXPECT_EQ(items[1].When(), items[1].time);
  EXPECT_EQ(items[0].kind, "exited");
  EXPECT_EQ(items[0].node, "node-a");
  EXPECT_THAT(items[0].text, HasSubstr("exited (launch 2): exit code 3"));
  EXPECT_EQ(items[0].ToJson()["exit_code"], 3);
  EXPECT_EQ(items[0].ToJson()["final"], true);
}

TEST(LogItems, GarbageIsShownAsUnreadable) {
  for (const Source source : {Source::kDecisions, Source::kFacts}) {
    const auto items = ItemsOf(source, Message("cube.facts.node-a", "\xff\xff\xff"), nullptr);
    ASSERT_EQ(items.size(), 1u);
    EXPECT_EQ(items[0].kind, "unreadable");
  }
}

LogItem About(std::string task, std::string name, std::string node) {
  LogItem item;
  item.task = std::move(task);
  item.name = std::move(name);
  item.node = std::move(node);
  return item;
}

TEST(LogFilters, ByIdNameNodeOrPrefix) {
  const std::vector<LogItem> items = {About("web-1", "web", ""), About("web-1", "", "node-a"),
                                      About("web-2", "web", ""), About("db-7", "db", "node-b")};
  auto count = [&](const std::string& word) {
    auto filter = FilterFor(word, items);
    EXPECT_TRUE(filter) << word;
    return std::ranges::count_if(items, [&](const auto& item) { return filter->Matches(item); });
  };
  EXPECT_EQ(count("web-1"), 2);
  EXPECT_EQ(count("web"), 3);  // facts carry no name: known by the id
  EXPECT_EQ(count("node-b"), 1);
  EXPECT_EQ(count("db-"), 1);
  EXPECT_EQ(FilterFor("web-", items).error().code, Code::kConflict);
  EXPECT_EQ(FilterFor("x", items).error().code, Code::kNotFound);
}

}  // namespace
}  // namespace cube::cli
