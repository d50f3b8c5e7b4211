#include "services/manager/teller.h"

#include <gtest/gtest.h>

#include "shared/wire/codec.h"
#include "test/support/cluster/log_writer.h"

namespace cube::manager {
namespace {

using test::LogWriter;

constexpr Resources kCapacity{4000, 1 << 30, 0};

std::vector<DesiredPage> PagesIn(Operations& out) {
  std::vector<DesiredPage> pages;
  for (const Operation& operation : out.Take()) {
    const auto* call = std::get_if<bus::Operation>(&operation);
    const auto* append = call == nullptr ? nullptr : std::get_if<bus::Append>(call);
    if (append == nullptr) continue;
    const Result<DesiredPage> page = wire::DecodeDesired(append->request.payload);
    EXPECT_TRUE(page.has_value());
    if (page) pages.push_back(*page);
  }
  return pages;
}

TEST(TellerTest, ACompleteSetSaysHowManyLaunchesFactsHaveToldOf) {
  LogWriter log;
  log.Join("n1", kCapacity);
  log.Submit("a-1", test::Spec("a"));
  log.Submit("b-1", test::Spec("b"));
  log.Decide({log.Start("a-1", "n1"), log.Start("b-1", "n1")});
  log.Launch("a-1", LaunchState::kRunning, /*launch=*/2);
  Teller teller{wire::Subjects()};
  Operations out;
  bus::OpId next_op = 1;
  // Position 0: a worker that knows nothing.
  teller.AnswerHello(log.view(), log.view().nodes.at(NodeName::Trusted("n1")), 0, next_op, out);
  const std::vector<DesiredPage> pages = PagesIn(out);
  ASSERT_EQ(pages.size(), 1u);
  ASSERT_EQ(pages[0].assignments.size(), 2u);
  EXPECT_EQ(pages[0].assignments[0].launches, 3u);
  EXPECT_EQ(pages[0].assignments[1].launches, 0u);
}

TEST(TellerTest, AWorkerThatLacksNothingIsToldSoAndOneBehindGetsTheWholeSet) {
  LogWriter log;
  log.Join("n1", kCapacity);
  log.Submit("a-1", test::Spec("a"));
  log.Decide({log.Start("a-1", "n1")});
  const Node& node = log.view().nodes.at(NodeName::Trusted("n1"));
  Teller teller{wire::Subjects()};
  Operations out;
  bus::OpId next_op = 1;
  teller.AnswerHello(log.view(), node, node.last_decision, next_op, out);
  const std::vector<Operation> told = out.Take();
  ASSERT_EQ(told.size(), 1u);
  const auto& publish = std::get<bus::Publish>(std::get<bus::Operation>(told[0]));
  const Result<AssignBatch> copy = wire::DecodeAssign(publish.payload);
  ASSERT_TRUE(copy.has_value());
  ASSERT_EQ(copy->items.size(), 1u);
  EXPECT_TRUE(std::holds_alternative<UpToDate>(copy->items[0]));
  teller.AnswerHello(log.view(), node, node.last_decision - 1, next_op, out);
  EXPECT_EQ(PagesIn(out).size(), 1u);
}

TEST(TellerTest, ARefusedWorkerCanReadWhy) {
  LogWriter log;
  log.Join("n1", kCapacity);
  log.SayJoined("n1", 999, kCapacity);
  const DecisionBatch batch = log.Next({RefuseNode{NodeName::Trusted("n1"), 999, "taken"}});
  Teller teller{wire::Subjects()};
  Operations out;
  bus::OpId next_op = 1;
  const Teller::Before before = Teller::Remember(log.view(), batch);
  log.Decide(batch.items);
  teller.TellNodes(log.view(), log.view().valid_seq, batch, before, next_op, out);
  const std::vector<Operation> told = out.Take();
  ASSERT_EQ(told.size(), 1u);
  const auto& publish = std::get<bus::Publish>(std::get<bus::Operation>(told[0]));
  const Result<AssignBatch> answer = wire::DecodeAssign(publish.payload);
  ASSERT_TRUE(answer.has_value()) << answer.error().Text();
  EXPECT_EQ(answer->instance, 999u);
  EXPECT_TRUE(std::holds_alternative<JoinRefused>(answer->items.at(0)));
}

TEST(TellerTest, TheFeedIsToldOnceAndAnOutcomeOnlyToASafeToken) {
  LogWriter log;
  log.Submit("a-1", test::Spec("a"));
  log.Decide({});
  Teller teller{wire::Subjects()};
  Operations out;
  teller.TellFeed(log.view(), MonoTime(std::chrono::hours(1)), out);
  EXPECT_EQ(out.Take().size(), 1u);
  teller.TellFeed(log.view(), MonoTime(std::chrono::hours(1)), out);
  EXPECT_TRUE(out.Take().empty());
  teller.TellOutcomes({{1, "good-token_1", {{0, IntentResult::Kind::kAccepted, "a-1", {}}}},
                       {2, "a.b", {{0, IntentResult::Kind::kAccepted, "a-1", {}}}},
                       {3, "", {{0, IntentResult::Kind::kAccepted, "a-1", {}}}}},
                      out);
  EXPECT_EQ(out.Take().size(), 1u);
}

// A spec of some 60 KB, nearly all of it volumes.
TaskSpec Bulky(const std::string& name) {
  TaskSpec spec = test::Spec(name);
  for (int i = 0; i < 64; ++i) {
    spec.volumes.push_back(
        {"v" + std::to_string(i), "/" + std::to_string(i) + std::string(940, 'x'), false});
  }
  return spec;
}

TEST(TellerTest, PagesAreCutWhateverTheSpecsConsistOf) {
  LogWriter log;
  log.Join("n1", kCapacity);
  std::vector<DecisionItem> starts;
  for (int i = 0; i < 30; ++i) {
    const std::string name = "t" + std::to_string(i);
    log.Submit(name + "-1", Bulky(name));
    starts.emplace_back(log.Start(name + "-1", "n1"));
  }
  log.Decide(starts);
  Teller teller{wire::Subjects()};
  Operations out;
  bus::OpId next_op = 1;
  teller.AnswerHello(log.view(), log.view().nodes.at(NodeName::Trusted("n1")), 0, next_op, out);
  const std::vector<DesiredPage> pages = PagesIn(out);
  EXPECT_EQ(pages.size(), 8u) << "four specs each";
  std::size_t tasks = 0;
  for (const DesiredPage& page : pages) {
    EXPECT_LE(wire::EncodeDesired(page).size(), kPageBytesMax);
    tasks += page.assignments.size();
  }
  EXPECT_EQ(tasks, 30u);
}

TEST(TellerTest, ManySmallAssignmentsFillPagesToo) {
  LogWriter log;
  log.Join("n1", kCapacity);
  std::vector<DecisionItem> starts;
  const std::string name(kTaskNameLengthMax, 'n');
  for (int i = 0; i < 4000; ++i) {
    const std::string id = name + "-" + std::to_string(i);
    log.Submit(id, test::Spec(name));
    starts.emplace_back(log.Start(id, "n1"));
  }
  log.Decide(starts);
  Teller teller{wire::Subjects()};
  Operations out;
  bus::OpId next_op = 1;
  teller.AnswerHello(log.view(), log.view().nodes.at(NodeName::Trusted("n1")), 0, next_op, out);
  for (const DesiredPage& page : PagesIn(out)) {
    EXPECT_LE(wire::EncodeDesired(page).size(), kPageBytesMax);
  }
}

}  // namespace
}  // namespace cube::manager
