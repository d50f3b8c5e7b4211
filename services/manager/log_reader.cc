#include "services/manager/log_reader.h"

#include <algorithm>

#include "shared/wire/codec.h"

namespace cube::manager {
namespace {

// A leader's cycle takes at most so much, so that neither intents nor facts starve each other and
// its message does not grow beyond what deciding can put into it.
constexpr std::size_t kFactMessagesPerCycle = 256;
constexpr std::size_t kIntentBytesPerCycle = 1u << 20;
// All that one decision names lies here before it is folded.
static_assert(std::max(kIntentMessagesPerCycle, kFactMessagesPerCycle) + kCreditMessages <=
              kReadAheadMessages);
// What a server keeps of a message beside its subject and payload: record and header, roughly.
constexpr std::int64_t kStoredOverhead = 64;

Position PositionOf(const bus::StreamMessage& message) { return {message.seq, message.time, 0}; }

}  // namespace

void LogReader::Lane::Clear() {
  arrivals.clear();
  behind = 0;
  taken = 0;
  offered = 0;
  offered_bytes = 0;
}

void LogReader::OpenLane(Lane& lane, const std::string& stream, std::uint64_t from,
                         Operations& out) {
  if (lane.id != 0) out.Bus(bus::CloseReader{lane.id});
  lane.id = next_id_++;  // events of the reader before are told apart by it
  lane.Clear();
  out.Bus(bus::OpenReader{lane.id, stream, from});
  out.Bus(bus::Pull{lane.id, kReadAheadMessages});
}

void LogReader::Open(const View& view, const LogEnds& ends, Operations& out) {
  ends_ = ends;
  lost_.clear();  // what is read again will say so again
  OpenLane(intents_, subjects_.IntentsStream(), view.intents.seq + 1, out);
  OpenLane(facts_, subjects_.FactsStream(), view.facts.seq + 1, out);
  OpenLane(decisions_, subjects_.DecisionsStream(), view.decision_seq + 1, out);
}

void LogReader::Close(Operations& out) {
  for (Lane* lane : {&intents_, &facts_, &decisions_}) {
    if (lane->id != 0) out.Bus(bus::CloseReader{std::exchange(lane->id, 0)});
    lane->Clear();
  }
}

bool LogReader::OnRead(const bus::Read& read) {
  for (Lane* lane : {&intents_, &facts_, &decisions_}) {
    if (lane->id != 0 && lane->id == read.reader) {
      lane->arrivals.push_back(std::make_shared<Arrival>(lane->kind, read.message));
      lane->behind = read.behind;
      LookAhead(*lane);
      return true;
    }
  }
  return false;
}

// Intents are decoded with what the reader knows of those before.
void LogReader::LookAhead(Lane& lane) {
  if (!ahead_ || lane.kind == Arrival::Kind::kIntents) return;
  if (lane.arrivals.size() < kAheadFrom) return;
  while (lane.offered < lane.arrivals.size() && lane.offered_bytes < kAheadBytes) {
    const std::shared_ptr<Arrival>& next = lane.arrivals[lane.offered++];
    lane.offered_bytes += next->message().payload.size();
    ahead_(next);
  }
}

void LogReader::Taken(Lane& lane, Operations& out) {
  const bus::StreamMessage& message = lane.front();
  lane.bytes +=
      kStoredOverhead + static_cast<std::int64_t>(message.subject.size() + message.payload.size());
  if (lane.offered > 0) {
    --lane.offered;
    lane.offered_bytes -= message.payload.size();
  }
  lane.arrivals.pop_front();
  LookAhead(lane);
  if (++lane.taken < kCreditMessages) return;
  out.Bus(bus::Pull{lane.id, lane.taken});
  lane.taken = 0;
}

void LogReader::FoldIntent(View& view, std::vector<FoldedIntents>& folded, Operations& out) {
  const bus::StreamMessage& message = intents_.front();
  IntentBatch batch =
      wire::DecodeIntentsWith(message.subject, message.headers, message.payload, specs_);
  std::vector<IntentResult> results = FoldIntents(view, PositionOf(message), batch);
  if (!results.empty()) {
    folded.push_back({message.seq, std::move(batch.outcome_token), std::move(results)});
  }
  Taken(intents_, out);
}

void LogReader::FoldFact(View& view, Operations& out) {
  const bus::StreamMessage& message = facts_.front();
  const Result<FactBatch>& batch = facts_.arrivals.front()->facts();
  if (batch) {
    FoldFacts(view, PositionOf(message), *batch);
  } else {
    out.Warn("skipped facts message " + std::to_string(message.seq) + " on " + message.subject +
             ", which cannot be read: " + batch.error().Text());
    SkipFacts(view, PositionOf(message));
  }
  Taken(facts_, out);
}

LogReader::Basis LogReader::BasisIn(const Lane& lane, const Position& at, const Position& as_of,
                                    bool ended) {
  if (as_of == at) return Basis::kHere;
  const auto found = std::ranges::lower_bound(
      lane.arrivals, as_of.seq, {}, [](const auto& arrival) { return arrival->message().seq; });
  if (found != lane.arrivals.end()) {
    return PositionOf((*found)->message()) == as_of ? Basis::kHere : Basis::kLost;
  }
  return ended || as_of.seq <= at.seq ? Basis::kLost : Basis::kAwaited;
}

LogReader::Basis LogReader::BasisOf(const View& view, std::uint64_t seq,
                                    const DecisionBatch& batch) const {
  const bool old = ends_.sure && seq <= ends_.decisions;
  const Basis intents =
      BasisIn(intents_, view.intents, batch.intents, old && batch.intents.seq > ends_.intents);
  const Basis facts =
      BasisIn(facts_, view.facts, batch.facts, old && batch.facts.seq > ends_.facts);
  return std::max(intents, facts);
}

void LogReader::FoldUpTo(View& view, const DecisionBatch& batch, std::vector<FoldedIntents>& folded,
                         Operations& out) {
  // The leader has folded the cycle's intents first, and the order is to be seen in the view.
  while (HasIntents() && intents_.front().seq <= batch.intents.seq) {
    FoldIntent(view, folded, out);
  }
  while (HasFacts() && facts_.front().seq <= batch.facts.seq) FoldFact(view, out);
}

std::size_t LogReader::Follow(View& view, std::size_t decisions_max,
                              std::vector<FoldedIntents>& folded, Operations& out) {
  std::size_t count = 0;
  for (; count < decisions_max && HasDecisions(); ++count, Taken(decisions_, out)) {
    const bus::StreamMessage& message = decisions_.front();
    const Result<DecisionBatch>& batch = decisions_.arrivals.front()->decisions();
    // Only a message that continues what was taken last says up to where to fold.
    std::string why = "it does not continue the log";
    if (batch && batch->term_start) cluster_ = batch->term_start->cluster;
    if (!batch) {
      why += ": " + batch.error().Text();
    } else if (MayFollow(view, *batch)) {
      const Basis basis = BasisOf(view, message.seq, *batch);
      if (basis == Basis::kAwaited) return count;
      if (basis == Basis::kHere) {
        FoldUpTo(view, *batch, folded, out);
        FoldDecisions(view, message.seq, *batch);
        if (batch->term_start && !batch->term_start->reset.empty()) lost_.clear();
        continue;
      }
      why = lost_ = "decision " + std::to_string(message.seq) + " names intent " +
                    std::to_string(batch->intents.seq) + " and fact " +
                    std::to_string(batch->facts.seq) + ", which the log does not have (any more)";
    }
    // What follows one that does not count mostly does not either: they are counted.
    if (view.decision_seq == view.valid_seq) {
      out.Warn("skipped decision message " + std::to_string(message.seq) + ": " + why);
    }
    SkipDecisions(view, message.seq);
  }
  return count;
}

void LogReader::TakeIntents(View& view, std::vector<FoldedIntents>& folded, Operations& out) {
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < kIntentMessagesPerCycle && HasIntents(); ++i) {
    bytes += intents_.front().payload.size();
    if (i > 0 && bytes > kIntentBytesPerCycle) return;
    FoldIntent(view, folded, out);
  }
}

bool LogReader::HasBacklog() const {
  return intents_.arrivals.size() + intents_.behind > kIntentMessagesPerCycle;
}

void LogReader::TakeFacts(View& view, Operations& out) {
  for (std::size_t i = 0; i < kFactMessagesPerCycle && HasFacts(); ++i) FoldFact(view, out);
}

bool LogReader::DropDecisions(std::uint64_t seq, Operations& out) {
  while (HasDecisions() && decisions_.front().seq <= seq) Taken(decisions_, out);
  return HasDecisions();
}

}  // namespace cube::manager
