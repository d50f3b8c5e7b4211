// The one order in which everybody reads the log: intents up to a decision's as_of, facts up to
// its as_of, then the decision. Pure; knows nothing of what the messages say.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "shared/base/time.h"
#include "shared/domain/ids.h"

namespace cube::cli {

enum class Source : std::uint8_t { kIntents, kFacts, kDecisions };

// Where a message stands in its stream; `payload` is the caller's own number for it.
struct LogEntry {
  Source source = Source::kIntents;
  std::uint64_t seq = 0;
  WallTime time;  // the server's stamp
  std::uint64_t payload = 0;
  bool foreign = false;  // decisions: no reader takes it (a deposed manager's); set by the merger
};

// What a decision says about the order.
struct DecisionOrder {
  Stamp stamp;
  Stamp prev;
  std::uint64_t intents = 0;  // as_of
  std::uint64_t facts = 0;    // as_of
};

// Each stream's messages come in the order of their sequences; streams come in any order relative
// to each other. Memory: what has come and cannot be placed yet.
class EventMerger {
 public:
  // `intents_next`, `facts_next`: the first sequences that will be added. What a decision covers
  // before them is not waited for.
  EventMerger(std::uint64_t intents_next, std::uint64_t facts_next)
      : intents_{{}, intents_next}, facts_{{}, facts_next} {}

  void AddIntent(LogEntry entry) { Add(intents_, entry); }
  void AddFact(LogEntry entry) { Add(facts_, entry); }
  void AddDecision(LogEntry entry, DecisionOrder order) { decisions_.push_back({entry, order}); }

  // Everything whose place is certain, in order. A decision whose as_of is not here yet waits.
  [[nodiscard]] std::vector<LogEntry> Take();
  // Take, and then the rest by the server's time: what no decision covers (yet).
  [[nodiscard]] std::vector<LogEntry> TakeAll();
  [[nodiscard]] bool empty() const {
    return intents_.entries.empty() && facts_.entries.empty() && decisions_.empty();
  }

 private:
  struct Stream {
    std::deque<LogEntry> entries;
    std::uint64_t next = 1;  // everything below has been added, or never will be
  };
  struct Decision {
    LogEntry entry;
    DecisionOrder order;
  };

  static void Add(Stream& stream, LogEntry entry);
  static void TakeUpTo(Stream& stream, std::uint64_t seq, std::vector<LogEntry>& out);
  // Whether every reader takes it: it names as prev what was taken last.
  [[nodiscard]] bool IsForeign(const DecisionOrder& order) const;

  Stream intents_;
  Stream facts_;
  std::deque<Decision> decisions_;
  std::optional<Stamp> last_;  // taken last; nothing yet: the first one is believed
  bool confirmed_ = false;     // a later one has named it
};

}  // namespace cube::cli
