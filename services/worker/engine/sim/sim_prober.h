// The Prober's twin: asks simulated launches, whose behaviour says whether they serve.
// Deterministic; time passes only in SimMachine::Advance, and results are sent from within it.
#pragma once

#include <memory>
#include <string>

#include "services/worker/engine/prober.h"
#include "services/worker/engine/sim/sim_engine.h"

namespace cube::engine {

class SimProber final : public Prober {
 public:
  SimProber(std::shared_ptr<SimMachine> machine, ProbeSink sink)
      : machine_(std::move(machine)), sink_(std::move(sink)) {}
  ~SimProber() override { *alive_ = false; }

  // All kinds alike: it is the launch with the request's key that is asked.
  void Start(ProbeRequest request) override;

 private:
  const std::shared_ptr<SimMachine> machine_;
  const ProbeSink sink_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace cube::engine
