// The Engine port: what runs launches on a node. Calls start an operation and return at once;
// what the engine does and sees arrives as an engine::Event at the sink that it was made with.
// DockerEngine and ProcessEngine are real, SimEngine the twin; all pass the contract test in
// test/support/engine/contract.h.
//
// Threads: calls come from one thread; the sink is called from the engine's own threads, so it
// only puts the event into an inbox.
//
// Ownership: an engine touches only what bears its cluster's and node's labels.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "shared/base/error.h"
#include "shared/base/time.h"
#include "shared/domain/ids.h"
#include "shared/domain/launch.h"
#include "shared/domain/task_spec.h"

namespace cube::engine {

using cube::ExitCause;
using cube::LaunchState;

// Whose launches an engine sees. Written as labels cube.cluster and cube.node.
struct Owner {
  std::string cluster;  // random id of the cluster
  NodeName node;
};

struct LaunchRequest {
  LaunchKey key;
  Stamp placement;  // kept in the labels, given back by Listed
  TaskSpecPtr spec;
};

struct LaunchStatus {
  LaunchKey key;
  Stamp placement;
  LaunchState state = LaunchState::kStarting;
  ExitCause cause = ExitCause::kNone;
  // kExited, kSignaled, kOutOfMemory; -1 where unknown. kStartFailed: kExitNotExecutable or
  // kExitNoSuchCommand if the command is at fault, else -1.
  std::int32_t exit_code = 0;
  std::string detail;            // one sentence: the engine's error, or pull progress
  std::string container_id;      // the engine's own id, or the process id
  std::vector<BoundPort> ports;  // from kRunning on
  // kRunning: where its own ports (not the published ones) can be reached from the engine's
  // host, and from other containers on it; empty = no network of its own, use the host's.
  std::string address{};
  WallTime started_at;
  WallTime finished_at;
  // kStartFailed only. kUnavailable: engine or registry trouble, another try may succeed;
  // kConflict: a host port or name is taken; kNotFound, kInvalid, kPermission: will not succeed
  // as it is; kAborted: stopped before it ran.
  Code failure = Code::kInternal;
  friend bool operator==(const LaunchStatus&, const LaunchStatus&) = default;
};

// ---- events -------------------------------------------------------------------------------

// The engine can be reached (again). A Listed of all launches follows by itself.
struct Up {
  std::string version;  // "docker 20.10.24 (API 1.41)"
  bool limits = true;   // cpu and memory limits are enforced
};
struct Down {
  std::string reason;
};
// Every launch of ours that the engine knows, now: after Up, and as the answer to List.
struct Listed {
  std::vector<LaunchStatus> launches;
};
// A launch has changed. Sent on each change, in order per launch.
struct Changed {
  LaunchStatus status;
};
// Removed (or was not there).
struct Removed {
  LaunchKey key;
};
// Stop or Remove could not be done; kUnavailable: repeat when the engine is up.
struct OpFailed {
  LaunchKey key;
  Error error;
};
// A piece of output of a log stream that somebody opened.
struct LogChunk {
  std::uint64_t stream = 0;
  bool is_stderr = false;
  WallTime time;      // of the line, where the engine knows it
  std::string bytes;  // whole lines where possible; at most kLogChunkBytesMax
  // Output before these bytes (which may be none) is not kept any more.
  enum class Gap : std::uint8_t {
    kNone,
    kMaybeBeginning,  // so much is kept that the first lines may be gone; comes at any place
    kBeginning,       // the first lines are gone
    kBetween,         // lines that came after those that were sent before
  };
  Gap gap = Gap::kNone;
};
struct LogEnd {
  std::uint64_t stream = 0;
  std::optional<Error> error;
};

// A piece of what a command of Exec has printed.
struct ExecOutput {
  std::uint64_t exec = 0;
  bool is_stderr = false;
  std::string bytes;  // at most kLogChunkBytesMax
};
// So many bytes of its input were passed on; whoever sends more than it has room for waits for
// this.
struct ExecTook {
  std::uint64_t exec = 0;
  std::size_t bytes = 0;
};
// The command does not run any more (if it may, the error says so). Its exit code, 128 + n for
// one that signal n has ended; 126 or 127 also where it could not be started (not executable,
// not found, as the engine sees it), and then its output says why. Or an error. kNotFound: no such
// launch. kPrecondition: the launch does not run. kTimedOut: killed after ExecRequest::timeout.
// kAborted: killed by CancelExec. kUnavailable: the engine is not there, or has gone meanwhile.
// kResource: too many at once. kInvalid, kUnsupported: this engine cannot do it, with the request's
// field.
struct ExecEnded {
  std::uint64_t exec = 0;
  std::int32_t exit_code = -1;
  std::optional<Error> error;
};

// What a running launch has used so far and uses now, with all its processes.
struct LaunchUsage {
  // Bytes through its network, its own loopback not counted.
  struct Traffic {
    std::uint64_t rx_bytes = 0;
    std::uint64_t tx_bytes = 0;
    friend bool operator==(const Traffic&, const Traffic&) = default;
  };
  LaunchKey key;
  MonoTime at;                     // when it was looked at
  std::uint64_t cpu_nanos = 0;     // cpu time since its start; two looks make a rate
  std::int64_t memory_bytes = 0;   // now; page cache that can be given back is not counted
  std::optional<Traffic> network;  // since its start; nothing = it has no network of its own
};
// Every running launch that could be looked at, by key.
struct Usages {
  std::vector<LaunchUsage> launches;
};

using Event = std::variant<Up, Down, Listed, Changed, Removed, OpFailed, LogChunk, LogEnd,
                           ExecOutput, ExecTook, ExecEnded, Usages>;
using Sink = std::function<void(Event)>;

inline constexpr std::size_t kLogChunkBytesMax = 64u << 10;

struct LogOptions {
  bool follow = false;
  std::int64_t tail_lines = -1;  // -1 = from the beginning
  WallTime since;                // unset = from the beginning
};

// A command to run inside a running launch.
struct ExecRequest {
  std::vector<std::string> command;        // [0] is looked up in PATH; not empty
  std::map<std::string, std::string> env;  // added to what the launch has
  std::string workdir;                     // absolute; empty = the launch's
  std::string user;                        // empty = the launch's; another: see Engine::Exec
  Duration timeout{0};                     // then it is killed; 0 = never
  bool input = false;                      // ExecInput will follow; else it reads end of file
};

// Commands at one time in one engine.
inline constexpr std::size_t kExecsMax = 256;

class Engine {
 public:
  virtual ~Engine() = default;

  // "docker", "process", "sim".
  [[nodiscard]] virtual std::string Kind() const = 0;

  // Begins to connect and to watch. -> Up, Listed (or Down, and again Up whenever it is back).
  virtual void Start(Owner owner) = 0;

  // Pulls if the policy asks, creates, starts. -> Changed (kPulling with progress, kStarting,
  // kRunning, later kExited; or kExited with kStartFailed, and nothing is left behind). Whatever
  // has run was reported as kRunning before kExited, however short it was.
  // Idempotent: a launch that exists already is taken up as it is, never doubled, and its status
  // is sent again. While the engine is down the launch waits for it.
  virtual void Launch(LaunchRequest request) = 0;

  // Sends the stop signal (empty: the one the launch was made with, else SIGTERM), after `grace`
  // a kill; again with a shorter grace kills sooner. -> Changed kExited (again, if it had ended
  // before) | OpFailed (kNotFound: no such launch). Also ends a launch that is still being pulled
  // or created: then kExited/kStartFailed with failure kAborted, and nothing is left behind.
  virtual void Stop(LaunchKey key, std::string signal, Duration grace) = 0;

  // Removes an exited launch with its anonymous volumes. If save_output_to is not empty, the end of
  // its output is written there first (atomically): the last frames (output_log.h) with at most
  // `save_bytes` bytes of text (TailFrames), behind kCutMark if there was more.
  // -> Removed | OpFailed (kPrecondition: it has not ended).
  virtual void Remove(LaunchKey key, std::string save_output_to, std::size_t save_bytes) = 0;

  // -> Listed; while the engine is down, the one that follows the next Up.
  virtual void List() = 0;

  // -> LogChunk..., then exactly one LogEnd (also after CloseLogs). Only as many bytes are sent
  // as LogCredit has allowed so far. Following ends when the launch ends. Nothing of what the
  // engine keeps is lost or sent twice; what it does not keep is told as a LogChunk::Gap.
  // LogEnd's error: kNotFound: no such launch, or it has been removed, and its output is saved by
  // then; kPrecondition: it has not started yet; kUnavailable: the engine is not there.
  virtual void OpenLogs(std::uint64_t stream, LaunchKey key, LogOptions options) = 0;
  virtual void LogCredit(std::uint64_t stream, std::size_t bytes) = 0;
  virtual void CloseLogs(std::uint64_t stream) = 0;

  // Runs a command inside a running launch, as one of its processes: same file system, network,
  // limits and rights; in a container the request's user may be any that the container has, beside
  // a process only the launch's (else kPermission). `exec` is a number of the caller's that was not
  // used before.
  // -> ExecOutput..., ExecTook..., then exactly one ExecEnded. Only as many bytes of output are
  // sent as ExecCredit has allowed so far; a command that prints more is held back, so who throws
  // its output away grants plenty. It ends with its launch at the latest, and with the worker
  // where the engine can see to that.
  virtual void Exec(std::uint64_t exec, LaunchKey key, ExecRequest request) = 0;
  virtual void ExecCredit(std::uint64_t exec, std::size_t bytes) = 0;
  // Bytes for its standard input; `last`: end of file follows them.
  virtual void ExecInput(std::uint64_t exec, std::string bytes, bool last) = 0;
  // Kills the command. -> ExecEnded (kAborted), unless it had ended before.
  virtual void CancelExec(std::uint64_t exec) = 0;

  // Looks at what the running launches use. -> Usages, one for each call; a call that comes while
  // a look is under way is answered by that one. A launch that ends meanwhile, or cannot be looked
  // at, is left out; while the engine is down none is there. A lost answer is a missing point on
  // a curve: ask again at the next interval.
  virtual void Usage() = 0;
};

}  // namespace cube::engine
