// A WorkerLoop on a MemoryStore with a clock that tests move; its operations are read as text.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "services/worker/worker_loop.h"
#include "services/worker/worker_store.h"
#include "shared/store/memory_store.h"
#include "test/support/worker/core_rig.h"

namespace cube::worker {

class LoopRig {
 public:
  explicit LoopRig(std::vector<std::string> engines = {"docker"}, OnExit on_exit = OnExit::kKeep);

  // Runs one step and executes what it asks for: commits go to the store, the rest becomes lines.
  // Log lines are left out (see logged()). Heartbeats only where they say hello.
  std::string Step(std::vector<Input> inputs = {});
  std::string Connect() { return Step({FromBus{bus::Connected{"2.9.10", 1 << 20, true}}}); }
  std::string Assign(const AssignBatch& batch);
  std::string Desired(const DesiredPage& page);
  std::string Engine(engine::Event event) { return Step({FromEngine{"docker", std::move(event)}}); }
  // The newest append has been accepted, or not.
  std::string Accept() {
    return Step({FromBus{bus::Appended{append_.op, "CUBE_FACTS", 1, false}}});
  }
  std::string Fail(Code code) {
    return Step({FromBus{bus::AppendFailed{append_.op, Error{code, "no", {}}}}});
  }
  // Connected, welcomed, with an engine, a complete set at 10, and nothing unacknowledged.
  void BecomeReady();
  // The process ends; another one starts from the store.
  void Restart();

  void Pass(Duration d) {
    now_.mono += d;
    now_.wall += d;
  }
  [[nodiscard]] Now now() const { return now_; }
  WorkerLoop& loop() { return *loop_; }
  store::MemoryStore& store() { return store_; }
  [[nodiscard]] std::uint64_t OutboxCount() const { return *store_.Count(kOutboxTable); }
  [[nodiscard]] const bus::AppendRequest& append() const { return append_; }
  [[nodiscard]] FactBatch AppendedFacts() const;
  [[nodiscard]] const Heartbeat& beat() const { return beat_; }
  [[nodiscard]] int beats() const { return beats_; }
  [[nodiscard]] const std::vector<std::string>& logged() const { return logged_; }
  [[nodiscard]] const std::vector<bus::Publish>& published() const { return published_; }
  // What the leader's heartbeat says when it is looked up, which the text of a step leaves out.
  void SetClusterNodes(std::uint32_t nodes) { cluster_nodes_ = nodes; }
  std::deque<Input>& replies() { return replies_; }  // of the disk, given to the next step

 private:
  void Make();
  std::string Execute(Operation& operation);
  std::string ExecuteBus(bus::Operation& operation);

  std::vector<std::string> engines_;
  OnExit on_exit_;
  Now now_{MonoTime(std::chrono::hours(1)), WallFromNanos(1'000'000'000'000'000)};
  store::MemoryStore store_{WorkerSchema()};
  std::unique_ptr<WorkerLoop> loop_;
  bus::AppendRequest append_;
  Heartbeat beat_;
  int beats_ = 0;
  std::vector<std::string> logged_;
  std::vector<bus::Publish> published_;
  std::deque<Input> replies_;
  std::uint32_t cluster_nodes_ = 1;
};

}  // namespace cube::worker
