// The folder of one launch: what the process engine and its supervisor (cube-supervise) tell each
// other through files, so that either may be killed and started again.
//
//   <state>/launches/<task>-<attempt>-<launch>/     mode 0700
//     launch.json     labels: cluster, node, task, attempt, launch, placement stamp; boot id,
//     ports,
//                     control groups. Written by the engine before anything else; a folder appears
//                     under its final name only with a complete launch.json in it (made as
//                     ".new-<name>", then renamed). Never changed. Not synced: a power cut ends the
//                     launch anyway, and what is durable about it is the worker's store.
//     command         what to run: arguments, environment, user, folder, control groups.
//                     Mode 0600 (it may hold secrets); written by the engine, read by the
//                     supervisor.
//     lock            flock: held by the supervisor as long as it lives. The engine takes it and
//     the
//                     supervisor inherits it, so there is no moment in which a started launch is
//                     not locked. Free lock = no supervisor, whatever pid numbers say.
//     pid             the supervisor and the command: pid and start time (clock ticks since boot,
//                     /proc/<pid>/stat field 22), with the boot id. Written before the command is
//                     allowed to run: no pid file = it never ran.
//     status          running | exited | signaled | out-of-memory | start-failed, with times.
//     Replaced
//                     atomically; a final one is synced first and is the supervisor's last act.
//                     vanished: written by the engine for a supervisor that died without.
//     output          what the command printed, framed line by line (output_log.h): stream and
//     time. output.1        the 10 MiB before that. supervise.err   whatever the supervisor itself
//     had to say (normally empty).
//
// command, pid and status share one format (Fields): lines of "key value", the first of which is
// "cube-launch 1". All decoders here are pure and take any bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "shared/base/error.h"
#include "shared/base/time.h"

namespace cube::engine::process {

// The output file is set aside as output.1 when it has grown past this: with it, 20 MiB a launch at
// most (and one frame).
inline constexpr std::size_t kOutputBytesMax = 10u << 20;

inline constexpr char kLaunchesFolder[] = "launches";
inline constexpr char kNewPrefix[] = ".new-";
inline constexpr char kLaunchFile[] = "launch.json";
inline constexpr char kCommandFile[] = "command";
inline constexpr char kLockFile[] = "lock";
inline constexpr char kPidFile[] = "pid";
inline constexpr char kStatusFile[] = "status";
inline constexpr char kOutputFile[] = "output";
inline constexpr char kOldOutputFile[] = "output.1";
inline constexpr char kSuperviseErrorFile[] = "supervise.err";

// The lock's descriptor number in a freshly started supervisor.
inline constexpr int kLockFd = 3;

// Largest file of this folder (other than output) that is read: a spec is at most 64 KiB, twice
// that for escapes, and environment added by the engine.
inline constexpr std::size_t kSmallFileBytesMax = 512u << 10;

// ---- a command beside a launch ----------------------------------------------------------------
// `cube-supervise --exec` runs one command, with its own standard streams as the command's. It has
// no folder: the Command comes through a pipe, as 8 hex digits of length and its bytes; that pipe
// stays open, and its end (the engine closes it, or the worker is gone) kills the command. What
// became of it is written to another pipe as a StatusRecord, once nothing of it runs any more.
inline constexpr char kExecArgument[] = "--exec";
inline constexpr int kExecCommandFd = 3;
inline constexpr int kExecStatusFd = 4;
inline constexpr int kExecFdMax = 4;
inline constexpr std::size_t kExecLengthDigits = 8;

// Order is kept and keys may repeat. Values may hold any byte.
using Fields = std::vector<std::pair<std::string, std::string>>;
[[nodiscard]] std::string EncodeFields(const Fields& fields);
[[nodiscard]] Result<Fields> DecodeFields(std::string_view bytes);

// What the supervisor is to run.
struct Command {
  std::vector<std::string> arguments;    // [0] is looked up in the environment's PATH
  std::vector<std::string> environment;  // "NAME=value"
  std::string workdir;                   // absolute; empty = "/"
  struct Identity {
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::vector<std::uint32_t> groups;
    friend bool operator==(const Identity&, const Identity&) = default;
  };
  std::optional<Identity> identity;  // unset: as the supervisor itself
  std::vector<std::string> join;     // cgroup.procs files to write oneself to
  std::string kill_file;             // cgroup.kill (version 2 only); empty = none
  std::string oom_file;              // memory.events or memory.oom_control; empty = none
  friend bool operator==(const Command&, const Command&) = default;
};
[[nodiscard]] std::string EncodeCommand(const Command& command);
[[nodiscard]] Result<Command> DecodeCommand(std::string_view bytes);

// A process that a recycled pid cannot be mistaken for.
struct ProcessIdentity {
  std::int32_t pid = 0;
  std::uint64_t start_ticks = 0;
  friend bool operator==(const ProcessIdentity&, const ProcessIdentity&) = default;
};
struct PidRecord {
  std::string boot_id;
  ProcessIdentity supervisor;
  ProcessIdentity command;  // also the number of its process group
  friend bool operator==(const PidRecord&, const PidRecord&) = default;
};
[[nodiscard]] std::string EncodePid(const PidRecord& record);
[[nodiscard]] Result<PidRecord> DecodePid(std::string_view bytes);

enum class Phase : std::uint8_t {
  kRunning,
  kExited,
  kSignaled,
  kOutOfMemory,
  kStartFailed,
  kVanished
};
// Of a command that cannot be executed, or is not there: as shells have it.
inline constexpr std::int32_t kValueNotExecutable = 126;
inline constexpr std::int32_t kValueNoSuchCommand = 127;
struct StatusRecord {
  Phase phase = Phase::kRunning;
  // kExited: exit code; kSignaled, kOutOfMemory: 128 + signal or exit code; kStartFailed: one
  // of the above if the command is at fault, else 0.
  std::int32_t value = 0;
  Code failure = Code::kInternal;  // kStartFailed only
  WallTime started_at;
  WallTime finished_at;
  std::string detail;
  friend bool operator==(const StatusRecord&, const StatusRecord&) = default;
};
[[nodiscard]] std::string EncodeStatus(const StatusRecord& record);
[[nodiscard]] Result<StatusRecord> DecodeStatus(std::string_view bytes);

// ---- the request to stop ------------------------------------------------------------------
// A stop is one queued real-time signal (SIGRTMIN) to the supervisor; its value carries the signal
// to pass on and the grace in ms. So the supervisor, not the worker, counts the grace.

struct StopRequest {
  std::int32_t signal = 0;     // 1 to 64
  std::uint64_t grace_ms = 0;  // at most kGraceMsMax
  friend bool operator==(const StopRequest&, const StopRequest&) = default;
};
inline constexpr std::uint64_t kGraceMsMax = 1ull << 40;  // 34 years: "for ever", still fits
[[nodiscard]] std::uint64_t EncodeStop(StopRequest request);
// nullopt if the value is not one that EncodeStop makes.
[[nodiscard]] std::optional<StopRequest> DecodeStop(std::uint64_t value);

// ---- /proc and control groups ---------------------------------------------------------------

// Fields of /proc/<pid>/stat that say who a process is and belongs to.
struct ProcStat {
  std::int32_t pid = 0;
  char state = '?';
  std::int32_t parent = 0;
  std::int32_t session = 0;
  std::uint64_t start_ticks = 0;
};
// nullopt for anything that is not such a line (the name in it may hold spaces and parentheses).
[[nodiscard]] std::optional<ProcStat> ParseProcStat(std::string_view bytes);

// How often the kernel has killed in this control group: "oom_kill N" of memory.events (version 2)
// or memory.oom_control (version 1). 0 if it is not there.
[[nodiscard]] std::uint64_t ParseOomKills(std::string_view bytes);

}  // namespace cube::engine::process
