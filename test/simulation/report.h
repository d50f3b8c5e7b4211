// What a run of the simulator says: which faults struck and how often, sums over many seeds, and
// the trace of one that broke a law.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "test/simulation/world.h"

namespace cube::sim {

// In the order of FaultName.
enum class Fault : std::uint8_t {
  kKill,           // kill -9 between two steps
  kDeathInStep,    // before one of a step's operations
  kViewLost,       // the store of a killed process is deleted
  kPause,          // of a process, between steps or within one
  kClockJump,      // of a process's machine
  kServerStop,     // of NATS, streams kept
  kEngineOutage,   // of a node
  kLaunchTouched,  // removed or killed by somebody else
  kDrain,          // or cordon, of a node
  kLeave,          // a worker is told to end
  kTailLost,       // of a stream, by a power cut
  kDiskFull,       // of a process's machine
  kEndLost,        // of a manager's store
  kEngineTrouble,  // starts on a node take long, or fail
  kAnswerLost,     // of an engine
  kMessageLost,
  kMessageDoubled,
  kAckLost,
  kConnectionLost,
  kHopDelayed,
};
inline constexpr std::size_t kFaults = 20;
// "kills", "deaths in a step": as a table's column.
[[nodiscard]] std::string_view FaultName(Fault fault);

class FaultCounts {
 public:
  // A line of a world's trace, without its time: some say that a fault strikes.
  void Note(std::string_view line);
  void Add(const bus::SimFaultsDone& net);
  void Add(const FaultCounts& other);
  [[nodiscard]] std::uint64_t of(Fault fault) const {
    return counts_[static_cast<std::size_t>(fault)];
  }
  [[nodiscard]] std::uint64_t all() const;

 private:
  std::uint64_t& at(Fault fault) { return counts_[static_cast<std::size_t>(fault)]; }
  std::array<std::uint64_t, kFaults> counts_{};
};

// One seed, run.
struct SeedReport {
  Plan plan;
  Outcome outcome;
  FaultCounts faults;
  std::deque<std::string> last;  // the end of its trace, if it was not printed
};
// Lines of the trace that a failure shows: what led to it, on two screens.
inline constexpr std::size_t kLastLines = 80;

// Runs the seed's world. `print` gets each line of the trace, and may be empty.
[[nodiscard]] SeedReport RunSeed(std::uint64_t seed,
                                 const std::function<void(const std::string&)>& print);
// For people: the law, the plan, the faults, the end of the trace and the command that replays it.
[[nodiscard]] std::string FailureText(const SeedReport& report);
// One line of JSON, for scripts/lib/sim.py.
[[nodiscard]] std::string JsonLine(const SeedReport& report);

// Over all seeds of a run.
class Totals {
 public:
  void Add(const SeedReport& report);
  [[nodiscard]] std::uint64_t seeds() const { return seeds_; }
  // For people, a few lines. took: wall time in seconds.
  [[nodiscard]] std::string Text(std::uint64_t first, double took) const;

 private:
  std::uint64_t seeds_ = 0;
  std::uint64_t steps_ = 0;
  std::uint64_t deaths_ = 0;
  std::uint64_t decisions_ = 0;
  std::uint64_t trimmed_ = 0;
  Duration simulated_{0};
  FaultCounts faults_;
};

}  // namespace cube::sim
