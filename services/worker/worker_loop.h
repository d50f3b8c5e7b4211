// The worker as a step function: inputs go in, an ordered list of operations comes out. No thread,
// no clock, no I/O; the shell (main.cc, or a simulator) executes the list in order and brings what
// comes of it as inputs.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "services/worker/catch_up.h"
#include "services/worker/cluster_size.h"
#include "services/worker/core/worker_core.h"
#include "services/worker/exec_service.h"
#include "services/worker/log_service.h"
#include "services/worker/metrics_service.h"
#include "services/worker/operation.h"
#include "services/worker/outbox.h"
#include "services/worker/worker_store.h"
#include "shared/base/random.h"
#include "shared/wire/subjects.h"

namespace cube::worker {

// A hello without an answer is repeated, from this interval on, doubling.
inline constexpr Duration kHelloRetryMin = std::chrono::seconds(1);
inline constexpr Duration kHelloRetryMax = std::chrono::seconds(15);
// Without any answer for so long the worker asks to join (again): the log may have been made anew.
inline constexpr Duration kJoinAfterSilence = std::chrono::seconds(20);
inline constexpr Duration kJoinNotStoredRetry = std::chrono::milliseconds(300);
inline constexpr Duration kJoinRetryMin = std::chrono::seconds(2);
inline constexpr Duration kJoinRetryMax = std::chrono::minutes(5);
static_assert(kJoinAfterSilence > kHelloRetryMax);
// With no answer to a hello for so long (plus a random part, since all workers lose their leader
// together) the worker reads the log itself.
inline constexpr Duration kCatchUpAfter = std::chrono::seconds(10);
inline constexpr Duration kCatchUpSpread = std::chrono::seconds(30);
// Facts that were refused are sent again, from this interval on, doubling.
inline constexpr Duration kFactsRetryMin = std::chrono::milliseconds(200);
inline constexpr Duration kFactsRetryMax = std::chrono::seconds(10);
// The newest decision is looked at not more often than this.
inline constexpr Duration kTermLookInterval = std::chrono::seconds(3);
// How long a node waits for its engines before it describes itself without them.
inline constexpr Duration kDescribeWait = std::chrono::seconds(5);
// Not more than one description in this time: an engine that comes and goes must not fill the log.
inline constexpr Duration kDescribeInterval = std::chrono::seconds(1);
static_assert(kLeftOutBefore > kDescribeInterval);
// What is left of the outbox gets so long at the end; the worker is gone within kExitMax.
inline constexpr Duration kFlushMax = std::chrono::seconds(1);
inline constexpr Duration kExitMax = std::chrono::seconds(2);
static_assert(kFlushMax < kExitMax);

// A worker that hands its tasks over ends at the latest so long after its exit limit: the last ones
// are being stopped then.
inline constexpr Duration kHandOverSpare = std::chrono::seconds(30);

// What becomes of the launches of a worker that is told to end.
enum class OnExit : std::uint8_t {
  kKeep,   // they run on, and the next worker takes them up
  kStop,   // all are stopped at once, and start elsewhere
  kDrain,  // they move one by one
};

struct LoopOptions {
  NodeName node;
  wire::Subjects subjects;
  std::vector<std::string> engines;  // kinds
  NodeDescription description;       // without engines
  bool metrics = true;
  bool exec = true;                              // commands in tasks are run for callers
  Duration metrics_interval = kMetricsInterval;  // at least; 0 = none
  OnExit on_exit = OnExit::kKeep;
  Duration exit_limit = std::chrono::seconds(60);  // kDrain: what has not moved by then is stopped
  std::uint64_t seed = 0;                          // of jitter and back-off; different on each node
};

class WorkerLoop {
 public:
  // stored.meta.instance is set: a fresh store gets a random one before.
  WorkerLoop(LoopOptions options, StoredState stored, Now now);

  [[nodiscard]] Operations Step(std::span<Input> inputs, Now now);
  // When Step has something to do without an input.
  [[nodiscard]] MonoTime NextDeadline() const;

  [[nodiscard]] const WorkerCore& core() const { return core_; }
  [[nodiscard]] bool connected() const { return connected_; }
  // Told to end, with nothing to hand over (any more).
  [[nodiscard]] bool ending() const { return ending_; }
  [[nodiscard]] const v1::Metrics& metrics() const { return metrics_.newest(); }

 private:
  void Start();
  void Take(Input& input, Now now);
  void OnEngine(FromEngine& in, Now now);
  void OnBus(bus::Event& event, Now now);
  void OnMessage(bus::Message& message, Now now);
  void OnApplied(Applied applied, Now now);
  void OnAppended(const bus::Appended& done, Now now);
  void OnAppendFailed(const bus::AppendFailed& failed, Now now);
  void OnGot(const bus::Got& got, Now now);
  void OnConnected(const bus::Connected& connected, Now now);
  void OnShutdown(Now now);
  // Nothing begins any more, and the worker ends once its facts are in the log.
  void BeginEnd(Now now);
  void EndHandOver(Now now);

  // The core was welcomed (again): its facts' numbers begin anew.
  void NoteWelcome(Now now);
  void SayHello(Now now);
  void HelloAnswered();
  void PlanCatchUp(Now now);
  void DescribeIfChanged(Now now);
  void SendBeat(Now now);
  void SendJoined(Now now);
  void SendFacts(Now now);
  void LookAtTerm(Now now);
  // Turns the core's effects into one commit and what follows it.
  void Flush();
  void EndIfDone(Now now);
  [[nodiscard]] NodeDescription Describe() const;
  [[nodiscard]] bool EnginesAreAsDescribed() const;

  template <class BusOperation>
  void Bus(BusOperation operation) {
    after_.emplace_back(bus::Operation(std::move(operation)));
  }
  void Log(LogLine::Level level, std::string text, LaunchKey key = {}) {
    after_.emplace_back(LogLine{level, std::move(text), std::move(key)});
  }

  LoopOptions options_;
  WorkerCore core_;
  CatchUp catch_up_;
  Outbox outbox_;
  SpecBytes specs_;
  LogService logs_;
  ClusterSize cluster_size_;
  MetricsService metrics_;
  ExecService execs_;
  Random random_;
  Operations after_;  // of this step, behind its commit
  store::WriteBatch batch_;
  bool started_ = false;
  bool put_meta_ = false;
  bool leaving_ = false;  // told to end, tasks are handed over
  MonoTime leave_by_ = MonoTime::max();
  bool ending_ = false;
  bool ended_ = false;
  MonoTime end_at_ = MonoTime::max();
  std::uint32_t welcomes_ = 0;  // of the core, that the outbox knows of

  bool connected_ = false;
  bus::OpId next_op_ = 1;
  struct InFlight {
    bus::OpId op = 0;
    std::uint64_t last = 0;  // number of the newest fact in it
  };
  std::optional<InFlight> facts_;
  MonoTime facts_at_{};
  Duration facts_retry_ = kFactsRetryMin;
  std::optional<bus::OpId> joined_op_;
  MonoTime joined_at_ = MonoTime::max();
  Duration joined_retry_ = kJoinRetryMin;
  bool join_again_ = false;  // the leader has asked for it
  std::optional<bus::OpId> term_op_;
  MonoTime term_at_{};

  std::uint64_t beats_ = 0;
  MonoTime beat_at_{};
  bool hello_ = false;  // an answer is awaited
  MonoTime hello_at_{};
  MonoTime hello_said_{};  // when the last one went out
  Duration hello_retry_ = kHelloRetryMin;
  MonoTime catch_up_at_ = MonoTime::max();

  std::optional<NodeDescription> described_;
  MonoTime describe_at_{};   // not before
  MonoTime described_by_{};  // engines that have not answered by then are described as down
};

}  // namespace cube::worker
