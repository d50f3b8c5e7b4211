// What running containers use. Where the engine is on this machine their control groups and
// /proc/<pid>/net/dev are read: a few small files each, under a millisecond for a container. Else,
// or where that is not ours to read, the engine is asked (GET /containers/{id}/stats), a few at a
// time: it costs the engine some milliseconds each, and since API 1.41 `one-shot` spares the second
// in which older ones wait for a second sample.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "services/worker/engine/docker/session.h"
#include "services/worker/engine/engine.h"

namespace cube::engine::docker {

// The answer of GET /containers/{id}/stats, without key and time; nullopt if the container does
// not run (then it has no counters) or the bytes are none of that.
[[nodiscard]] std::optional<LaunchUsage> DecodeStats(std::string_view body);

class UsageReader {
 public:
  struct Target {
    LaunchKey key;
    std::string container_id;
    std::int32_t pid = 0;      // of the engine's host; 0 = unknown
    bool own_network = false;  // it is not in the host's network
  };

  // `done` gets the answer of each round, within Look or later. `proc`: see usage_files.h.
  UsageReader(Session& session, std::function<void(Usages)> done, std::string proc = "/proc",
              std::string groups = "/sys/fs/cgroup");

  // Begins a round; while one is under way it goes on with the targets that it has.
  void Look(std::vector<Target> targets);
  // The engine has gone, and with it all answers: what is there is all there will be.
  void EngineDown();

  // Questions in flight at once: 100 containers take the engine about a second, and starts that
  // come meanwhile hardly wait.
  static constexpr std::size_t kStatsMax = 8;

 private:
  [[nodiscard]] std::optional<LaunchUsage> FromFiles(const Target& target) const;
  void AskNext();
  void Finish();

  Session& session_;
  const std::function<void(Usages)> done_;
  const std::string proc_;
  const std::string groups_;
  bool looking_ = false;
  std::deque<Target> to_ask_;
  std::size_t asking_ = 0;
  Usages usages_;
};

}  // namespace cube::engine::docker
