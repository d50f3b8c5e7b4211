// What a user wishes to run: the whole of a task's specification. Immutable once accepted and
// shared by all tasks of the same template.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "shared/base/rare.h"
#include "shared/base/time.h"
#include "shared/domain/ids.h"

namespace cube {

// Amounts that a task asks for and a node has. 0 = nothing reserved and no limit.
struct Resources {
  std::int64_t cpu_millis = 0;    // thousandths of one cpu
  std::int64_t memory_bytes = 0;  // reservation and hard limit
  std::int64_t disk_bytes = 0;    // reservation only

  Resources& operator+=(const Resources& o) {
    cpu_millis += o.cpu_millis;
    memory_bytes += o.memory_bytes;
    disk_bytes += o.disk_bytes;
    return *this;
  }
  Resources& operator-=(const Resources& o) {
    cpu_millis -= o.cpu_millis;
    memory_bytes -= o.memory_bytes;
    disk_bytes -= o.disk_bytes;
    return *this;
  }
  friend auto operator<=>(const Resources&, const Resources&) = default;
};

enum class Protocol : std::uint8_t { kTcp, kUdp };

// A port of the container that is published on the node.
struct PortSpec {
  std::uint16_t port = 0;       // inside the container, 1 to 65535
  std::uint16_t host_port = 0;  // on the node; 0 = the engine chooses a free one
  Protocol protocol = Protocol::kTcp;
  std::string name;  // optional, a token; named ports can be health-checked by name
  friend auto operator<=>(const PortSpec&, const PortSpec&) = default;
};

// A published port as the engine really bound it.
struct BoundPort {
  std::uint16_t port = 0;
  std::uint16_t host_port = 0;
  Protocol protocol = Protocol::kTcp;
  friend auto operator<=>(const BoundPort&, const BoundPort&) = default;
};

// Something mounted into the container.
struct VolumeSpec {
  std::string source;  // a volume's name, or an absolute path of the node; empty = the launch's own
  std::string target;  // absolute path in the container
  bool read_only = false;
  friend auto operator<=>(const VolumeSpec&, const VolumeSpec&) = default;
};

enum class RestartMode : std::uint8_t { kNo, kOnFailure, kAlways };

// Restarts in place, done by the worker. `unless-stopped` is read as `always`: a stop that a user
// asked for is always final here.
struct RestartPolicy {
  RestartMode mode = RestartMode::kOnFailure;
  std::uint32_t launches_max = 3;  // launches within kRestartWindow; kOnFailure only, 0 = no limit
  friend auto operator<=>(const RestartPolicy&, const RestartPolicy&) = default;
};

enum class PullPolicy : std::uint8_t { kMissing, kAlways, kNever };

// How a worker finds out whether a running launch serves.
struct HealthCheck {
  enum class Kind : std::uint8_t { kHttp, kTcp, kCommand };
  enum class OnFailure : std::uint8_t {
    kRestart,  // an unhealthy launch is ended; the restart policy counts it as failed
    kNone,     // it runs on and is not healthy
  };
  Kind kind = Kind::kHttp;
  std::string http_path;             // kHttp
  std::uint16_t port = 0;            // kHttp, kTcp: inside the container; 0 = port_name says
  std::string port_name;             // kHttp, kTcp: empty = the lowest published tcp port
  std::vector<std::string> command;  // kCommand
  Duration interval = std::chrono::seconds(10);
  Duration timeout = std::chrono::seconds(2);
  Duration start_period{0};
  std::uint32_t retries = 3;
  std::uint32_t successes = 1;
  OnFailure on_failure = OnFailure::kRestart;
  friend auto operator<=>(const HealthCheck&, const HealthCheck&) = default;
};

// Moves after failures within this time count for ReschedulePolicy::moves_max.
inline constexpr Duration kMovesWindow = std::chrono::hours(1);
inline constexpr std::uint32_t kMovesDefault = 3;

// Whether a task moves to another node.
struct ReschedulePolicy {
  enum class Mode : std::uint8_t {
    kNever,
    kOnLost,     // when its node is lost
    kOnFailure,  // also when it has failed and its node does not restart it any more
  };
  Mode mode = Mode::kOnLost;
  std::uint32_t moves_max = 0;  // kOnFailure: moves after failures within kMovesWindow, at least 1
  friend auto operator<=>(const ReschedulePolicy&, const ReschedulePolicy&) = default;
};

// A hard rule on node labels.
struct Constraint {
  enum class Op : std::uint8_t { kEquals, kNotEquals, kIn, kExists };
  std::string label;
  Op op = Op::kExists;
  std::vector<std::string> values;  // one for kEquals and kNotEquals, none for kExists
  friend auto operator<=>(const Constraint&, const Constraint&) = default;
};

// A soft rule on node labels: what a node that it holds for gains or loses in the choice.
struct Affinity {
  Constraint rule;
  std::int32_t weight = 0;  // -100 to 100, not 0; positive attracts
  friend auto operator<=>(const Affinity&, const Affinity&) = default;
};

struct TaskSpec {
  TaskName name;
  std::string image;                    // engine docker (required there)
  std::vector<std::string> command;     // arguments; replaces the image's CMD
  std::vector<std::string> entrypoint;  // replaces the image's ENTRYPOINT
  std::map<std::string, std::string> env;
  std::map<std::string, std::string> labels;
  std::string user;     // "uid[:gid]" or a name; empty = the image's
  std::string workdir;  // absolute; empty = the image's
  std::vector<PortSpec> ports;
  Resources resources;
  RestartPolicy restart;
  Rare<HealthCheck> health;
  std::string stop_signal;  // "SIGTERM", ...; empty = SIGTERM
  Duration stop_grace = std::chrono::seconds(10);
  std::int32_t priority = 0;  // higher is placed first
  std::vector<Constraint> constraints;
  std::string engine;  // "docker", "process", "sim"; empty = docker with an image, else process
  PullPolicy pull = PullPolicy::kMissing;
  ReschedulePolicy reschedule;
  std::string scheduler;  // policy that places it; empty = the cluster's
  std::vector<Affinity> affinities;
  std::uint32_t distinct = 0;  // tasks of this name on one node at most; 0 = any number
  std::vector<VolumeSpec> volumes;
  std::string network;                // "bridge", "none", "host", a name; empty = bridge
  std::vector<std::string> cap_add;   // to Docker's default set; "NET_ADMIN", or "ALL"
  std::vector<std::string> cap_drop;  // from it
  bool read_only_root = false;        // the container's own file system cannot be written

  friend bool operator==(const TaskSpec&, const TaskSpec&) = default;
};

using TaskSpecPtr = std::shared_ptr<const TaskSpec>;

// The engine a spec runs on: its `engine`, or the default for its shape.
[[nodiscard]] std::string EngineOf(const TaskSpec& spec);

// A bound above the bytes that a spec takes in a message (messages/cube/v1/spec.proto), framing
// included. A sum over the values: whoever fills messages asks it for each spec.
[[nodiscard]] std::size_t EncodedBytesMax(const TaskSpec& spec);

}  // namespace cube
