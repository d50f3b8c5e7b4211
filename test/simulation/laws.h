// The laws of docs/ARCHITECTURE.md, checked against the streams by a reader of its own.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "shared/cluster/view.h"
#include "shared/domain/fact.h"
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
  // Nothing of the log is gone that two whole snapshots do not hold.
  [[nodiscard]] std::string CheckTrimmed() const;
  // A manager's view, at rest, against a view folded from nothing. Empty = equal, or not
  // comparable since one of them is further on.
  [[nodiscard]] std::string CompareView(const std::string& who, const View& view) const;

  [[nodiscard]] const View& view() const { return view_; }
  [[nodiscard]] std::uint64_t decisions() const { return seq_; }
  // Ids whose intent a decision refused, and why.
  [[nodiscard]] const std::map<std::string, std::string>& refused() const { return refused_; }

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
  };
  [[nodiscard]] std::string CheckBatch(const DecisionBatch& batch);
  [[nodiscard]] std::string CheckStart(const StartAttempt& start, WallTime now);
  [[nodiscard]] static std::string CheckMove(Life& life, const StartAttempt& start, WallTime now);
  [[nodiscard]] std::string ModelFacts(std::uint64_t until);
  [[nodiscard]] std::string FoldAll(std::uint64_t seq, const DecisionBatch& batch);
  void End(Life& life);
  void Awaited(const std::string& node, Stamp up);

  bus::SimServer& server_;
  std::uint64_t seq_ = 0;    // of the decisions stream
  std::uint64_t facts_ = 0;  // of the facts stream, as the model has read it
  std::map<std::string, std::string> refused_;
  std::map<std::string, Life> lives_;
  std::map<std::string, std::string> slots_;         // "<job>/<slot>" -> the last task alive there
  std::map<std::string, Resources> promised_;        // by node
  std::map<std::string, std::set<HostPort>> ports_;  // promised, by node
  std::map<std::string, Resources> capacity_;        // by node, of the welcomed instance
  std::map<std::string, Resources> asked_to_join_;
  std::map<std::string, std::uint64_t> fact_numbers_;  // by node, in its incarnation
  std::map<std::string, std::vector<Fact>> said_;      // by node, in its incarnation
  std::map<std::string, std::pair<std::uint64_t, std::uint32_t>> speaks_;  // instance, incarnation
  std::map<std::string, Stamp> up_;  // by node: what its report must name
  std::set<std::string> reported_;   // nodes that are up and have reported
  JobLaws job_laws_;
  View view_;  // the real fold
};

}  // namespace cube::sim
