// The worker's decisions: desired against observed. Pure: no clock, no random device, no I/O.
//
// Inputs change the state and gather Effects: records that changed, facts, calls of engines.
// Whoever drives the core makes records and facts durable before it makes the calls; then a crash
// at any point is a restart from the store (docs/STATE_MACHINES.md, the worker's part).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "services/worker/core/health.h"
#include "services/worker/core/worker_state.h"
#include "services/worker/engine/engine.h"
#include "services/worker/engine/prober.h"
#include "shared/base/random.h"
#include "shared/base/rare.h"
#include "shared/base/time.h"
#include "shared/domain/assign.h"
#include "shared/domain/fact.h"
#include "shared/domain/task_map.h"

namespace cube::worker {

// Launches that one Reconcile begins at most, so that a commit stays small.
inline constexpr std::size_t kBeginsPerReconcileMax = 64;
// Launches that are being pulled, created or started at one time. Engines have narrower limits of
// their own; this one bounds what is asked of them.
inline constexpr std::size_t kLaunchesInFlightMax = 256;
// A stop or removal that failed is asked again after this time.
inline constexpr Duration kOperationRetryAfter = std::chrono::seconds(5);
// Grace of launches that nobody wants any more and whose spec is unknown: docker's default.
inline constexpr Duration kStaleGrace = std::chrono::seconds(10);
// Pull progress is for people: not more than this of each attempt.
inline constexpr Duration kPullFactInterval = std::chrono::seconds(1);
// A launch that is up sooner is never said to be starting: most are, and each fact costs all who
// read the log as much as the one that follows it.
inline constexpr Duration kStartingToldAfter = std::chrono::milliseconds(100);
// Records of attempts that are done, kept so that an old complete set does not start them again.
inline constexpr std::size_t kDoneRecordsMax = 1000;
// Exited containers of one attempt that wait for the acknowledgement of their exit facts. Those
// facts are durable by then; while NATS is away for days a crash loop must not fill the disk.
inline constexpr std::size_t kExitedUnackedMax = 5;
// A report that is due waits this long for the list of each engine. Beyond it the node goes on with
// those that have listed, if any has.
inline constexpr Duration kEngineListWait = std::chrono::seconds(5);
// An engine that the report leaves out is described as down so long before the report: nothing is
// placed on it.
inline constexpr Duration kLeftOutBefore = std::chrono::seconds(2);
// A removal waits this long for readers of the output.
inline constexpr Duration kPinMax = std::chrono::seconds(60);

struct CoreOptions {
  NodeName node;
  std::vector<std::string> engines;  // kinds that this worker has
};

// ---- calls of engines -----------------------------------------------------------------------

struct StartEngine {
  std::string engine;
  engine::Owner owner;
};
struct LaunchCall {
  std::string engine;
  engine::LaunchRequest request;
};
struct StopCall {
  std::string engine;
  LaunchKey key;
  std::string signal;
  Duration grace{0};
};
struct RemoveCall {
  std::string engine;
  LaunchKey key;
};
struct ListCall {
  std::string engine;
};
using EngineCall = std::variant<StartEngine, LaunchCall, StopCall, RemoveCall, ListCall>;

// One check of a launch -> Probed.
struct ProbeCall {
  std::string engine;
  engine::ProbeRequest request;
};

// Something an operator may want to read.
struct Notice {
  bool warning = false;
  std::string text;
  LaunchKey key;  // task empty = none
};

struct Effects {
  bool meta_changed = false;
  std::vector<AttemptKey> attempts_changed;  // in order; not there any more = deleted
  std::vector<NumberedFact> facts;
  std::vector<EngineCall> calls;
  std::vector<ProbeCall> probes;
  std::vector<Notice> notices;
};

// What became of something that the leader said.
enum class Applied : std::uint8_t {
  kApplied,
  kWelcomed,      // we are the node; a complete set follows
  kPartial,       // a page of a set that is not complete yet
  kDuplicate,     // known
  kGap,           // something before it is missing, or desired is unknown: say hello
  kIgnored,       // not for us
  kOtherTerm,     // an older or a rival term: look at the newest decision
  kRefused,       // another worker is this node: end
  kOtherCluster,  // welcomed, but by another cluster: begin with a new store
  kJoinAgain,     // the log does not know us as we are: ask to join
};

struct EngineState {
  bool up = false;
  bool listed = false;    // since it is up
  bool known = false;     // listed at least once in this process's life
  bool answered = false;  // it has listed, or said that it is down, at least once
  // What runs there was unknown to the last report, or should not run. Nothing may be placed there
  // until it has listed, and nothing runs there that should not.
  bool left_out = false;
  MonoTime left_out_at;
  std::string version;
  bool limits = false;
  [[nodiscard]] bool usable() const { return up && known && !left_out; }
};

class WorkerCore {
 public:
  WorkerCore(CoreOptions options, StoredState stored, Now now);

  // Engine starts that a stored cluster allows at once. Call it first.
  void Begin();

  [[nodiscard]] Applied Apply(const AssignBatch& batch, Now now);
  [[nodiscard]] Applied Apply(const DesiredPage& page, Now now, Random& random);
  // The newest decision message of the log is of this term. If it is not ours, and no later one,
  // the log may have lost what we were told: our position and term stay, since they show that to
  // the leader, and its welcome counts. -> whether that is news.
  bool LogIsOf(Term term) { return std::exchange(log_term_, term) != term; }
  // Log events are not for the core.
  void Observe(const std::string& engine, engine::Event event, Now now, Random& random);
  // What came of a check.
  void Probed(const engine::ProbeResult& result, Now now);
  // All facts up to `number` are in the log.
  void Acked(std::uint64_t number);
  // Puts a fact about the node itself. Ignored before the welcome.
  void PutFact(Fact fact);
  // Launches whose output is being read are not removed for kPinMax.
  void SetPins(std::set<LaunchKey> pins);
  // Nothing is begun any more.
  void Retire();

  // Compares and acts. Idempotent: again, without an input between, does nothing. Looks only at
  // tasks that an input has touched since, or whose time has come.
  void Reconcile(Now now);
  // The next Reconcile looks at every task. Never needed by a caller: it finds no more.
  void LookAtAll() { all_changed_ = true; }
  // When Reconcile has something to do by itself.
  [[nodiscard]] MonoTime NextDeadline() const { return next_; }
  [[nodiscard]] Effects TakeEffects();

  [[nodiscard]] const Meta& meta() const { return meta_; }
  // The last fact whose acknowledgement has come.
  [[nodiscard]] std::uint64_t acked() const { return acked_; }
  // How often it was welcomed in this process's life: each time the numbers of facts begin anew.
  [[nodiscard]] std::uint32_t welcomes() const { return welcomes_; }
  [[nodiscard]] bool DesiredKnown() const { return meta_.position != 0; }
  [[nodiscard]] const Attempt* Find(const AttemptKey& key) const;
  using Attempts = TaskMap<AttemptKey, Attempt>;
  [[nodiscard]] const Attempts& attempts() const { return attempts_; }
  [[nodiscard]] const std::map<std::string, EngineState>& engines() const { return engines_; }
  [[nodiscard]] std::size_t RunningCount() const;
  // Launches that engines have, by state.
  [[nodiscard]] std::map<LaunchState, std::size_t> LaunchCounts() const;
  // The engine that has this launch now, if one has; only engines that this worker has, since a
  // launch may be of one that it had before its last start.
  [[nodiscard]] std::optional<std::string> EngineWith(const LaunchKey& key) const;
  // Launches of an attempt that an engine has now, in order.
  [[nodiscard]] std::vector<LaunchKey> LaunchesOf(const AttemptKey& key) const;
  // The engine has it, and it runs or has ended: there can be output.
  [[nodiscard]] bool HasStarted(const LaunchKey& key) const;

 private:
  // A launch that an engine has, or is asked for.
  struct Container {
    std::string engine;
    engine::LaunchStatus status;         // as last seen
    bool seen = false;                   // the engine has shown it
    bool asked = false;                  // Launch was called in this process's life
    bool missing = false;                // was not in the last list, though it ran
    bool in_flight = false;              // counted in in_flight_
    std::uint64_t exit_fact = 0;         // number; 0 = none is unacknowledged
    bool stale_reported = false;         // unwanted, and its exit fact was put
    std::optional<Duration> stop_grace;  // of the stop that was asked
    bool remove_asked = false;
    MonoTime retry_at;  // stop or removal failed: not before
    MonoTime exited_at;
    MonoTime starting_since;
    Rare<HealthState> health;  // while it is checked
    [[nodiscard]] bool exited() const { return status.state == LaunchState::kExited; }
  };
  using Containers = TaskMap<LaunchKey, Container>;

  // apply.cc
  [[nodiscard]] bool OfOtherCluster(const std::string& cluster) const;
  [[nodiscard]] bool WelcomeCounts(Term term, std::uint32_t incarnation) const;
  // `last_fact`: of this incarnation in the log, as far as we know.
  void Welcome(std::uint32_t incarnation, const std::string& cluster, Term term,
               std::uint64_t last_fact, Now now);
  void TellAgain(Now now);
  void TellHeld(Now now);
  [[nodiscard]] bool TermFits(Term term) const;
  [[nodiscard]] bool WelcomeFits(Term term) const;
  void ApplyItem(const AssignItem& item, Now now);
  void Assign(const Assignment& assignment, Now now);
  void AskStop(const TaskId& task, std::uint32_t attempt, Duration grace);
  [[nodiscard]] Applied ApplySet(Now now, Random& random);
  void Supersede(const TaskId& task, std::uint32_t newer);
  void TakeBackStop(const AttemptKey& key);

  // observe.cc
  void SeeUp(const std::string& kind, const engine::Up& up);
  void SeeListed(const std::string& kind, engine::Listed listed, Now now, Random& random);
  void SeeMissing(const std::string& kind, const std::set<LaunchKey>& listed, Now now,
                  Random& random);
  void See(const std::string& kind, engine::LaunchStatus status, Now now, Random& random);
  // -> the container, if it told something that is not older than what is known.
  Container* Note(const std::string& kind, engine::LaunchStatus status, Now now);
  void SeeFailed(const engine::OpFailed& failed, Now now, Random& random);
  void SeeGone(const LaunchKey& key, Now now, Random& random);
  // The same for all of them, each attempt's newest launch taken as its current one.
  void FoldAll(Now now, Random& random);
  // Ends launches that facts have told of, before the store was lost, and no engine has.
  void EndLost(Now now, Random& random);
  // Brings the record and the outbox up to what a container shows.
  void Fold(Container& c, Now now, Random& random);
  void FoldStale(Container& c, Now now);
  void FoldCurrent(Attempt& a, Container& c, Now now, Random& random);
  void FoldOlder(Attempt& a, Container& c, Now now);
  // A launch that is not over, if that is news. One that is starting has time until it is told.
  void TellProgress(Attempt& a, const Container& c, Now now);
  void Adopt(Attempt& a, const Container& c);
  void EndAttempt(Attempt& a, LaunchFact fact, Now now);
  [[nodiscard]] LaunchFact FactOf(const engine::LaunchStatus& status) const;

  // checks.cc
  void ReconcileHealth(const Attempt& a, Container& c, Now now);
  void PutHealth(Attempt& a, const Container& c, bool healthy, std::string reason, Now now);

  // reconcile.cc
  // Tasks to look at now, each with the time at which it must be looked at again.
  using Tasks = std::vector<std::pair<TaskId, MonoTime>>;  // by task
  [[nodiscard]] Tasks TakeTasks(MonoTime now);
  void UnblockLaunches(Tasks& tasks);
  void Index(const TaskId& task);
  void SetWakes(const Tasks& tasks);
  void ReconcileContainer(const LaunchKey& key, Container& c, Now now);
  void ReconcileAttempt(Attempt& a, Now now);
  void StopContainer(const LaunchKey& key, Container& c, const std::string& signal, Duration grace,
                     Now now);
  void RemoveContainer(const LaunchKey& key, Container& c, Now now);
  void EndStopped(Attempt& a, Now now);
  void BeginLaunch(Attempt& a, Now now);
  [[nodiscard]] bool Blocked(const Attempt& a) const;
  [[nodiscard]] bool PortsTaken(const TaskSpec& spec) const;
  void FreePorts();
  void ReportIfDue(Now now);
  // An engine that has not listed holds the report no longer. -> whether all has been told that can
  // be.
  [[nodiscard]] bool LeaveOutSilent(Now now);
  // Nothing runs there that should not, as far as its lists tell.
  [[nodiscard]] bool Clean(const std::string& engine) const;
  void DropDoneRecords();

  // Of the launch, whatever its placement.
  [[nodiscard]] const Attempt* AttemptOf(const LaunchKey& key) const;
  [[nodiscard]] Attempt* OwnerOf(const engine::LaunchStatus& status);
  // Of its newest launch, if that is known.
  [[nodiscard]] Container* ContainerOf(const Attempt& a);
  void EraseContainer(const LaunchKey& key);
  [[nodiscard]] bool Unwanted(const Container& c) const;
  [[nodiscard]] bool Ready(const std::string& engine) const;
  // We have it, and nothing can run there that we do not know of.
  [[nodiscard]] bool Known(const std::string& engine) const;
  [[nodiscard]] std::size_t ExitedOf(const AttemptKey& key) const;
  std::uint64_t Put(Fact fact);
  void Touch(const Attempt& a) {
    auto& changed = effects_.attempts_changed;
    if (changed.empty() || changed.back() != a.key) changed.push_back(a.key);
    Look(a.key.task);
  }
  // Something about it has changed: the next Reconcile looks at it.
  void Look(const TaskId& task) {
    if (changed_.empty() || changed_.back() != task) changed_.push_back(task);
  }
  // While one is looked at: look again then.
  void At(MonoTime t) { *wake_ = std::min(*wake_, t); }

  CoreOptions options_;
  Meta meta_;
  std::uint64_t acked_ = 0;
  std::map<LaunchKey, std::uint64_t> exits_unacked_;  // of the store, until containers are seen
  Attempts attempts_;
  Containers containers_;
  std::map<std::string, EngineState> engines_;
  std::optional<Term> log_term_;                // see LogIsOf
  std::map<std::uint32_t, DesiredPage> pages_;  // of the set that is being received
  std::set<LaunchKey> pins_;
  Effects effects_;
  MonoTime next_ = MonoTime::max();
  std::optional<MonoTime> report_due_at_;  // since when
  std::size_t begun_ = 0;                  // in this Reconcile

  // What the next Reconcile looks at.
  bool all_changed_ = true;
  std::vector<TaskId> changed_;  // in any order, some more than once
  std::set<std::pair<MonoTime, TaskId>> wakes_;
  std::map<TaskId, MonoTime> wake_at_;  // the same by task
  std::set<TaskId> blocked_;            // for room among kLaunchesInFlightMax
  std::set<TaskId> port_blocked_;  // by launches that are to end and hold a host port of theirs
  std::set<std::pair<std::uint64_t, TaskId>> unacked_;  // a removal waits for this fact
  MonoTime* wake_ = nullptr;                            // where At notes

  // Indexes, right for all tasks that have been looked at since they changed.
  std::size_t in_flight_ = 0;
  std::set<AttemptKey, ByTask> done_;
  std::set<AttemptKey, ByTask> done_unassigned_;
  std::uint64_t last_probe_ = 0;
  std::uint32_t welcomes_ = 0;
  bool retired_ = false;
};

}  // namespace cube::worker
