// ManagerLoop: that the log has lost messages, as heartbeats show it.
#include <algorithm>
#include <utility>

#include "services/manager/core/settle.h"
#include "services/manager/manager_loop.h"

namespace cube::manager {

// The log is not what it was: the next term says so, if it begins soon and no other one has.
void ManagerLoop::NoteLoss(const std::string& how) {
  if (loss_.empty()) {
    loss_since_ = now_.mono;
    loss_epoch_ = epoch_floor_;
  }
  loss_ = how;
}

// Whether the log, as it is, has no decision of that sequence and term. Leaders tell only what is
// in the log.
bool ManagerLoop::IsLost(Term term, std::uint64_t seq) const {
  const auto& terms = view_.terms;
  const auto next = std::ranges::upper_bound(
      terms, term.epoch, {}, [](const TermBegin& begin) { return begin.term.epoch; });
  if (term.epoch > view_.term.epoch || next == terms.begin()) return false;  // not known
  return std::prev(next)->term != term || (next != terms.end() && seq >= next->seq);
}

// What the worker has been told and the log does not have. Empty = nothing.
std::string ManagerLoop::WhyAhead(const Heartbeat& beat) const {
  const auto it = view_.nodes.find(NodeName::Trusted(beat.node));
  if (beat.incarnation == 0 || it == view_.nodes.end()) return {};
  const Node& node = it->second;
  if (node.instance == 0) return {};  // a reset has said so, and it is asked to join
  const std::string who = "node " + beat.node;
  if (beat.incarnation > node.incarnation) {
    return who + " was welcomed as incarnation " + std::to_string(beat.incarnation);
  }
  if (beat.instance != node.instance || beat.incarnation != node.incarnation) return {};
  // A message of ours that was not acknowledged yet may have been read.
  const std::uint64_t ours = in_flight_ ? 1 : 0;
  if (beat.position > view_.valid_seq + ours) {
    return who + " was told decision " + std::to_string(beat.position);
  }
  if (beat.term.epoch > std::max(view_.term.epoch, term_.epoch)) {
    return who + " was told of epoch " + std::to_string(beat.term.epoch);
  }
  if (IsLost(beat.term, beat.position)) {
    return who + " was told decision " + std::to_string(beat.position) + " of epoch " +
           std::to_string(beat.term.epoch);
  }
  if (node.facts_missing) return who + " has told facts that are gone";
  return {};
}

// Facts of it were acknowledged that the log, as it is read here, does not have.
std::string ManagerLoop::WhyFactsAreMissing(const Heartbeat& beat) const {
  const auto it = view_.nodes.find(NodeName::Trusted(beat.node));
  if (it == view_.nodes.end() || beat.incarnation == 0 || beat.instance != it->second.instance ||
      beat.incarnation != it->second.incarnation || beat.acked_fact <= it->second.last_fact) {
    return {};
  }
  return "node " + beat.node + " has told fact " + std::to_string(beat.acked_fact) +
         ", and the log has only " + std::to_string(it->second.last_fact);
}

// A sign only: what was stored a heartbeat ago should have been read since.
bool ManagerLoop::HasStoredMore(const Heartbeat& beat) {
  if (WhyFactsAreMissing(beat).empty()) return false;
  const Node& node = view_.nodes.at(NodeName::Trusted(beat.node));
  Lag& lag = lags_[node.name];
  const bool awaited = lag.incarnation == beat.incarnation && lag.acked_fact > node.last_fact;
  lag.acked_fact = beat.acked_fact;
  lag.incarnation = beat.incarnation;
  return awaited && !reader_.HasFacts();
}

void ManagerLoop::Claim(const Heartbeat& beat) {
  if (claim_ || phase_ != Phase::kLeading) return;
  claim_.emplace();
  claim_->beat = beat;
  claim_->since = now_.mono;
  AskEnds(*claim_);
}

void ManagerLoop::AskEnds(PendingClaim& claim) {
  claim.decisions_end.reset();
  claim.facts_end.reset();
  claim.decisions_op = next_op_++;
  claim.facts_op = next_op_++;
  out_.Bus(bus::GetState{claim.decisions_op, options_.subjects.DecisionsStream()});
  out_.Bus(bus::GetState{claim.facts_op, options_.subjects.FactsStream()});
}

bool PendingClaim::OnState(const bus::GotState& state) {
  if (!Asked(state.op)) return false;
  (state.op == decisions_op ? decisions_end : facts_end) = state.state.last_seq;
  if (state.state.replicas > 1) shared = true;
  return true;
}

// What the heartbeat names was in the log before it came, and has been read by now, or is lost.
void ManagerLoop::JudgeClaim() {
  if (!claim_ || !claim_->decisions_end || !claim_->facts_end || term_start_) return;
  if (claim_->shared && !claim_->asked_again) {
    if (now_.mono < claim_->AskAgainAt()) return;
    claim_->asked_again = true;
    AskEnds(*claim_);
    return;
  }
  if (view_.decision_seq < *claim_->decisions_end || view_.facts.seq < *claim_->facts_end) return;
  const Heartbeat beat = std::exchange(claim_, std::nullopt)->beat;
  std::string why = WhyAhead(beat);
  if (why.empty()) why = WhyFactsAreMissing(beat);
  if (why.empty()) return;
  const bool lately = IsSet(view_.reset_at) && ClusterNow() - view_.reset_at < kResetInterval;
  // A welcome of before the last reset is one of what was lost then.
  const bool told = view_.reset_epoch > 0 && beat.incarnation <= IncarnationFloor(view_);
  if (lately || told) {
    AskToJoin(beat);
  } else {
    NoteLoss(why);  // all are asked when it is in the log; until then this one says it again
  }
}

}  // namespace cube::manager
