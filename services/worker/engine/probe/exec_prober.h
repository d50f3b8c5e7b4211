// Checks by a command inside the launch, through its engine's Exec.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "services/worker/engine/engine.h"
#include "services/worker/engine/prober.h"

namespace cube::engine {

// Numbers of Exec with this bit are checks; everybody else's are without it.
inline constexpr std::uint64_t kExecOfProbe = std::uint64_t{1} << 63;

// Threads: Start on the thread that calls the engine, Take on the engine's own.
class ExecProber final : public Prober {
 public:
  explicit ExecProber(ProbeSink sink) : sink_(std::move(sink)) {}
  // Before the first Start. The engine's events go to Take first.
  void SetEngine(Engine& engine) { engine_ = &engine; }

  // Kind command. Passed: exit code 0. Failed: another one, or not over within the timeout.
  // Unknown: the launch does not run, or the engine is not there or has no room; or exit code 137,
  // since whoever killed it, mostly the launch's end, has cut the answer off.
  void Start(ProbeRequest request) override;
  // -> whether the event was about a check and is of no interest to anybody else.
  [[nodiscard]] bool Take(const Event& event);

 private:
  struct Running {
    ProbeRequest request;
    std::string output;  // its end
  };
  void End(const ExecEnded& ended);

  const ProbeSink sink_;
  Engine* engine_ = nullptr;
  std::mutex mutex_;
  std::map<std::uint64_t, Running> running_;  // guarded by mutex_; by number of Exec
};

}  // namespace cube::engine
