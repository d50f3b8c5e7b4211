// One worker between a log, a network and an engine that all misbehave, from a seed. The worker is
// the real loop on a MemoryStore with the engine's twin; the leader is the least that can tell a
// worker what to run.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "services/worker/engine/sim/sim_engine.h"
#include "services/worker/worker_loop.h"
#include "services/worker/worker_store.h"
#include "shared/base/random.h"
#include "shared/store/memory_store.h"

namespace cube::worker {

class World {
 public:
  explicit World(std::uint64_t seed);

  // Faults and decisions at random for so long.
  void Misbehave(Duration how_long);
  // No more faults and decisions: runs on for so long.
  void Settle(Duration how_long);
  // The leader stops every attempt.
  void StopAll();
  // What must hold now that all has settled; the same after StopAll.
  void CheckSettled();
  void CheckEmpty();

  // What went wrong, in order; empty = nothing.
  [[nodiscard]] const std::vector<std::string>& faults() const { return wrong_; }
  // What happened, newest last; the beginning is forgotten.
  [[nodiscard]] const std::deque<std::string>& trace() const { return trace_; }
  [[nodiscard]] std::uint64_t crashes() const { return crashes_; }
  [[nodiscard]] std::uint64_t launches() const { return launches_.size(); }

 private:
  // An attempt as the leader knows it.
  struct Placed {
    Stamp placement;
    TaskSpecPtr spec;
    bool stop = false;
    std::optional<LaunchFact> observed;
    [[nodiscard]] bool over() const { return observed && observed->final; }
    [[nodiscard]] bool runs_for_ever() const { return !spec->labels.contains("sim.run"); }
  };
  struct Logged {
    std::uint64_t seq = 0;
    std::uint64_t prev = 0;
    std::vector<AssignItem> items;
  };

  void Start();
  void Crash();
  void LoseView();
  void StepWorker();
  // -> false: the process has ended in the middle.
  bool Execute(Operation& operation);
  void ExecuteBus(bus::Operation& operation);
  void ExecuteEngine(EngineCall& call);
  void OnFacts(const FactBatch& batch);
  void OnLaunchFact(const LaunchFact& fact);
  void OnBeat(const Heartbeat& beat);
  void Welcome(std::uint64_t instance);
  void TellSet();
  void Tell(const Logged& logged);
  void Decide();
  void Fault();
  void Check();
  void Wrong(std::string what);
  void Trace(std::string what);
  [[nodiscard]] AssignBatch Head(std::uint64_t seq) const;
  [[nodiscard]] TaskSpecPtr RandomSpec();
  // To the worker, after a while or never.
  void Deliver(Input input, bool may_be_lost);
  void Run(MonoTime until, bool misbehave);
  [[nodiscard]] bool Chance(std::uint64_t per_million) {
    return misbehaves_ && random_.Chance(per_million);
  }
  [[nodiscard]] Duration Delay() {
    return std::chrono::milliseconds(1 + (misbehaves_ ? random_.Below(300) : 5));
  }

  Random random_;
  Now now_{MonoTime(std::chrono::hours(1)), WallFromNanos(1'700'000'000'000'000'000)};
  bool misbehaves_ = true;
  bool views_are_lost_ = false;  // in this seed; then numbers of facts begin anew
  std::vector<std::string> wrong_;
  std::deque<std::string> trace_;

  // the machine
  std::shared_ptr<engine::SimMachine> machine_ = std::make_shared<engine::SimMachine>();
  std::unique_ptr<engine::SimEngine> engine_;
  std::unique_ptr<store::MemoryStore> store_;
  std::unique_ptr<WorkerLoop> loop_;
  std::multimap<MonoTime, Input> inbox_;
  std::map<LaunchKey, std::set<std::string>> launches_;  // container ids of each launch ever
  std::uint64_t crashes_ = 0;
  bool connected_ = false;
  bool reachable_ = true;

  // the leader and the log
  std::uint64_t seq_ = 1;
  std::uint64_t last_decision_ = 0;  // that concerned the node
  std::uint64_t instance_ = 0;
  std::uint32_t incarnation_ = 0;
  Stamp up_;
  bool reported_ = true;
  std::uint64_t last_fact_ = 0;
  std::vector<Logged> log_;
  std::map<AttemptKey, Placed> placed_;
  std::uint32_t tasks_ = 0;
  MonoTime decide_at_{};
  MonoTime fault_at_{};
};

}  // namespace cube::worker
