#include "services/manager/query_service.h"

#include <cube/v1/queries.pb.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "shared/wire/convert.h"
#include "test/support/cluster/log_writer.h"

namespace cube::manager {
namespace {

constexpr Resources kCapacity{4000, 1 << 30, 0};

class QueryServiceTest : public testing::Test {
 protected:
  QueryServiceTest() : planner_(std::move(*Planner::Make(Settings()))) {}

  v1::QueryReply Ask(const std::string& what, const v1::QueryRequest& request = {}) {
    Question question(what, request.SerializeAsString());
    steps_ = 0;
    for (;;) {
      ++steps_;
      std::size_t work = kQueryWorkMax;
      const auto reply = question.Answer(log_.view(), planner_, {"m1", true}, work);
      EXPECT_TRUE(reply || work == 0) << "gave up before its work was done";
      if (!reply) continue;
      EXPECT_LE(reply->size(), kQueryPageBytesMax + 1024);
      v1::QueryReply parsed;
      EXPECT_TRUE(parsed.ParseFromString(*reply));
      return parsed;
    }
  }
  // All pages. -> ids, in order.
  std::vector<std::string> AskAll(v1::QueryRequest request) {
    std::vector<std::string> ids;
    pages_ = 0;
    do {
      const v1::QueryReply reply = Ask("tasks", request);
      EXPECT_FALSE(reply.has_failure()) << reply.failure().message();
      for (const v1::TaskView& task : reply.tasks()) ids.push_back(task.id());
      request.set_page(reply.next_page());
      ++pages_;
    } while (!request.page().empty());
    return ids;
  }
  static v1::QueryRequest Match(const std::string& match) {
    v1::QueryRequest request;
    request.set_match(match);
    return request;
  }
  Code CodeOf(const v1::QueryReply& reply) { return wire::FromProto(reply.failure()).code; }
  // Many tasks that share one spec, as one intent brings them.
  void SubmitMany(const std::string& name, std::size_t count, const std::string& padding = "") {
    TaskSpec spec = test::Spec(name);
    if (!padding.empty()) spec.labels["padding"] = padding;
    const auto shared = std::make_shared<const TaskSpec>(std::move(spec));
    constexpr std::size_t kPerIntent = 10'000;
    for (std::size_t i = 0; i < count;) {
      IntentBatch batch;
      for (; batch.items.size() < kPerIntent && i < count; ++i) {
        batch.items.emplace_back(
            SubmitTask{TaskId::Trusted(name + "-" + std::to_string(i)), shared});
      }
      log_.Intend(batch);
    }
    log_.Decide({});
  }

  test::LogWriter log_;
  Planner planner_;
  int pages_ = 0;
  int steps_ = 0;
};

TEST_F(QueryServiceTest, SaysWhoAnswersAndWhereItStands) {
  log_.Submit("a-1", test::Spec("a"));
  log_.Decide({});
  const v1::QueryReply reply = Ask("tasks");
  EXPECT_EQ(reply.manager(), "m1");
  EXPECT_TRUE(reply.leading());
  EXPECT_EQ(reply.decision_seq(), log_.view().valid_seq);
  EXPECT_EQ(reply.intent_seq(), 1u);
}

TEST_F(QueryServiceTest, WhatCannotBeAskedIsAFailureThatSaysSo) {
  Question garbage("tasks", "\xff\xff\xff");
  std::size_t work = kQueryWorkMax;
  v1::QueryReply reply;
  ASSERT_TRUE(reply.ParseFromString(*garbage.Answer(log_.view(), planner_, {}, work)));
  EXPECT_EQ(CodeOf(reply), Code::kInvalid);
  EXPECT_EQ(garbage.min_intent(), 0u);
  EXPECT_EQ(CodeOf(Ask("weather")), Code::kNotFound);
  v1::QueryRequest request;
  request.set_page("elsewhere");
  EXPECT_EQ(Ask("tasks", request).failure().field(), "page");
  EXPECT_EQ(Ask("task").failure().field(), "match");
}

TEST_F(QueryServiceTest, AnIntentThatIsNotFoldedYetIsAFailureOfTime) {
  v1::QueryRequest request;
  request.set_min_intent(1);
  EXPECT_EQ(Question("tasks", request.SerializeAsString()).min_intent(), 1u);
  EXPECT_EQ(CodeOf(Ask("tasks", request)), Code::kTimedOut);
  log_.Submit("a-1", test::Spec("a"));
  EXPECT_EQ(Ask("tasks", request).tasks_size(), 1);
}

TEST_F(QueryServiceTest, FiltersByNameNodeStatusAndLabels) {
  log_.Join("n1", kCapacity);
  TaskSpec labelled = test::Spec("web");
  labelled.labels["tier"] = "front";
  log_.Submit("web-1", labelled);
  log_.Submit("web-2", test::Spec("web"));
  log_.Submit("db-1", test::Spec("db"));
  log_.Submit("old-1", test::Spec("old"));
  log_.Stop("old-1");
  log_.Decide({log_.Start("web-1", "n1"), StopAttempt{TaskId::Trusted("old-1"), 0, {}, {}}});
  log_.Decide({});
  using Ids = std::vector<std::string>;
  EXPECT_EQ(AskAll({}), (Ids{"web-1", "web-2", "db-1"}));
  EXPECT_EQ(AskAll(Match("web")), (Ids{"web-1", "web-2"}));
  EXPECT_EQ(AskAll(Match("db-")), Ids{"db-1"});
  v1::QueryRequest request;
  request.set_node("n1");
  EXPECT_EQ(AskAll(request), Ids{"web-1"});
  request = {};
  request.add_statuses("scheduled");
  EXPECT_EQ(AskAll(request), Ids{"web-1"});
  request = {};
  (*request.mutable_labels())["tier"] = "front";
  EXPECT_EQ(AskAll(request), Ids{"web-1"});
  request = {};
  request.set_include_finished(true);
  EXPECT_EQ(AskAll(request), (Ids{"web-1", "web-2", "db-1", "old-1"}));
}

TEST_F(QueryServiceTest, NoNodeHasWhatIsPending) {
  log_.Join("n1", kCapacity);
  log_.Submit("web-1", test::Spec("web"));
  log_.Decide({log_.Start("web-1", "n1")});
  log_.Launch("web-1", LaunchState::kRunning);
  EXPECT_EQ(Ask("tasks").tasks(0).node(), "n1");
  EXPECT_EQ(Ask("tasks").tasks(0).last_node(), "");
  log_.Decide({NodeDown{NodeName::Trusted("n1"), "gone"}});
  const v1::TaskView task = Ask("tasks").tasks(0);
  ASSERT_EQ(task.status(), "pending");
  EXPECT_EQ(task.node(), "");
  EXPECT_EQ(task.last_node(), "n1");
  EXPECT_EQ(task.node_address(), "");
  EXPECT_EQ(task.container_id(), "");
  EXPECT_EQ(task.ports_size(), 0);
  EXPECT_EQ(task.attempt(), 1u);
  v1::QueryRequest request;
  request.set_node("n1");
  EXPECT_TRUE(AskAll(request).empty());
}

TEST_F(QueryServiceTest, PagesHoldWhatFitsAndGoOnBehindIt) {
  SubmitMany("a", 700, std::string(2000, 'x'));
  const std::vector<std::string> ids = AskAll({});
  EXPECT_EQ(ids.size(), 700u);
  EXPECT_EQ(std::set<std::string>(ids.begin(), ids.end()).size(), 700u);
  EXPECT_EQ(ids.front(), "a-0");
  EXPECT_GE(pages_, 6) << "of 256 KiB each";
  v1::QueryRequest request;
  request.set_page_size(100);
  EXPECT_EQ(AskAll(request).size(), 700u);
  EXPECT_EQ(pages_, 7);
}

TEST_F(QueryServiceTest, EachTaskOfAPageIsToldWithItsOwnSpecification) {
  SubmitMany("a", 3);  // share one, one behind the other
  SubmitMany("b", 2);
  log_.Submit("c", test::Spec("c"));
  SubmitMany("a", 1);  // "a-0" again: refused
  const v1::QueryReply reply = Ask("tasks");
  ASSERT_EQ(reply.tasks_size(), 6);
  for (const v1::TaskView& task : reply.tasks()) {
    EXPECT_EQ(task.spec().name(), task.id().substr(0, 1)) << task.id();
    EXPECT_EQ(task.status(), "pending");
    EXPECT_NE(task.reason(), "");
  }
}

TEST_F(QueryServiceTest, AFilterThatMatchesNothingLooksAtABoundedNumberOfTasksAPage) {
  SubmitMany("a", kQueryWorkMax + 10);
  log_.Submit("needle-1", test::Spec("needle"));
  log_.Decide({});
  const v1::QueryReply first = Ask("tasks", Match("needle"));
  EXPECT_EQ(first.tasks_size(), 0);
  EXPECT_FALSE(first.next_page().empty()) << "the walk was not bounded";
  EXPECT_EQ(AskAll(Match("needle")), std::vector<std::string>{"needle-1"});
  EXPECT_EQ(pages_, 2);
  EXPECT_TRUE(AskAll(Match("nothing")).empty());
}

TEST_F(QueryServiceTest, WhyTasksWaitIsAskedOncePerShapeAndCountsAsWork) {
  for (int i = 0; i < 200; ++i) log_.Join("n" + std::to_string(i), Resources{100, 1 << 20, 0});
  TaskSpec big = test::Spec("big");
  for (int i = 0; i < 400; ++i) {
    big.resources.cpu_millis = 1000 + i;  // a shape of its own
    log_.Submit("big-" + std::to_string(i), big);
  }
  log_.Decide({});
  const v1::QueryReply first = Ask("tasks");
  EXPECT_NE(first.tasks(0).reason().find("200 nodes"), std::string::npos)
      << first.tasks(0).reason();
  EXPECT_LT(first.tasks_size(), 400) << "each of 400 reasons is a look at 200 nodes";
  EXPECT_EQ(AskAll({}).size(), 400u);
}

TEST_F(QueryServiceTest, OneTaskByIdNameOrPrefix) {
  log_.Submit("web-1", test::Spec("web"));
  log_.Submit("web-12", test::Spec("other"));
  log_.Submit("db-7", test::Spec("db"));
  log_.Decide({});
  EXPECT_EQ(Ask("task", Match("web-1")).tasks(0).id(), "web-1") << "an exact id wins";
  EXPECT_EQ(Ask("task", Match("web")).tasks(0).id(), "web-1") << "then the only one of a name";
  EXPECT_EQ(Ask("task", Match("d")).tasks(0).id(), "db-7") << "then a prefix";
  const v1::QueryReply many = Ask("task", Match("we"));
  EXPECT_EQ(CodeOf(many), Code::kConflict);
  EXPECT_EQ(many.candidates_size(), 2);
  EXPECT_EQ(CodeOf(Ask("task", Match("x"))), Code::kNotFound);
}

TEST_F(QueryServiceTest, OneOfMillionsIsLookedForOverSeveralSteps) {
  SubmitMany("a", kQueryWorkMax * 2);
  log_.Submit("needle-1", test::Spec("needle"));
  log_.Decide({});
  EXPECT_EQ(Ask("task", Match("needle")).tasks(0).id(), "needle-1");
  EXPECT_EQ(steps_, 3);
  const v1::QueryReply many = Ask("task", Match("a"));
  EXPECT_EQ(many.candidates_size(), 20);
  EXPECT_NE(many.failure().message().find(std::to_string(kQueryWorkMax * 2)), std::string::npos);
  // What is found may be forgotten before the walk ends.
  Question question("task", Match("needle-").SerializeAsString());
  std::size_t work = kQueryWorkMax;
  EXPECT_FALSE(question.Answer(log_.view(), planner_, {}, work));
  log_.Stop("needle-1");
  log_.Decide({StopAttempt{TaskId::Trusted("needle-1"), 0, {}, {}}});
  log_.Decide({ForgetTask{TaskId::Trusted("needle-1")}});
  work = kQueryWorkMax * 4;
  v1::QueryReply gone;
  ASSERT_TRUE(gone.ParseFromString(*question.Answer(log_.view(), planner_, {}, work)));
  EXPECT_EQ(CodeOf(gone), Code::kNotFound);
}

TEST_F(QueryServiceTest, TheClusterIsCountedOverSeveralSteps) {
  log_.Join("n1", kCapacity);
  SubmitMany("a", kQueryWorkMax + 5);
  const v1::QueryReply reply = Ask("cluster");
  EXPECT_EQ(steps_, 2);
  EXPECT_EQ(reply.cluster().tasks().at("pending"), kQueryWorkMax + 5);
  EXPECT_EQ(reply.cluster().tasks_size(), 1);
  EXPECT_EQ(reply.cluster().nodes().at("ready"), 1u);
  EXPECT_EQ(reply.cluster().capacity().cpu_millis(), kCapacity.cpu_millis);
  EXPECT_EQ(reply.cluster().cluster(), "cluster");
}

TEST_F(QueryServiceTest, NodesComeInPagesInTheOrderOfTheirNames) {
  for (int i = 0; i < 3; ++i) log_.Join("n" + std::to_string(i), kCapacity);
  v1::QueryRequest request;
  const v1::QueryReply all = Ask("nodes", request);
  ASSERT_EQ(all.nodes_size(), 3);
  EXPECT_EQ(all.nodes(0).name(), "n0");
  EXPECT_EQ(all.nodes(0).status(), "ready");
  EXPECT_TRUE(all.next_page().empty());
  request.set_page("n1");
  EXPECT_EQ(Ask("nodes", request).nodes_size(), 1);
}

TEST_F(QueryServiceTest, ANodeThatTakesNoWorkYetSaysWhy) {
  log_.SayJoined("n1", 100, kCapacity);
  log_.Decide({});
  EXPECT_EQ(Ask("nodes").nodes(0).reason(), "waiting for the leader's welcome");
  log_.Decide({WelcomeNode{NodeName::Trusted("n1"), 100, 1}});
  EXPECT_EQ(Ask("nodes").nodes(0).reason(), "has not reported yet what runs there");
  NodeDescription description = log_.view().nodes.begin()->second.description;
  for (EngineDescription& engine : description.engines) engine.up = false;
  log_.Fact("n1", NodeDescribed{description});
  log_.Decide({});
  EXPECT_EQ(Ask("nodes").nodes(0).reason(),
            "cannot say yet what runs there: no answer from engine docker");
}

TEST_F(QueryServiceTest, ATaskThatHasMovedTooOftenWaitsForAReasonOfItsOwn) {
  log_.Join("n1", kCapacity);
  TaskSpec spec = test::Spec("t");
  spec.restart.mode = RestartMode::kNo;
  spec.reschedule = {ReschedulePolicy::Mode::kOnFailure, 1};
  spec.resources.cpu_millis = kCapacity.cpu_millis;
  for (const char* id : {"t-1", "t-2", "t-3"}) log_.Submit(id, spec);
  for (int i = 0; i < 2; ++i) {
    log_.Decide({log_.Start("t-2", "n1")});
    log_.Exit("t-2", 1, /*final=*/true);
  }
  log_.Decide({log_.Start("t-3", "n1")});
  v1::QueryRequest request;
  const v1::QueryReply reply = Ask("tasks", request);
  ASSERT_EQ(reply.tasks_size(), 3);
  std::map<std::string, std::string> reasons;
  for (const v1::TaskView& task : reply.tasks()) reasons[task.id()] = task.reason();
  EXPECT_TRUE(reasons["t-1"].starts_with("no fit on 1 node: cpu 1")) << reasons["t-1"];
  EXPECT_TRUE(reasons["t-2"].starts_with("moved 1 times within the hour")) << reasons["t-2"];
}

}  // namespace
}  // namespace cube::manager
