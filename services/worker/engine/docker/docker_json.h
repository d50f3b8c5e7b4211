// The Docker Engine API's JSON as values, and back. Pure functions: bytes in, a value or an
// error out; whatever the bytes are, they never crash. Facts by the Docker Engine API v1.24 to
// v1.47 (moby's api/swagger.yaml).
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "services/worker/engine/engine.h"
#include "shared/base/error.h"

namespace cube::engine::docker {

// ---- labels -------------------------------------------------------------------------------

inline constexpr std::string_view kLabelCluster = "cube.cluster";
inline constexpr std::string_view kLabelNode = "cube.node";
inline constexpr std::string_view kLabelTask = "cube.task";
inline constexpr std::string_view kLabelAttempt = "cube.attempt";
inline constexpr std::string_view kLabelLaunch = "cube.launch";
inline constexpr std::string_view kLabelPlacement = "cube.placement";  // "<term id>:<cycle>"

using Labels = std::map<std::string, std::string, std::less<>>;

// Which launch a container is.
struct Identity {
  LaunchKey key;
  Stamp placement;
  friend bool operator==(const Identity&, const Identity&) = default;
};

// The identity that the labels state, if they are `owner`'s and complete; else nothing: such a
// container is never touched.
[[nodiscard]] std::optional<Identity> IdentityOf(const Labels& labels, const Owner& owner);

// ---- output -------------------------------------------------------------------------------

// What the engine keeps of a container's output, in its own file format (some 70 bytes a line
// beside its text): so many files of so many bytes. When the last is full the oldest goes, so that
// much can be read back, and a node's disk does not fill.
inline constexpr std::int64_t kLogFileBytes = 10'000'000;
inline constexpr int kLogFiles = 5;
inline constexpr std::int64_t kLogKeptBytes = (kLogFiles - 1) * kLogFileBytes;

// ---- versions -----------------------------------------------------------------------------

struct ApiVersion {
  int major_number = 0;
  int minor_number = 0;
  friend auto operator<=>(const ApiVersion&, const ApiVersion&) = default;
  [[nodiscard]] std::string Text() const;  // "1.41"
};
// The newest version whose answers this driver was written for, and the oldest that has all
// that it asks for (1.24: the first of Docker 1.12, before which paths had no version rules).
inline constexpr ApiVersion kApiVersionMax{1, 47};
inline constexpr ApiVersion kApiVersionMin{1, 24};

[[nodiscard]] Result<ApiVersion> ParseApiVersion(std::string_view text);

struct ServerVersion {
  std::string version;          // "20.10.24"
  ApiVersion api;               // the newest it speaks
  ApiVersion api_oldest{1, 0};  // the oldest it speaks
};
[[nodiscard]] Result<ServerVersion> DecodeVersion(std::string_view body);

// The version to speak: what `wanted` (DOCKER_API_VERSION) says, else the newest of both.
[[nodiscard]] Result<ApiVersion> NegotiateVersion(const ServerVersion& server,
                                                  const std::string& wanted);

struct ServerState {
  bool limits = false;   // memory and cpu limits are enforced
  WallTime system_time;  // the server's clock, for `since` of its event stream
};
[[nodiscard]] Result<ServerState> DecodeInfo(std::string_view body);

// ---- containers ---------------------------------------------------------------------------

enum class ContainerState : std::uint8_t {
  kCreated,   // never started
  kRunning,   // also paused or restarting
  kRemoving,  // somebody removes it right now
  kExited,
};

struct Container {
  std::string id;
  ContainerState state = ContainerState::kCreated;
  std::int32_t exit_code = 0;
  bool oom_killed = false;
  std::string error;  // of the last start
  WallTime started_at, finished_at;
  std::int32_t pid = 0;  // of its first process, as the engine's host counts; 0 = does not run
  bool tty = false;
  std::string stop_signal;
  std::int64_t memory_bytes = 0;  // the limit; 0 = none
  Labels labels;
  std::vector<BoundPort> ports;  // sorted
  std::string address;           // in its first network that has one; empty = none
};
[[nodiscard]] Result<Container> DecodeContainer(std::string_view body);

// What the container says about its launch. kRemoving counts as exited: callers look first.
[[nodiscard]] LaunchStatus StatusOf(const Container& container, const Identity& identity);
// "16 MiB": a limit as people give it; in bytes where it is not a whole number of those.
[[nodiscard]] std::string MemoryLimitText(std::int64_t bytes);

struct ContainerRow {
  std::string id;
  std::string state;  // "running", "exited", ...
  Labels labels;
  std::vector<BoundPort> ports;  // that are published now
};
[[nodiscard]] Result<std::vector<ContainerRow>> DecodeContainerList(std::string_view body);

// The id from the answer to a create.
[[nodiscard]] Result<std::string> DecodeCreated(std::string_view body);

// The body of POST /containers/{id}/exec; `variable` ("NAME=value") is added to the environment.
[[nodiscard]] std::string EncodeExec(const ExecRequest& request, const std::string& variable);

// The answer to GET /exec/{id}/json.
struct ExecState {
  bool running = false;
  std::optional<std::int32_t> exit_code;  // not there before it has ended
  std::int64_t pid = 0;                   // on the engine's machine; 0 = has not started
};
[[nodiscard]] Result<ExecState> DecodeExec(std::string_view body);

// The text of an error answer ({"message": ...}), or the body's beginning if it is not JSON.
[[nodiscard]] std::string DecodeErrorText(std::string_view body);

// The body of POST /containers/create.
[[nodiscard]] std::string EncodeCreate(const Owner& owner, const LaunchRequest& request);

// The answer to GET /networks/{name}.
struct Network {
  std::string name;
  std::string driver;
};
[[nodiscard]] Result<Network> DecodeNetwork(std::string_view body);
// The labels in the answer to GET /volumes/{name}.
[[nodiscard]] Result<Labels> DecodeVolume(std::string_view body);

// The `filters` argument for what bears the owner's labels; `events` adds type and actions.
[[nodiscard]] std::string EncodeFilters(const Owner& owner, bool events);

// ---- streams ------------------------------------------------------------------------------

struct ContainerEvent {
  std::string action;  // "die", "oom", "destroy", ...
  std::string id;
  Labels labels;
  WallTime time;
};
[[nodiscard]] Result<ContainerEvent> DecodeEvent(std::string_view line);

// One line of the answer to POST /images/create.
struct PullStep {
  std::string layer;  // empty: about the whole image
  std::string status;
  std::int64_t current = 0, total = 0;  // bytes; 0 = unknown
  std::optional<Error> error;
};
[[nodiscard]] Result<PullStep> DecodePullStep(std::string_view line);

// Adds up the steps of one pull into "3/7 layers, 45%".
class PullProgress {
 public:
  void Add(const PullStep& step);
  [[nodiscard]] std::string Text() const;

 private:
  struct Layer {
    std::int64_t current = 0, total = 0;
    bool done = false;
  };
  // Far above any image (127 layers is the storage drivers' limit); keeps memory bounded.
  static constexpr std::size_t kLayersMax = 1024;
  std::map<std::string, Layer> layers_;
};

}  // namespace cube::engine::docker
