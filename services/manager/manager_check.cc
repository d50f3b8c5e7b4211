// Before anything is appended, folded or told after a (re)connect: is the log at our positions the
// one that we folded? Sequences come back when a server loses the end of a stream, so the server's
// time stamps and the decisions' own stamps are compared.
#include "services/manager/manager_loop.h"
#include "shared/wire/codec.h"

namespace cube::manager {

void ManagerLoop::BeginCheck() {
  phase_ = Phase::kChecking;
  EndTerm();
  // Nobody has looked for long: what was doubted may have come, and others be late now.
  if (now_.mono - check_.asked_at > kBasisWaitMax + kRetryAfterMax) doubted_since_ = {};
  check_ = {};
  check_.asked_at = now_.mono;
  reader_.Close(out_);
  snapshot_.Close(out_);
  snapshot_read_ = false;
  caught_up_ = complete_ = false;
  // Messages behind the last valid one are read again: their sequences may have come back.
  view_.decision_seq = view_.valid_seq;
  // First of all: what a decision names was in the log before it.
  check_.decisions_state = next_op_++;
  check_.pending.insert(check_.decisions_state);
  out_.Bus(bus::GetState{check_.decisions_state, options_.subjects.DecisionsStream()});
}

void ManagerLoop::AskPositions() {
  const wire::Subjects& names = options_.subjects;
  auto ask = [this](const std::string& stream, std::uint64_t seq, bus::OpId* state,
                    bus::OpId& message) {
    if (state != nullptr) {
      *state = next_op_++;
      check_.pending.insert(*state);
      out_.Bus(bus::GetState{*state, stream});
    }
    if (seq == 0) return;
    message = next_op_++;
    check_.pending.insert(message);
    out_.Bus(bus::Get{message, stream, seq});
  };
  ask(names.IntentsStream(), view_.intents.seq, &check_.intents_state, check_.intents);
  ask(names.FactsStream(), view_.facts.seq, &check_.facts_state, check_.facts);
  ask(names.DecisionsStream(), Newest().seq, nullptr, check_.decisions);
  // In case that it is needed.
  if (manifest_wanted_ == 0) return;
  check_.manifest = next_op_++;
  check_.pending.insert(check_.manifest);
  if (manifest_wanted_) {
    out_.Bus(bus::Get{check_.manifest, names.SnapshotsStream(), *manifest_wanted_});
  } else {
    out_.Bus(bus::GetLast{check_.manifest, names.SnapshotsStream(), names.SnapshotManifest()});
  }
}

void ManagerLoop::OnState(const bus::GotState& state) {
  if (state.op == tail_op_ && tail_op_ != 0) {
    tail_op_ = 0;
    tail_seq_ = state.state.last_seq;
    return;
  }
  if (claim_ && claim_->OnState(state)) return;
  if (check_.pending.erase(state.op) == 0) return;
  if (state.op == check_.decisions_state) {
    log_end_ = check_.ends.decisions = state.state.last_seq;
    AskPositions();
  }
  if (state.op == check_.intents_state) check_.ends.intents = state.state.last_seq;
  if (state.op == check_.facts_state) check_.ends.facts = state.state.last_seq;
  check_.shared = check_.shared || state.state.replicas > 1;
  auto compare = [&](bus::OpId op, std::uint64_t position, std::uint64_t& gone,
                     const char* stream) {
    if (state.op != op) return;
    gone = state.state.first_seq == 0 ? 0 : state.state.first_seq - 1;
    if (state.state.last_seq >= position) return;
    check_.shorter = true;
    check_.mismatch = std::string(stream) + " end at " + std::to_string(state.state.last_seq) +
                      ", before position " + std::to_string(position);
  };
  compare(check_.intents_state, view_.intents.seq, check_.gone.intents.seq, "intents");
  compare(check_.facts_state, view_.facts.seq, check_.gone.facts.seq, "facts");
  compare(check_.decisions_state, Newest().seq, check_.gone.decision, "decisions");
  if (check_.pending.empty()) EndCheck();
}

void ManagerLoop::OnGot(const bus::Got& got) {
  if (got.op == snapshot_op_ && phase_ == Phase::kLoading) {
    OnSnapshotCompared(got);
    return;
  }
  if (check_.pending.erase(got.op) == 0) return;
  auto differs = [this](const char* stream, std::uint64_t seq) {
    check_.other = true;
    check_.mismatch =
        std::string(stream) + " hold another message at position " + std::to_string(seq);
  };
  if (got.message) {  // a purged one cannot be compared
    if (got.op == check_.intents && got.message->time != view_.intents.time) {
      differs("intents", view_.intents.seq);
    } else if (got.op == check_.facts && got.message->time != view_.facts.time) {
      differs("facts", view_.facts.seq);
    } else if (got.op == check_.manifest &&
               got.message->subject == options_.subjects.SnapshotManifest()) {
      Result<SnapshotManifest> manifest = wire::DecodeSnapshotManifest(got.message->payload);
      if (manifest) {
        if (cluster_.empty()) cluster_ = manifest->cluster;
        check_.snapshot = StoredManifest{std::move(*manifest), got.message->seq};
      } else {
        out_.Warn("the manifest of a snapshot cannot be read: " + manifest.error().Text());
      }
    } else if (got.op == check_.decisions) {
      const Result<DecisionBatch> batch = wire::DecodeDecisions(got.message->payload);
      if (!batch || batch->stamp() != Newest().stamp) differs("decisions", got.message->seq);
    }
  }
  if (check_.pending.empty()) EndCheck();
}

void ManagerLoop::EndCheck() {
  if (phase_ != Phase::kChecking) return;
  if (check_.failed) {
    doubted_since_ = {};
    EnsureLater();
    return;
  }
  // An append may still be under way: wait for its outcome, it decides what we hold.
  if (in_flight_) return;
  const bool less = check_.shared && check_.shorter && !check_.other;
  if (less && doubted_since_ == MonoTime{}) doubted_since_ = now_.mono;
  if (less && IsDoubtful()) {
    Unready(check_.mismatch + ", which may come from a server that has not all of it yet");
    retry_at_ = now_.mono + kRetryAfterMax;
    return;
  }
  if (!check_.mismatch.empty()) {
    out_.Error("the log is not the one this view was built from (" + check_.mismatch +
               "); the view is rebuilt from the log as it stands");
    if (loaded_) {
      foreign_snapshot_ = std::max(foreign_snapshot_, loaded_->manifest.decided_at);
      GiveUpSnapshot(*std::exchange(loaded_, std::nullopt), "it is of another log");
      return;
    }
    NoteLoss(check_.mismatch);
    ForgetView();
  }
  if (view_.valid_seq == 0 || IsTrimmedAhead()) {
    if (BeginLoad()) return;
    manifest_wanted_.reset();
    if (IsTrimmedAhead()) {
      Unready(
          "the log was trimmed behind what this manager knows, and no snapshot of it is there; "
          "restore all of its streams from one backup, or remove them, and the workers will tell "
          "what they run");
      retry_at_ = now_.mono + kRetryAfterMax;
      return;
    }
    ForgetAll();  // also what is left of a snapshot that was not read to its end
  }
  loaded_.reset();
  manifest_wanted_.reset();
  unready_reason_.clear();
  check_.ends.sure = !check_.shared || (doubted_since_ != MonoTime{} && !IsDoubtful());
  phase_ = Phase::kFollowing;
  reader_.Open(view_, check_.ends, out_);
}

// What is missing may still come.
bool ManagerLoop::IsDoubtful() const { return check_.asked_at - doubted_since_ < kReplicaLagMax; }

// The store too.
void ManagerLoop::ForgetAll() {
  ForgetView();
  out_.Commit(records_.Clear(cluster_));
}

// The store keeps it: it may be the last copy of what a log that was trimmed does not have.
void ManagerLoop::ForgetView() {
  const std::uint64_t foreign = view_.foreign_messages;
  // A log that was made anew is of the same cluster: containers bear its name.
  if (view_.term_start) cluster_ = view_.term_start->cluster;
  view_ = View{};
  known_ = {};
  view_.foreign_messages = foreign;
  complete_ = false;
  planner_.ForgetView();
  verify_.OnOtherView();
  MarkSaved();
}

}  // namespace cube::manager
