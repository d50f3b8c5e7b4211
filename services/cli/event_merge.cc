#include "services/cli/event_merge.h"

#include <algorithm>
#include <tuple>

namespace cube::cli {

void EventMerger::Add(Stream& stream, LogEntry entry) {
  stream.next = std::max(stream.next, entry.seq + 1);
  stream.entries.push_back(entry);
}

void EventMerger::TakeUpTo(Stream& stream, std::uint64_t seq, std::vector<LogEntry>& out) {
  while (!stream.entries.empty() && stream.entries.front().seq <= seq) {
    out.push_back(stream.entries.front());
    stream.entries.pop_front();
  }
}

bool EventMerger::IsForeign(const DecisionOrder& order) const {
  if (!last_ || order.prev == *last_) return false;
  // Reading began in the middle of the log, with one that nobody has named since: it may have been
  // the foreign one. Believe the newer.
  return confirmed_;
}

std::vector<LogEntry> EventMerger::Take() {
  std::vector<LogEntry> out;
  while (!decisions_.empty()) {
    Decision& decision = decisions_.front();
    decision.entry.foreign = IsForeign(decision.order);
    if (!decision.entry.foreign) {
      const bool here =
          decision.order.intents < intents_.next && decision.order.facts < facts_.next;
      if (!here) break;
      TakeUpTo(intents_, decision.order.intents, out);
      TakeUpTo(facts_, decision.order.facts, out);
      confirmed_ = last_.has_value() && decision.order.prev == *last_;
      last_ = decision.order.stamp;
    }
    out.push_back(decision.entry);
    decisions_.pop_front();
  }
  return out;
}

std::vector<LogEntry> EventMerger::TakeAll() {
  std::vector<LogEntry> out = Take();
  std::vector<LogEntry> rest;
  for (const auto& entry : intents_.entries) rest.push_back(entry);
  for (const auto& entry : facts_.entries) rest.push_back(entry);
  for (const auto& decision : decisions_) rest.push_back(decision.entry);
  intents_.entries.clear();
  facts_.entries.clear();
  decisions_.clear();
  std::ranges::sort(rest, {}, [](const LogEntry& entry) {
    return std::tuple(entry.time, entry.source, entry.seq);
  });
  out.insert(out.end(), rest.begin(), rest.end());
  return out;
}

}  // namespace cube::cli
