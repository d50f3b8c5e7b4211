// A part of cube-bench latency: from the submission until the decision that places the task is in
// the log, one after the other, and with many submissions a second.
#include <fmt/format.h>

#include <unordered_map>

#include "bench/cluster/commands.h"
#include "bench/cluster/driver.h"
#include "bench/cluster/meter.h"
#include "shared/wire/codec.h"

namespace cube::bench {
namespace {

constexpr std::uint32_t kNodes = 100;
constexpr std::uint32_t kReadCredit = 512;
constexpr bus::SubId kDecisions = 1;
constexpr Duration kTick = std::chrono::milliseconds(1);  // how even the load is
constexpr std::uint64_t kTicksPerSecond = 1'000;

class Decisions {
 public:
  explicit Decisions(Stage& stage)
      : stage_(stage), spec_(std::make_shared<const TaskSpec>(MixedSpecs().front())) {}

  Result<void> Open() {
    const std::string stream = stage_.subjects().DecisionsStream();
    CUBE_TRY(const bus::StreamState state, stage_.bus().GetState(stream));
    stage_.bus()->OpenReader(kDecisions, stream, state.last_seq + 1);
    stage_.bus()->Pull(kDecisions, kReadCredit);
    return {};
  }

  Result<std::vector<double>> OneByOne(std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) {
      Submit();
      CUBE_TRY_VOID(Drain());
    }
    return std::exchange(samples_, {});
  }

  // Even submissions, whether or not the manager keeps up; then all of them are waited for.
  Result<std::vector<double>> Steady(std::uint32_t per_second, std::uint32_t seconds) {
    const MonoTime begin = now();
    const std::uint64_t count = std::uint64_t{per_second} * seconds;
    std::uint64_t sent = 0;
    for (std::uint64_t tick = 0; sent < count; ++tick) {
      const std::uint64_t due = std::min(count, (tick + 1) * per_second / kTicksPerSecond);
      for (; sent < due; ++sent) Submit();
      const MonoTime next = begin + kTick * static_cast<std::int64_t>(tick + 1);
      while (now() < next) {
        CUBE_TRY_VOID(Take(next));
      }
    }
    offered_s_ = Seconds(now() - begin);
    CUBE_TRY_VOID(Drain());
    return std::exchange(samples_, {});
  }
  // How long the submissions of Steady took: more than asked if this client was too slow.
  [[nodiscard]] double offered_s() const { return offered_s_; }

 private:
  [[nodiscard]] MonoTime now() const { return stage_.clock().now().mono; }

  void Submit() {
    const TaskId task = TaskId::Trusted(fmt::format("decision-{}", ++number_));
    bus::AppendRequest request;
    request.subject = stage_.subjects().TasksSubmit();
    request.payload = wire::EncodeSubmit({{task, spec_}});
    open_.emplace(task.str(), now());
    (void)stage_.bus().StartAppend(std::move(request));
  }

  Result<void> Drain() {
    const MonoTime deadline = now() + kPatience;
    while (!open_.empty()) {
      CUBE_TRY_VOID(Take(deadline));
      if (now() >= deadline) {
        return Fail(Code::kTimedOut, fmt::format("{} tasks are not placed", open_.size()));
      }
    }
    return {};
  }

  Result<void> Take(MonoTime deadline) {
    const auto event = stage_.bus().Next(deadline);
    if (!event) return {};
    if (const auto* failed = std::get_if<bus::AppendFailed>(&*event)) {
      return std::unexpected(failed->error);
    }
    const auto* read = std::get_if<bus::Read>(&*event);
    if (read == nullptr) return {};
    const MonoTime seen = now();
    stage_.bus()->Pull(kDecisions, 1);
    CUBE_TRY(const DecisionBatch batch, wire::DecodeDecisions(read->message.payload));
    for (const DecisionItem& item : batch.items) {
      const auto* placed = std::get_if<StartAttempt>(&item);
      if (placed == nullptr || placed->attempt != 1) continue;
      const auto it = open_.find(placed->task.str());
      if (it == open_.end()) continue;
      samples_.push_back(1e3 * Seconds(seen - it->second));
      open_.erase(it);
    }
    return {};
  }

  Stage& stage_;
  const TaskSpecPtr spec_;
  std::uint64_t number_ = 0;
  double offered_s_ = 0;
  std::unordered_map<std::string, MonoTime> open_;
  std::vector<double> samples_;  // ms
};

}  // namespace

Result<void> RunDecisionLatency(const LatencyOptions& options, Figures& figures) {
  CUBE_TRY(const Filled cluster, StartSimulated(options.bin_dir, kNodes));
  Decisions decisions(*cluster.stage);
  CUBE_TRY_VOID(decisions.Open());
  CUBE_TRY(const std::vector<double> idle, decisions.OneByOne(options.decisions));
  CUBE_TRY(const std::vector<double> load,
           decisions.Steady(options.per_second, options.load_seconds));
  CUBE_TRY(const auto meter, Meter::Open(cluster.stage->url()));
  CUBE_TRY(const Rate append, meter->Append({kEventBytes, 1, options.decisions, Duration{0}}));
  // The submission and the decision are stored one after the other.
  const double limit = 2e3 / append.per_second();
  fmt::print("latency, submission to decision in the log, {} simulated nodes\n", kNodes);
  fmt::print(
      "  one after the other  p50 {:>8.2f} ms  p99 {:>8.2f} ms  ({} submissions; two"
      " appends: {:.2f} ms)\n",
      Percentile(idle, 50), Percentile(idle, 99), idle.size(), limit);
  const double offered = static_cast<double>(load.size()) / decisions.offered_s();
  fmt::print("  {:>6.0f} a second      p50 {:>8.2f} ms  p99 {:>8.2f} ms\n", offered,
             Percentile(load, 50), Percentile(load, 99));
  figures.Add("latency.decision.p50_ms", Percentile(idle, 50), "ms", limit);
  figures.Add("latency.decision.p99_ms", Percentile(idle, 99), "ms");
  figures.Add("latency.decision.load_per_second", offered, "1/s");
  figures.Add("latency.decision.load_p50_ms", Percentile(load, 50), "ms");
  figures.Add("latency.decision.load_p99_ms", Percentile(load, 99), "ms");
  return {};
}

}  // namespace cube::bench
