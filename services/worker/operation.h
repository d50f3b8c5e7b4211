// What a step of the worker's loop asks its shell to do, in this order.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "services/worker/capacity.h"
#include "services/worker/core/worker_core.h"
#include "services/worker/engine/engine.h"
#include "services/worker/saved_output.h"
#include "shared/bus/operation.h"
#include "shared/store/store.h"

namespace cube::worker {

// One transaction of the store, on disk when it returns. What follows in the list relies on it; a
// failure ends the process.
struct Commit {
  store::WriteBatch batch;
};
// A heartbeat: goes out on a connection that never carries facts, so that a large backlog of facts
// does not make the node look dead.
struct Beat {
  std::string subject;
  std::string payload;
};
struct OpenLogs {
  std::string engine;
  std::uint64_t stream = 0;
  LaunchKey key;
  engine::LogOptions options;
};
struct LogCredit {
  std::string engine;
  std::uint64_t stream = 0;
  std::size_t bytes = 0;
};
struct CloseLogs {
  std::string engine;
  std::uint64_t stream = 0;
};
// ---- commands inside launches: Engine::Exec and what belongs to it
struct RunExec {
  std::string engine;
  std::uint64_t exec = 0;
  LaunchKey key;
  engine::ExecRequest request;
};
struct CreditExec {
  std::string engine;
  std::uint64_t exec = 0;
  std::size_t bytes = 0;
};
struct InputExec {
  std::string engine;
  std::uint64_t exec = 0;
  std::string bytes;
  bool last = false;
};
struct CancelExec {
  std::string engine;
  std::uint64_t exec = 0;
};
using ExecCall = std::variant<RunExec, CreditExec, InputExec, CancelExec>;
// Facts of the outbox from this number on -> OutboxRead.
struct ReadOutbox {
  std::uint64_t from = 0;
  std::size_t facts_max = 0;
};
// The launches of an attempt whose output was saved -> OutputListed. attempt 0 = the newest.
struct ListOutput {
  std::uint64_t stream = 0;
  TaskId task;
  std::uint32_t attempt = 0;
};
// The saved output of one launch -> OutputRead.
struct ReadOutput {
  std::uint64_t stream = 0;
  LaunchKey key;
};
// One look at the machine -> Sampled.
struct TakeSample {};
// What launches use -> FromEngine with engine::Usages.
struct AskUsage {
  std::string engine;
};
struct LogLine {
  enum class Level : std::uint8_t { kDebug, kInfo, kWarning, kError };
  Level level = Level::kInfo;
  std::string text;
  LaunchKey key;  // task empty = none
};
// The process ends with this code, or (`again`) begins anew with what the store holds now.
struct Exit {
  int code = 0;
  std::string reason;
  bool again = false;
};

using Operation = std::variant<bus::Operation, Commit, Beat, EngineCall, ProbeCall, OpenLogs,
                               LogCredit, CloseLogs, ExecCall, ReadOutbox, ListOutput, ReadOutput,
                               TakeSample, AskUsage, LogLine, Exit>;
using Operations = std::vector<Operation>;

// ---- inputs -----------------------------------------------------------------------------------

struct FromBus {
  bus::Event event;
};
struct FromEngine {
  std::string engine;
  engine::Event event;
};
// Fewer than asked for = the end of the outbox was reached.
struct OutboxRead {
  std::vector<NumberedFact> facts;
};
struct OutputListed {
  std::uint64_t stream = 0;
  std::vector<LaunchKey> launches;  // of one attempt, in order; empty = none is kept
};
struct OutputRead {
  std::uint64_t stream = 0;
  LaunchKey key;
  Result<SavedOutput> output;
};
struct Sample {
  std::int64_t at_ns = 0;
  std::uint32_t cpu_used_permille = 0;  // since the look before; 0 in the first
  std::uint32_t cpus = 0;               // online
  MachineMetrics machine;
  DiskMetrics data_disk;  // of the file system with the worker's data
};
struct Sampled {
  std::shared_ptr<const Sample> sample;  // never null; apart, since it is larger than other inputs
};
struct Probed {
  engine::ProbeResult result;
};
// The heartbeats' connection is there: what was said before was lost.
struct BeatsConnected {};
// SIGTERM: say good-bye and end; launches run on.
struct Shutdown {};

using Input = std::variant<FromBus, FromEngine, OutboxRead, OutputListed, OutputRead, Sampled,
                           Probed, BeatsConnected, Shutdown>;

}  // namespace cube::worker
