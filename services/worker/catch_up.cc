#include "services/worker/catch_up.h"

#include <algorithm>
#include <utility>

#include "shared/wire/codec.h"

namespace cube::worker {
namespace {

// What a decision says about one node. `own` = it cannot be told as changes: the node went down, up
// or was welcomed, and only a complete set says what holds then.
struct Part {
  std::vector<AssignItem> items;
  bool own = false;
};

Part PartOf(const DecisionBatch& decisions, const NodeName& node) {
  Part part;
  for (const DecisionItem& item : decisions.items) {
    if (const auto* start = std::get_if<StartAttempt>(&item)) {
      if (start->node != node) continue;
      part.items.emplace_back(
          Assignment{start->task, start->attempt, decisions.stamp(), start->spec, false, {}, 0});
    } else if (const auto* stop = std::get_if<StopAttempt>(&item)) {
      if (stop->attempt == 0 || stop->node != node) continue;
      part.items.emplace_back(StopAssignment{stop->task, stop->attempt, stop->grace});
    } else if (const auto* evict = std::get_if<EvictAttempt>(&item)) {
      if (evict->node != node) continue;
      part.items.emplace_back(StopAssignment{evict->task, evict->attempt, evict->grace});
    } else if (const auto* down = std::get_if<NodeDown>(&item)) {
      part.own = part.own || down->node == node;
    } else if (const auto* up = std::get_if<NodeUp>(&item)) {
      part.own = part.own || up->node == node;
    } else if (const auto* welcome = std::get_if<WelcomeNode>(&item)) {
      part.own = part.own || welcome->node == node;
    } else if (const auto* settle = std::get_if<SettleNode>(&item)) {
      part.own = part.own || settle->node == node;
    }
  }
  return part;
}

void Log(LogLine::Level level, std::string text, Operations& out) {
  LogLine line;
  line.level = level;
  line.text = std::move(text);
  out.emplace_back(std::move(line));
}

}  // namespace

void CatchUp::Begin(bus::OpId& next_op, Operations& out) {
  if (active()) return;
  Cancel();
  pages_ = 1;
  AskPages(next_op, out);
}

void CatchUp::Cancel() {
  asked_.clear();
  got_.clear();
  pages_ = pages_got_ = next_page_ = 0;
  next_ask_ = next_take_ = last_ = taken_ = 0;
  bytes_ = 0;
  stamp_.reset();
}

void CatchUp::OnFailed(const bus::OpFailed& failed) {
  if (asked_.contains(failed.op)) Cancel();
}

void CatchUp::AskPages(bus::OpId& next_op, Operations& out) {
  while (asked_.size() < kCatchUpWindow && next_page_ < pages_) {
    asked_[next_op] = {Asked::What::kPage, next_page_};
    out.emplace_back(bus::Operation(bus::GetLast{next_op++, subjects_.DesiredStream(),
                                                 subjects_.Desired(node_.str(), next_page_++)}));
  }
}

void CatchUp::AskNewest(const WorkerCore& core, bus::OpId& next_op, Operations& out) {
  if (!core.DesiredKnown()) return Cancel();
  asked_[next_op] = {Asked::What::kNewest, 0};
  out.emplace_back(
      bus::Operation(bus::GetLast{next_op++, subjects_.DecisionsStream(), subjects_.Decisions()}));
}

void CatchUp::AskDecisions(bus::OpId& next_op, Operations& out) {
  while (asked_.size() < kCatchUpWindow && next_ask_ <= last_) {
    asked_[next_op] = {Asked::What::kDecision, next_ask_};
    out.emplace_back(bus::Operation(bus::Get{next_op++, subjects_.DecisionsStream(), next_ask_++}));
  }
}

bool CatchUp::OnGot(const bus::Got& got, WorkerCore& core, Now now, Random& random,
                    bus::OpId& next_op, Operations& out) {
  const auto found = asked_.find(got.op);
  if (found == asked_.end()) return false;
  const Asked asked = found->second;
  asked_.erase(found);
  switch (asked.what) {
    case Asked::What::kPage:
      OnPage(got.message, core, now, random, next_op, out);
      break;
    case Asked::What::kNewest:
      if (!got.message || got.message->seq <= core.meta().position) {
        Cancel();
        break;
      }
      last_ = got.message->seq;
      // From the one that we stand at: it names itself, and the next one names it.
      next_ask_ = next_take_ = core.meta().position;
      AskDecisions(next_op, out);
      break;
    case Asked::What::kDecision:
      got_[asked.seq] = got.message;
      TakeDecisions(core, now, out);
      if (next_take_ != 0) AskDecisions(next_op, out);
      break;
  }
  return true;
}

void CatchUp::OnPage(const std::optional<bus::StreamMessage>& message, WorkerCore& core, Now now,
                     Random& random, bus::OpId& next_op, Operations& out) {
  // No set, or one that is not for this instance: what is known already is gone on from.
  const auto page =
      message ? wire::DecodeDesired(message->payload) : Fail(Code::kNotFound, "no set is stored");
  if (page) (void)core.Apply(*page, now, random);
  if (pages_ == 0) return;  // a page was missing: the reading has gone on without them
  if (page && pages_got_ == 0) pages_ = page->pages;
  if (!page || ++pages_got_ >= pages_) {
    pages_ = 0;
    AskNewest(core, next_op, out);
  } else {
    AskPages(next_op, out);
  }
}

void CatchUp::TakeDecisions(WorkerCore& core, Now now, Operations& out) {
  for (auto it = got_.find(next_take_); it != got_.end(); it = got_.find(next_take_)) {
    const std::optional<bus::StreamMessage> message = std::move(it->second);
    got_.erase(it);
    // Only the one that we stand at may be missing: it was the last to be trimmed.
    if (!message && next_take_ > core.meta().position) {
      Log(LogLine::Level::kWarning, "the log was trimmed behind our position: waits for a leader",
          out);
      return Cancel();
    }
    if (message) {
      bytes_ += message->payload.size();
      if (bytes_ > kCatchUpBytesMax || !Take(message->seq, message->payload, core, now)) {
        Finish(core, now);
        return Cancel();
      }
    }
    if (next_take_++ == last_) {
      Log(LogLine::Level::kInfo,
          "no leader answers: the log was read without one, up to decision " +
              std::to_string(last_),
          out);
      Finish(core, now);
      return Cancel();
    }
  }
}

bool CatchUp::Take(std::uint64_t seq, const std::string& payload, WorkerCore& core, Now now) {
  const auto decisions = wire::DecodeDecisions(payload);
  const bool ours = decisions && decisions->term == core.meta().term;
  const Meta& meta = core.meta();
  if (seq == meta.position && !ours) return false;
  // What is not the next of the valid one before is foreign, and skipped by every reader. Where
  // that one was trimmed, it was of the term that told us of it.
  if (!decisions || (stamp_ && decisions->prev != *stamp_)) return true;
  if (!stamp_ && seq > meta.position && decisions->prev.term_id != meta.term.id) return false;
  if (seq > meta.position && !Apply(*decisions, seq, core, now)) return false;
  stamp_ = decisions->stamp();
  term_ = decisions->term;
  taken_ = seq;
  return true;
}

bool CatchUp::Apply(const DecisionBatch& decisions, std::uint64_t seq, WorkerCore& core, Now now) {
  Part part = PartOf(decisions, node_);
  if (part.own) return false;
  if (part.items.empty()) return true;
  const Meta& meta = core.meta();
  AssignBatch batch;
  batch.term = decisions.term;
  batch.node = node_;
  batch.instance = meta.instance;
  batch.incarnation = meta.incarnation;
  batch.seq = seq;
  batch.prev = meta.position;  // everything between has been read
  batch.stamp = decisions.stamp();
  batch.items = std::move(part.items);
  batch.cluster = meta.cluster;
  return core.Apply(batch, now) == Applied::kApplied;
}

// The position is that of the last valid one, so that the next reading is short.
void CatchUp::Finish(WorkerCore& core, Now now) {
  const Meta& meta = core.meta();
  if (!stamp_ || taken_ <= meta.position) return;
  AssignBatch batch;
  batch.term = term_;
  batch.node = node_;
  batch.instance = meta.instance;
  batch.incarnation = meta.incarnation;
  batch.seq = taken_;
  batch.prev = meta.position;
  batch.items = {UpToDate{}};
  batch.cluster = meta.cluster;
  (void)core.Apply(batch, now);
}

}  // namespace cube::worker
