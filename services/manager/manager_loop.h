// The manager: one loop, a step function. Inputs go in, an ordered list of operations comes out;
// it reads no clock, starts no thread, blocks nowhere. See docs/ARCHITECTURE.md.
//
//   take -> fold intents, then facts -> decide -> append ONE message, fenced -> (acknowledged)
//   -> fold the decisions -> tell -> (now and then) commit
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "services/manager/core/decide.h"
#include "services/manager/lease.h"
#include "services/manager/liveness.h"
#include "services/manager/load_meter.h"
#include "services/manager/log_reader.h"
#include "services/manager/operation.h"
#include "services/manager/query_service.h"
#include "services/manager/retention.h"
#include "services/manager/snapshot_reader.h"
#include "services/manager/teller.h"
#include "services/manager/verify_service.h"
#include "services/manager/view_store.h"
#include "shared/base/random.h"
#include "shared/base/time.h"
#include "shared/bus/bus.h"
#include "shared/cluster/view.h"

namespace cube::manager {

// Facts that need no decision gather, so that a busy cluster's cycles are few: on average a cycle
// for them alone begins after each such interval. A few in a row may begin at once, so that a quiet
// cluster's steps are told without delay; a waiting task or a joining node waits for none.
inline constexpr Duration kFactsInterval = std::chrono::milliseconds(5);
inline constexpr int kFactsAtOnce = 8;
// The view is saved so long after a change, or after so many changes of tasks: what changes again
// within that time is written once. After a crash a little more of the log is read again.
inline constexpr Duration kSaveAfter = std::chrono::seconds(1);
inline constexpr std::size_t kSaveChangesMax = 32'768;
// Give up on an acknowledgement: its outcome is then unknown and the log is read again.
inline constexpr Duration kAppendTimeout = std::chrono::seconds(5);
// A refused or failed append is not repeated before this time; it doubles while nothing gets in (a
// full stream), up to the maximum.
inline constexpr Duration kRetryAfter = std::chrono::milliseconds(200);
inline constexpr Duration kRetryAfterMax = std::chrono::seconds(5);
// Requests that wait at one time; beyond it they are dropped, as NATS does with slow readers.
inline constexpr std::size_t kQueriesWaitingMax = 1024;
inline constexpr Duration kQueryWaitMax = std::chrono::seconds(3);
// A displaced worker (another one has its name since) is told so again after this time.
inline constexpr Duration kDisplacedInterval = std::chrono::seconds(3);
// While the one that has the name is down, a displaced worker may still ask for it: one that was
// started again does so within 20 s (worker_loop.h, kJoinAfterSilence). One that beats on without
// asking does not know.
inline constexpr Duration kDisplacedPatience = std::chrono::seconds(30);
// A worker whose heartbeats show the same old position gets a complete set, but not a next one
// before this time, doubled with each: under load the set is one of the things that are late.
inline constexpr Duration kSetIntervalMin = std::chrono::seconds(5);
inline constexpr Duration kSetIntervalMax = std::chrono::minutes(1);
// Assignments told in complete sets in one step; the other nodes wait for the next one.
inline constexpr std::size_t kSetAssignmentsPerStep = 16'384;
// Decisions a follower folds in one step before it looks at other inputs.
inline constexpr std::size_t kFollowPerStep = 64;

// That the log has lost messages is told by the next term of this manager, if it begins by then;
// later another one's term has passed over it.
inline constexpr Duration kLossRemembered = std::chrono::seconds(60);
// A worker that the log does not know is asked to join again not more often than this.
inline constexpr Duration kJoinAgainInterval = std::chrono::seconds(2);
inline constexpr std::size_t kJoinAskedMax = 65'536;  // names of such workers that are kept
// A follower waits so long for messages that a decision names; then it looks at the log anew.
inline constexpr Duration kBasisWaitMax = std::chrono::seconds(10);
// Servers that share a stream may show less of it than there is: its new leader before it has
// applied what it has, one that is cut off until it notices (it looks every 10 s whether it has
// heard of the others within 10 s). Less counts as lost when it is so for longer.
inline constexpr Duration kReplicaLagMax = std::chrono::seconds(25);

struct ManagerOptions {
  wire::Subjects subjects;
  wire::StreamLimits limits;
  std::string name;   // for people
  std::string owner;  // who we are for ever: the state folder's identity
  Settings settings;  // of the terms that this manager opens
  RetentionOptions retention;
  std::size_t decision_items_max = kDecisionItemsMax;  // of one message
  std::uint64_t seed = 0;         // of the random names that it chooses; entropy in a real process
  LogReader::OfferAhead ahead{};  // empty = nothing of the log is decoded before it is folded
};

// An event of the bus, rows of the store that were asked for, or neither: time has passed.
struct Input {
  std::optional<bus::Event> event{};
  std::optional<Result<std::vector<store::Row>>> rows{};
};

// Since this process started, for people who watch.
struct LoopFigures {
  std::uint64_t cycles = 0;     // that the log has acknowledged
  std::uint64_t decisions = 0;  // items in them
  std::size_t intents = 0;      // messages that wait to be folded
  std::size_t facts = 0;
  std::size_t queries = 0;
  Retention::Figures retention;
};

// A heartbeat that names what this view does not have. It may come from what another manager has
// written meanwhile: it is looked at again when all is read that the log had when it came.
struct PendingClaim {
  Heartbeat beat;
  bus::OpId decisions_op = 0, facts_op = 0;
  std::optional<std::uint64_t> decisions_end, facts_end;
  MonoTime since{};
  bool shared = false;       // several servers have the streams
  bool asked_again = false;  // so they are asked a second time

  [[nodiscard]] bool Asked(bus::OpId op) const { return op == decisions_op || op == facts_op; }
  // What several servers share may have ended later than they have said.
  [[nodiscard]] MonoTime AskAgainAt() const {
    return shared && !asked_again ? since + kReplicaLagMax : MonoTime::max();
  }
  // False: it is none of its questions.
  bool OnState(const bus::GotState& state);
};

class ManagerLoop {
 public:
  // Reads the last committed view. After an append whose outcome is unknown the loop goes back to
  // it: what is folded is what the log holds, never what was sent.
  using Loader = std::function<Result<View>(ViewRecords&)>;

  // kInvalid: a setting names no policy.
  [[nodiscard]] static Result<std::unique_ptr<ManagerLoop>> Make(ManagerOptions options,
                                                                 Loader loader);

  // Handles the inputs and goes as far as it can. `more` = further inputs lie in the inbox.
  [[nodiscard]] std::vector<Operation> Step(std::span<const Input> inputs, Now now, bool more);
  // Step is due by then, even without input.
  [[nodiscard]] MonoTime NextDeadline() const;
  // The last step of a process that is told to end: gives the lease away, and saves the view unless
  // a decision is under way.
  [[nodiscard]] std::vector<Operation> Shutdown();

  [[nodiscard]] const View& view() const { return view_; }
  [[nodiscard]] bool leading() const { return phase_ == Phase::kLeading; }
  [[nodiscard]] LoopFigures figures() const {
    return {cycles_,         decisions_,          reader_.IntentsWaiting(), reader_.FactsWaiting(),
            queries_.size(), retention_.figures()};
  }

 private:
  enum class Phase : std::uint8_t {
    kOffline,    // no connection
    kEnsuring,   // streams are being created or checked
    kChecking,   // our positions are compared with the log
    kLoading,    // a snapshot of the view is read
    kFollowing,  // reading
    kLeading,    // reading and deciding
  };
  // The one message under way.
  struct InFlight {
    bus::OpId op = 0;
    DecisionBatch batch;
    std::vector<FoldedIntents> intents;
    bool more = false;  // is decided next: what had no room in it, or waits in the log
  };
  struct WaitingQuery {
    std::string reply_to;
    Question question;
    MonoTime deadline{};  // for what it waits for: an intent, or a whole view
  };
  // A decision of the log.
  struct Known {
    std::uint64_t seq = 0;
    Stamp stamp;
  };
  // What a node's heartbeats have shown of its position.
  struct Lag {
    std::uint64_t expected = 0;           // what it had been told when its last heartbeat came
    std::uint64_t position = 0;           // in that heartbeat
    std::uint32_t behind = 0;             // heartbeats in a row with less, and no step forward
    Duration set_wait = kSetIntervalMin;  // until the set after the next one
    MonoTime set_at{};                    // no set for an old position before
    std::uint32_t incarnation = 0;        // in the last heartbeat
    std::uint64_t acked_fact = 0;         // the same
  };
  // Comparing positions: what is still to come, and what was found.
  struct Check {
    std::set<bus::OpId> pending;
    MonoTime asked_at{};  // answers are of then, or later
    bus::OpId intents_state = 0, facts_state = 0, decisions_state = 0;
    bus::OpId intents = 0, facts = 0, decisions = 0;
    bus::OpId manifest = 0;
    LogEnds ends;
    SnapshotCover gone;  // messages up to these are not there any more
    std::optional<StoredManifest> snapshot;
    bool failed = false;
    bool shared = false;   // several servers have the streams
    bool shorter = false;  // one of them ends before our position
    bool other = false;    // one of them has another message there
    std::string mismatch;  // empty = the log is the one we know
  };

  ManagerLoop(ManagerOptions options, Planner planner, Loader loader);

  // Events (manager_events.cc).
  void OnEvent(const bus::Event& event);
  void OnConnected(const bus::Connected& connected);
  void OnDisconnected(const bus::Disconnected& disconnected);
  void OnOpFailed(const bus::OpFailed& failed);
  void OnMessage(const bus::Message& message);
  void OnHeartbeat(const bus::Message& message);
  void CompareWithLeader(const Heartbeat& beat);
  void AnswerDisplaced(const Heartbeat& beat);
  void AskToJoin(const Heartbeat& beat);
  void OnAppendFailed(const bus::AppendFailed& failed);
  void Subscribe();
  void Ensure();
  void EnsureLater();
  void Unready(std::string reason);

  // Checking that the log is the one we know (manager_check.cc).
  void BeginCheck();
  [[nodiscard]] bool KnowsMore() const { return known_.seq > view_.valid_seq; }
  // The newest decision that the log is known to have had.
  [[nodiscard]] Known Newest() const {
    return KnowsMore() ? known_ : Known{view_.valid_seq, view_.stamp};
  }
  [[nodiscard]] bool IsDoubtful() const;
  void AskPositions();
  void OnGot(const bus::Got& got);
  void OnState(const bus::GotState& state);
  void EndCheck();
  void ForgetAll();
  void ForgetView();

  // That the log has lost messages (manager_claims.cc).
  void NoteLoss(const std::string& how);
  [[nodiscard]] bool IsLost(Term term, std::uint64_t seq) const;
  [[nodiscard]] std::string WhyAhead(const Heartbeat& beat) const;
  [[nodiscard]] std::string WhyFactsAreMissing(const Heartbeat& beat) const;
  bool HasStoredMore(const Heartbeat& beat);
  void Claim(const Heartbeat& beat);
  void AskEnds(PendingClaim& claim);
  void JudgeClaim();

  // Beginning with a snapshot (manager_snapshot.cc).
  [[nodiscard]] bool IsTrimmedAhead() const;
  bool BeginLoad();
  void OnSnapshotCompared(const bus::Got& got);
  bool OnLoadRead(const bus::Read& read);
  void TakeRows(const std::vector<SnapshotRow>& rows);
  void FinishLoad();
  void GiveUpSnapshot(const StoredManifest& stored, const std::string& why);

  // The cycle (manager_loop.cc).
  void Advance();
  void StepRetention();
  void Follow();
  void MaybeTakeOver();
  void Lead();
  [[nodiscard]] MonoTime FactsDueAt() const;
  bool RunCycle();
  void SendCycle(std::vector<FoldedIntents> intents, std::vector<DecisionItem> items);
  void OnAppended(const bus::Appended& done);
  void StandDown(const std::string& why);
  void EndTerm();
  void Reload(const std::string& why);
  void Changed();
  void SaveIfDue();
  void Save();
  void MarkSaved();
  [[nodiscard]] bool KeepsLog() const;
  [[nodiscard]] bool IsAtCommit() const;
  void AnswerWaiting();
  void AnswerQueries();
  void AnswerHellos();
  void Beat();
  void LogForeign();
  [[nodiscard]] WallTime ClusterNow() const;
  void SetClusterTime(WallTime at);

  ManagerOptions options_;
  Planner planner_;
  Loader loader_;
  Random random_;

  ViewRecords records_;
  View view_;
  Phase phase_ = Phase::kOffline;
  cube::Now now_{};
  Operations out_;
  bus::OpId next_op_ = 1;
  bool subscribed_ = false;
  bus::OpId ensure_op_ = 0;
  std::string unready_reason_;  // of the streams, that the log has; empty = they were ready
  Check check_;
  std::string loss_;  // how it was found that the log has lost messages; empty = it has not
  MonoTime loss_since_{};
  std::uint64_t loss_epoch_ = 0;  // the highest that was known then
  WallTime foreign_snapshot_{};   // cluster time of the newest snapshot that is of a lost log
  std::string cluster_;           // its name, as far as it is known

  // The snapshot that the view begins with, until the log has been found to be the one behind it.
  StoredManifest snapshot_wanted_;
  bus::OpId snapshot_op_ = 0;  // asking for the decision that it is as of
  SnapshotReader snapshot_;
  store::WriteBatch snapshot_end_;  // its last records: without them the store counts as empty
  bool snapshot_read_ = false;      // and committed: to be loaded in the next step
  std::optional<StoredManifest> loaded_;
  std::optional<std::uint64_t> manifest_wanted_;  // not the newest one, but this; 0 = none

  LogReader reader_;
  Lease lease_;
  Retention retention_;
  Saved saved_;
  bool caught_up_ = false;  // the view has reached the log's end once since it was checked
  Liveness liveness_;
  LoadMeter loads_;
  Teller teller_;

  // The newest decision that the log had acknowledged when the view went back to what was saved.
  Known known_;
  MonoTime doubted_since_{};  // a log that several servers share shows less; 0 = no
  std::optional<std::uint64_t> read_anew_from_;  // the last valid decision when all was read anew
  MonoTime stuck_since_{};                 // a decision waits for what it names; 0 = none does
  bool follow_left_ = false;               // decisions lie here that the last step did not reach
  bus::OpId tail_op_ = 0;                  // asking for the log's end before taking over
  std::optional<std::uint64_t> tail_seq_;  // the answer
  Duration retry_after_ = kRetryAfter;
  MonoTime retry_at_{};                  // no take-over before
  std::optional<TermStart> term_start_;  // to be written by the next cycle
  Term term_;                            // ours
  std::uint64_t epoch_floor_ = 0;        // epochs we have seen
  std::optional<InFlight> in_flight_;
  Stamp told_;
  // When the cycles for facts alone would be over if each had taken its interval.
  MonoTime facts_paid_until_{};
  MonoTime save_at_ = MonoTime::max();  // max = the store has all

  WallTime cluster_base_{};  // cluster time at cluster_mono_
  MonoTime cluster_mono_{};

  std::uint64_t log_end_ = 0;  // the newest decision that we have heard of
  bool complete_ = false;      // the log was read to its end since it was last looked at
  std::deque<WaitingQuery> queries_;
  bool queries_left_ = false;  // the last step's work was used up before all were answered
  std::map<NodeName, std::uint64_t> hellos_;  // node -> its position
  NodeName hello_after_;                      // the node that was answered last, if some were not
  std::map<NodeName, Lag> lags_;
  std::optional<PendingClaim> claim_;        // one at a time: heartbeats come again
  std::map<NodeName, MonoTime> displaced_;   // when one of that name is told (again)
  std::map<NodeName, MonoTime> join_asked_;  // when one of that name is asked (again)
  MonoTime next_beat_{};
  std::uint64_t beats_ = 0;
  std::uint64_t instance_ = 0;  // of this process, for its own heartbeats
  VerifyService verify_;
  std::uint64_t foreign_logged_ = 0;
  std::uint64_t cycles_ = 0;
  std::uint64_t decisions_ = 0;
};

}  // namespace cube::manager
