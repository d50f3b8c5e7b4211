// How far many tasks have come, from what the log says of them: read decision by decision and fact
// by fact, in whatever order the two streams arrive.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <string_view>

namespace cube::bench {

// One thread. Tasks are named by their ids. A task counts once, however often it is placed; it runs
// if its newest attempt does. About 40 bytes a task.
class Progress {
 public:
  // Room for so many.
  explicit Progress(std::uint64_t tasks = 0) { tasks_.reserve(tasks); }

  // A decision places this attempt.
  void Placed(std::string_view task, std::uint32_t attempt);
  // A node says that a launch of this attempt runs, or has ended.
  void Runs(std::string_view task, std::uint32_t attempt);
  void Ended(std::string_view task, std::uint32_t attempt);

  [[nodiscard]] std::uint64_t scheduled() const { return scheduled_; }  // tasks placed ever
  [[nodiscard]] std::uint64_t running() const { return running_; }      // now
  [[nodiscard]] std::uint64_t moves() const { return moves_; }          // attempts beyond the first

 private:
  struct State {
    std::uint32_t newest = 0;  // attempt that anyone has spoken of
    std::uint32_t placed = 0;  // newest that a decision has placed
    bool runs = false;         // the newest does
  };
  // Its state with `attempt` as the newest; nullptr: a newer one is known.
  State* Newest(std::string_view task, std::uint32_t attempt);

  // By a hash of the id: among a million tasks the chance that any two share one is 1 in 10^7.
  absl::flat_hash_map<std::uint64_t, State> tasks_;
  std::uint64_t scheduled_ = 0, running_ = 0, moves_ = 0;
};

}  // namespace cube::bench
