// The laws of docs/ARCHITECTURE.md, checked against the streams by a reader of its own.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "shared/cluster/view.h"
#include "shared/domain/fact.h"
#include "shared/domain/snapshot.h"
#include "test/simulation/job_laws.h"
#include "test/support/bus/sim_server.h"

namespace cube::sim {

// Follows the decisions stream with a model of its own that knows nothing but which attempts are
// alive (laws 5 and 7), and with the real fold, each message twice (laws 1 and 2).
class Laws {
 public:
  explicit Laws(bus::SimServer& server) : server_(server) {}

  // Reads what the streams have gained. -> the broken law as a sentence, or empty.
  [[nodiscard]] std::string Check();
  // The streams have lost their ends: what is left is read again from the first message.
  void OnTailsLost();
  // Up to where a log that was trimmed must stay, so that two snapshots hold what is gone; none if
  // it was not trimmed.
  [[nodiscard]] std::optional<SnapshotCover> MustStay() const;
  // Nothing of the log is gone that two whole snapshots do not hold.
  [[nodiscard]] std::string CheckTrimmed() const;
  // A manager's view, at rest, against a view folded from nothing. Empty = equal, or not
  // comparable since one of them is further on.
  [[nodiscard]] std::string CompareView(const std::string& who, const View& view) const;
  // The indexes of that view against its records.
  [[nodiscard]] std::string CheckIndexes() const;

  [[nodiscard]] const View& view() const { return model_.view; }
  // The cluster's name; empty before the first term.
  [[nodiscard]] std::string cluster() const {
    return model_.view.term_start ? model_.view.term_start->cluster : std::string();
  }
  [[nodiscard]] std::uint64_t decisions() const { return model_.seq; }
  // Ids whose intent a decision refused, and why.
  [[nodiscard]] const std::map<std::string, std::string>& refused() const { return model_.refused; }
  // Attempts whose placement the log had lost, and that a decision has ended since, and those that
  // have ended, as a fact has told, whether that counted or not.
  [[nodiscard]] const std::set<HeldKey>& accounted() const { return accounted_; }
  [[nodiscard]] bool lossy() const { return lossy_; }
  [[nodiscard]] std::uint64_t resets() const { return model_.resets; }
  [[nodiscard]] std::uint64_t readopted() const { return model_.readopted; }
  // Also by decisions that are lost since.
  [[nodiscard]] bool ever_readopted() const { return ever_readopted_; }

 private:
  // The independent model of one task.
  struct Life {
    std::uint32_t attempt = 0;
    bool alive = false;
    std::string node;
    Resources resources;
    std::vector<HostPort> ports;
    bool failed = false;  // its last attempt, for good
    bool over = false;    // its last attempt ended well, or as asked
    std::vector<WallTime> moves;
    bool evicted = false;  // its last attempt had to leave, and the task goes on elsewhere
    Stamp placement{};     // the decision that placed its last attempt
  };
  [[nodiscard]] std::string CheckBatch(const DecisionBatch& batch);
  [[nodiscard]] std::string CheckStart(const StartAttempt& start, WallTime now);
  [[nodiscard]] static std::string CheckMove(Life& life, const StartAttempt& start, WallTime now);
  [[nodiscard]] std::string ModelFacts(std::uint64_t until);
  [[nodiscard]] std::string FoldAll(std::uint64_t seq, const DecisionBatch& batch);
  void End(Life& life);
  void Awaited(const std::string& node, Stamp up);

  // All that a stream has stored and not lost, also what was trimmed since.
  struct Archive {
    std::map<std::uint64_t, bus::StreamMessage> messages;
    std::uint64_t last = 0;
    [[nodiscard]] const bus::StreamMessage* Find(std::uint64_t seq) const;
    // Whether it has the message that a decision names.
    [[nodiscard]] bool Has(const Position& position) const;
  };
  [[nodiscard]] std::uint64_t Gone(const std::string& stream) const;
  [[nodiscard]] std::vector<SnapshotCover> WholeSnapshots() const;
  void Store(Archive& archive, const std::string& stream);
  [[nodiscard]] std::string Readopt(const ReadoptAttempt& readopt);
  void Ended(Life& life, const LaunchFact& launch);
  [[nodiscard]] std::string CheckNext(std::uint64_t seq, const DecisionBatch& batch);

  // What is known from reading the archives, from their first message.
  struct Model {
    std::uint64_t seq = 0;    // of the decisions stream
    std::uint64_t facts = 0;  // of the facts stream
    std::map<std::string, std::string> refused;
    std::map<std::string, Life> lives;
    std::map<std::string, std::string> slots;         // "<job>/<slot>" -> the last task alive there
    std::set<std::string> plain;                      // readopted, of jobs that are lost
    std::map<std::string, Resources> promised;        // by node
    std::map<std::string, std::set<HostPort>> ports;  // promised, by node
    std::map<std::string, Resources> capacity;        // by node, of the welcomed instance
    std::map<std::string, Resources> asked_to_join;
    std::map<std::string, std::uint64_t> fact_numbers;          // by node, in its incarnation
    std::map<std::string, std::map<std::uint64_t, Fact>> said;  // the same
    std::map<std::string, std::pair<std::uint64_t, std::uint32_t>> speaks;  // instance, incarnation
    std::map<std::string, std::map<HeldKey, AttemptHeld>> held;  // by node, as it has told
    std::map<std::string, Stamp> up;  // by node: what its report must name
    std::set<std::string> reported;   // nodes that are up and have reported
    std::uint64_t resets = 0;
    std::uint64_t readopted = 0;
    JobLaws job_laws;
    View view;  // the real fold
  };

  bus::SimServer& server_;
  Archive intents_;
  Archive facts_;
  Archive decisions_;
  bool lossy_ = false;  // a power cut has taken something
  bool ever_readopted_ = false;
  std::uint64_t epoch_seen_ = 0;
  std::uint64_t lost_epoch_ = 0;  // terms up to it may have begun before the last power cut
  std::uint64_t lost_until_ = 0;  // decisions up to there may name what is lost
  std::set<HeldKey> accounted_;
  Model model_;
};

}  // namespace cube::sim
