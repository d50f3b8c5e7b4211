// The Engine's twin: machines on which nothing really runs. Deterministic, without threads or
// clocks: time passes only in SimMachine::Advance, and all events are sent from within it, in an
// order that depends on the calls alone. What a launch does is a SimBehaviour, by default read
// from the labels of its spec, so that whole clusters can be scripted by what is submitted.
//
// Threads: one at a time for a machine and all engines on it (sim_driver.h serializes them).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "services/worker/engine/engine.h"
#include "shared/domain/task_map.h"

namespace cube::engine {

// What a launch does.
struct SimBehaviour {
  Duration pull{0};                               // kPulling takes so long; 0 = the image is there
  Duration start = std::chrono::milliseconds(1);  // kStarting takes so long
  std::optional<Duration> run;                    // nothing: runs until it is stopped
  std::int32_t exit_code = 0;                     // after `run`
  bool out_of_memory = false;                     // it ends so after `run`
  std::optional<Duration> stop = Duration{0};     // obeys the stop signal after so long; or never
  std::optional<Error> start_failure;             // instead of running
  std::string out, err;                           // printed when it starts
  // What its checks find, at times counted from its start.
  std::optional<Duration> serves_from = Duration{0};  // nothing: never
  std::optional<Duration> serves_until;               // nothing: as long as it runs
  Duration answers_after{0};                          // a check takes so long
  std::int64_t cpu_millis = 0;                        // used while it runs
  std::int64_t memory_bytes = 0;                      // used while it runs
  std::uint64_t network_bytes = 0;                    // sent and received, each second
  friend bool operator==(const SimBehaviour&, const SimBehaviour&) = default;
};
using SimScript = std::function<SimBehaviour(const LaunchRequest&)>;

// What a command run inside a launch does: prints, reads input if it copies it, runs, ends.
struct SimExec {
  std::string out, err;
  std::int32_t exit_code = 0;
  std::optional<Duration> run = Duration{0};  // nothing: until it is killed
  bool copies_input = false;                  // to its output, until its end; then it ends
};
using SimExecScript = std::function<SimExec(const TaskSpec&, const ExecRequest&)>;

// Knows `say OUT [ERR [CODE]]`, `exit CODE`, `cat`, `sleep [DURATION]` (without one: until it is
// killed) and `print-env NAME`; any other command is not found (127). The label sim.exec of the
// launch, a number, is the exit code of whatever is run there, so that health can be scripted.
[[nodiscard]] SimExec ExecFromCommand(const TaskSpec& spec, const ExecRequest& request);

// Reads the labels sim.pull, sim.start, sim.run, sim.stop (durations; sim.stop may be "never"),
// sim.exit (a number or "oom"), sim.fail (a text: the start fails with kInvalid),
// sim.unavailable (a text: it fails with kUnavailable), sim.out, sim.err, and sim.print-env (the
// name of a variable whose value it prints); for checks sim.serves-from (a duration or "never"),
// sim.serves-until and sim.answers-after (durations); and what it uses: sim.cpu-millis,
// sim.memory-bytes, sim.network-bytes (a second). What cannot be read is ignored.
[[nodiscard]] SimBehaviour BehaviourFromLabels(const LaunchRequest& request);

class SimEngine;

// One node's engine and containers: what outlives the worker that uses it.
class SimMachine {
 public:
  struct Options {
    SimScript script = BehaviourFromLabels;
    // Where the output of removed launches goes; nothing = it is dropped.
    std::function<Result<void>(const std::string& path, const std::string& bytes)> save{};
    std::uint16_t first_dynamic_port = 32768;
    SimExecScript exec = ExecFromCommand;
  };
  SimMachine() : SimMachine(Options{}) {}
  explicit SimMachine(Options options) : options_(std::move(options)) {}
  SimMachine(const SimMachine&) = delete;
  SimMachine& operator=(const SimMachine&) = delete;

  // Time is now `now`: everything due by then happens, in order, at its own time.
  void Advance(Now now);
  // When Advance has something to do next; the past if it has already.
  [[nodiscard]] std::optional<MonoTime> NextDue() const;

  // ---- faults: they take effect in the next Advance
  void SetReachable(bool reachable, std::string reason = "switched off by the test");
  // Somebody else removes the container, or kills it with an exit code.
  void Vanish(const LaunchKey& key);
  void Exit(const LaunchKey& key, ExitCause cause, std::int32_t exit_code);

  // ---- for checks (sim_prober.h)
  struct Answering {
    bool serves = false;
    std::string says;  // if it does not
    Duration after{0};
  };
  [[nodiscard]] Answering AnswerOf(const LaunchKey& key) const;
  // Runs `task` in an Advance after this time.
  void Later(Duration delay, std::function<void()> task) { After(delay, std::move(task)); }

  // ---- for invariants: every container there is, whoever owns it
  struct Seen {
    Owner owner;
    LaunchStatus status;
  };
  [[nodiscard]] std::vector<Seen> All() const;

 private:
  friend class SimEngine;

  struct Line {
    bool is_stderr;
    WallTime time;
    std::string bytes;
  };
  using Timer = std::pair<MonoTime, std::uint64_t>;  // when, number; number 0 = none
  using BehaviourPtr = std::shared_ptr<const SimBehaviour>;
  struct Belongings;
  // Machines of benchmarks have very many: what most have alike is kept once.
  struct Container {
    Belongings* of = nullptr;
    LaunchStatus status;
    BehaviourPtr behaviour;
    TaskSpecPtr spec;
    std::vector<Line> output;
    MonoTime running_since;
    Timer stop_timer;  // none = no stop was asked for
    MonoTime kill_at;
    bool gone = false;  // from the machine; a timer of it may be left
  };
  using ContainerPtr = std::shared_ptr<Container>;
  // What one owner has here.
  struct Belongings {
    Owner owner;
    TaskMap<LaunchKey, ContainerPtr> containers;
    // Containers with this name that are gone: ids differ when a name comes again.
    std::map<LaunchKey, std::uint64_t> gone;
  };

  Timer At(MonoTime when, std::move_only_function<void()> task);
  Timer After(Duration delay, std::move_only_function<void()> task) {
    return At(now_.mono + std::max(delay, Duration{0}), std::move(task));
  }
  void CancelTimer(const Timer& timer) { timers_.erase(timer); }
  // It lives as long as the machine.
  [[nodiscard]] Belongings& Of(const Owner& owner);
  [[nodiscard]] static ContainerPtr Find(const Belongings& of, const LaunchKey& key);
  // The first with this key, whoever owns it.
  [[nodiscard]] ContainerPtr FindAny(const LaunchKey& key) const;
  [[nodiscard]] BehaviourPtr BehaviourOf(const LaunchRequest& request) const;
  void Erase(const ContainerPtr& container);
  template <class Task>
  void ForEnginesOf(const Belongings* of, const Task& task);
  // States a change to the engine of the container's owner.
  void Changed(const Container& container);
  void End(Container& container, ExitCause cause, std::int32_t exit_code);
  void StartRunning(const ContainerPtr& started);
  void Print(Container& container, bool is_stderr, const std::string& text);
  void BindPorts(Container& container);

  const Options options_;
  Now now_;
  std::uint64_t next_id_ = 1;
  std::map<Timer, std::move_only_function<void()>> timers_;
  std::map<std::pair<std::string, std::string>, Belongings> belongings_;  // by cluster, node
  std::set<SimEngine*> engines_;
  bool reachable_ = true;
  std::string reason_;
  std::uint16_t next_port_ = 0;
};

class SimEngine final : public Engine {
 public:
  SimEngine(std::shared_ptr<SimMachine> machine, Sink sink);
  ~SimEngine() override;  // containers live on; what was not created yet is forgotten

  [[nodiscard]] std::string Kind() const override { return "sim"; }
  void Start(Owner owner) override;
  void Launch(LaunchRequest request) override;
  void Stop(LaunchKey key, std::string signal, Duration grace) override;
  void Remove(LaunchKey key, std::string save_output_to, std::size_t save_bytes) override;
  void List() override;
  void OpenLogs(std::uint64_t stream, LaunchKey key, LogOptions options) override;
  void LogCredit(std::uint64_t stream, std::size_t bytes) override;
  void CloseLogs(std::uint64_t stream) override;
  void Exec(std::uint64_t exec, LaunchKey key, ExecRequest request) override;
  void ExecCredit(std::uint64_t exec, std::size_t bytes) override;
  void ExecInput(std::uint64_t exec, std::string bytes, bool last) override;
  void CancelExec(std::uint64_t exec) override;
  void Usage() override;

 private:
  friend class SimMachine;

  struct Execution {
    LaunchKey key;
    SimExec what;  // `out` and `err`: what was not sent yet
    std::size_t credit = 0;
    bool over = false;  // only output is left
  };

  struct Stream {
    LaunchKey key;
    bool follow = false;
    std::size_t next_line = 0;
    std::size_t next_byte = 0;  // of that line
    std::size_t credit = 0;
  };
  // A launch before its container exists.
  struct Pulling {
    LaunchRequest request;
    SimMachine::BehaviourPtr behaviour;
    SimMachine::Timer timer;  // none = waits for the engine to be reachable
  };

  // Runs `task` within the next Advance, unless this engine is gone by then.
  template <class Task>
  void Soon(Task task) {
    machine_->After(Duration{0}, [alive = alive_, task = std::move(task)]() mutable {
      if (*alive) task();
    });
  }
  void GoUp();
  void GoDown();
  void SendList();
  void DoLaunch(LaunchRequest request);
  void BeginPull(const LaunchKey& key);
  void Create(Pulling pulling);
  void BeginStart(const SimMachine::ContainerPtr& container);
  void DoStop(const LaunchKey& key, const std::string& signal, Duration grace);
  void DoRemove(const LaunchKey& key, const std::string& path, std::size_t bytes);
  void DoOpenLogs(std::uint64_t stream, const LaunchKey& key, const LogOptions& options);
  void OnChanged(const LaunchStatus& status);
  void OnGone(const LaunchStatus& last);
  void Flow(std::uint64_t stream);
  void DoExec(std::uint64_t exec, const LaunchKey& key, const ExecRequest& request);
  void FlowExec(std::uint64_t exec);
  void FinishExec(std::uint64_t exec);
  void EndExec(std::uint64_t exec, std::optional<Error> error, std::int32_t exit_code = -1);
  void EndExecsOf(const LaunchKey& key);
  [[nodiscard]] LaunchStatus PullStatus(const Pulling& pulling) const;
  void FailLaunch(LaunchStatus status, const Error& error);
  [[nodiscard]] Error NotUp() const;
  [[nodiscard]] SimMachine::ContainerPtr Find(const LaunchKey& key) const {
    return SimMachine::Find(*own_, key);
  }

  const std::shared_ptr<SimMachine> machine_;
  const Sink sink_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  SimMachine::Belongings* own_ = nullptr;  // from Start on
  bool up_ = false;
  std::map<LaunchKey, Pulling> pulling_;
  // While it is down, the newest of each container that was sent; while it is up, that is what the
  // machine has.
  std::map<LaunchKey, LaunchStatus> told_;
  std::map<std::uint64_t, Stream> streams_;
  std::map<std::uint64_t, Execution> execs_;
};

}  // namespace cube::engine
