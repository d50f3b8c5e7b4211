// Law 10: decode(encode(x)) == x, for random values of every kind. A failure prints the seed.
#include <cube/v1/desired.pb.h>
#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "shared/wire/codec.h"
#include "shared/wire/convert.h"
#include "shared/wire/human.h"
#include "shared/wire/internal.h"
#include "test/support/wire/equal.h"
#include "test/support/wire/values.h"

namespace cube::wire {
namespace {

using testing::Equal;

constexpr int kSeeds = 2000;

TEST(RoundTrip, Decisions) {
  for (int seed = 0; seed < kSeeds; ++seed) {
    Random random(static_cast<std::uint64_t>(seed));
    const DecisionBatch batch = testing::RandomDecisions(random);
    const auto back = DecodeDecisions(EncodeDecisions(batch));
    ASSERT_TRUE(back) << "seed " << seed << ": " << back.error().Text();
    ASSERT_TRUE(Equal(*back, batch)) << "seed " << seed;
  }
}

TEST(RoundTrip, Facts) {
  for (int seed = 0; seed < kSeeds; ++seed) {
    Random random(static_cast<std::uint64_t>(seed));
    const FactBatch batch = testing::RandomFacts(random);
    const auto back = DecodeFacts(batch.node.str(), EncodeFacts(batch));
    ASSERT_TRUE(back) << "seed " << seed << ": " << back.error().Text();
    ASSERT_EQ(*back, batch) << "seed " << seed;
  }
}

// What is encoded piece by piece gives the same bytes as the whole.
TEST(RoundTrip, FactsInTwoSteps) {
  for (int seed = 0; seed < kSeeds; ++seed) {
    Random random(static_cast<std::uint64_t>(seed));
    FactBatch batch = testing::RandomFacts(random);
    const std::string whole = EncodeFacts(batch);
    std::vector<std::string> facts;
    for (const Fact& fact : batch.facts) facts.push_back(EncodeFact(fact));
    batch.facts.clear();
    const std::vector<std::string_view> views(facts.begin(), facts.end());
    ASSERT_EQ(JoinFacts(batch, views), whole) << "seed " << seed;
  }
}

TEST(RoundTrip, Assign) {
  for (int seed = 0; seed < kSeeds; ++seed) {
    Random random(static_cast<std::uint64_t>(seed));
    const AssignBatch batch = testing::RandomAssign(random);
    const auto back = DecodeAssign(EncodeAssign(batch));
    ASSERT_TRUE(back) << "seed " << seed << ": " << back.error().Text();
    ASSERT_TRUE(Equal(*back, batch)) << "seed " << seed;
  }
}

TEST(RoundTrip, Desired) {
  for (int seed = 0; seed < kSeeds; ++seed) {
    Random random(static_cast<std::uint64_t>(seed));
    const DesiredPage page = testing::RandomDesired(random);
    const auto back = DecodeDesired(EncodeDesired(page));
    ASSERT_TRUE(back) << "seed " << seed << ": " << back.error().Text();
    ASSERT_TRUE(Equal(*back, page)) << "seed " << seed;
  }
}

TEST(RoundTrip, Heartbeat) {
  for (int seed = 0; seed < kSeeds; ++seed) {
    Random random(static_cast<std::uint64_t>(seed));
    const Heartbeat beat = testing::RandomHeartbeat(random);
    const auto back = DecodeHeartbeat(EncodeHeartbeat(beat));
    ASSERT_TRUE(back) << "seed " << seed << ": " << back.error().Text();
    ASSERT_TRUE(Equal(*back, beat)) << "seed " << seed;
  }
}

template <class Item>
void ExpectItems(const IntentBatch& batch, const std::vector<Item>& items, int seed) {
  ASSERT_EQ(batch.items.size(), items.size()) << "seed " << seed;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const auto* invalid = std::get_if<InvalidItem>(&batch.items[i]);
    ASSERT_EQ(invalid, nullptr) << "seed " << seed << ": " << invalid->error.Text();
    ASSERT_TRUE(Equal(batch.items[i], IntentItem(items[i]))) << "seed " << seed << " item " << i;
  }
}

TEST(RoundTrip, Submit) {
  for (int seed = 0; seed < kSeeds; ++seed) {
    Random random(static_cast<std::uint64_t>(seed));
    const auto tasks = testing::RandomSubmits(random);
    ExpectItems(DecodeIntents("cube.tasks.submit", {}, EncodeSubmit(tasks)), tasks, seed);
  }
}

TEST(RoundTrip, Stop) {
  for (int seed = 0; seed < kSeeds; ++seed) {
    Random random(static_cast<std::uint64_t>(seed));
    const auto tasks = testing::RandomStops(random);
    ExpectItems(DecodeIntents("cube.tasks.stop", {}, EncodeStop(tasks)), tasks, seed);
  }
}

TEST(RoundTrip, Nodes) {
  for (int seed = 0; seed < kSeeds; ++seed) {
    Random random(static_cast<std::uint64_t>(seed));
    const auto drains = testing::RandomDrains(random);
    ExpectItems(DecodeIntents("cube.nodes.drain", {}, EncodeDrain(drains)), drains, seed);
    for (const bool cordon : {true, false}) {
      const auto nodes = testing::RandomNodes(random);
      std::vector<CordonNode> items;
      for (const NodeName& node : nodes) items.push_back({node, cordon});
      ExpectItems(DecodeIntents(cordon ? "cube.nodes.cordon" : "cube.nodes.uncordon", {},
                                EncodeCordon(nodes, cordon)),
                  items, seed);
    }
  }
}

TEST(RoundTrip, Jobs) {
  for (int seed = 0; seed < kSeeds; ++seed) {
    Random random(static_cast<std::uint64_t>(seed));
    const JobSpec job = testing::RandomJob(random);
    ExpectItems(DecodeIntents("cube.jobs.submit", {}, EncodeSubmitJob(job)),
                std::vector<SubmitJob>{{job}}, seed);
    const auto stops = testing::RandomJobStops(random);
    ExpectItems(DecodeIntents("cube.jobs.stop", {}, EncodeStopJobs(stops)), stops, seed);
    const auto scales = testing::RandomScales(random);
    ExpectItems(DecodeIntents("cube.jobs.scale", {}, EncodeScaleJobs(scales)), scales, seed);
    const std::string text = JobToHuman(job).dump();
    ExpectItems(DecodeIntents("cube.jobs.submit", {}, text), std::vector<SubmitJob>{{job}}, seed);
  }
}

TEST(RoundTrip, HumanForm) {
  for (int seed = 0; seed < kSeeds; ++seed) {
    Random random(static_cast<std::uint64_t>(seed));
    const TaskSpec spec = testing::RandomSpec(random);
    const std::string text = SpecToHuman(spec).dump();
    const auto json = ParseJson(text);
    ASSERT_TRUE(json) << "seed " << seed << ": " << json.error().Text();
    const auto back = TaskFromHuman(*json);
    ASSERT_TRUE(back) << "seed " << seed << ": " << back.error().Text() << "\n" << text;
    ASSERT_EQ(*back->spec, spec) << "seed " << seed << "\n" << text;
  }
}

TEST(RoundTrip, YamlReadsWhatJsonReads) {
  for (int seed = 0; seed < kSeeds; ++seed) {
    Random random(static_cast<std::uint64_t>(seed));
    const TaskSpec spec = testing::RandomSpec(random);
    // ASCII only: yaml-cpp does not join the surrogate pairs of JSON's escapes, so none are made.
    const std::string text = SpecToHuman(spec).dump();
    const auto yaml = ParseYaml(text);
    ASSERT_TRUE(yaml) << "seed " << seed << ": " << yaml.error().Text() << "\n" << text;
    const auto back = TaskFromHuman(*yaml);
    ASSERT_TRUE(back) << "seed " << seed << ": " << back.error().Text() << "\n" << text;
    ASSERT_EQ(*back->spec, spec) << "seed " << seed << "\n" << text;
  }
}

TEST(RoundTrip, EqualSpecsTravelOnce) {
  Random random(5);
  const TaskSpec spec = testing::RandomSpec(random);
  std::vector<SubmitTask> shared;
  std::vector<SubmitTask> copies;
  const auto pointer = std::make_shared<const TaskSpec>(spec);
  for (int i = 0; i < 100; ++i) {
    const TaskId id = TaskId::Trusted("t" + std::to_string(i) + "x");
    shared.push_back({id, pointer});
    copies.push_back({id, std::make_shared<const TaskSpec>(spec)});
  }
  const std::string bytes = EncodeSubmit(shared);
  EXPECT_EQ(bytes, EncodeSubmit(copies));
  const std::size_t one = EncodeSubmit({shared.front()}).size();
  EXPECT_LT(bytes.size(), one + 100 * 12);
  const IntentBatch batch = DecodeIntents("cube.tasks.submit", {}, bytes);
  ASSERT_EQ(batch.items.size(), 100U);
  const auto& first = std::get<SubmitTask>(batch.items.front());
  for (const IntentItem& item : batch.items) {
    EXPECT_EQ(std::get<SubmitTask>(item).spec, first.spec);  // the same object
  }
}

TEST(RoundTrip, EqualBatchesGiveEqualBytes) {
  Random random(6);
  for (int i = 0; i < 200; ++i) {
    const DecisionBatch batch = testing::RandomDecisions(random);
    const std::string bytes = EncodeDecisions(batch);
    const auto back = DecodeDecisions(bytes);
    ASSERT_TRUE(back);
    ASSERT_EQ(EncodeDecisions(*back), bytes);
  }
}

TEST(EncodedSizeMax, IsABoundForEachItem) {
  for (int seed = 0; seed < kSeeds; ++seed) {
    Random random(static_cast<std::uint64_t>(seed));
    DecisionBatch batch = testing::RandomDecisions(random);
    std::size_t bound = 0;
    for (const DecisionItem& item : batch.items) bound += EncodedSizeMax(item);
    const std::size_t size = EncodeDecisions(batch).size();
    batch.items.clear();
    const std::size_t head = EncodeDecisions(batch).size();
    ASSERT_LE(size, head + bound) << "seed " << seed;
  }
}

TEST(EncodedSizeMax, HoldsForMalformedTextToo) {
  DecisionBatch batch;
  batch.term = {1, 1};
  batch.cycle = 1;
  const std::size_t head = EncodeDecisions(batch).size();
  const std::string bad(3000, '\xFF');  // each byte becomes three
  for (const DecisionItem& item :
       {DecisionItem(RefuseIntent{1, 0, bad, {Code::kInvalid, bad, bad}}),
        DecisionItem(NodeDown{NodeName::Trusted("n"), bad}),
        DecisionItem(RefuseNode{NodeName::Trusted("n"), 1, bad})}) {
    batch.items = {item};
    EXPECT_LE(EncodeDecisions(batch).size(), head + EncodedSizeMax(item));
    EXPECT_TRUE(DecodeDecisions(EncodeDecisions(batch)));
  }
}

// The bytes that a spec takes in a message's table of specs.
std::size_t BytesOf(const TaskSpec& spec) {
  v1::DesiredPage page;
  ToProto(spec, *page.add_specs());
  return page.ByteSizeLong();
}

TEST(EncodedBytesMax, IsABoundForEachSpec) {
  for (int seed = 0; seed < kSeeds; ++seed) {
    Random random(static_cast<std::uint64_t>(seed));
    const TaskSpec spec = testing::RandomSpec(random);
    ASSERT_LE(BytesOf(spec), EncodedBytesMax(spec)) << "seed " << seed;
  }
}

TEST(EncodedBytesMax, CountsEveryTextOfASpec) {
  const std::string big(10'000, 'x');
  const std::vector<std::function<void(TaskSpec&)>> grow{
      [&](TaskSpec& s) { s.image = big; },
      [&](TaskSpec& s) { s.command = {big}; },
      [&](TaskSpec& s) { s.entrypoint = {big}; },
      [&](TaskSpec& s) { s.env[big] = big; },
      [&](TaskSpec& s) { s.labels[big] = big; },
      [&](TaskSpec& s) { s.user = big; },
      [&](TaskSpec& s) { s.workdir = big; },
      [&](TaskSpec& s) { s.ports = {{80, 0, Protocol::kTcp, big}}; },
      [&](TaskSpec& s) { s.health.emplace().http_path = big; },
      [&](TaskSpec& s) { s.health.emplace().port_name = big; },
      [&](TaskSpec& s) { s.health.emplace().command = {big}; },
      [&](TaskSpec& s) { s.stop_signal = big; },
      [&](TaskSpec& s) { s.constraints = {{big, Constraint::Op::kIn, {big, big}}}; },
      [&](TaskSpec& s) { s.affinities = {{{big, Constraint::Op::kIn, {big, big}}, -1}}; },
      [&](TaskSpec& s) { s.engine = big; },
      [&](TaskSpec& s) { s.scheduler = big; },
      [&](TaskSpec& s) { s.volumes = {{big, big, true}}; },
      [&](TaskSpec& s) { s.network = big; },
      [&](TaskSpec& s) { s.cap_add = {big}; },
      [&](TaskSpec& s) { s.cap_drop = {big}; },
  };
  for (std::size_t i = 0; i < grow.size(); ++i) {
    TaskSpec spec;
    spec.name = TaskName::Trusted("t");
    grow[i](spec);
    EXPECT_GE(BytesOf(spec), big.size()) << i;
    EXPECT_LE(BytesOf(spec), EncodedBytesMax(spec)) << i;
  }
}

TEST(HashSpec, TellsVolumesAndNetworksApart) {
  TaskSpec plain;
  plain.name = TaskName::Trusted("t");
  TaskSpec mounts = plain;
  mounts.volumes = {{"data", "/data", false}};
  TaskSpec other = plain;
  other.volumes = {{"data", "/data", true}};
  TaskSpec host = plain;
  host.network = "host";
  const std::set<std::size_t> hashes{internal::HashSpec(plain), internal::HashSpec(mounts),
                                     internal::HashSpec(other), internal::HashSpec(host)};
  EXPECT_EQ(hashes.size(), 4u);
}

}  // namespace
}  // namespace cube::wire
