// The engines of a worker's command line, made and called.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "services/worker/operation.h"
#include "services/worker/output_files.h"

namespace cube::worker {

class Engines {
 public:
  // `sink` is called from the engines' own threads. kUnsupported: this build has no such kind.
  [[nodiscard]] static Result<Engines> Make(const std::vector<std::string>& kinds,
                                            const std::string& node_dir,
                                            const std::function<void(FromEngine)>& sink);
  Engines(Engines&&) noexcept;
  Engines& operator=(Engines&&) noexcept;
  ~Engines();

  void Call(EngineCall& call, const OutputFiles& output);
  void Call(OpenLogs& call);
  void Call(const LogCredit& call);
  void Call(const CloseLogs& call);
  void Call(const AskUsage& call);

 private:
  Engines();
  [[nodiscard]] engine::Engine& Of(const std::string& kind);

  struct Simulation;
  std::unique_ptr<Simulation> simulation_;  // outlives the engine that it drives
  std::map<std::string, std::unique_ptr<engine::Engine>> engines_;
};

}  // namespace cube::worker
