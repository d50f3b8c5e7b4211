#include "services/manager/manager_loop.h"

#include <algorithm>

#include "shared/base/base32.h"
#include "shared/wire/codec.h"

namespace cube::manager {
namespace {

constexpr int kClusterNameDigits = 13;
constexpr bus::SubId kSnapshotReader = 2'000'000;
// A wall clock further ahead of the cluster's time than this is worth a line in the log.
constexpr Duration kClockJumpNotice = std::chrono::minutes(10);

std::string Summary(const DecisionBatch& batch) {
  std::size_t starts = 0;
  std::size_t stops = 0;
  std::size_t others = 0;
  for (const DecisionItem& item : batch.items) {
    if (std::holds_alternative<StartAttempt>(item)) {
      ++starts;
    } else if (std::holds_alternative<StopAttempt>(item) ||
               std::holds_alternative<EvictAttempt>(item)) {
      ++stops;
    } else {
      ++others;
    }
  }
  std::string text =
      "epoch " + std::to_string(batch.term.epoch) + " cycle " + std::to_string(batch.cycle) + ":";
  if (batch.term_start) text += " new term of " + batch.term_start->manager + ",";
  text += " " + std::to_string(starts) + " started, " + std::to_string(stops) + " stopped, " +
          std::to_string(others) + " other";
  return text;
}

}  // namespace

Result<std::unique_ptr<ManagerLoop>> ManagerLoop::Make(ManagerOptions options, Loader loader) {
  CUBE_TRY(Planner planner, Planner::Make(options.settings, options.decision_items_max));
  ViewRecords records;
  CUBE_TRY(View view, loader(records));
  std::unique_ptr<ManagerLoop> loop(
      new ManagerLoop(std::move(options), std::move(planner), std::move(loader)));
  loop->records_ = std::move(records);
  loop->cluster_ = loop->records_.cluster();
  loop->view_ = std::move(view);
  loop->epoch_floor_ = loop->view_.term.epoch;
  loop->MarkSaved();
  return loop;
}

ManagerLoop::ManagerLoop(ManagerOptions options, Planner planner, Loader loader)
    : options_(std::move(options)),
      planner_(std::move(planner)),
      loader_(std::move(loader)),
      random_(options_.seed),
      snapshot_(options_.subjects, kSnapshotReader),
      reader_(options_.subjects, options_.ahead),
      lease_(options_.subjects, options_.owner, options_.limits.lease),
      retention_(options_.subjects, options_.name, options_.retention),
      teller_(options_.subjects) {
  instance_ = random_.Next();
  verify_.SetName(options_.name, instance_);
}

std::vector<Operation> ManagerLoop::Step(std::span<const Input> inputs, Now now, bool more) {
  now_ = now;
  if (cluster_base_ == WallTime{} && IsSet(view_.decided_at)) SetClusterTime(view_.decided_at);
  if (snapshot_read_) FinishLoad();
  for (const Input& input : inputs) {
    if (input.event) OnEvent(*input.event);
    if (input.rows) retention_.OnRows(*input.rows, now_, next_op_, out_);
  }
  if (!more && leading()) {
    std::string notice;
    liveness_.OnDrained(view_, now_.mono, notice);
    if (!notice.empty()) out_.Warn(notice);
  }
  Advance();
  if (in_flight_ || (leading() && reader_.HasBacklog())) {
    teller_.ReleaseDue(now_.mono, out_);
  } else {
    teller_.Release(out_);  // nothing follows that they could wait for, or not soon
  }
  return out_.Take();
}

std::vector<Operation> ManagerLoop::Shutdown() {
  teller_.Release(out_);
  if (lease_.Held(now_.mono)) lease_.Release(next_op_, out_);
  if (!in_flight_ && save_at_ != MonoTime::max()) Save();
  return out_.Take();
}

MonoTime ManagerLoop::NextDeadline() const {
  MonoTime next = MonoTime::max();
  if (phase_ == Phase::kEnsuring && ensure_op_ == 0) next = retry_at_;
  if (snapshot_read_) return now_.mono;
  if (phase_ == Phase::kFollowing || phase_ == Phase::kLeading) {
    next = lease_.NextDeadline();
    if (retry_at_ > now_.mono) next = std::min(next, retry_at_);
    if (KeepsLog()) next = std::min(next, retention_.NextDeadline());
  }
  if (phase_ == Phase::kFollowing && follow_left_) return now_.mono;
  if (phase_ == Phase::kFollowing && stuck_since_ != MonoTime{}) {
    next = std::min(next, stuck_since_ + kBasisWaitMax);
  }
  if (phase_ == Phase::kLeading) {
    next = std::min(next, next_beat_);
    if (claim_ && !in_flight_) next = std::min(next, claim_->AskAgainAt());
    if (!in_flight_) next = std::min(next, loads_.NextDeadline());
    if (reader_.HasFacts() && !in_flight_) next = std::min(next, FactsDueAt());
  }
  if (!in_flight_) {  // they are answered between cycles
    if (queries_left_ || (leading() && !hellos_.empty())) return now_.mono;
    for (const WaitingQuery& query : queries_) next = std::min(next, query.deadline);
    next = std::min({next, verify_.NextDeadline(now_.mono), save_at_});
  }
  return std::min(next, teller_.ReleaseAt());
}

void ManagerLoop::Advance() {
  if (phase_ == Phase::kEnsuring && ensure_op_ == 0 && now_.mono >= retry_at_) Ensure();
  if (phase_ == Phase::kFollowing || phase_ == Phase::kLeading) {
    lease_.Step(now_.mono, epoch_floor_, next_op_, out_);
  }
  if (phase_ == Phase::kFollowing) {
    Follow();
  }
  if (phase_ == Phase::kFollowing) {  // or it has begun another check
    if (view_.decision_seq >= std::max(check_.ends.decisions, known_.seq)) complete_ = true;
    if (view_.decision_seq >= log_end_) doubted_since_ = {};
  }
  if (phase_ == Phase::kFollowing) {
    MaybeTakeOver();
  }
  // Before the next cycle, which under load follows at once: between folding and the log's
  // acknowledgement the view is ahead of the log.
  if (!in_flight_) {
    SaveIfDue();
    AnswerWaiting();
  }
  if (phase_ == Phase::kLeading) Lead();
  StepRetention();
  LogForeign();
}

// Also between terms: while a stream is full no term begins.
bool ManagerLoop::KeepsLog() const {
  return caught_up_ && (phase_ == Phase::kFollowing || phase_ == Phase::kLeading) &&
         lease_.Held(now_.mono);
}

void ManagerLoop::StepRetention() {
  if (!KeepsLog()) {
    retention_.Stop(out_);
    return;
  }
  // A snapshot is of what was saved: it waits for the end of the cycle, and the save behind it.
  if (retention_.IsAboutToAct() && save_at_ != MonoTime::max()) return;
  retention_.Step(saved_, now_, random_, next_op_, out_);
}

void ManagerLoop::Follow() {
  std::vector<FoldedIntents> folded;
  const std::uint64_t valid = view_.valid_seq;
  const std::size_t count = reader_.Follow(view_, kFollowPerStep, folded, out_);
  follow_left_ = count == kFollowPerStep;
  if (count == 0) {
    if (!reader_.HasDecisions()) {
      stuck_since_ = {};
    } else if (stuck_since_ == MonoTime{}) {
      stuck_since_ = now_.mono;
    } else if (now_.mono - stuck_since_ >= kBasisWaitMax) {
      out_.Warn("a decision waits for intents or facts that do not come; looking at the log anew");
      if (doubted_since_ == MonoTime{}) doubted_since_ = stuck_since_;
      stuck_since_ = {};
      BeginCheck();
    }
    return;
  }
  stuck_since_ = {};
  if (view_.valid_seq > valid) doubted_since_ = {};
  epoch_floor_ = std::max(epoch_floor_, view_.term.epoch);
  SetClusterTime(view_.decided_at);
  if (view_.reset_epoch > loss_epoch_) loss_.clear();  // one of before the loss says nothing of it
  Changed();
}

void ManagerLoop::MaybeTakeOver() {
  if (!lease_.Held(now_.mono) || now_.mono < retry_at_) {
    tail_seq_.reset();
    return;
  }
  if (!tail_seq_) {
    if (tail_op_ != 0) return;
    tail_op_ = next_op_++;
    out_.Bus(bus::GetState{tail_op_, options_.subjects.DecisionsStream()});
    return;
  }
  if (view_.decision_seq < *tail_seq_) return;  // still reading
  tail_seq_.reset();
  if (known_.seq > view_.decision_seq) {  // and all has been read
    retry_at_ = now_.mono + kRetryAfter;
    BeginCheck();
    return;
  }
  caught_up_ = complete_ = true;
  phase_ = Phase::kLeading;
  const std::uint64_t epoch = std::max({epoch_floor_, view_.term.epoch, lease_.epoch_seen()}) + 1;
  epoch_floor_ = epoch;
  term_ = {epoch, std::max<std::uint64_t>(random_.Next(), 1)};
  // The name is in labels of containers; a log that begins anew keeps it.
  if (view_.term_start) {
    cluster_ = view_.term_start->cluster;
  } else if (!reader_.cluster().empty()) {
    cluster_ = reader_.cluster();
  }
  if (cluster_.empty()) cluster_ = Base32(random_.Next(), kClusterNameDigits);
  if (now_.mono - loss_since_ > kLossRemembered) loss_.clear();
  // And no reset has followed.
  if (!reader_.lost().empty()) NoteLoss(reader_.lost());
  if (std::exchange(foreign_snapshot_, {}) > view_.reset_at) {
    NoteLoss("there is a snapshot of what it does not have");
  }
  term_start_ = TermStart{cluster_, options_.name, kValidationVersion, options_.settings, {}};
  told_ = view_.told;
  planner_.ForgetView();
  teller_.BeginTerm();
  liveness_.Reset();
  loads_.Reset(view_, now_.mono);
  hellos_.clear();
  lags_.clear();
  displaced_.clear();
  join_asked_.clear();
  next_beat_ = now_.mono;
  // Cluster time stood still while nobody led; it never goes back.
  const WallTime known = ClusterNow();
  if (IsSet(view_.decided_at) && now_.wall - known > kClockJumpNotice) {
    out_.Warn("this machine's clock is " + FormatDuration(now_.wall - known) +
              " ahead of the log's last decision; going on from this machine's time");
  }
  SetClusterTime(std::max(known, now_.wall));
  out_.Info("leading: epoch " + std::to_string(epoch) + ", from decision " +
            std::to_string(view_.decision_seq));
}

void ManagerLoop::Lead() {
  Beat();
  if (in_flight_) return;
  JudgeClaim();
  if (!loss_.empty() && !term_start_) {  // only the first message of a term can say it
    StandDown("the log has lost messages: " + loss_);
    return;
  }
  if (!lease_.Held(now_.mono)) {
    StandDown("the lease was not renewed in time");
    return;
  }
  if (reader_.DropDecisions(view_.decision_seq, out_)) {
    StandDown("another manager has written");
    return;
  }
  RunCycle();
}

MonoTime ManagerLoop::FactsDueAt() const {
  return facts_paid_until_ - (kFactsAtOnce - 1) * kFactsInterval;
}

bool ManagerLoop::RunCycle() {
  // Facts may free room or let a node in: who waits for that should not wait for more facts.
  const bool awaited = !view_.pending.empty() || !view_.pinned.empty() ||
                       !view_.stops_due.empty() || !view_.jobs_due.empty();
  std::vector<FoldedIntents> intents;
  const Position intents_before = view_.intents;
  const Position facts_before = view_.facts;
  reader_.TakeIntents(view_, intents, out_);
  const bool intents_folded = view_.intents != intents_before;
  if (awaited || intents_folded) {
    reader_.TakeFacts(view_, out_);
  } else if (reader_.HasFacts() && now_.mono >= FactsDueAt()) {
    reader_.TakeFacts(view_, out_);
    facts_paid_until_ = std::max(facts_paid_until_, now_.mono) + kFactsInterval;
  }
  const bool folded = intents_folded || view_.facts != facts_before;
  Verdicts verdicts = liveness_.Judge(view_);
  verdicts.loads = loads_.Due(view_, now_.mono);
  // A reset changes what is known of every node: only then can anything be decided.
  std::vector<DecisionItem> items;
  const bool resets = term_start_ && !loss_.empty();
  if (!resets) items = planner_.Decide(view_, verdicts, ClusterNow());
  if (!folded && items.empty() && !term_start_) return false;
  SendCycle(std::move(intents), std::move(items));
  return true;
}

void ManagerLoop::SendCycle(std::vector<FoldedIntents> intents, std::vector<DecisionItem> items) {
  DecisionBatch batch;
  batch.term = term_start_ ? term_ : view_.term;
  batch.cycle = term_start_ ? 1 : view_.stamp.cycle + 1;
  batch.prev = view_.stamp;
  batch.intents = view_.intents;
  batch.facts = view_.facts;
  batch.decided_at = ClusterNow();
  batch.told = told_;
  if (term_start_ && !loss_.empty()) {
    term_start_->reset = loss_;
    out_.Error("the log has lost messages (" + loss_ +
               "): every worker tells anew what it has, and nothing is placed until then");
  }
  batch.term_start = std::exchange(term_start_, std::nullopt);
  batch.items = std::move(items);

  const bool more = (!batch.items.empty() && planner_.cut_off()) || reader_.HasBacklog();
  bus::AppendRequest request;
  request.op = next_op_++;
  request.subject = options_.subjects.Decisions();
  request.headers[std::string(wire::kHeaderSummary)] = Summary(batch);
  request.payload = wire::EncodeDecisions(batch);
  request.expected_last_seq = view_.decision_seq;
  request.timeout = kAppendTimeout;
  in_flight_ = InFlight{request.op, std::move(batch), std::move(intents), more};
  out_.Bus(bus::Append{std::move(request)});
}

void ManagerLoop::OnAppended(const bus::Appended& done) {
  if (!in_flight_ || in_flight_->op != done.op) return;
  const InFlight sent = std::move(*in_flight_);
  in_flight_.reset();
  retry_after_ = kRetryAfter;
  retention_.OnRoom();
  ++cycles_;
  decisions_ += sent.batch.items.size();
  const Teller::Before before = Teller::Remember(view_, sent.batch);
  FoldDecisions(view_, done.seq, sent.batch);
  if (sent.batch.term_start && !sent.batch.term_start->reset.empty()) {
    loss_.clear();
    reader_.OnReset();
  }
  teller_.TellNodes(view_, sent.batch, before, sent.more, now_.mono, next_op_, out_);
  teller_.TellOutcomes(sent.intents, out_);
  teller_.TellFeed(view_, now_.mono, out_);
  told_ = view_.stamp;
  Changed();
  // What a check has asked for was compared with the position before.
  if (phase_ == Phase::kChecking) BeginCheck();
}

void ManagerLoop::StandDown(const std::string& why) {
  out_.Info("not leading any more: " + why);
  caught_up_ = false;
  phase_ = Phase::kFollowing;
  EndTerm();
}

// What was asked, or seen, as the leader counts no more.
void ManagerLoop::EndTerm() {
  term_start_.reset();
  tail_op_ = 0;
  tail_seq_.reset();
  claim_.reset();
}

void ManagerLoop::Reload(const std::string& why) {
  out_.Warn("reading the log again from the last commit: " + why);
  in_flight_.reset();
  EndTerm();
  const std::uint64_t foreign = view_.foreign_messages;
  Result<View> view = loader_(records_);
  if (!view) {
    out_.Exit(1, "the view cannot be read back: " + view.error().Text());
    return;
  }
  // What the log has acknowledged since is read again, or it has lost that.
  known_ = Newest();
  log_end_ = std::max(log_end_, view_.decision_seq);
  complete_ = false;
  view_ = std::move(*view);
  view_.foreign_messages = foreign;
  planner_.ForgetView();
  verify_.OnOtherView();
  MarkSaved();
  retry_at_ = now_.mono + retry_after_;
  retry_after_ = std::min(retry_after_ * 2, kRetryAfterMax);
  if (phase_ != Phase::kFollowing && phase_ != Phase::kLeading) return;
  phase_ = Phase::kFollowing;
  reader_.Open(view_, check_.ends, out_);
}

void ManagerLoop::Changed() {
  if (save_at_ == MonoTime::max()) save_at_ = now_.mono + kSaveAfter;
}

// Only while the view is as of a decision: what is folded for the next one is not the log's yet.
void ManagerLoop::SaveIfDue() {
  if (save_at_ == MonoTime::max()) return;
  const bool much = view_.dirty_tasks.size() >= kSaveChangesMax;
  const bool wanted = verify_.IsAsked() || retention_.IsAboutToAct();
  if (now_.mono >= save_at_ || much || wanted) Save();
}

void ManagerLoop::Save() {
  verify_.BeforeSave(view_);
  out_.Commit(records_.Save(view_));
  MarkSaved();
}

void ManagerLoop::MarkSaved() {
  saved_.cover = {view_.intents, view_.facts, view_.valid_seq, view_.stamp};
  saved_.decided_at = view_.decided_at;
  saved_.read = reader_.bytes();
  saved_.cluster = view_.term_start ? view_.term_start->cluster : std::string();
  save_at_ = MonoTime::max();
}

void ManagerLoop::AnswerQueries() {
  const std::uint64_t behind = log_end_ > view_.decision_seq ? log_end_ - view_.decision_seq : 0;
  const Answerer answerer{options_.name, leading(), leading() ? 0 : behind, !complete_};
  std::size_t work = kQueryWorkMax;
  std::deque<WaitingQuery> waiting;  // for their intent
  std::deque<WaitingQuery> begun;
  while (!queries_.empty() && work > 0) {
    WaitingQuery query = std::move(queries_.front());
    queries_.pop_front();
    const bool early = !complete_ || query.question.min_intent() > view_.intents.seq;
    if (early && now_.mono < query.deadline) {
      waiting.push_back(std::move(query));
    } else if (auto reply = query.question.Answer(view_, planner_, answerer, work)) {
      out_.Bus(bus::Publish{std::move(query.reply_to), {}, std::move(*reply)});
    } else {
      begun.push_back(std::move(query));
    }
  }
  queries_left_ = !queries_.empty() || !begun.empty();
  // One that takes long lets the others go first.
  for (std::deque<WaitingQuery>* rest : {&begun, &waiting}) {
    std::move(rest->begin(), rest->end(), std::back_inserter(queries_));
  }
}

// What is asked for is as of what is saved: the digest counts a record again when it is.
bool ManagerLoop::IsAtCommit() const {
  return saved_.cover.decision == view_.valid_seq && saved_.cover.intents == view_.intents &&
         saved_.cover.facts == view_.facts;
}

void ManagerLoop::AnswerWaiting() {
  AnswerQueries();
  verify_.Step(view_, {IsAtCommit(), complete_, leading()}, now_.mono, out_);
  if (leading()) AnswerHellos();
}

// After a take-over all nodes say hello at once, and each may need its whole set.
void ManagerLoop::AnswerHellos() {
  std::size_t told = 0;
  while (!hellos_.empty() && told < kSetAssignmentsPerStep) {
    auto next = hellos_.upper_bound(hello_after_);  // in turn, however often some of them ask
    if (next == hellos_.end()) next = hellos_.begin();
    const auto [name, position] = *next;
    hellos_.erase(next);
    hello_after_ = name;
    const auto it = view_.nodes.find(name);
    if (it == view_.nodes.end() || it->second.down) continue;
    if (teller_.AnswerHello(view_, it->second, position, next_op_, out_)) {
      told += it->second.attempts.size() + 1;
    }
  }
}

void ManagerLoop::Beat() {
  if (now_.mono < next_beat_) return;
  next_beat_ = now_.mono + HeartbeatInterval(static_cast<std::uint32_t>(view_.nodes.size()));
  Heartbeat beat;
  beat.node = kLeaderHeartbeat;
  beat.instance = instance_;
  beat.number = ++beats_;
  beat.term = view_.term;
  beat.position = view_.valid_seq;
  beat.sent_at = now_.wall;
  beat.nodes = static_cast<std::uint32_t>(view_.nodes.size());
  out_.Bus(
      bus::Publish{options_.subjects.Heartbeat(kLeaderHeartbeat), {}, wire::EncodeHeartbeat(beat)});
}

void ManagerLoop::LogForeign() {
  // Not while more of them may follow at once.
  if (view_.foreign_messages == foreign_logged_ || follow_left_) return;
  foreign_logged_ = view_.foreign_messages;
  out_.Warn("decision messages that do not belong to the log, skipped so far: " +
            std::to_string(foreign_logged_));
}

WallTime ManagerLoop::ClusterNow() const {
  if (cluster_base_ == WallTime{}) return now_.wall;
  return cluster_base_ + (now_.mono - cluster_mono_);
}

void ManagerLoop::SetClusterTime(WallTime at) {
  cluster_base_ = at;
  cluster_mono_ = now_.mono;
}

}  // namespace cube::manager
