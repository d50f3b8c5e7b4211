// Telling: the live copies for workers, the answers to senders of intents, and the readable feed.
// All of it is a courtesy that may be lost; the log is the truth.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "services/manager/core/decide.h"
#include "services/manager/log_reader.h"
#include "services/manager/operation.h"
#include "shared/base/time.h"
#include "shared/cluster/view.h"
#include "shared/domain/assign.h"
#include "shared/domain/decision.h"
#include "shared/wire/limits.h"
#include "shared/wire/spec_texts.h"
#include "shared/wire/subjects.h"

namespace cube::manager {

// Objects of the feed per second: what a person's terminal and a script can take.
inline constexpr std::uint32_t kFeedPerSecond = 2000;
// A page of a complete set, and a copy of decisions: below every server's max_payload.
inline constexpr std::size_t kPageBytesMax = 256u << 10;
static_assert(wire::kDesiredPagesMax * kPageBytesMax >= 10'000 * kIntentItemBytesMax);
// While more is waiting than one message takes, each message has a task or two for very
// many nodes, and a copy for one task costs both sides nearly what one for thirty does
// (docs/adr/0019). So a copy that only starts attempts waits then for the next ones of its node:
// until it has so many, is so large, or has waited so long.
inline constexpr std::size_t kHeldItemsMax = 32;
inline constexpr std::size_t kHeldBytesMax = 64u << 10;          // of specifications
static_assert(kHeldBytesMax + kDecisionBytesMax <= 512u << 10);  // half of the usual max_payload
// Copies wait for their node's turn in a round, so that all nodes have work all the time. A round
// begins with kHeldMin, and doubles when that is no more than a part of the time for which the
// burst has lasted (docs/adr/0020).
inline constexpr int kHeldPart = 4;
inline constexpr Duration kHeldMin = std::chrono::milliseconds(500);
inline constexpr Duration kHeldMax = 4 * kHeldMin;
inline constexpr int kHeldTurns = 64;  // of a round: about one for each cycle of a long burst
static_assert(kHeldMin % kHeldTurns == Duration(0));

class Teller {
 public:
  explicit Teller(wire::Subjects subjects) : subjects_(std::move(subjects)) {}

  // Before folding: where each node that `batch` concerns stands.
  using Before = absl::flat_hash_map<NodeName, std::uint64_t, std::hash<NodeName>>;
  [[nodiscard]] static Before Remember(const View& view, const DecisionBatch& batch);

  // After folding a message: live copies, and complete sets for nodes that came (back).
  // `more`: the next one follows at once, with what had no room in it or waits in the log.
  void TellNodes(const View& view, const DecisionBatch& batch, const Before& before, bool more,
                 MonoTime now, bus::OpId& next_op, Operations& out);
  // Sends the copies that wait for more: all of them, or those whose time has come.
  void Release(Operations& out);
  void ReleaseDue(MonoTime now, Operations& out);
  // When the next one is due.
  [[nodiscard]] MonoTime ReleaseAt() const { return release_at_; }
  // Up to where the node has been told the decisions that concern it.
  [[nodiscard]] std::uint64_t ToldTo(const Node& node) const;
  // Ends the worker `instance` of that name, which says `reason`.
  void Refuse(const View& view, const NodeName& node, std::uint64_t instance, std::string reason,
              Operations& out);
  // The log does not know the worker `instance` of that name as it is.
  void AskToJoin(const View& view, const NodeName& node, std::uint64_t instance, Operations& out);
  // The answer to a worker that says where it stands. -> whether it was a complete set.
  bool AnswerHello(const View& view, const Node& node, std::uint64_t position, bus::OpId& next_op,
                   Operations& out);
  // What became of intents, for senders that wait for it.
  void TellOutcomes(const std::vector<FoldedIntents>& folded, Operations& out);
  // Everything in view.untold that this process has not told yet.
  void TellFeed(const View& view, MonoTime now, Operations& out);
  // A new leader tells what its predecessor may not have told, and a burst is its own.
  void BeginTerm() {
    fed_ = {};
    more_since_ = MonoTime::max();
  }

 private:
  void TellSet(const View& view, const Node& node, bus::OpId& next_op, Operations& out);
  [[nodiscard]] AssignBatch Copy(const View& view, const Node& node, std::uint64_t seq) const;
  void Send(const AssignBatch& batch, Operations& out);
  // One node's share of the messages since its copy began to wait.
  struct HeldCopy {
    AssignBatch copy;
    std::size_t spec_bytes = 0;
    bool waits = true;  // for more: it only starts attempts
    MonoTime due;       // it waits no longer than that
  };
  // For what the message says that was folded last.
  HeldCopy& CopyFor(const View& view, const NodeName& name, const Before& before, MonoTime now);
  void SendHeld(const NodeName& name, Operations& out);
  template <class Choose>
  void SendThose(const Choose& choose, Operations& out);
  void Feed(const Transition& step, Operations& out);
  bool MayFeed(const Transition& step, MonoTime now, Operations& out);

  wire::Subjects subjects_;
  wire::SpecTexts spec_texts_ = wire::AssignTexts();  // of this burst
  absl::flat_hash_map<NodeName, HeldCopy, std::hash<NodeName>> held_;
  MonoTime more_since_ = MonoTime::max();  // no message has had room for all since; max = one has
  MonoTime release_at_ = MonoTime::max();  // no held copy is due before
  Stamp fed_;                              // up to here this process has told the feed
  MonoTime window_{};
  std::uint32_t in_window_ = 0;
  std::uint64_t skipped_ = 0;
};

// One line of the feed as JSON.
[[nodiscard]] std::string FeedJson(const Transition& step);

}  // namespace cube::manager
