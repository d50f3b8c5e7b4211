// Simulated machines in real time: one thread drives any number of them, so that benchmarks can
// have thousands of nodes. The engines it makes may be called from any thread; their sinks are
// called from the driver's thread and must not call an engine back.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "services/worker/engine/sim/sim_engine.h"
#include "services/worker/engine/sim/sim_prober.h"

namespace cube::engine {

class SimDriver {
 public:
  SimDriver();
  // Every engine is gone by then.
  ~SimDriver();
  SimDriver(const SimDriver&) = delete;
  SimDriver& operator=(const SimDriver&) = delete;

  // An engine on a machine of this driver; the machine lives as long as the driver.
  [[nodiscard]] std::unique_ptr<Engine> MakeEngine(const std::shared_ptr<SimMachine>& machine,
                                                   Sink sink);
  // A prober of its launches; ends before the driver.
  [[nodiscard]] std::unique_ptr<Prober> MakeProber(const std::shared_ptr<SimMachine>& machine,
                                                   ProbeSink sink);
  // For faults and looks at a machine: `task` runs alone with it.
  void With(const std::shared_ptr<SimMachine>& machine,
            const std::function<void(SimMachine&)>& task);

 private:
  class Driven;
  class DrivenProber;

  void Run();
  void Schedule(const std::shared_ptr<SimMachine>& machine);  // with mutex_ held

  std::mutex mutex_;
  std::condition_variable wake_;
  bool quit_ = false;                                            // guarded by mutex_
  std::map<SimMachine*, std::shared_ptr<SimMachine>> machines_;  // guarded by mutex_
  std::map<SimMachine*, MonoTime> scheduled_;                    // guarded by mutex_
  std::set<std::pair<MonoTime, SimMachine*>> due_;               // guarded by mutex_
  std::thread thread_;
};

}  // namespace cube::engine
