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
  teller.TellNodes(log.view(), batch, before, false, {}, next_op, out);
  const std::vector<Operation> told = out.Take();
  ASSERT_EQ(told.size(), 1u);
  const auto& publish = std::get<bus::Publish>(std::get<bus::Operation>(told[0]));
  const Result<AssignBatch> answer = wire::DecodeAssign(publish.payload);
  ASSERT_TRUE(answer.has_value()) << answer.error().Text();
  EXPECT_EQ(answer->instance, 999u);
  EXPECT_TRUE(std::holds_alternative<JoinRefused>(answer->items.at(0)));
}

// Two nodes, and a leader's cycles of which more follow.
class HeldCopiesTest : public testing::Test {
 protected:
  HeldCopiesTest() {
    log_.Join("n1", kCapacity);
    log_.Join("n2", kCapacity);
  }
  DecisionItem StartOf(const std::string& task, const std::string& node,
                       const TaskSpec& spec = test::Spec("t")) {
    log_.Submit(task, spec);
    return log_.Start(task, node);
  }
  std::uint64_t LastOf(const std::string& node) {
    return log_.view().nodes.at(NodeName::Trusted(node)).last_decision;
  }
  // How long a copy for the node waits that begins to do so at the beginning of a round.
  Duration WaitOf(const std::string& node, Duration round) {
    const auto turn = log_.view().nodes.at(NodeName::Trusted(node)).instance % kHeldTurns;
    return round / kHeldTurns * (turn == 0 ? kHeldTurns : static_cast<std::int64_t>(turn));
  }
  // Decides that, and tells it. -> the copies that went out
  std::vector<AssignBatch> Tell(const std::vector<DecisionItem>& items, bool more,
                                MonoTime now = {}) {
    const DecisionBatch batch = log_.Next(items);
    const Teller::Before before = Teller::Remember(log_.view(), batch);
    log_.Decide(items);
    teller_.TellNodes(log_.view(), batch, before, more, now, next_op_, out_);
    return TakeCopies();
  }
  std::vector<AssignBatch> TakeCopies() {
    std::vector<AssignBatch> copies;
    for (const Operation& operation : out_.Take()) {
      const auto* bus = std::get_if<bus::Operation>(&operation);
      const auto* publish = bus == nullptr ? nullptr : std::get_if<bus::Publish>(bus);
      if (publish != nullptr) copies.push_back(*wire::DecodeAssign(publish->payload));
    }
    return copies;
  }

  LogWriter log_;
  Teller teller_{wire::Subjects()};
  Operations out_;
  bus::OpId next_op_ = 1;
};

TEST_F(HeldCopiesTest, WaitForTheNextMessagesAndGoOutTogether) {
  const std::uint64_t before = LastOf("n1");
  constexpr MonoTime kThen(std::chrono::hours(2));
  EXPECT_EQ(teller_.ReleaseAt(), MonoTime::max());
  EXPECT_TRUE(Tell({StartOf("a", "n1")}, true, kThen).empty());
  const MonoTime due = kThen + WaitOf("n1", kHeldMin);
  EXPECT_EQ(teller_.ReleaseAt(), due);
  const std::uint64_t first = LastOf("n1");
  EXPECT_TRUE(Tell({StartOf("b", "n1"), StartOf("c", "n2")}, true, kThen + Duration(1)).empty());
  EXPECT_EQ(teller_.ReleaseAt(), due) << "the next one says when";
  EXPECT_EQ(teller_.ToldTo(log_.view().nodes.at(NodeName::Trusted("n1"))), before);
  const std::vector<AssignBatch> copies = Tell({StartOf("d", "n1")}, false);
  ASSERT_EQ(copies.size(), 2u);
  EXPECT_EQ(copies[0].node.str(), "n1");
  EXPECT_EQ(copies[0].prev, before);
  EXPECT_EQ(copies[0].first, first);
  EXPECT_EQ(copies[0].seq, LastOf("n1"));
  ASSERT_EQ(copies[0].items.size(), 3u);
  std::vector<std::string> tasks;
  for (const AssignItem& item : copies[0].items) {
    const auto& start = std::get<Assignment>(item);
    tasks.push_back(start.task.str());
    EXPECT_EQ(start.placement, log_.view().Find(start.task)->placement) << start.task.str();
  }
  EXPECT_EQ(tasks, (std::vector<std::string>{"a", "b", "d"}));
  EXPECT_EQ(copies[1].first, 0u) << "of one message alone";
  EXPECT_EQ(copies[1].seq, LastOf("n2"));
  EXPECT_EQ(teller_.ReleaseAt(), MonoTime::max());
  EXPECT_TRUE(Tell({}, false).empty());
}

TEST_F(HeldCopiesTest, GoOutInTheTurnsOfTheirNodes) {
  constexpr MonoTime kThen(std::chrono::hours(2));
  EXPECT_TRUE(Tell({StartOf("a", "n1"), StartOf("b", "n2")}, true, kThen).empty());
  ASSERT_LT(WaitOf("n1", kHeldMin), WaitOf("n2", kHeldMin));
  const MonoTime due = kThen + WaitOf("n1", kHeldMin);
  teller_.ReleaseDue(due - Duration(1), out_);
  EXPECT_TRUE(TakeCopies().empty());
  teller_.ReleaseDue(due, out_);
  const std::vector<AssignBatch> copies = TakeCopies();
  ASSERT_EQ(copies.size(), 1u);
  EXPECT_EQ(copies[0].node.str(), "n1");
  EXPECT_EQ(teller_.ReleaseAt(), kThen + WaitOf("n2", kHeldMin));
  EXPECT_TRUE(Tell({StartOf("c", "n1")}, true, due).empty());
  teller_.ReleaseDue(due + kHeldMin, out_);
  EXPECT_EQ(TakeCopies().size(), 2u);
  EXPECT_EQ(teller_.ReleaseAt(), MonoTime::max());
}

TEST_F(HeldCopiesTest, WaitForAPartOfTheTimeForWhichTheBurstLasts) {
  constexpr MonoTime kThen(std::chrono::hours(2));
  const auto wait_at = [this](MonoTime now) {
    teller_.Release(out_);
    TakeCopies();
    Tell({StartOf("t" + std::to_string(now.time_since_epoch().count()), "n1")}, true, now);
    return teller_.ReleaseAt() - now;
  };
  EXPECT_EQ(wait_at(kThen), WaitOf("n1", kHeldMin));
  EXPECT_EQ(wait_at(kThen + kHeldPart * kHeldMin), WaitOf("n1", kHeldMin));
  EXPECT_EQ(wait_at(kThen + 2 * kHeldPart * kHeldMin), WaitOf("n1", 2 * kHeldMin));
  EXPECT_EQ(wait_at(kThen + 2 * kHeldPart * kHeldMax), WaitOf("n1", kHeldMax));
  Tell({}, false);  // all had room: what is cut off next is another burst
  EXPECT_EQ(wait_at(kThen + 3 * kHeldPart * kHeldMax), WaitOf("n1", kHeldMin));
}

TEST_F(HeldCopiesTest, GoOutAtOnceWhenTheyAreManyOrEndSomething) {
  std::vector<DecisionItem> many;
  for (std::size_t i = 0; i < kHeldItemsMax; ++i) {
    many.push_back(StartOf("m" + std::to_string(i), "n1"));
  }
  many.push_back(StartOf("other", "n2"));
  EXPECT_EQ(Tell(many, true).size(), 1u);
  const StopAttempt stop{TaskId::Trusted("other"), 1, NodeName::Trusted("n2"), {}};
  const std::vector<AssignBatch> copies = Tell({StartOf("z", "n1"), stop}, true);
  ASSERT_EQ(copies.size(), 1u) << "that of the stop alone";
  ASSERT_EQ(copies[0].items.size(), 2u);
  EXPECT_TRUE(std::holds_alternative<Assignment>(copies[0].items[0])) << "in their order";
  EXPECT_TRUE(std::holds_alternative<StopAssignment>(copies[0].items[1]));
  teller_.Release(out_);
  EXPECT_EQ(TakeCopies().size(), 1u);
}

TEST_F(HeldCopiesTest, GoOutBeforeWhatIsSaidToTheirNodeOtherwise) {
  EXPECT_TRUE(Tell({StartOf("a", "n1"), StartOf("b", "n2")}, true).empty());
  const Node& node = log_.view().nodes.at(NodeName::Trusted("n1"));
  EXPECT_FALSE(teller_.AnswerHello(log_.view(), node, node.last_decision, next_op_, out_));
  const std::vector<AssignBatch> copies = TakeCopies();
  ASSERT_EQ(copies.size(), 2u);
  EXPECT_TRUE(std::holds_alternative<Assignment>(copies[0].items.at(0)));
  EXPECT_TRUE(std::holds_alternative<UpToDate>(copies[1].items.at(0)));
  teller_.Release(out_);
  EXPECT_EQ(TakeCopies().size(), 1u) << "that of n2";
}

// They start what goes elsewhere now. Whatever comes next shows the worker that it lacks them.
TEST_F(HeldCopiesTest, OfANodeThatIsDownAreDropped) {
  EXPECT_TRUE(Tell({StartOf("a", "n1"), StartOf("b", "n2")}, true).empty());
  const std::uint64_t lacked = LastOf("n2");
  const NodeName n2 = NodeName::Trusted("n2");
  EXPECT_TRUE(Tell({NodeDown{n2, "silent"}}, true).empty());
  EXPECT_EQ(Tell({}, false).size(), 1u) << "that of n1";
  Tell({NodeUp{n2}}, false);
  const std::vector<AssignBatch> next = Tell({StartOf("c", "n2")}, false);
  ASSERT_EQ(next.size(), 1u);
  EXPECT_GT(next[0].prev, lacked);
}

TEST_F(HeldCopiesTest, OfAnotherIncarnationGoOutBeforeItsWelcome) {
  EXPECT_TRUE(Tell({StartOf("a", "n1")}, true).empty());
  const NodeName n1 = NodeName::Trusted("n1");
  const std::uint32_t before = log_.view().nodes.at(n1).incarnation;
  log_.SayJoined("n1", 777, kCapacity);
  const std::vector<AssignBatch> copies = Tell({WelcomeNode{n1, 777, before + 1}}, true);
  ASSERT_EQ(copies.size(), 2u);
  EXPECT_EQ(copies[0].incarnation, before);
  EXPECT_TRUE(std::holds_alternative<Assignment>(copies[0].items.at(0)));
  EXPECT_EQ(copies[1].incarnation, before + 1);
  EXPECT_TRUE(std::holds_alternative<Welcomed>(copies[1].items.at(0)));
}

// A part of it would count as the whole: the worker would be at its position.
TEST_F(HeldCopiesTest, HaveAllThatAMessageSaysToTheirNode) {
  EXPECT_TRUE(Tell({StartOf("a", "n1", test::BulkySpec("a"))}, true).empty());
  const std::uint64_t held = LastOf("n1");
  const std::vector<AssignBatch> copies = Tell(
      {StartOf("b", "n1"), StartOf("c", "n1", test::BulkySpec("c")), StartOf("d", "n1")}, true);
  ASSERT_EQ(copies.size(), 1u) << "large enough now";
  EXPECT_EQ(copies[0].items.size(), 4u);
  EXPECT_EQ(copies[0].first, held);
  EXPECT_EQ(copies[0].seq, LastOf("n1"));
  EXPECT_EQ(teller_.ReleaseAt(), MonoTime::max());
}

TEST_F(HeldCopiesTest, WaitAgainBehindOneThatDidNot) {
  EXPECT_TRUE(Tell({StartOf("a", "n1"), StartOf("b", "n2")}, true).empty());
  const StopAttempt stop{TaskId::Trusted("a"), 1, NodeName::Trusted("n1"), {}};
  EXPECT_EQ(Tell({stop}, true).size(), 1u);
  EXPECT_TRUE(Tell({StartOf("c", "n1")}, true).empty());
  EXPECT_EQ(Tell({}, false).size(), 2u);
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

TEST(TellerTest, PagesAreCutWhateverTheSpecsConsistOf) {
  LogWriter log;
  log.Join("n1", kCapacity);
  std::vector<DecisionItem> starts;
  for (int i = 0; i < 30; ++i) {
    const std::string name = "t" + std::to_string(i);
    log.Submit(name + "-1", test::BulkySpec(name));
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
