// The public API's names: subjects and streams, below a root ("cube" unless set otherwise).
// docs/PROTOCOL.md lists who may write each.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/error.h"
#include "shared/bus/bus.h"
#include "shared/domain/ids.h"

namespace cube::wire {

inline constexpr std::string_view kRootDefault = "cube";
inline constexpr std::string_view kHeaderOutcome = "Cube-Outcome";  // token of who waits
inline constexpr std::string_view kHeaderSummary = "Cube-Summary";  // one line for people

// Sizes of the streams; what they mean is in docs/OPERATIONS.md.
struct StreamLimits {
  // A server reserves them: together well below the disk of a small machine.
  std::int64_t intents_bytes_max = std::int64_t{2} << 30;
  std::int64_t decisions_bytes_max = std::int64_t{2} << 30;
  std::int64_t facts_bytes_max = std::int64_t{2} << 30;
  Duration lease = std::chrono::milliseconds(2500);  // life of a leader's key without renewal
  std::int32_t replicas = 1;
};

class Subjects {
 public:
  // root: [a-z0-9]{1,16}, else kInvalid with field "root".
  [[nodiscard]] static Result<Subjects> Make(std::string_view root);
  Subjects();  // kRootDefault

  // Subjects. `node`, `name`... are valid tokens.
  [[nodiscard]] std::string TasksSubmit() const;  // cube.tasks.submit
  [[nodiscard]] std::string TasksStop() const;    // cube.tasks.stop
  // cube.jobs.submit, .stop, .scale
  [[nodiscard]] std::string Jobs(std::string_view verb) const;
  // cube.nodes.cordon, .uncordon, .drain
  [[nodiscard]] std::string Nodes(std::string_view verb) const;
  [[nodiscard]] std::string Decisions() const;  // cube.decisions
  [[nodiscard]] std::string Facts(std::string_view node) const;
  [[nodiscard]] std::string Desired(std::string_view node, std::uint32_t page) const;
  [[nodiscard]] std::string DesiredAll(std::string_view node) const;  // cube.desired.<node>.*
  [[nodiscard]] std::string Heartbeat(std::string_view node) const;
  [[nodiscard]] std::string HeartbeatAll() const;  // cube.heartbeats.*
  [[nodiscard]] std::string Metrics(std::string_view node) const;
  [[nodiscard]] std::string MetricsAll() const;  // cube.metrics.*
  [[nodiscard]] std::string Assign(std::string_view node) const;
  // cube.events.<name>.<task>.<status>
  [[nodiscard]] std::string Event(std::string_view name, std::string_view task,
                                  std::string_view status) const;
  [[nodiscard]] std::string EventsOfTask(std::string_view task) const;  // cube.events.*.<task>.*
  [[nodiscard]] std::string EventsOfName(std::string_view name) const;  // cube.events.<name>.*.*
  [[nodiscard]] std::string EventsAll() const;                          // cube.events.>
  [[nodiscard]] std::string Outcome(std::string_view token) const;
  [[nodiscard]] std::string Query(std::string_view what) const;
  [[nodiscard]] std::string QueryAll() const;  // cube.query.*
  [[nodiscard]] std::string Logs(std::string_view node) const;
  [[nodiscard]] std::string Exec(std::string_view node) const;
  [[nodiscard]] std::string VerifyManagers() const;                   // cube.verify.managers
  [[nodiscard]] std::string VerifyNode(std::string_view node) const;  // cube.verify.node.<node>
  [[nodiscard]] std::string SnapshotChunks() const;                   // cube.snapshots.chunks
  [[nodiscard]] std::string SnapshotManifest() const;                 // cube.snapshots.manifest
  // cube.streams.: where accounts without JetStream find the state of streams (NatsBusOptions).
  [[nodiscard]] std::string StreamInfoPrefix() const;
  [[nodiscard]] std::string LeaseKey() const;  // $KV.CUBE_LEADER.leader

  // The last token of a subject.
  [[nodiscard]] static std::string_view LastToken(std::string_view subject);

  // Streams: CUBE_INTENTS, CUBE_DECISIONS, CUBE_FACTS, ...
  [[nodiscard]] std::string IntentsStream() const;
  [[nodiscard]] std::string DecisionsStream() const;
  [[nodiscard]] std::string FactsStream() const;
  [[nodiscard]] std::string SnapshotsStream() const;
  [[nodiscard]] std::string DesiredStream() const;
  [[nodiscard]] std::string HeartbeatsStream() const;
  [[nodiscard]] std::string MetricsStream() const;
  [[nodiscard]] std::string LeaseStream() const;  // KV_CUBE_LEADER
  // All of them as they must be.
  [[nodiscard]] std::vector<bus::StreamConfig> Streams(const StreamLimits& limits) const;

 private:
  explicit Subjects(std::string root);
  std::string root_;
  std::string stream_prefix_;
};

}  // namespace cube::wire
