#include "bench/micro/place.h"

#include <chrono>
#include <cstdio>
#include <vector>

#include "services/manager/core/filters.h"
#include "services/manager/core/scheduler.h"
#include "shared/base/check.h"
#include "shared/cluster/fold.h"
#include "shared/domain/rules.h"

namespace cube::manager {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int64_t kGi = std::int64_t{1} << 30;
constexpr std::size_t kPlacementsMax = 8192;  // as many as one decision message holds
constexpr int kRuns = 7;

// A cluster as the log makes it: joined, welcomed, reported.
class Cluster {
 public:
  explicit Cluster(std::size_t nodes, std::size_t full_of_ten) {
    DecisionBatch batch = Next();
    batch.term = {1, 1};
    batch.cycle = 1;
    batch.term_start = TermStart{"bench", "bench", 1, {}, {}};
    NodeDescription description;
    description.capacity = {16'000, 64 * kGi, 500 * kGi};
    description.tasks_max = 500;
    description.engines = {{"docker", "", true, true}};
    for (std::size_t i = 0; i < nodes; ++i) {
      names_.push_back(NodeName::Trusted("node-" + std::to_string(1'000'000 + i)));
      Say(names_.back(), 0, NodeJoined{description});
    }
    batch.facts = view_.facts;
    for (const NodeName& name : names_) batch.items.emplace_back(WelcomeNode{name, 1, 1});
    Append(batch);
    for (const NodeName& name : names_) Say(name, 1, NodeReported{view_.nodes.at(name).up});
    batch = Next();
    for (std::size_t i = 0; i < nodes; ++i) {
      const bool full = i % 10 < full_of_ten;
      const auto some = static_cast<std::uint8_t>(i * 7 % 9);
      const auto load = static_cast<std::uint8_t>(full ? kLoadFull : some);
      batch.items.emplace_back(SetLoad{names_[i], {load, some, some}});
    }
    Append(batch);
  }

  [[nodiscard]] const View& view() const { return view_; }

 private:
  DecisionBatch Next() const {
    DecisionBatch batch;
    batch.term = view_.term;
    batch.cycle = view_.stamp.cycle + 1;
    batch.prev = view_.stamp;
    batch.facts = view_.facts;
    return batch;
  }
  void Append(const DecisionBatch& batch) { FoldDecisions(view_, ++decisions_, batch); }
  template <class What>
  void Say(const NodeName& name, std::uint32_t incarnation, What what) {
    FoldFacts(view_, {++facts_, WallFromNanos(1), 0},
              {name, 1, incarnation, 1, {Fact{{}, std::move(what)}}});
  }

  View view_;
  std::vector<NodeName> names_;
  std::uint64_t decisions_ = 0;
  std::uint64_t facts_ = 0;
};

struct Figures {
  double place_ns = 0;  // one pick and take
  double first_us = 0;  // the first of a shape: all nodes are looked at
};

Figures Measure(const View& view, std::string_view policy) {
  TaskSpec spec;
  spec.name = TaskName::Trusted("web");
  spec.image = "web";
  spec.resources = {100, kGi / 4, kGi};
  const std::string shape = ShapeOf(spec);
  Figures best{1e18, 1e18};
  for (int run = 0; run < kRuns; ++run) {
    Scheduler scheduler = std::move(*Scheduler::Make(policy));
    scheduler.Begin(view);
    auto start = Clock::now();
    Choice choice = scheduler.Pick(spec, shape);
    const std::chrono::duration<double, std::micro> first = Clock::now() - start;
    std::size_t placed = 0;
    start = Clock::now();
    for (; placed < kPlacementsMax && choice.node != nullptr; ++placed) {
      scheduler.Take(choice, spec);
      choice = scheduler.Pick(spec, shape);
    }
    const std::chrono::duration<double, std::nano> all = Clock::now() - start;
    CUBE_CHECK(placed > 0);
    best.first_us = std::min(best.first_us, first.count());
    best.place_ns = std::min(best.place_ns, all.count() / static_cast<double>(placed));
  }
  return best;
}

// The same question to every node, without memory.
double MeasureLoop(const View& view) {
  TaskSpec spec;
  spec.name = TaskName::Trusted("web");
  spec.image = "web";
  spec.resources = {100, kGi / 4, kGi};
  const Filters filters(spec);
  const Policy& policy = *FindPolicy("epvm");
  NodeTable table;
  table.Sync(view);
  double best = 1e18;
  for (int run = 0; run < kRuns; ++run) {
    const auto start = Clock::now();
    Rank least = kNoRank;
    for (std::size_t row = 0; row < table.size(); ++row) {
      if (filters.RuledOut(table.node(row)) != kFits) continue;
      if (filters.RuledOutNow(table, row) != kFits) continue;
      least = std::min(least, policy.Score(table.standing(row), filters.asked()));
    }
    const std::chrono::duration<double, std::nano> all = Clock::now() - start;
    CUBE_CHECK(least != kNoRank);
    best = std::min(best, all.count());
  }
  return best;
}

}  // namespace
}  // namespace cube::manager

namespace cube::bench {

std::vector<std::string> PlacementPolicies() {
  return {std::begin(kPolicies), std::end(kPolicies)};
}

std::vector<PlaceFigure> MeasurePlacement(const std::vector<std::uint32_t>& sizes) {
  std::vector<PlaceFigure> all;
  std::printf("ns a placement (us for the first of a shape)\n%-12s %-8s", "policy", "nodes are");
  for (const std::uint32_t nodes : sizes) std::printf(" %18u", nodes);
  std::printf("\n");
  for (const bool full : {false, true}) {
    std::vector<manager::Cluster> clusters;
    std::vector<double> loops;
    for (const std::uint32_t nodes : sizes) {
      clusters.emplace_back(nodes, full ? 9 : 0);
      loops.push_back(manager::MeasureLoop(clusters.back().view()));
    }
    const char* how = full ? "90% full" : "empty";
    for (const std::string& policy : PlacementPolicies()) {
      std::printf("%-12s %-8s", policy.c_str(), how);
      for (std::size_t i = 0; i < sizes.size(); ++i) {
        const manager::Figures figures = manager::Measure(clusters[i].view(), policy);
        std::printf(" %7.0f (%8.1f)", figures.place_ns, figures.first_us);
        all.push_back({policy, sizes[i], full, figures.place_ns, figures.first_us, loops[i]});
      }
      std::printf("\n");
      std::fflush(stdout);
    }
    std::printf("%-12s %-8s", "loop, epvm", how);
    for (const double loop : loops) std::printf(" %7.0f %10s", loop, "");
    std::printf("\n");
  }
  return all;
}

}  // namespace cube::bench
