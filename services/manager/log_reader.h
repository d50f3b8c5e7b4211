// Reads the three streams of the log and folds them into a view in the one order that every reader
// uses. Buffers what has arrived ahead of its decision; credit bounds the buffers. Where much lies
// there, a thread decodes ahead, if there is one.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "services/manager/arrival.h"
#include "services/manager/operation.h"
#include "services/manager/work_ahead.h"
#include "shared/bus/bus.h"
#include "shared/cluster/fold.h"
#include "shared/cluster/view.h"
#include "shared/domain/intent.h"
#include "shared/wire/spec_cache.h"
#include "shared/wire/subjects.h"

namespace cube::manager {

// Fewer messages of a stream than this are folded before another thread has even woken up.
inline constexpr std::size_t kAheadFrom = 16;
// Payloads of a stream that are decoded ahead: what comes of them is several times as large.
inline constexpr std::size_t kAheadBytes = 1u << 20;
// Messages of one stream that may lie here or be under way: enough to hide a round trip; at the
// usual sizes (some KB) a few MB of memory.
inline constexpr std::uint32_t kReadAheadMessages = 512;
// Credit is given back in pieces of this size: one request to the server each.
inline constexpr std::uint32_t kCreditMessages = 64;
// A leader's cycle takes at most so many intents.
inline constexpr std::size_t kIntentMessagesPerCycle = 256;
static_assert(kCreditMessages * 2 <= kReadAheadMessages);

// Where the three streams ended when they were looked at, the decisions first: what a decision up
// to there names was in the log by then.
struct LogEnds {
  std::uint64_t intents = 0;
  std::uint64_t facts = 0;
  std::uint64_t decisions = 0;
  // False: whoever was asked may not have had all of them yet, so what is missing is awaited.
  bool sure = true;
};

// An intent message as folded, with what came of each item.
struct FoldedIntents {
  std::uint64_t seq = 0;
  std::string outcome_token;
  std::vector<IntentResult> results;
};

class LogReader {
 public:
  // Gets what may be decoded before it is folded: WorkAhead::Offer, or nothing.
  using OfferAhead = std::function<void(const std::shared_ptr<WorkAhead::Work>&)>;

  explicit LogReader(wire::Subjects subjects, OfferAhead ahead = {})
      : subjects_(std::move(subjects)), ahead_(std::move(ahead)) {}

  // Opens the readers behind the view's positions; what was buffered is dropped.
  void Open(const View& view, const LogEnds& ends, Operations& out);
  // Takes a message in; false if the event is not of a reader of this one.
  bool OnRead(const bus::Read& read);

  // Whether it is one of the readers that are open.
  [[nodiscard]] bool Reads(bus::SubId reader) const {
    return reader != 0 && (reader == intents_.id || reader == facts_.id || reader == decisions_.id);
  }
  void Close(Operations& out);

  // As a follower: folds every decision whose intents and facts have arrived, at most
  // `decisions_max`. -> how many. `folded` gets the intents.
  std::size_t Follow(View& view, std::size_t decisions_max, std::vector<FoldedIntents>& folded,
                     Operations& out);

  // That Follow has skipped a decision which continued the log but names messages that the log has
  // lost, and no reset has followed it so far: one sentence. Empty = it has not.
  [[nodiscard]] const std::string& lost() const { return lost_; }
  // The cluster's name in the newest first message of a term, whether that counts or not.
  [[nodiscard]] const std::string& cluster() const { return cluster_; }
  // The leader's reset is in the log.
  void OnReset() { lost_.clear(); }

  // As the leader: folds intents, then facts, that have arrived; each bounded.
  void TakeIntents(View& view, std::vector<FoldedIntents>& folded, Operations& out);
  void TakeFacts(View& view, Operations& out);
  // Drops decisions up to `seq` (the leader's own come back to it). -> whether later ones lie here.
  bool DropDecisions(std::uint64_t seq, Operations& out);

  // Bytes, as a server counts them, of the messages that were folded or skipped since the process
  // began.
  struct Bytes {
    std::int64_t intents = 0;
    std::int64_t facts = 0;
    std::int64_t decisions = 0;
  };
  [[nodiscard]] Bytes bytes() const { return {intents_.bytes, facts_.bytes, decisions_.bytes}; }

  // As far as is known, the stream has more intents behind those that were taken than one cycle
  // takes: what is decided on these is followed at once by more.
  [[nodiscard]] bool HasBacklog() const;
  [[nodiscard]] bool HasIntents() const { return !intents_.arrivals.empty(); }
  [[nodiscard]] bool HasFacts() const { return !facts_.arrivals.empty(); }
  [[nodiscard]] std::size_t IntentsWaiting() const { return intents_.arrivals.size(); }
  [[nodiscard]] std::size_t FactsWaiting() const { return facts_.arrivals.size(); }
  [[nodiscard]] bool HasDecisions() const { return !decisions_.arrivals.empty(); }

 private:
  struct Lane {
    explicit Lane(Arrival::Kind of) : kind(of) {}

    Arrival::Kind kind;
    bus::SubId id = 0;
    std::deque<std::shared_ptr<Arrival>> arrivals;
    std::uint64_t behind = 0;  // messages behind the newest that came, when the server sent it
    std::uint32_t taken = 0;   // since credit was given back
    std::int64_t bytes = 0;    // of all that were taken
    // The first ones of `arrivals` were offered to be decoded ahead; the sizes of their payloads.
    std::size_t offered = 0;
    std::size_t offered_bytes = 0;

    // What lies here is dropped.
    void Clear();
    [[nodiscard]] const bus::StreamMessage& front() const { return arrivals.front()->message(); }
  };

  void OpenLane(Lane& lane, const std::string& stream, std::uint64_t from, Operations& out);
  void Taken(Lane& lane, Operations& out);
  void LookAhead(Lane& lane);
  void FoldIntent(View& view, std::vector<FoldedIntents>& folded, Operations& out);
  void FoldFact(View& view, Operations& out);
  enum class Basis : std::uint8_t {
    kHere,     // it has arrived
    kAwaited,  // it is still to come
    kLost,     // the log does not have it
  };
  [[nodiscard]] static Basis BasisIn(const Lane& lane, const Position& at, const Position& as_of,
                                     bool ended);
  // Whether what a decision names is in the log.
  [[nodiscard]] Basis BasisOf(const View& view, std::uint64_t seq,
                              const DecisionBatch& batch) const;
  // Folds intents and facts up to a decision's as_of, which have arrived.
  void FoldUpTo(View& view, const DecisionBatch& batch, std::vector<FoldedIntents>& folded,
                Operations& out);

  wire::Subjects subjects_;
  wire::SpecCache specs_;  // of submissions
  OfferAhead ahead_;
  bus::SubId next_id_ = 1;
  Lane intents_{Arrival::Kind::kIntents};
  Lane facts_{Arrival::Kind::kFacts};
  Lane decisions_{Arrival::Kind::kDecisions};
  LogEnds ends_;
  std::string lost_;
  std::string cluster_;
};

}  // namespace cube::manager
