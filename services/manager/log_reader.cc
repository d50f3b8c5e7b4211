#include "services/manager/log_reader.h"

#include "shared/wire/codec.h"

namespace cube::manager {
namespace {

// A leader's cycle takes at most so much, so that neither intents nor facts starve each other and
// its message does not grow beyond what deciding can put into it.
constexpr std::size_t kIntentMessagesPerCycle = 64;
constexpr std::size_t kFactMessagesPerCycle = 256;
constexpr std::size_t kIntentBytesPerCycle = 1u << 20;
// What a server keeps of a message beside its subject and payload: record and header, roughly.
constexpr std::int64_t kStoredOverhead = 64;

Position PositionOf(const bus::StreamMessage& message) { return {message.seq, message.time, 0}; }

}  // namespace

void LogReader::OpenLane(Lane& lane, const std::string& stream, std::uint64_t from,
                         Operations& out) {
  if (lane.id != 0) out.Bus(bus::CloseReader{lane.id});
  lane.id = next_id_++;  // events of the reader before are told apart by it
  lane.messages.clear();
  lane.taken = 0;
  out.Bus(bus::OpenReader{lane.id, stream, from});
  out.Bus(bus::Pull{lane.id, kReadAheadMessages});
}

void LogReader::Open(const View& view, Operations& out) {
  OpenLane(intents_, subjects_.IntentsStream(), view.intents.seq + 1, out);
  OpenLane(facts_, subjects_.FactsStream(), view.facts.seq + 1, out);
  OpenLane(decisions_, subjects_.DecisionsStream(), view.decision_seq + 1, out);
}

void LogReader::Close(Operations& out) {
  for (Lane* lane : {&intents_, &facts_, &decisions_}) {
    if (lane->id != 0) out.Bus(bus::CloseReader{std::exchange(lane->id, 0)});
    lane->messages.clear();
  }
}

bool LogReader::OnRead(const bus::Read& read) {
  for (Lane* lane : {&intents_, &facts_, &decisions_}) {
    if (lane->id != 0 && lane->id == read.reader) {
      lane->messages.push_back(read.message);
      return true;
    }
  }
  return false;
}

void LogReader::Taken(Lane& lane, Operations& out) {
  const bus::StreamMessage& message = lane.messages.front();
  lane.bytes +=
      kStoredOverhead + static_cast<std::int64_t>(message.subject.size() + message.payload.size());
  lane.messages.pop_front();
  if (++lane.taken < kCreditMessages) return;
  out.Bus(bus::Pull{lane.id, lane.taken});
  lane.taken = 0;
}

void LogReader::FoldIntent(View& view, std::vector<FoldedIntents>& folded, Operations& out) {
  const bus::StreamMessage& message = intents_.messages.front();
  IntentBatch batch = wire::DecodeIntents(message.subject, message.headers, message.payload);
  std::vector<IntentResult> results = FoldIntents(view, PositionOf(message), batch);
  if (!results.empty()) {
    folded.push_back({message.seq, std::move(batch.outcome_token), std::move(results)});
  }
  Taken(intents_, out);
}

void LogReader::FoldFact(View& view, Operations& out) {
  const bus::StreamMessage& message = facts_.messages.front();
  const Result<FactBatch> batch =
      wire::DecodeFacts(wire::Subjects::LastToken(message.subject), message.payload);
  if (batch) {
    FoldFacts(view, PositionOf(message), *batch);
  } else {
    out.Warn("skipped facts message " + std::to_string(message.seq) + " on " + message.subject +
             ", which cannot be read: " + batch.error().Text());
    SkipFacts(view, PositionOf(message));
  }
  Taken(facts_, out);
}

bool LogReader::FoldUpTo(View& view, const DecisionBatch& batch, std::vector<FoldedIntents>& folded,
                         Operations& out) {
  while (HasIntents() && intents_.messages.front().seq <= batch.intents.seq) {
    FoldIntent(view, folded, out);
  }
  // The leader has folded the cycle's intents first, and the order is to be seen in the view.
  const bool intents_here = view.intents.seq >= batch.intents.seq || HasIntents();
  if (!intents_here) return false;
  while (HasFacts() && facts_.messages.front().seq <= batch.facts.seq) FoldFact(view, out);
  return view.facts.seq >= batch.facts.seq || HasFacts();
}

std::size_t LogReader::Follow(View& view, std::size_t decisions_max,
                              std::vector<FoldedIntents>& folded, Operations& out) {
  std::size_t count = 0;
  while (count < decisions_max && HasDecisions()) {
    const bus::StreamMessage& message = decisions_.messages.front();
    const Result<DecisionBatch> batch = wire::DecodeDecisions(message.payload);
    // Only a message that continues what was taken last says up to where to fold.
    const bool continues = batch && MayFollow(view, *batch);
    if (continues && !FoldUpTo(view, *batch, folded, out)) return count;
    if (continues && IsNext(view, *batch)) {
      FoldDecisions(view, message.seq, *batch);
    } else {
      out.Warn("skipped decision message " + std::to_string(message.seq) +
               ", which does not continue the log" +
               (batch ? std::string() : ": " + batch.error().Text()));
      SkipDecisions(view, message.seq);
    }
    ++count;
    Taken(decisions_, out);
  }
  return count;
}

void LogReader::TakeIntents(View& view, std::vector<FoldedIntents>& folded, Operations& out) {
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < kIntentMessagesPerCycle && HasIntents(); ++i) {
    bytes += intents_.messages.front().payload.size();
    if (i > 0 && bytes > kIntentBytesPerCycle) return;
    FoldIntent(view, folded, out);
  }
}

void LogReader::TakeFacts(View& view, Operations& out) {
  for (std::size_t i = 0; i < kFactMessagesPerCycle && HasFacts(); ++i) FoldFact(view, out);
}

bool LogReader::DropDecisions(std::uint64_t seq, Operations& out) {
  while (HasDecisions() && decisions_.messages.front().seq <= seq) Taken(decisions_, out);
  return HasDecisions();
}

}  // namespace cube::manager
