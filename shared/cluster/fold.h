// Folding: the only way a view changes. Never fails and calls nothing; a message that is folded
// twice changes nothing. Order (the caller's duty): intents up to a decision's as_of, facts up to
// its as_of, then the decision.
#pragma once

#include <string>
#include <vector>

#include "shared/cluster/view.h"
#include "shared/domain/decision.h"
#include "shared/domain/fact.h"
#include "shared/domain/intent.h"

namespace cube {

// Live tasks at most in one cluster; beyond it submissions are refused. About 2 KB each in memory.
inline constexpr std::size_t kTasksMax = 4'000'000;

// Names of jobs that a cluster remembers, ended ones included: their version counters outlive them.
inline constexpr std::size_t kJobNamesMax = 100'000;

// What became of an intent item: the answer its sender may wait for.
struct IntentResult {
  enum class Kind : std::uint8_t { kAccepted, kUnchanged, kRefused };
  std::uint32_t index = 0;
  Kind kind = Kind::kAccepted;
  std::string task;  // id; of an intent about a node or job, its name
  Error error;       // kRefused only
};

// Result i belongs to item i. Empty if the message was folded before.
std::vector<IntentResult> FoldIntents(View& view, const Position& at, const IntentBatch& batch);

void FoldFacts(View& view, const Position& at, const FactBatch& batch);
// A message of the facts stream that cannot be read: only the position moves.
void SkipFacts(View& view, const Position& at);

// Whether `batch` is the next message once the view holds intents and facts up to its as_of: by
// term, cycle, prev, and sequences. Only then may a reader fold up to there.
[[nodiscard]] bool MayFollow(const View& view, const DecisionBatch& batch);
// Whether `batch` is the next valid message after what the view holds.
[[nodiscard]] bool IsNext(const View& view, const DecisionBatch& batch);
// Folds the next valid message. CUBE_CHECKs IsNext.
void FoldDecisions(View& view, std::uint64_t seq, const DecisionBatch& batch);
// A message that is not the next valid one: only the position moves, and it is counted.
void SkipDecisions(View& view, std::uint64_t seq);

}  // namespace cube
