// A WorkerCore with a clock that tests move, whose effects are read as lines of text.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "services/worker/core/worker_core.h"
#include "shared/base/random.h"

namespace cube::worker {

inline const NodeName kNode = NodeName::Trusted("n1");
inline constexpr std::uint64_t kInstance = 77;
inline constexpr Term kTerm{.epoch = 3, .id = 9};
inline constexpr Stamp kUp{.term_id = 9, .cycle = 1};
inline const std::string kCluster = "c1";

inline TaskSpec SpecOf(std::string engine = "docker",
                       RestartPolicy restart = {RestartMode::kNo, 0}) {
  TaskSpec spec;
  spec.name = TaskName::Trusted("web");
  spec.image = "web:1";
  spec.engine = std::move(engine);
  spec.restart = restart;
  spec.stop_signal = "SIGQUIT";
  return spec;
}
inline TaskSpecPtr Spec(std::string engine = "docker",
                        RestartPolicy restart = {RestartMode::kNo, 0}) {
  return std::make_shared<const TaskSpec>(SpecOf(std::move(engine), restart));
}
inline LaunchKey Key(const std::string& task, std::uint32_t attempt = 1, std::uint32_t launch = 0) {
  return {TaskId::Trusted(task), attempt, launch};
}
// Attempts of one decision have its stamp; tests use one stamp for one attempt number.
inline Stamp PlacedBy(std::uint32_t attempt) { return {.term_id = 9, .cycle = 100 + attempt}; }

inline Assignment Start(const std::string& task, std::uint32_t attempt = 1,
                        TaskSpecPtr spec = Spec()) {
  return {TaskId::Trusted(task), attempt, PlacedBy(attempt), std::move(spec), false, {}, 0};
}
inline StopAssignment StopOf(const std::string& task, std::uint32_t attempt = 1,
                             Duration grace = std::chrono::seconds(7)) {
  return {TaskId::Trusted(task), attempt, grace};
}

inline AssignBatch Batch(std::uint64_t seq, std::uint64_t prev, std::vector<AssignItem> items) {
  AssignBatch batch;
  batch.term = kTerm;
  batch.node = kNode;
  batch.instance = kInstance;
  batch.incarnation = 1;
  batch.seq = seq;
  batch.prev = prev;
  batch.items = std::move(items);
  batch.cluster = kCluster;
  return batch;
}
inline DesiredPage Set(std::uint64_t seq, std::vector<Assignment> assignments, Stamp report = {}) {
  DesiredPage page;
  page.term = kTerm;
  page.node = kNode;
  page.instance = kInstance;
  page.incarnation = 1;
  page.seq = seq;
  page.report = report;
  page.assignments = std::move(assignments);
  page.cluster = kCluster;
  return page;
}

inline engine::LaunchStatus Status(const LaunchKey& key, LaunchState state) {
  engine::LaunchStatus status;
  status.key = key;
  status.placement = PlacedBy(key.attempt);
  status.state = state;
  if (state >= LaunchState::kRunning) {
    status.container_id = "id-" + key.task.str();
    status.started_at = WallFromNanos(1'000'000'000'000);
  }
  return status;
}
inline engine::LaunchStatus Exited(const LaunchKey& key, int code,
                                   Duration ran = std::chrono::seconds(1)) {
  engine::LaunchStatus status = Status(key, LaunchState::kExited);
  status.cause = ExitCause::kExited;
  status.exit_code = code;
  status.finished_at = status.started_at + ran;
  return status;
}
inline engine::LaunchStatus StartFailed(const LaunchKey& key, Code code) {
  engine::LaunchStatus status = Status(key, LaunchState::kExited);
  status.cause = ExitCause::kStartFailed;
  status.failure = code;
  status.detail = "no";
  status.container_id.clear();
  status.started_at = {};
  return status;
}

std::string Text(const LaunchKey& key);
std::string Text(const Fact& fact);
std::string Text(const EngineCall& call);
std::string Text(Applied applied);

class CoreRig {
 public:
  // Not welcome yet.
  explicit CoreRig(StoredState stored = Fresh(), std::vector<std::string> engines = {"docker"});
  static StoredState Fresh();
  // Welcomed, engines up and empty, a complete set at decision 10 without assignments or report.
  static CoreRig Ready(std::vector<std::string> engines = {"docker"});

  WorkerCore& core() { return *core_; }
  Now now() const { return now_; }
  void Pass(Duration d) {
    now_.mono += d;
    now_.wall += d;
  }

  std::string Apply(const AssignBatch& batch) { return Text(core_->Apply(batch, now_)); }
  std::string Apply(const DesiredPage& page) { return Text(core_->Apply(page, now_, random_)); }
  void Observe(const engine::Event& event, const std::string& engine = "docker") {
    core_->Observe(engine, event, now_, random_);
  }
  void See(const engine::LaunchStatus& status) { Observe(engine::Changed{status}); }

  // Reconciles; then what changed, one line each: facts, then calls. Records are kept as a store
  // would keep them (see Crash).
  std::string Step();
  // What the steps so far had to say in the log.
  [[nodiscard]] const std::vector<std::string>& notices() const { return notices_; }
  // The facts so far are in the log.
  void AckAll() { core_->Acked(core_->meta().last_fact); }
  // What the worker has from its next start on.
  void SetEngines(std::vector<std::string> engines) { engines_ = std::move(engines); }
  // A new core from what the steps so far made durable.
  void Crash();
  // The same, with facts up to `acked` acknowledged before.
  void Crash(std::uint64_t acked);

  const Attempt* Stored(const std::string& task, std::uint32_t attempt = 1) const;

 private:
  std::vector<std::string> engines_;
  Now now_;
  Random random_{42};
  std::unique_ptr<WorkerCore> core_;
  Meta meta_;
  std::map<AttemptKey, Attempt> records_;
  std::map<std::uint64_t, Fact> outbox_;
  std::uint64_t acked_ = 0;
  std::vector<std::string> notices_;
};

}  // namespace cube::worker
