// events: the three streams in the one order that counts.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "services/cli/exit_code.h"
#include "services/cli/history.h"
#include "shared/wire/codec.h"
#include "test/integration/cli/fake_cluster.h"

namespace cube::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Json = nlohmann::json;

class CliEventsTest : public CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    {
      FakeManager makes_the_streams(server_->url(), {.tell_outcome = false});
    }
    client_ = Connect();
  }

  void Append(const std::string& subject, std::string payload) {
    const auto seq = client_->Append(subject, std::move(payload), "", "");
    ASSERT_TRUE(seq) << seq.error().Text();
  }
  void Submit(const std::string& id) {
    TaskSpec spec;
    spec.name = TaskName::Trusted("web");
    spec.image = "nginx";
    Append(subjects_.TasksSubmit(),
           wire::EncodeSubmit({{TaskId::Trusted(id), std::make_shared<TaskSpec>(spec)}}));
  }
  void Fact(const std::string& id, LaunchState state) {
    FactBatch batch;
    batch.node = NodeName::Trusted("node-a");
    batch.instance = 5;
    batch.incarnation = 1;
    batch.first_number = ++facts_;
    LaunchFact launch;
    launch.key = {TaskId::Trusted(id), 1, 0};
    launch.placement = {7, 1};
    launch.state = state;
    batch.facts.push_back({WallFromNanos(1), launch});
    Append(subjects_.Facts("node-a"), wire::EncodeFacts(batch));
  }
  void Decide(std::uint64_t cycle, std::uint64_t intents, std::uint64_t facts,
              const std::string& start, std::uint64_t term = 7) {
    DecisionBatch batch;
    batch.term = {1, term};
    batch.cycle = cycle;
    if (cycle > 1) batch.prev = {term, cycle - 1};
    batch.intents.seq = intents;
    batch.facts.seq = facts;
    batch.decided_at = WallFromNanos(1'767'225'600'000'000'000);
    if (!start.empty()) {
      StartAttempt item;
      item.task = TaskId::Trusted(start);
      item.attempt = 1;
      item.node = NodeName::Trusted("node-a");
      TaskSpec spec;
      spec.name = TaskName::Trusted("web");
      spec.image = "nginx";
      item.spec = std::make_shared<TaskSpec>(spec);
      Explanation why;
      why.scheduler = "round-robin";
      item.explanation = why;
      batch.items.emplace_back(std::move(item));
    }
    Append(subjects_.Decisions(), wire::EncodeDecisions(batch));
  }
  // "intents/submit web-1", one for each line.
  static std::vector<std::string> Kinds(const std::string& lines) {
    std::vector<std::string> kinds;
    std::istringstream in(lines);
    for (std::string line; std::getline(in, line);) {
      const Json json = Json::parse(line);
      kinds.push_back(json["stream"].get<std::string>() + "/" + json["kind"].get<std::string>() +
                      " " + (json["task"].is_string() ? json["task"].get<std::string>() : "-") +
                      (json.contains("foreign") ? " foreign" : ""));
    }
    return kinds;
  }

  const wire::Subjects subjects_;
  std::unique_ptr<Client> client_;
  std::uint64_t facts_ = 0;
};

TEST_F(CliEventsTest, InTheOrderInWhichEverybodyFolds) {
  Submit("web-1");
  Submit("web-2");
  Fact("web-1", LaunchState::kPulling);  // stored before the decision that it belongs to
  Decide(1, 1, 0, "web-1");
  Fact("web-1", LaunchState::kRunning);
  Decide(2, 2, 2, "web-2");
  Decide(3, 2, 2, "ghost", 99);  // a deposed manager's
  Submit("web-3");               // no decision covers it
  const Shown shown = Cube({"events", "-o", "json"});
  EXPECT_EQ(shown.exit_code, kExitDone) << shown.err;
  EXPECT_THAT(Kinds(shown.out),
              ElementsAre("intents/submit web-1", "decisions/start web-1", "intents/submit web-2",
                          "facts/pulling web-1", "facts/running web-1", "decisions/start web-2",
                          "decisions/start ghost foreign", "intents/submit web-3"));
  EXPECT_THAT(Kinds(Cube({"events", "-o", "json", "web-1"}).out),
              ElementsAre("intents/submit web-1", "decisions/start web-1", "facts/pulling web-1",
                          "facts/running web-1"));
  EXPECT_EQ(Kinds(Cube({"events", "-o", "json", "web"}).out).size(), 8u);
  const Shown table = Cube({"events", "node-a"});
  EXPECT_THAT(table.out, HasSubstr("attempt 1 goes to node-a"));
  EXPECT_EQ(std::ranges::count(table.out, '\n'), 6);
  EXPECT_EQ(Cube({"events", "nosuch"}).exit_code, kExitNotFound);
  EXPECT_EQ(Cube({"events", "web-"}).exit_code, kExitConflict);
}

TEST_F(CliEventsTest, AnErrorComesWithoutATitle) {
  Submit("web-1");
  Decide(1, 1, 0, "web-1");
  const Shown shown = Cube({"events", "nosuch"});
  EXPECT_EQ(shown.exit_code, kExitNotFound);
  EXPECT_EQ(shown.out, "");
  EXPECT_THAT(Cube({"events", "web-1"}).out, ::testing::StartsWith("TIME "));
}

TEST_F(CliEventsTest, SinceLeavesOutWhatIsOlder) {
  Submit("web-1");
  Decide(1, 1, 0, "web-1");
  EXPECT_EQ(Kinds(Cube({"events", "-o", "json", "--since", "1h"}).out).size(), 2u);
  EXPECT_EQ(Cube({"events", "-o", "json", "--since", "2100-01-01T00:00:00Z"}).out, "");
}

TEST_F(CliEventsTest, MoreThanIsReadAtOnce) {
  constexpr int kTasks = 1'100;  // more decisions than one step reads
  for (int i = 1; i <= kTasks; ++i) {
    Submit("web-" + std::to_string(i));
    Decide(static_cast<std::uint64_t>(i), static_cast<std::uint64_t>(i), 0,
           "web-" + std::to_string(i));
  }
  const auto kinds = Kinds(Cube({"events", "-o", "json"}).out);
  ASSERT_EQ(kinds.size(), 2u * kTasks);
  for (int i = 1; i <= kTasks; ++i) {
    const auto at = static_cast<std::size_t>(i - 1) * 2;
    ASSERT_EQ(kinds[at], "intents/submit web-" + std::to_string(i));
    ASSERT_EQ(kinds[at + 1], "decisions/start web-" + std::to_string(i));
  }
}

TEST_F(CliEventsTest, ReadingOnGivesOnlyWhatIsNew) {
  Submit("web-1");
  Decide(1, 1, 0, "web-1");
  auto history = History::FromBeginning(*client_);
  ASSERT_TRUE(history);
  std::vector<std::string> seen;
  const auto see = [&](const LogItem& item) { seen.push_back(item.kind + " " + item.task); };
  ASSERT_TRUE(history->ReadOn(false, see));
  EXPECT_THAT(seen, ElementsAre("submit web-1", "start web-1"));
  seen.clear();
  ASSERT_TRUE(history->ReadOn(false, see));
  EXPECT_THAT(seen, ElementsAre());
  Submit("web-2");
  ASSERT_TRUE(history->ReadOn(false, see));
  EXPECT_THAT(seen, ElementsAre());  // its place is not known yet
  EXPECT_TRUE(history->waiting());
  Decide(2, 2, 0, "web-2");
  ASSERT_TRUE(history->ReadOn(false, see));
  EXPECT_THAT(seen, ElementsAre("submit web-2", "start web-2"));
  EXPECT_FALSE(history->waiting());
}

}  // namespace
}  // namespace cube::cli
