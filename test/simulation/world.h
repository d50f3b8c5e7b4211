// A whole cluster in one thread, from one seed: managers, workers, a client and a server, with
// faults that the seed draws. Same seed, same run.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "test/simulation/actors.h"
#include "test/simulation/laws.h"

namespace cube::sim {

[[nodiscard]] inline Duration Millis(std::uint64_t n) { return std::chrono::milliseconds(n); }

// Drawn from the seed (FromSeed), or set by hand to look closer at one thing.
struct Plan {
  std::uint64_t seed = 1;
  int managers = 1;
  int workers = 2;
  int tasks = 20;
  Duration faults_last = std::chrono::seconds(60);
  Duration calm_max = std::chrono::minutes(10);  // then it must have converged
  std::uint32_t crash_rate = 0;                  // per million operations
  bus::SimFaults faults;
  std::uint32_t kills = 0;       // kill -9 of any process, in all
  std::uint32_t views_lost = 0;  // with a kill: its view is deleted too
  std::uint32_t server_stops = 0;
  std::uint32_t vanishing = 0;  // containers removed or killed by somebody else
  std::uint32_t engine_outages = 0;
  std::uint32_t pauses = 0;       // of any process, longer than its silence is borne with
  std::uint32_t clock_jumps = 0;  // of any process's machine, ahead or back
  bool rival = false;             // a second worker of the first node's name, on another machine
  std::uint32_t drains = 0;       // of nodes, or cordons; most are lifted
  std::uint32_t leaves = 0;       // workers that are told to end, and hand over or not
  std::uint32_t jobs = 0;         // submitted, scaled, replaced, stopped
  std::uint32_t tails_lost = 0;   // power cuts: streams lose their ends
  std::int32_t replicas = 1;      // of the streams, as the servers say
  std::uint32_t shows_less = 0;   // servers that share the streams show less of them than there is
  std::int64_t stream_bytes = 0;  // of each stream of the log; 0 = they are large enough
  std::uint32_t disks_full = 0;   // of any process's machine, for a time
  std::uint32_t ends_lost = 0;    // with a kill of a manager: its store forgets newest commits
  std::uint32_t engine_troubles = 0;  // of a node: for a time starts take long, or fail
  std::uint32_t decision_items = 0;   // of a message at most; 0 = as usual
  std::uint32_t answers_lost = 0;     // per million calls of an engine: its connection is lost then

  [[nodiscard]] static Plan FromSeed(std::uint64_t seed);
  [[nodiscard]] std::string Text() const;
};

struct Outcome {
  std::string broken;  // empty = all laws held and it converged
  std::uint64_t steps = 0;
  std::uint64_t trace_hash = 0;
  Duration simulated{0};
  std::uint64_t deaths = 0;
  std::uint64_t decisions = 0;
  std::uint64_t trimmed = 0;    // messages of the log
  std::uint64_t resets = 0;     // since the log had lost messages
  std::uint64_t readopted = 0;  // attempts that it had lost
  bus::SimFaultsDone net;
};

class World {
 public:
  World(const Plan& plan, std::function<void(const std::string&)> trace);
  [[nodiscard]] Outcome Run();

 private:
  struct Planned {
    MonoTime at;
    std::function<void()> act;
  };
  void Draw();
  void At(Duration after, std::function<void()> act);
  static void DrawHealth(Random& random, TaskSpec& spec);
  static void DrawReschedule(Random& random, TaskSpec& spec);
  void DrawTasks();
  void DrawFaults();
  void DrawDrains();
  void DrawPowerCuts();
  void DrawShownLess();
  void DrawDisks();
  void DrawEngineTroubles();
  void LoseTails();
  void Excuse(const bus::SimStream& intents, std::uint64_t from);
  void DrawJobs();
  void Kill(Actor& actor, bool lose_view);
  void ReviveLater(Actor& actor);
  bool Step();
  void Hash(const std::string& line);
  // By launches, of a cluster's name.
  [[nodiscard]] bool IsBorne(const std::string& cluster) const;
  [[nodiscard]] std::string CheckLaws();
  [[nodiscard]] std::string HealthUnclear(const Task& task) const;
  [[nodiscard]] std::string Unsettled();
  [[nodiscard]] std::string CheckPorts();
  [[nodiscard]] std::string CheckNode(WorkerActor& worker,
                                      std::map<std::string, std::string>& wanted);
  [[nodiscard]] Actor& AnyProcess();
  // The other one of two workers of a name is alive: only one of them stays.
  [[nodiscard]] bool Contested(const Actor& actor) const;

  Plan plan_;
  Stage stage_;
  std::vector<std::unique_ptr<ManagerActor>> managers_;
  std::vector<std::unique_ptr<WorkerActor>> workers_;
  std::unique_ptr<ClientActor> client_;
  std::vector<Actor*> actors_;
  std::vector<Planned> planned_;  // sorted by time
  Laws laws_;
  std::vector<std::string> ids_;
  std::set<std::string> excused_;  // tasks whose submission or stop a power cut has taken
  std::set<HeldKey> held_;         // attempts that ran on a worker then
  std::string cluster_;            // its name
  Outcome outcome_;
  MonoTime calm_from_{};
};

}  // namespace cube::sim
