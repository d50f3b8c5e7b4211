// Submits many tasks to a running cluster, waits until all of them run, and reads in the log when
// each step was stored there. It reads afterwards, so that looking costs the cluster nothing.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/cluster/progress.h"
#include "bench/cluster/stage.h"
#include "shared/bus/nats_bus.h"
#include "shared/domain/task_spec.h"
#include "shared/runtime/inbox.h"

namespace cube::bench {

inline constexpr Duration kPatience = std::chrono::seconds(60);  // without any progress

// How the same tasks are asked for.
enum class Shape {
  kJobs,     // jobs of `batch` tasks, one message each
  kBatches,  // plain tasks, `batch` in one message
  kSingle,   // plain tasks, one message each
};

struct DriverOptions {
  std::uint64_t tasks = 0;
  std::uint32_t batch = 1'000;
  std::uint32_t window = 64;  // submissions in flight
  Shape shape = Shape::kJobs;
};

// Four kinds of task, with and without rules on the node's label `zone` (a, b, c), of mixed sizes.
[[nodiscard]] std::vector<TaskSpec> MixedSpecs();

// One thread.
class Driver {
 public:
  Driver(DriverOptions options, const std::string& url);

  // Until the manager says that all run. `stage` is that of the cluster.
  [[nodiscard]] Result<void> Run(Stage& stage);
  // What the log says of it; it must still be there from its first message on.
  [[nodiscard]] Result<void> ReadLog(const wire::Subjects& subjects);

  // s since the first submission, of the last task: it was acknowledged; and by the server's clock,
  // its decision was stored, the fact that it runs, the decision that this fact is folded for.
  struct Times {
    double stored = 0, scheduled = 0, running = 0, folded = 0;
  };
  [[nodiscard]] const Times& times() const { return times_; }
  [[nodiscard]] std::uint64_t cycles() const { return cycles_; }
  [[nodiscard]] std::uint64_t full_cycles() const { return full_cycles_; }
  [[nodiscard]] std::uint64_t downs() const { return downs_; }
  // Decisions and facts that were read: a message has up to thousands of them.
  [[nodiscard]] std::uint64_t steps() const { return steps_; }
  [[nodiscard]] std::uint64_t moved() const { return progress_.moves(); }

 private:
  Result<void> Take();
  // Where the stream ends now.
  Result<std::uint64_t> EndOf(const std::string& stream);
  void Submit(const wire::Subjects& subjects);
  // The next submission: at most `count` tasks.
  bus::AppendRequest Next(const wire::Subjects& subjects, std::uint64_t count) const;
  Result<void> ReadStream(bus::SubId reader, const std::string& stream, std::uint64_t end);
  Result<void> OnRead(const bus::Read& read);
  Result<void> OnDecisions(const bus::StreamMessage& message);
  Result<void> OnFacts(const bus::StreamMessage& message);
  [[nodiscard]] double Since() const { return Seconds(clock_.now().mono - begin_.mono); }
  [[nodiscard]] double Since(WallTime at) const { return Seconds(at - begin_.wall); }

  const DriverOptions options_;
  const SystemClock clock_;
  std::vector<TaskSpecPtr> specs_;
  Inbox<bus::Event> inbox_{1};
  std::vector<bus::Event> events_;
  bool connected_ = false;
  Now begin_;
  std::optional<std::uint64_t> end_;  // of the stream that was asked for
  bus::SubId reading_ = 0;
  std::uint64_t read_to_ = 0;  // of that one
  // Up to where each decision has folded the facts, and when it was stored.
  std::vector<std::pair<std::uint64_t, WallTime>> folded_;
  std::uint64_t last_running_ = 0;  // the fact message with which all run
  Times times_;
  Progress progress_{options_.tasks};
  std::uint64_t op_ = 0;
  std::uint64_t submitted_ = 0, in_flight_ = 0, stored_ = 0;
  std::uint64_t downs_ = 0;  // nodes called down
  std::uint64_t steps_ = 0;
  std::uint64_t cycles_ = 0, full_cycles_ = 0;    // decision messages; those that start something
  std::map<std::uint64_t, std::uint64_t> sizes_;  // op -> tasks of that submission in flight
  absl::flat_hash_map<std::string, std::uint64_t> last_fact_;  // of each node
  bus::NatsBus bus_;
};

// A manager, simulated nodes, and all tasks running.
struct Filled {
  std::unique_ptr<Stage> stage;
  Child* manager = nullptr;
  Child* nodes = nullptr;
  std::uint64_t steps = 0;  // decisions and facts in the log
};
[[nodiscard]] Result<Filled> StartSimulated(const std::string& bin_dir, std::uint32_t nodes);
[[nodiscard]] Result<Filled> Fill(const std::string& bin_dir, std::uint64_t tasks,
                                  std::uint32_t nodes);
// Until the manager itself says that all run: it has folded every fact.
[[nodiscard]] Result<void> WaitUntilFolded(Stage& stage, std::uint64_t tasks);

}  // namespace cube::bench
