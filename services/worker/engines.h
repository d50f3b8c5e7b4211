// The engines of a worker's command line, made and called.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "services/worker/engine/probe/exec_prober.h"
#include "services/worker/engine/prober.h"
#include "services/worker/flags.h"
#include "services/worker/operation.h"
#include "services/worker/output_files.h"

namespace cube::worker {

class Engines {
 public:
  // The sinks are called from the engines' and probers' own threads. kUnsupported: this build has
  // no such kind. kInvalid names the flag.
  [[nodiscard]] static Result<Engines> Make(const Flags& flags, const std::string& node_dir,
                                            const std::function<void(FromEngine)>& sink,
                                            const engine::ProbeSink& probed);
  Engines(Engines&&) noexcept;
  Engines& operator=(Engines&&) noexcept;
  ~Engines();

  void Call(EngineCall& call, const OutputFiles& output);
  void Call(ProbeCall& call);
  void Call(OpenLogs& call);
  void Call(const LogCredit& call);
  void Call(const CloseLogs& call);
  void Call(const AskUsage& call);
  void Call(ExecCall& call);

 private:
  Engines();
  [[nodiscard]] engine::Engine& Of(const std::string& kind);

  struct Simulation;
  std::unique_ptr<Simulation> simulation_;  // outlives the engine that it drives
  std::map<std::string, std::unique_ptr<engine::Engine>> engines_;
  std::map<std::string, std::shared_ptr<engine::ExecProber>> commands_;  // by engine
  std::unique_ptr<engine::Prober> sockets_;
  std::unique_ptr<engine::Prober> simulated_;  // of engine sim
};

}  // namespace cube::worker
