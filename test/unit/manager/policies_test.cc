#include "services/manager/core/policies.h"

#include <gtest/gtest.h>

#include <cmath>

#include "services/manager/core/book.h"
#include "shared/base/random.h"
#include "shared/domain/rules.h"

namespace cube::manager {
namespace {

constexpr double kLieb = 1.53960071783900203869;

double AsDouble(std::int64_t score) { return std::ldexp(static_cast<double>(score), -kScoreBits); }

// One node's record, built by hand.
Node MakeNode(Resources capacity, Resources promised, NodeLoad load, std::uint32_t tasks) {
  Node node;
  node.description.capacity = capacity;
  node.description.tasks_max = 500;
  node.allocated = promised;
  node.load = load;
  for (std::uint32_t i = 0; i < tasks; ++i) node.attempts.insert({1, i});
  return node;
}

Rank Score(std::string_view policy, const Node& node, const Resources& asked) {
  return FindPolicy(policy)->Score(StandingOf(node), AmountsOf(asked));
}

TEST(PoliciesTest, ThereIsOneForEachName) {
  for (std::string_view name : kPolicies) {
    const Policy* policy = FindPolicy(name);
    ASSERT_NE(policy, nullptr) << name;
    EXPECT_EQ(policy->Name(), name);
  }
  EXPECT_EQ(FindPolicy("best"), nullptr);
}

TEST(PoliciesTest, ASharePromisesNoMoreThanTheTruth) {
  Random random(3);
  for (int i = 0; i < 100'000; ++i) {
    const auto capacity = 1 + static_cast<std::int64_t>(random.Next() >> (14 + random.Below(49)));
    const auto amount =
        static_cast<std::int64_t>(random.Below(2 * static_cast<std::uint64_t>(capacity) + 1));
    const Standing standing = StandingOf(MakeNode({0, capacity, 0}, {}, {}, 0));
    __extension__ using Wide = unsigned __int128;
    const auto exact = static_cast<std::uint64_t>((static_cast<Wide>(amount) << kScoreBits) /
                                                  static_cast<std::uint64_t>(capacity));
    const std::uint64_t share = standing.Share(kMemory, amount);
    ASSERT_LE(share, exact) << amount << " of " << capacity;
    ASSERT_GE(share + 1, exact) << amount << " of " << capacity;
  }
}

// E-PVM as the book has it: node's memory, used and promised in kB, the task's in bytes.
struct Golden {
  std::int64_t memory, used, allocated, task_memory;
  std::uint32_t tasks;
  double memory_cost, cpu_cost, score;
};
constexpr Golden kGolden[] = {
    {16000000, 4000000, 0, 0, 0, 0.113914933378, 0.113914933378, 0.227829866756},
    {16000000, 4000000, 0, 536870912, 0, 0.130161186395, 0.113914933378, 0.244076119773},
    {16000000, 4000000, 0, 536870912, 3, 0.173694104685, 0.157447851668, 0.331141956353},
    {16000000, 12000000, 0, 536870912, 0, 0.134073389378, 0.113914933378, 0.247988322756},
    {16000000, 12000000, 0, 536870912, 8, 0.290179038822, 0.270020582822, 0.560199621644},
    {8000000, 2000000, 1000000, 1073741824, 1, 0.196993331314, 0.126891545425, 0.323884876739}};

TEST(PoliciesTest, TheBooksNumbersInItsOwnDoubles) {
  for (const Golden& g : kGolden) {
    for (double cpu : {0.0, 0.5, 1.0}) {
      const book::EpvmCost cost =
          book::EpvmScore({g.memory, g.used, g.allocated, g.tasks, cpu}, g.task_memory);
      EXPECT_NEAR(cost.memory, g.memory_cost, 1e-9);
      EXPECT_NEAR(cost.cpu, g.cpu_cost, 1e-9);
      EXPECT_NEAR(cost.score(), g.score, 1e-9);
    }
  }
  EXPECT_NEAR(book::GreedyScore(1), 1 / 1.7411011265922482, 1e-15);
}

TEST(PoliciesTest, TheBooksNumbersInIntegers) {
  for (const Golden& g : kGolden) {
    // What is measured comes in sixteenths: 4 and 12 of 16 GB, 2 of 8 GB.
    const auto load = static_cast<std::uint8_t>(16 * g.used / g.memory);
    const Node node =
        MakeNode({0, g.memory * 1000, 0}, {0, g.allocated * 1000, 0}, {9, load, 0}, g.tasks);
    EXPECT_NEAR(AsDouble(Score("epvm-book", node, {0, g.task_memory, 0}).score), g.score, 1e-9);
  }
  // Without memory only the number of tasks counts.
  constexpr double kByCount[] = {0.227830, 0.253783, 0.282693, 0.314896, 0.350767};
  for (std::uint32_t n = 0; n < 5; ++n) {
    const Node node = MakeNode({0, 1000, 0}, {}, {}, n);
    EXPECT_NEAR(AsDouble(Score("epvm-book", node, {}).score), kByCount[n], 5e-7);
  }
  EXPECT_NEAR(AsDouble(Score("epvm-book", MakeNode({0, 1000, 0}, {}, {}, 8), {}).score), 0.540041,
              5e-7);
  for (std::uint8_t cpu = 0; cpu <= kLoadFull; ++cpu) {
    EXPECT_NEAR(AsDouble(Score("greedy", MakeNode({}, {}, {cpu, 0, 0}, 3), {}).score),
                book::GreedyScore(cpu / 16.0), 1e-9);
  }
}

// The book picks the lowest score, of equal ones the first.
TEST(PoliciesTest, TheBooksPicks) {
  Random random(4);
  for (int round = 0; round < 2000; ++round) {
    std::vector<double> epvm, greedy;
    ScoreTree epvm_ranks, greedy_ranks;
    const std::size_t n = 1 + random.Below(6);
    epvm_ranks.Reset(n);
    greedy_ranks.Reset(n);
    const auto asked = static_cast<std::int64_t>(random.Below(4'000'000) * 1000);
    for (std::size_t i = 0; i < n; ++i) {
      const auto memory = static_cast<std::int64_t>(16'000'000 * (1 + random.Below(4)));
      const auto allocated = static_cast<std::int64_t>(random.Below(8) * 1'000'000);
      const NodeLoad load{static_cast<std::uint8_t>(random.Below(17)),
                          static_cast<std::uint8_t>(random.Below(17)), 0};
      const auto tasks = static_cast<std::uint32_t>(random.Below(9));
      epvm.push_back(
          book::EpvmScore({memory, memory * load.memory / 16, allocated, tasks, load.cpu / 16.0},
                          asked)
              .score());
      greedy.push_back(book::GreedyScore(load.cpu / 16.0));
      const Node node = MakeNode({0, memory * 1000, 0}, {0, allocated * 1000, 0}, load, tasks);
      epvm_ranks.Fill(i, Score("epvm-book", node, {0, asked, 0}));
      greedy_ranks.Fill(i, Score("greedy", node, {0, asked, 0}));
    }
    epvm_ranks.Finish();
    greedy_ranks.Finish();
    const auto first_lowest = [](const std::vector<double>& scores) {
      std::size_t best = 0;
      for (std::size_t i = 1; i < scores.size(); ++i) {
        if (scores[i] < scores[best] - 1e-9) best = i;  // doubles of equal scores differ a little
      }
      return best;
    };
    ASSERT_EQ(FindPolicy("epvm-book")->Pick(epvm_ranks, 0), first_lowest(epvm)) << round;
    ASSERT_EQ(FindPolicy("greedy")->Pick(greedy_ranks, 0), first_lowest(greedy)) << round;
  }
}

TEST(PoliciesTest, TheBooksRoundRobin) {
  ScoreTree ranks;
  ranks.Reset(3);
  for (std::size_t i = 0; i < 3; ++i) ranks.Fill(i, {});
  ranks.Finish();
  const Policy& policy = *FindPolicy("round-robin");
  EXPECT_EQ(policy.Pick(ranks, 0), 1u);
  EXPECT_EQ(policy.Pick(ranks, 1), 2u);
  EXPECT_EQ(policy.Pick(ranks, 2), 0u);
  EXPECT_EQ(policy.Pick(ranks, ScoreTree::kNone), 0u);
}

// The book's formula leaves every number; the order of nodes stays its order.
TEST(PoliciesTest, ManyTasksKeepTheirOrder) {
  const Resources asked{0, std::int64_t{1} << 29, 0};
  Rank last{};
  for (std::uint32_t n = 0; n < 700; ++n) {
    const Rank empty = Score("epvm-book", MakeNode({0, 1LL << 34, 0}, {}, {}, n), asked);
    const Rank full = Score("epvm-book", MakeNode({0, 1LL << 34, 0}, {}, {0, 15, 0}, n), asked);
    EXPECT_LT(empty, full) << n;
    if (n > 40) {
      EXPECT_LT(last, empty) << n;
    }
    last = full;
  }
  Standing standing = StandingOf(MakeNode({0, 1000, 0}, {}, {}, 0));
  standing.tasks = 100'000;
  const std::int64_t most = FindPolicy("epvm-book")->Score(standing, {}).score;
  EXPECT_GT(most, 0);
  EXPECT_LT(most, std::int64_t{1} << 62) << "room for affinities";
}

TEST(PoliciesTest, EpvmIsTheSumOfWhatEachResourceCosts) {
  Random random(5);
  for (int i = 0; i < 10'000; ++i) {
    const Resources capacity{1000 + static_cast<std::int64_t>(random.Below(64'000)),
                             std::int64_t{1} << (30 + random.Below(8)),
                             std::int64_t{1} << (33 + random.Below(8))};
    const NodeLoad load{static_cast<std::uint8_t>(random.Below(9)),
                        static_cast<std::uint8_t>(random.Below(9)),
                        static_cast<std::uint8_t>(random.Below(9))};
    const auto half = [&random](std::int64_t all) {
      return static_cast<std::int64_t>(random.Below(static_cast<std::uint64_t>(all / 2)));
    };
    const Resources promised{half(capacity.cpu_millis), half(capacity.memory_bytes),
                             half(capacity.disk_bytes)};
    const Resources asked{half(capacity.cpu_millis), half(capacity.memory_bytes),
                          half(capacity.disk_bytes)};
    const auto cost = [](std::int64_t all, std::int64_t taken, std::uint8_t sixteenths,
                         std::int64_t more) {
      const auto used = static_cast<double>(std::max(taken, all * sixteenths / 16));
      const auto whole = static_cast<double>(all);
      return std::pow(kLieb, (used + static_cast<double>(more)) / whole) -
             std::pow(kLieb, used / whole);
    };
    const double exact =
        cost(capacity.cpu_millis, promised.cpu_millis, load.cpu, asked.cpu_millis) +
        cost(capacity.memory_bytes, promised.memory_bytes, load.memory, asked.memory_bytes) +
        cost(capacity.disk_bytes, promised.disk_bytes, load.disk, asked.disk_bytes);
    const Rank rank = Score("epvm", MakeNode(capacity, promised, load, 7), asked);
    ASSERT_NEAR(AsDouble(rank.score), exact, 1e-8);
    ASSERT_EQ(rank.tie, 7u);
  }
}

// Row 65 of the book's list: with equal memory and counts, a task that asks for cpu goes to the
// idler node.
TEST(PoliciesTest, EpvmSeesTheCpu) {
  const Resources capacity{4000, std::int64_t{8} << 30, 0};
  const Rank idle = Score("epvm", MakeNode(capacity, {}, {2, 4, 0}, 3), {500, 1 << 28, 0});
  const Rank busy = Score("epvm", MakeNode(capacity, {}, {9, 4, 0}, 3), {500, 1 << 28, 0});
  EXPECT_LT(idle, busy);
}

TEST(PoliciesTest, SpreadWantsTheEmptiestAndBinpackTheFullest) {
  const Resources capacity{4000, std::int64_t{8} << 30, std::int64_t{100} << 30};
  const Resources asked{500, 1 << 28, 0};
  const Node empty = MakeNode(capacity, {}, {}, 0);
  const Node promised = MakeNode(capacity, {1000, 0, 0}, {}, 0);
  const Node measured = MakeNode(capacity, {}, {0, 0, 8}, 0);
  const Node crowded = MakeNode(capacity, {}, {}, 5);
  for (const Node* fuller : {&promised, &measured, &crowded}) {
    EXPECT_LT(Score("spread", empty, asked), Score("spread", *fuller, asked));
    EXPECT_GT(Score("binpack", empty, asked), Score("binpack", *fuller, asked));
  }
  EXPECT_EQ(
      AsDouble(Score("spread", MakeNode({4096, 0, 0}, {1024, 0, 0}, {}, 249), {1024, 0, 0}).score),
      1.0)
      << "half of the cpu and half of the tasks";
}

}  // namespace
}  // namespace cube::manager
