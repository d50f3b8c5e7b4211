// cube-bench recover: how soon a manager decides again when it comes back to many tasks: with what
// it had kept, with nothing, and as the one who takes over.
#include <fmt/format.h>

#include <thread>

#include "bench/cluster/commands.h"
#include "bench/cluster/driver.h"
#include "bench/cluster/meter.h"
#include "shared/wire/codec.h"

namespace cube::bench {
namespace {

constexpr Duration kWait = std::chrono::minutes(10);  // for the first new decision
constexpr Duration kLookEvery = std::chrono::milliseconds(50);
constexpr std::uint32_t kReadCredit = 64;

class Recover {
 public:
  explicit Recover(Filled& cluster) : stage_(*cluster.stage) {}

  // Submits a task that nobody decides on, does `begin` (s begins with it), and waits until a
  // decision places the task.
  template <class Begin>
  Result<double> UntilDecision(const Begin& begin) {
    const std::string decisions = stage_.subjects().DecisionsStream();
    CUBE_TRY(const bus::StreamState log, stage_.bus().GetState(decisions));
    stage_.bus()->OpenReader(++reader_, decisions, log.last_seq + 1);
    stage_.bus()->Pull(reader_, kReadCredit);
    const TaskId task = TaskId::Trusted(fmt::format("recover-{}", reader_));
    TaskSpec spec = MixedSpecs().front();
    spec.name = TaskName::Trusted("recover");
    bus::AppendRequest submit;
    submit.subject = stage_.subjects().TasksSubmit();
    submit.payload =
        wire::EncodeSubmit({{task, std::make_shared<const TaskSpec>(std::move(spec))}});
    const MonoTime start = now();
    CUBE_TRY_VOID(begin());
    CUBE_TRY_VOID(stage_.bus().Append(std::move(submit)));
    while (auto event = stage_.bus().Next(start + kWait)) {
      const auto* read = std::get_if<bus::Read>(&*event);
      if (read == nullptr || read->reader != reader_) continue;
      stage_.bus()->Pull(reader_, 1);
      CUBE_TRY(const DecisionBatch batch, wire::DecodeDecisions(read->message.payload));
      for (const DecisionItem& item : batch.items) {
        const auto* placed = std::get_if<StartAttempt>(&item);
        if (placed == nullptr || placed->task != task) continue;
        stage_.bus()->CloseReader(reader_);
        return Seconds(now() - start);
      }
    }
    return Fail(Code::kTimedOut, "no manager decides within " + FormatDuration(kWait));
  }

  // Until a manager that does not lead has folded what the log has.
  Result<void> WaitForStandby(const std::string& name) {
    const MonoTime begin = now();
    while (now() - begin < kWait) {
      const Result<v1::QueryReply> reply = stage_.Ask("cluster", {});
      if (reply && reply->manager() == name && reply->behind() == 0 && !reply->leading()) return {};
      std::this_thread::sleep_for(kLookEvery);
    }
    return Fail(Code::kTimedOut, "the standby does not catch up");
  }

 private:
  [[nodiscard]] MonoTime now() const { return stage_.clock().now().mono; }

  Stage& stage_;
  bus::SubId reader_ = 0;
};

struct Log {
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;
  std::uint64_t snapshots = 0;  // messages of them: a rebuild begins there
};
Result<Log> Look(Stage& stage) {
  Log log;
  const wire::Subjects& names = stage.subjects();
  for (const std::string& stream :
       {names.IntentsStream(), names.DecisionsStream(), names.FactsStream()}) {
    CUBE_TRY(const bus::StreamState state, stage.bus().GetState(stream));
    log.messages += state.messages;
    log.bytes += state.bytes;
  }
  CUBE_TRY(const bus::StreamState snapshots, stage.bus().GetState(names.SnapshotsStream()));
  log.snapshots = snapshots.messages;
  return log;
}

// What reading alone costs: as many messages of the mean size.
Result<Rate> ReadLimit(Stage& stage, const Log& log) {
  CUBE_TRY(const auto meter, Meter::Open(stage.url()));
  Load load;
  load.count = log.messages;
  load.bytes = static_cast<std::size_t>(log.bytes / std::max<std::uint64_t>(log.messages, 1));
  CUBE_TRY_VOID(meter->Append(load));
  return meter->ReadBack();
}

void ReportCold(const Filled& cluster, const Log& log, double seconds, const Rate& limit,
                Figures& figures) {
  figures.Add("recover.cold_s", seconds, "s", limit.seconds);
  if (log.snapshots > 0) {
    figures.NotMeasured("recover.cold_msgs_s", "msgs/s",
                        "a snapshot was there, so only a part of the log was read");
    figures.NotMeasured("recover.cold_steps_s", "decisions and facts/s", "as above");
    return;
  }
  const double rate = static_cast<double>(log.messages) / seconds;
  const double steps = static_cast<double>(cluster.steps) / seconds;
  fmt::print(
      "  cold: {} messages of {} bytes, {:.0f} messages/s (reading alone: {:.0f}); {} decisions "
      "and "
      "facts in them, {:.0f} a second\n",
      log.messages, log.bytes / std::max<std::uint64_t>(log.messages, 1), rate, limit.per_second(),
      cluster.steps, steps);
  figures.Add("recover.cold_msgs_s", rate, "msgs/s", limit.per_second());
  figures.Add("recover.cold_steps_s", steps, "decisions and facts/s");
}

}  // namespace

Result<void> RunRecover(const RecoverOptions& options, Figures& figures) {
  CUBE_TRY(Filled cluster, Fill(options.bin_dir, options.tasks, options.nodes));
  Stage& stage = *cluster.stage;
  Recover recover(cluster);
  fmt::print("recover: {} tasks running on {} nodes; until a new task is placed\n", options.tasks,
             options.nodes);
  const auto start = [&]() -> Result<void> {
    CUBE_TRY(cluster.manager, stage.StartManager());
    return {};
  };
  stage.Stop(cluster.manager);
  CUBE_TRY(const double warm, recover.UntilDecision(start));
  fmt::print("  warm: {:.3f} s\n", warm);
  figures.Add("recover.warm_s", warm, "s");

  stage.Stop(cluster.manager);
  CUBE_TRY_VOID(stage.RemoveManagerState());
  CUBE_TRY(const Log log, Look(stage));
  CUBE_TRY(const double cold, recover.UntilDecision(start));
  fmt::print("  cold: {:.3f} s\n", cold);

  CUBE_TRY_VOID(stage.StartManager("second"));
  CUBE_TRY_VOID(recover.WaitForStandby("second"));
  CUBE_TRY(const double takeover, recover.UntilDecision([&]() -> Result<void> {
    stage.Kill(cluster.manager);
    return {};
  }));
  fmt::print("  take-over after kill -9 of the leader: {:.3f} s\n", takeover);
  figures.Add("recover.takeover_s", takeover, "s");
  CUBE_TRY(const Rate limit, ReadLimit(stage, log));
  ReportCold(cluster, log, cold, limit, figures);
  return {};
}

}  // namespace cube::bench
