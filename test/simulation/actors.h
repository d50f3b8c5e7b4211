// The processes of a simulated cluster: the real loops on in-memory ports. A process may die
// before any operation of a step; its store, and the machine's containers, outlive it.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "services/manager/manager_loop.h"
#include "services/manager/store_port.h"
#include "services/worker/engine/sim/sim_engine.h"
#include "services/worker/engine/sim/sim_prober.h"
#include "services/worker/worker_loop.h"
#include "shared/base/random.h"
#include "test/support/bus/sim_bus.h"
#include "test/support/bus/sim_clock.h"
#include "test/support/store/faulty_store.h"

namespace cube::sim {

// What all actors share.
struct Stage {
  SimClock clock;
  Random random;
  bus::SimServer server;
  // Deaths per million operations.
  std::uint32_t crash_rate = 0;
  // Per million calls of an engine.
  std::uint32_t answers_lost = 0;
  // Of each stream of the log; 0 = as in a real cluster.
  std::int64_t stream_bytes = 0;
  std::int32_t replicas = 1;
  std::uint32_t decision_items = 0;  // of a message at most; 0 = as usual
  // A line of the trace; empty function = nobody reads it.
  std::function<void(const std::string&)> trace;

  explicit Stage(std::uint64_t seed) : random(seed), server(clock, Random(seed ^ 0x5eed)) {}
  void Note(const std::string& line) const {
    if (trace) trace(line);
  }
};

class Actor {
 public:
  explicit Actor(Stage& stage, std::string name) : stage_(stage), name_(std::move(name)) {}
  virtual ~Actor() = default;
  Actor(const Actor&) = delete;
  Actor& operator=(const Actor&) = delete;

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] bool alive() const { return alive_; }
  // Stopped by its machine (SIGSTOP, a slow disk): it does nothing until then, and what comes for
  // it waits.
  void PauseUntil(MonoTime until) { paused_until_ = until; }
  // The same, in the middle of its next step: before one of its operations.
  void PauseInStep(Duration pause) { pause_in_step_ = pause; }
  [[nodiscard]] MonoTime paused_until() const { return paused_until_; }
  // Somebody sets the clock of its machine.
  void JumpClock(Duration by) { clock_ahead_ += by; }
  // What is to be committed is refused until it is taken back.
  virtual void FillDisk(bool /*full*/) {}
  // When Run has something to do; MonoTime::max() = nothing.
  [[nodiscard]] virtual MonoTime WakeAt() const = 0;
  virtual void Run() = 0;
  virtual void Start() = 0;
  // kill -9.
  virtual void Kill() = 0;

 protected:
  // Whether the process dies here.
  [[nodiscard]] bool DiesHere();
  // Whether it is stopped here.
  [[nodiscard]] bool PausesHere();
  // By the clocks of its machine.
  [[nodiscard]] Now MachineTime() const;
  // As the services do: whoever cannot commit ends.
  void EndsUncommitted(const Error& error);
  [[nodiscard]] static std::optional<Error> FullDisk(bool full);

  Stage& stage_;
  std::string name_;
  bool alive_ = false;

 private:
  MonoTime paused_until_{};
  std::optional<Duration> pause_in_step_;
  Duration clock_ahead_{0};
};

class ManagerActor final : public Actor {
 public:
  ManagerActor(Stage& stage, std::string name);
  [[nodiscard]] MonoTime WakeAt() const override;
  void Run() override;
  void Start() override;
  void Kill() override;
  void FillDisk(bool full) override { store_->FailAllCommits(FullDisk(full)); }
  // Deletes the view while the process is down.
  void LoseView();
  // Forgets the newest commits while the process is down, so many at most.
  void LoseEnd(std::size_t commits);
  [[nodiscard]] const manager::ManagerLoop* loop() const { return loop_.get(); }
  [[nodiscard]] bus::SimClientId client() const { return bus_->client(); }

 private:
  bool Execute(manager::Operation& operation);
  void ExecuteInStore(const manager::Operation& operation);
  // Now, or while the store's thread is slow.
  [[nodiscard]] MonoTime StoreTime();

  std::unique_ptr<store::FaultyStore> store_;
  std::unique_ptr<bus::SimBus> bus_;
  std::unique_ptr<manager::ManagerLoop> loop_;
  std::optional<manager::StorePort> store_port_;
  std::deque<manager::Input> inbox_;
  std::deque<manager::Operation> due_;  // of the last step, not executed yet
  // What the store gives, and when.
  std::deque<std::pair<MonoTime, manager::Input>> rows_;
  // Why a commit has failed, and when the process hears of it; the store takes nothing any more.
  std::optional<std::pair<MonoTime, Error>> failed_;
};

class WorkerActor final : public Actor {
 public:
  // Two of one node are told apart by their names.
  WorkerActor(Stage& stage, std::string name, NodeName node, Resources capacity);
  [[nodiscard]] MonoTime WakeAt() const override;
  void Run() override;
  void Start() override;
  void Kill() override;
  void FillDisk(bool full) override { store_->FailAllCommits(FullDisk(full)); }
  void LoseView();
  // Of the engine: what is launched meanwhile takes so much longer to pull, and may fail.
  struct Trouble {
    Duration slower{0};
    bool fails = false;
  };
  void SetTrouble(const Trouble& trouble) { trouble_ = trouble; }
  [[nodiscard]] const NodeName& node() const { return node_; }
  // SIGTERM.
  void Leave() {
    if (alive_) inbox_.emplace_back(worker::Shutdown{});
  }
  void set_on_exit(worker::OnExit on_exit) { on_exit_ = on_exit; }
  [[nodiscard]] engine::SimMachine& machine() { return *machine_; }
  [[nodiscard]] const worker::WorkerLoop* loop() const { return loop_.get(); }
  [[nodiscard]] bus::SimClientId client() const { return bus_->client(); }

 private:
  bool Execute(worker::Operation& operation);
  void Call(worker::EngineCall& call);
  void LoseAnswer();

  NodeName node_;
  Resources capacity_;
  worker::OnExit on_exit_ = worker::OnExit::kKeep;
  std::unique_ptr<store::FaultyStore> store_;
  Trouble trouble_;
  std::shared_ptr<engine::SimMachine> machine_;
  std::unique_ptr<engine::SimEngine> engine_;
  std::unique_ptr<engine::SimProber> prober_;
  std::unique_ptr<bus::SimBus> bus_;
  std::unique_ptr<bus::SimBus> beats_;
  std::unique_ptr<worker::WorkerLoop> loop_;
  std::deque<worker::Input> inbox_;
  std::deque<worker::Operation> due_;  // of the last step, not executed yet
};

// Submits and stops like the command line: repeats what was not acknowledged, with the same id.
class ClientActor final : public Actor {
 public:
  explicit ClientActor(Stage& stage);
  [[nodiscard]] MonoTime WakeAt() const override;
  void Run() override;
  void Start() override;
  void Kill() override;

  void Submit(const std::string& id, TaskSpecPtr spec);
  void Stop(const std::string& id);
  // Any other intent.
  void Ask(std::string subject, std::string payload);
  // Ids whose submission, or whose stop, the log has acknowledged.
  [[nodiscard]] const std::set<std::string>& submitted() const { return submitted_; }
  [[nodiscard]] const std::set<std::string>& stopped() const { return stopped_; }
  [[nodiscard]] bool idle() const { return pending_.empty() && waiting_.empty(); }
  [[nodiscard]] bus::SimClientId client() const { return bus_->client(); }

 private:
  struct Request {
    std::string subject;
    std::string id;  // of the task that is submitted or stopped
    std::string payload;
  };
  void Send(const Request& request);
  void OnEvent(const bus::Event& event);

  std::unique_ptr<bus::SimBus> bus_;
  bus::OpId next_op_ = 1;
  bool connected_ = false;
  MonoTime retry_at_{};
  std::map<bus::OpId, Request> pending_;
  std::deque<Request> waiting_;
  std::set<std::string> submitted_;
  std::set<std::string> stopped_;
};

}  // namespace cube::sim
