#include "services/cli/history.h"

#include <algorithm>

#include "shared/wire/codec.h"

namespace cube::cli {
namespace {

// Decisions read before their intents and facts: bounds memory (a message is at most 256 KiB, and
// usually some hundred bytes).
constexpr std::uint64_t kDecisionsAtOnce = 1'000;

}  // namespace

Result<History::Ends> History::ReadEnds(Client& client) {
  // Decisions first: whatever they cover is then within the other streams' ends.
  Ends ends;
  CUBE_TRY(ends.decisions, client.State(client.subjects().DecisionsStream()));
  CUBE_TRY(ends.facts, client.State(client.subjects().FactsStream()));
  CUBE_TRY(ends.intents, client.State(client.subjects().IntentsStream()));
  return ends;
}

Result<History> History::From(Client& client, const Ends& ends, std::uint64_t first) {
  const std::uint64_t intents_first = std::max<std::uint64_t>(1, ends.intents.first_seq);
  const std::uint64_t facts_first = std::max<std::uint64_t>(1, ends.facts.first_seq);
  if (first > ends.decisions.first_seq && first > 1) {
    CUBE_TRY(const auto before, client.Get(client.subjects().DecisionsStream(), first - 1));
    const auto batch = before ? wire::DecodeDecisions(before->payload)
                              : Result<DecisionBatch>(Fail(Code::kNotFound, "purged"));
    if (batch) {
      return History(client, std::max(intents_first, batch->intents.seq + 1),
                     std::max(facts_first, batch->facts.seq + 1), first);
    }
  }
  return History(client, intents_first, facts_first, first);
}

Result<History> History::FromBeginning(Client& client) {
  CUBE_TRY(const Ends ends, ReadEnds(client));
  return From(client, ends, std::max<std::uint64_t>(1, ends.decisions.first_seq));
}

Result<History> History::Tail(Client& client, std::uint64_t decisions) {
  CUBE_TRY(const Ends ends, ReadEnds(client));
  const std::uint64_t last = ends.decisions.last_seq;
  const std::uint64_t first = last >= decisions ? last - decisions + 1 : 1;
  return From(client, ends, std::max({std::uint64_t{1}, first, ends.decisions.first_seq}));
}

Result<History> History::Since(Client& client, WallTime time) {
  CUBE_TRY(const Ends ends, ReadEnds(client));
  // The first decision stored at `time` or later lies in [low, high].
  std::uint64_t low = std::max<std::uint64_t>(1, ends.decisions.first_seq);
  std::uint64_t high = ends.decisions.last_seq + 1;
  while (low < high) {
    const std::uint64_t middle = low + (high - low) / 2;
    CUBE_TRY(const auto message, client.Get(client.subjects().DecisionsStream(), middle));
    if (!message || message->time < time) {
      low = middle + 1;  // not there = purged meanwhile = older
    } else {
      high = middle;
    }
  }
  return From(client, ends, low);
}

Result<void> History::ReadStream(Source source, std::uint64_t& next, std::uint64_t last,
                                 DecisionOrder* highest) {
  if (next > last) return {};
  const auto& subjects = client_->subjects();
  const std::string stream = source == Source::kIntents ? subjects.IntentsStream()
                             : source == Source::kFacts ? subjects.FactsStream()
                                                        : subjects.DecisionsStream();
  return client_->ReadRange(stream, next, last, [&](const bus::StreamMessage& message) {
    next = message.seq + 1;
    LogEntry entry{source, message.seq, message.time, ++payload_last_, false};
    DecisionOrder order;
    items_[entry.payload] = ItemsOf(source, message, &order);
    if (source == Source::kIntents) merger_.AddIntent(entry);
    if (source == Source::kFacts) merger_.AddFact(entry);
    if (source == Source::kDecisions) {
      merger_.AddDecision(entry, order);
      highest->intents = std::max(highest->intents, order.intents);
      highest->facts = std::max(highest->facts, order.facts);
    }
  });
}

Result<void> History::ReadOn(bool last, const Visit& visit) {
  CUBE_TRY(const Ends ends, ReadEnds(*client_));
  while (decisions_next_ <= ends.decisions.last_seq) {
    const std::uint64_t to =
        std::min(ends.decisions.last_seq, decisions_next_ + kDecisionsAtOnce - 1);
    DecisionOrder highest;
    CUBE_TRY_VOID(ReadStream(Source::kDecisions, decisions_next_, to, &highest));
    decisions_next_ = to + 1;
    CUBE_TRY_VOID(ReadStream(Source::kIntents, intents_next_,
                             std::min(highest.intents, ends.intents.last_seq), nullptr));
    CUBE_TRY_VOID(ReadStream(Source::kFacts, facts_next_,
                             std::min(highest.facts, ends.facts.last_seq), nullptr));
    Emit(merger_.Take(), visit);
  }
  CUBE_TRY_VOID(ReadStream(Source::kIntents, intents_next_, ends.intents.last_seq, nullptr));
  CUBE_TRY_VOID(ReadStream(Source::kFacts, facts_next_, ends.facts.last_seq, nullptr));
  Emit(last ? merger_.TakeAll() : merger_.Take(), visit);
  return {};
}

void History::Emit(const std::vector<LogEntry>& entries, const Visit& visit) {
  for (const auto& entry : entries) {
    const auto node = items_.extract(entry.payload);
    if (node.empty()) continue;
    for (auto item : node.mapped()) {
      item.foreign = entry.foreign;
      visit(item);
    }
  }
}

Result<std::vector<LogItem>> ReadTail(Client& client, std::uint64_t decisions) {
  std::vector<LogItem> items;
  CUBE_TRY(auto history, History::Tail(client, decisions));
  CUBE_TRY_VOID(history.ReadOn(true, [&](const LogItem& item) { items.push_back(item); }));
  return items;
}

}  // namespace cube::cli
