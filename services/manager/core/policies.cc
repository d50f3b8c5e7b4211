#include "services/manager/core/policies.h"

#include <array>

#include "services/manager/core/exponential.h"

namespace cube::manager {
namespace {

// The next node in the order of names.
class RoundRobin final : public Policy {
 public:
  [[nodiscard]] std::string_view Name() const override { return "round-robin"; }
  [[nodiscard]] Rank Score(const Standing&, const Amounts&) const override { return {}; }
  [[nodiscard]] std::size_t Pick(const ScoreTree& ranks, std::size_t last) const override {
    // Affinities make some nodes better than others: the turn goes over the best.
    const Rank best = ranks.BestRank();
    const std::size_t next =
        last == ScoreTree::kNone ? ScoreTree::kNone : ranks.NextAtMost(last, best);
    return next == ScoreTree::kNone ? ranks.FirstAtMost(best) : next;
  }
  [[nodiscard]] bool Compares() const override { return false; }
};

// How full the node would be: used shares of cpu, memory, disk and of the number of tasks, 0 to 4.
std::int64_t Fullness(const Standing& node, const Amounts& asked) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < kResources; ++i) sum += node.Share(i, node.Used(i) + asked[i]);
  const auto tasks = static_cast<std::uint64_t>(node.tasks) + 1;
  sum += (tasks << kScoreBits) / std::max(node.tasks_max, 1U);
  return static_cast<std::int64_t>(sum);
}

class Spread final : public Policy {
 public:
  [[nodiscard]] std::string_view Name() const override { return "spread"; }
  [[nodiscard]] Rank Score(const Standing& node, const Amounts& asked) const override {
    return {Fullness(node, asked), 0};
  }
};

class Binpack final : public Policy {
 public:
  [[nodiscard]] std::string_view Name() const override { return "binpack"; }
  [[nodiscard]] Rank Score(const Standing& node, const Amounts& asked) const override {
    return {-Fullness(node, asked), 0};
  }
};

constexpr int kPowerToScore = kPowerBits - kScoreBits;

// E-PVM with the opportunity cost of each resource that the task asks for (Amir et al., "An
// Opportunity Cost Approach for Job Assignment in a Scalable Computing Cluster", 2000). Who asks
// for nothing costs nothing anywhere: then the number of tasks decides.
class Epvm final : public Policy {
 public:
  [[nodiscard]] std::string_view Name() const override { return "epvm"; }
  [[nodiscard]] Rank Score(const Standing& node, const Amounts& asked) const override {
    std::uint64_t cost = 0;
    for (std::size_t i = 0; i < kResources; ++i) {
      if (asked[i] == 0) continue;
      const std::int64_t used = node.Used(i);
      cost += PowerOfL(node.Share(i, used + asked[i])) - PowerOfL(node.Share(i, used));
    }
    return {static_cast<std::int64_t>(cost >> kPowerToScore), node.tasks};
  }
};

// The book's E-PVM: the memory, as measured and promised together, and twice the cost of one more
// task. Equal scores go to the first node.
class EpvmBook final : public Policy {
 public:
  [[nodiscard]] std::string_view Name() const override { return "epvm-book"; }
  [[nodiscard]] Rank Score(const Standing& node, const Amounts& asked) const override {
    constexpr std::int64_t kBytesPerKb = 1000;  // the book divides what the task asks for
    const std::int64_t taken = node.measured[kMemory] + node.promised[kMemory];
    const std::int64_t with = taken + asked[kMemory] / kBytesPerKb * kBytesPerKb;
    const std::uint64_t memory =
        PowerOfL(node.Share(kMemory, with)) - PowerOfL(node.Share(kMemory, taken));
    return {static_cast<std::int64_t>((memory + 2 * CountCost(node.tasks)) >> kPowerToScore), 0};
  }

 private:
  static std::uint64_t Step(std::uint64_t tasks) {
    constexpr int kQuarter = kScoreBits - 2;  // the book's scale: four tasks are 1.0
    return PowerOfL((tasks + 1) << kQuarter) - PowerOfL(tasks << kQuarter);
  }
  // L^((n+1)/4) - L^(n/4). It would leave every integer; from kStraight on it grows in a straight
  // line, which keeps the order: there one task outweighs any difference in memory.
  static std::uint64_t CountCost(std::uint32_t tasks) {
    constexpr std::uint32_t kStraight = 64;
    if (tasks <= kStraight) return Step(tasks);
    const std::uint64_t slope = Step(kStraight) - Step(kStraight - 1);
    return Step(kStraight) + (tasks - kStraight) * slope;
  }
};

// The book's greedy: measured cpu / 2^0.8, and nothing else.
class Greedy final : public Policy {
 public:
  [[nodiscard]] std::string_view Name() const override { return "greedy"; }
  [[nodiscard]] Rank Score(const Standing& node, const Amounts&) const override {
    constexpr std::int64_t kSixteenth = 39468974941;  // 1 / (16 * 2^0.8) in units of 2^-40
    return {(node.load.cpu * kSixteenth) >> kPowerToScore, 0};
  }
};

}  // namespace

std::size_t Policy::Pick(const ScoreTree& ranks, std::size_t) const { return ranks.Best(); }

const Policy* FindPolicy(std::string_view name) {
  static const RoundRobin round_robin;
  static const Spread spread;
  static const Binpack binpack;
  static const Epvm epvm;
  static const EpvmBook epvm_book;
  static const Greedy greedy;
  static const std::array<const Policy*, 6> kAll{&round_robin, &spread,    &binpack,
                                                 &epvm,        &epvm_book, &greedy};
  for (const Policy* policy : kAll) {
    if (policy->Name() == name) return policy;
  }
  return nullptr;
}

}  // namespace cube::manager
