// A worker whose leader is gone rebuilds what it should run from the streams alone.
#include <gtest/gtest.h>

#include <sstream>

#include "services/worker/worker_loop.h"
#include "shared/wire/codec.h"
#include "test/support/worker/loop_rig.h"

namespace cube::worker {
namespace {

using std::chrono::seconds;

// A log of decisions and sets that answers direct gets.
class Log {
 public:
  Stamp Append(std::vector<DecisionItem> items) {
    DecisionBatch batch;
    batch.term = term_;
    batch.cycle = decisions_.size() + 1;
    if (batch.cycle > 1) batch.prev = last_;
    last_ = batch.stamp();
    batch.decided_at = WallFromNanos(1);
    if (batch.cycle == 1) batch.term_start = TermStart{kCluster, "m", 1, {}, {}};
    batch.items = std::move(items);
    decisions_.push_back(wire::EncodeDecisions(batch));
    return batch.stamp();
  }
  void AppendForeign() {
    DecisionBatch batch;
    batch.term = kTerm;
    batch.cycle = decisions_.size() + 1;
    batch.prev = {.term_id = 99, .cycle = 1};
    batch.decided_at = WallFromNanos(1);
    batch.items = {Started("foreign")};
    decisions_.push_back(wire::EncodeDecisions(batch));
  }
  // The log has lost its end, and another term goes on.
  void GoOnIn(Term term, std::uint64_t behind) {
    decisions_.resize(behind);
    term_ = term;
  }
  static DecisionItem Started(const std::string& task) {
    return StartAttempt{TaskId::Trusted(task), 1, kNode, Spec(), {}};
  }
  void SetPage(std::uint32_t page, const DesiredPage& set) { pages_[page] = set; }
  void Trim(std::uint64_t up_to) { trimmed_ = up_to; }
  [[nodiscard]] std::uint64_t last() const { return decisions_.size(); }

  // Answers every get in the text of a step.
  std::vector<Input> Answer(const std::string& text) {
    std::vector<Input> answers;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words(line);
      std::string verb, what, third, op;
      words >> verb >> what >> third >> op;
      if (verb == "get") {
        answers.push_back(Got(op, Decision(std::stoull(third))));
      } else if (verb == "get-last" && what == "cube.decisions") {
        answers.push_back(Got(third, Decision(last())));
      } else if (verb == "get-last") {
        const auto page = pages_.find(static_cast<std::uint32_t>(std::stoul(what.substr(16))));
        std::optional<bus::StreamMessage> message;
        if (page != pages_.end()) {
          message.emplace();
          message->payload = wire::EncodeDesired(page->second);
        }
        answers.push_back(Got(third, message));
      }
    }
    return answers;
  }

 private:
  static Input Got(const std::string& op, std::optional<bus::StreamMessage> message) {
    return FromBus{bus::Got{std::stoull(op.substr(2)), std::move(message)}};
  }
  [[nodiscard]] std::optional<bus::StreamMessage> Decision(std::uint64_t seq) const {
    if (seq <= trimmed_ || seq > decisions_.size()) return std::nullopt;
    bus::StreamMessage message;
    message.seq = seq;
    message.payload = decisions_[seq - 1];
    return message;
  }

  Term term_ = kTerm;
  Stamp last_;
  std::vector<std::string> decisions_;
  std::map<std::uint32_t, DesiredPage> pages_;
  std::uint64_t trimmed_ = 0;
};

// Steps until the worker has asked the log and has been answered. -> what it did besides.
std::string WithoutLeader(LoopRig& rig, Log& log) {
  std::string all;
  for (int i = 0; i < 200; ++i) {
    std::string text = rig.Step();
    for (auto answers = log.Answer(text); !answers.empty(); answers = log.Answer(text)) {
      all += text;
      text = rig.Step(std::move(answers));
    }
    all += text;
    rig.Pass(std::chrono::milliseconds(200));
  }
  return all;
}

TEST(CatchUp, ReadsTheDecisionsBehindThePosition) {
  LoopRig rig;
  rig.BecomeReady();  // position 10
  Log log;
  for (int i = 0; i < 10; ++i) log.Append({});
  const Stamp placed = log.Append({Log::Started("a"), Log::Started("b")});
  log.Append({StartAttempt{TaskId::Trusted("other"), 1, NodeName::Trusted("n2"), Spec(), {}}});
  log.AppendForeign();
  rig.Restart();
  rig.Step();
  rig.Connect();
  rig.Engine(engine::Up{"1", true});
  rig.Engine(engine::Listed{});
  const std::string text = WithoutLeader(rig, log);
  EXPECT_NE(text.find("commit\nlaunch docker a/1/0\nlaunch docker b/1/0\n"), std::string::npos)
      << text;
  EXPECT_EQ(text.find("other/"), std::string::npos);
  EXPECT_EQ(text.find("foreign/"), std::string::npos);
  EXPECT_EQ(rig.loop().core().meta().position, 12u) << "the last valid one";
  EXPECT_EQ(rig.loop().core().Find({TaskId::Trusted("a"), 1})->placement, placed);
}

TEST(CatchUp, ALostStoreIsRebuiltFromTheStoredSet) {
  LoopRig rig;
  Log log;
  for (int i = 0; i < 12; ++i) log.Append({});
  DesiredPage first = Set(11, {Start("a")});
  first.pages = 2;
  DesiredPage second = Set(11, {Start("b")});
  second.pages = 2;
  second.page = 1;
  log.SetPage(0, first);
  log.SetPage(1, second);
  log.Append({StopAttempt{TaskId::Trusted("a"), 1, kNode, seconds(1)}});
  rig.Step();
  rig.Connect();
  std::string text = WithoutLeader(rig, log);
  EXPECT_NE(text.find("engine docker as c1/n1"), std::string::npos) << text;
  EXPECT_EQ(rig.loop().core().meta().position, 13u);
  rig.Engine(engine::Up{"1", true});
  text = rig.Engine(engine::Listed{});
  EXPECT_NE(text.find("launch docker b/1/0"), std::string::npos) << text;
  EXPECT_TRUE(rig.loop().core().Find({TaskId::Trusted("a"), 1})->done);
}

TEST(CatchUp, StopsWhereOnlyALeaderKnows) {
  LoopRig rig;
  rig.BecomeReady();
  Log log;
  for (int i = 0; i < 10; ++i) log.Append({});
  log.Append({Log::Started("a")});
  log.Append({NodeDown{kNode, "silent"}});
  log.Append({Log::Started("b")});
  rig.Step({FromBus{bus::Disconnected{"gone"}}});
  rig.Connect();
  WithoutLeader(rig, log);
  EXPECT_EQ(rig.loop().core().meta().position, 11u);
  EXPECT_EQ(rig.loop().core().Find({TaskId::Trusted("b"), 1}), nullptr);
}

TEST(CatchUp, DoesNotReadOverAHole) {
  LoopRig rig;
  rig.BecomeReady();
  Log log;
  for (int i = 0; i < 10; ++i) log.Append({});
  log.Append({Log::Started("a")});
  log.Append({Log::Started("b")});
  log.Trim(11);
  rig.Step({FromBus{bus::Disconnected{"gone"}}});
  rig.Connect();
  WithoutLeader(rig, log);
  EXPECT_EQ(rig.loop().core().meta().position, 10u);
  EXPECT_TRUE(rig.loop().core().attempts().empty());
}

// The leader has not seen yet that the log has lost what this worker was told.
TEST(CatchUp, StopsWhereTheLogHasLostWhatWasTold) {
  for (const Term other : {Term{kTerm.epoch + 1, 77}, Term{kTerm.epoch, 77}}) {
    LoopRig rig;
    rig.BecomeReady();  // position 10
    rig.Assign(Batch(12, 10, {Start("a")}));
    Log log;
    for (int i = 0; i < 9; ++i) log.Append({});
    log.GoOnIn(other, 9);
    for (int i = 0; i < 5; ++i) log.Append({Log::Started("b-" + std::to_string(i))});
    rig.Step({FromBus{bus::Disconnected{"gone"}}});
    rig.Connect();
    WithoutLeader(rig, log);
    EXPECT_EQ(rig.loop().core().meta().position, 12u);
    EXPECT_EQ(rig.loop().core().meta().term, kTerm);
    EXPECT_EQ(rig.loop().core().attempts().size(), 1u);
    EXPECT_FALSE(rig.loop().core().Find({TaskId::Trusted("a"), 1})->stop);
  }
}

TEST(CatchUp, GoesOnBehindATrimmedPositionInItsTermOnly) {
  for (const bool same : {true, false}) {
    LoopRig rig;
    rig.BecomeReady();  // position 10
    Log log;
    for (int i = 0; i < 9; ++i) log.Append({});
    if (!same) log.GoOnIn({kTerm.epoch + 1, 77}, 9);
    log.Append({});
    log.Append({Log::Started("a")});
    log.Trim(10);
    rig.Step({FromBus{bus::Disconnected{"gone"}}});
    rig.Connect();
    WithoutLeader(rig, log);
    EXPECT_EQ(rig.loop().core().meta().position, same ? 11u : 10u);
    EXPECT_EQ(rig.loop().core().attempts().size(), same ? 1u : 0u);
  }
}

TEST(CatchUp, IsNotNeededWhereALeaderAnswers) {
  LoopRig rig;
  rig.BecomeReady();
  rig.Step({FromBus{bus::Disconnected{"gone"}}});
  rig.Connect();
  rig.Assign(Batch(20, 10, {UpToDate{}}));
  std::string text;
  for (int i = 0; i < 200; ++i) {
    rig.Pass(seconds(1));
    text += rig.Step();
  }
  EXPECT_EQ(text.find("get"), std::string::npos);
}

TEST(CatchUp, ComesAfterAWaitOfItsOwn) {
  LoopRig rig;
  rig.BecomeReady();
  rig.Step({FromBus{bus::Disconnected{"gone"}}});
  rig.Connect();
  Duration waited{0};
  while (rig.Step().find("get-last") == std::string::npos && waited < seconds(60)) {
    rig.Pass(std::chrono::milliseconds(100));
    waited += std::chrono::milliseconds(100);
  }
  EXPECT_GE(waited, kCatchUpAfter);
  EXPECT_LE(waited, kCatchUpAfter + kCatchUpSpread);
}

TEST(CatchUp, ReadsTheSetOfAWelcomeThatWasLost) {
  LoopRig rig;
  rig.BecomeReady();
  rig.Assign(Batch(20, 10, {UpToDate{}}));
  AssignBatch welcome = Batch(30, 0, {Welcomed{kInstance, 2}});
  welcome.incarnation = 2;
  rig.Assign(welcome);
  Log log;
  for (int i = 0; i < 30; ++i) log.Append({});
  DesiredPage set = Set(30, {Start("a")}, kUp);
  set.incarnation = 2;
  log.SetPage(0, set);
  const std::string text = WithoutLeader(rig, log);
  EXPECT_NE(text.find("launch docker a/1/0"), std::string::npos) << text;
}

TEST(CatchUp, AsksForFewPagesAtOneTime) {
  LoopRig rig;
  Log log;
  log.Append({});
  constexpr std::uint32_t kPages = 100;
  for (std::uint32_t i = 0; i < kPages; ++i) {
    DesiredPage page = Set(1, {Start("t" + std::to_string(i))});
    page.page = i;
    page.pages = kPages;
    log.SetPage(i, page);
  }
  rig.Step();
  rig.Connect();
  std::string text;
  while (text.find("get-last") == std::string::npos) {
    rig.Pass(std::chrono::milliseconds(100));
    text = rig.Step();
  }
  std::size_t most = 0;
  for (auto answers = log.Answer(text); !answers.empty(); answers = log.Answer(text)) {
    most = std::max(most, answers.size());
    text = rig.Step(std::move(answers));
  }
  EXPECT_EQ(most, kCatchUpWindow);
  EXPECT_EQ(rig.loop().core().attempts().size(), kPages);
}

}  // namespace
}  // namespace cube::worker
