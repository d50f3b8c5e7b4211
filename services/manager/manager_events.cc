// What the manager's loop does with each event of the bus.
#include <algorithm>

#include "services/manager/manager_loop.h"
#include "shared/bus/reply.h"
#include "shared/bus/server_version.h"
#include "shared/wire/codec.h"

namespace cube::manager {
namespace {

constexpr bus::SubId kHeartbeatSub = 1'000'001;  // readers count from 1
constexpr bus::SubId kQuerySub = 1'000'002;
constexpr bus::SubId kMetricsSub = 1'000'003;
constexpr bus::SubId kVerifySub = 1'000'004;
constexpr std::string_view kQueryGroup = "managers";
// Heartbeats in a row that show an old position before the set is told again.
constexpr std::uint32_t kLaggingBeats = 2;

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};

}  // namespace

void ManagerLoop::OnEvent(const bus::Event& event) {
  std::visit(Overloaded{
                 [this](const bus::Connected& e) { OnConnected(e); },
                 [this](const bus::Disconnected& e) { OnDisconnected(e); },
                 [this](const bus::Closed& e) {
                   out_.Exit(1, "the connection to NATS has ended: " + e.error.Text());
                 },
                 [this](const bus::Appended& e) {
                   if (!lease_.OnAppended(e) && !retention_.OnAppended(e, next_op_, out_)) {
                     OnAppended(e);
                   }
                 },
                 [this](const bus::AppendFailed& e) { OnAppendFailed(e); },
                 [this](const bus::Message& e) { OnMessage(e); },
                 [this](const bus::Read& e) {
                   if (!retention_.OnRead(e, now_, out_) && !OnLoadRead(e)) reader_.OnRead(e);
                 },
                 [this](const bus::ReadFailed& e) {
                   if (retention_.OnReadFailed(e, now_, out_)) return;
                   if (snapshot_.OnReadFailed(e) == SnapshotReader::Progress::kBroken) {
                     GiveUpSnapshot(snapshot_.stored(), snapshot_.why());
                     return;
                   }
                   if (!reader_.Reads(e.reader)) return;  // one that was closed since
                   // The streams are looked at again: made anew, or found to have gone backwards.
                   out_.Error("cannot read on: " + e.error.Text());
                   if (phase_ >= Phase::kChecking) EnsureLater();
                 },
                 [this](const bus::Got& e) {
                   if (!lease_.OnGot(e) && !retention_.OnGot(e)) OnGot(e);
                 },
                 [this](const bus::GotState& e) {
                   if (!retention_.OnState(e)) OnState(e);
                 },
                 [this](const bus::Done& e) { retention_.OnDone(e); },
                 [this](const bus::StreamsReady& e) {
                   if (e.op != ensure_op_ || phase_ != Phase::kEnsuring) return;
                   BeginCheck();
                 },
                 [](const bus::Replied&) {},  // this loop sends no requests
                 [this](const bus::OpFailed& e) { OnOpFailed(e); },
             },
             event);
}

void ManagerLoop::OnConnected(const bus::Connected& connected) {
  out_.Info("connected to NATS " + connected.server_version);
  if (options_.limits.replicas > 1 && bus::IsOlder(connected.server_version, bus::kReplicasSince)) {
    out_.Warn(
        "this NATS server is older than 2.10.23: a cluster of such servers can lose what it "
        "has acknowledged, whatever --replicas says; update the servers");
  }
  Subscribe();
  phase_ = Phase::kEnsuring;
  Ensure();
}

void ManagerLoop::Ensure() {
  ensure_op_ = next_op_++;
  out_.Bus(bus::EnsureStreams{ensure_op_, options_.subjects.Streams(options_.limits)});
}

void ManagerLoop::EnsureLater() {
  phase_ = Phase::kEnsuring;
  ensure_op_ = 0;
  retry_at_ = now_.mono + kRetryAfter;
}

// Said once, however often it is tried.
void ManagerLoop::Unready(std::string reason) {
  if (reason != unready_reason_) out_.Warn("the streams are not ready, tried on: " + reason);
  unready_reason_ = std::move(reason);
  EnsureLater();
}

void ManagerLoop::OnDisconnected(const bus::Disconnected& disconnected) {
  out_.Warn("disconnected from NATS: " + disconnected.reason);
  // The outcome of an append under way comes, or times out, as an event of its own.
  phase_ = Phase::kOffline;
  complete_ = false;    // the log may come back as another one
  doubted_since_ = {};  // another server may answer next
  EndTerm();
  lease_.OnDisconnected();
  retention_.Stop(out_);
  snapshot_.Close(out_);
  snapshot_read_ = false;
}

void ManagerLoop::OnOpFailed(const bus::OpFailed& failed) {
  if (lease_.OnOpFailed(failed) || retention_.OnOpFailed(failed, now_, out_)) return;
  if (failed.op == ensure_op_ && phase_ == Phase::kEnsuring) {
    if (failed.error.code == Code::kPrecondition || failed.error.code == Code::kPermission) {
      out_.Exit(1, failed.error.Text());
      return;
    }
    Unready(failed.error.Text());
    return;
  }
  if (failed.op == snapshot_op_ && phase_ == Phase::kLoading) {
    EnsureLater();
    return;
  }
  if (failed.op == tail_op_) {
    tail_op_ = 0;
    retry_at_ = now_.mono + kRetryAfter;
    return;
  }
  if (claim_ && claim_->Asked(failed.op)) claim_.reset();  // the next heartbeat claims it again
  if (check_.pending.contains(failed.op)) {
    check_.failed = true;
    check_.pending.erase(failed.op);
    if (check_.pending.empty()) EndCheck();
  }
}

void ManagerLoop::OnAppendFailed(const bus::AppendFailed& failed) {
  if (lease_.OnAppendFailed(failed, next_op_, out_)) return;
  if (retention_.OnAppendFailed(failed, now_, out_)) return;
  if (!in_flight_ || in_flight_->op != failed.op) return;  // a page of a set: asked for again
  if (failed.error.code == Code::kResource) {
    retention_.OnFull();
  } else {
    caught_up_ = false;  // perhaps another one has written
  }
  Reload("the decisions were not appended: " + failed.error.Text());
  // What the log holds now is read before anything is said again; phases in between begin anew.
  if (phase_ == Phase::kChecking) BeginCheck();
}

void ManagerLoop::Subscribe() {
  if (subscribed_) return;  // subscriptions survive reconnects
  subscribed_ = true;
  out_.Bus(bus::Subscribe{kHeartbeatSub, options_.subjects.HeartbeatAll(), ""});
  out_.Bus(bus::Subscribe{kMetricsSub, options_.subjects.MetricsAll(), ""});
  out_.Bus(bus::Subscribe{kVerifySub, options_.subjects.VerifyManagers(), ""});
  out_.Bus(bus::Subscribe{kQuerySub, options_.subjects.QueryAll(), std::string(kQueryGroup)});
}

void ManagerLoop::OnMessage(const bus::Message& message) {
  if (message.subscription == kHeartbeatSub) {
    if (leading()) {
      OnHeartbeat(message);
    } else if (wire::Subjects::LastToken(message.subject) == kLeaderHeartbeat) {
      if (const auto beat = wire::DecodeHeartbeat(message.payload)) {
        log_end_ = std::max(log_end_, beat->position);
        if (phase_ != Phase::kFollowing) return;
        CompareWithLeader(*beat);
        // It has read to an end before what the log had acknowledged to us.
        const bool less = beat->position < known_.seq && beat->position <= view_.decision_seq;
        if (KnowsMore() && less) BeginCheck();
      }
    }
    return;
  }
  if (message.subscription == kMetricsSub) {
    if (leading()) {
      loads_.OnMetrics(view_, wire::Subjects::LastToken(message.subject), message.payload,
                       now_.mono);
    }
    return;
  }
  if (message.subscription == kVerifySub) {
    verify_.OnRequest(message, leading(), now_.mono, out_);
    return;
  }
  if (message.subscription != kQuerySub || !bus::SafeReplySubject(message.reply_to)) return;
  // A request is a core message: who gets no answer asks again, or another manager.
  if (queries_.size() >= kQueriesWaitingMax) return;
  queries_.push_back(
      {message.reply_to,
       Question(std::string(wire::Subjects::LastToken(message.subject)), message.payload),
       now_.mono + kQueryWaitMax});
}

// The leader goes on from a decision that was read here, and skipped: one of the two has read
// another log, and who leads has written to it.
void ManagerLoop::CompareWithLeader(const Heartbeat& beat) {
  const bool skipped = view_.valid_seq < beat.position && beat.position <= view_.decision_seq;
  if (!skipped || beat.term.epoch < view_.term.epoch || read_anew_from_ == view_.valid_seq) return;
  read_anew_from_ = view_.valid_seq;  // once: the same log would be read as it was
  out_.Error("the leader goes on from decision " + std::to_string(beat.position) +
             ", which was skipped here: the view is built anew from the log");
  ForgetView();
  BeginCheck();
}

void ManagerLoop::OnHeartbeat(const bus::Message& message) {
  const Result<Heartbeat> beat = wire::DecodeHeartbeat(message.payload);
  if (!beat || beat->node != wire::Subjects::LastToken(message.subject)) return;
  if (beat->node == kLeaderHeartbeat) {
    if (beat->instance == instance_) liveness_.OnEcho(view_);
    return;
  }
  const bool claims = !WhyAhead(*beat).empty() || HasStoredMore(*beat);
  const bool counts = liveness_.OnHeartbeat(view_, *beat, claims);
  if (claims) {
    Claim(*beat);
    return;
  }
  if (!counts) {
    AnswerDisplaced(*beat);
    return;
  }
  const NodeName name = NodeName::Trusted(beat->node);
  const Node& node = view_.nodes.at(name);
  // Compared with what it had been told a heartbeat ago: the newest copy may have crossed this one.
  Lag& lag = lags_[name];
  const bool behind = beat->incarnation != node.incarnation || beat->position < lag.expected ||
                      beat->position > view_.valid_seq;
  // One that steps forward only has much to do; it would notice a copy that is missing itself.
  const bool stands = behind && beat->position == lag.position;
  lag.expected = teller_.ToldTo(node);
  lag.position = beat->position;
  lag.behind = stands ? lag.behind + 1 : 0;
  if (!behind) lag.set_wait = kSetIntervalMin;
  // A position that the log has not reached comes from a log that lost its end: worth nothing.
  const bool known = beat->incarnation == node.incarnation && beat->position <= view_.valid_seq;
  const std::uint64_t position = known ? beat->position : 0;
  const bool set_due = lag.behind >= kLaggingBeats && now_.mono >= lag.set_at;
  if (!beat->hello && !set_due) return;
  hellos_[name] = position;
  if (set_due) {
    lag.set_at = now_.mono + lag.set_wait;
    lag.set_wait = std::min(2 * lag.set_wait, kSetIntervalMax);
  }
  lag.behind = 0;
}

void ManagerLoop::AskToJoin(const Heartbeat& beat) {
  const NodeName name = NodeName::Trusted(beat.node);
  const auto it = view_.nodes.find(name);
  if (it != view_.nodes.end() && it->second.joining_instance == beat.instance) return;
  if (join_asked_.size() >= kJoinAskedMax) join_asked_.clear();  // asked a little more often
  MonoTime& next = join_asked_[name];
  if (now_.mono < next) return;
  next = now_.mono + kJoinAgainInterval;
  teller_.AskToJoin(view_, name, beat.instance, out_);
}

// Nothing that is told to the node concerns it any more, and it would beat on and run on for ever.
void ManagerLoop::AnswerDisplaced(const Heartbeat& beat) {
  const auto it = view_.nodes.find(NodeName::Trusted(beat.node));
  // One that was a node, and the log has lost it or asks all anew.
  if (beat.incarnation > 0 && (it == view_.nodes.end() || it->second.instance == 0)) {
    AskToJoin(beat);
    return;
  }
  if (it == view_.nodes.end()) return;
  const Node& node = it->second;
  // An incarnation that was never given comes from a log that lost its end: not for us to judge.
  // One that asks to join is answered by a decision.
  if (beat.incarnation == 0 || beat.incarnation >= node.incarnation ||
      beat.instance == node.instance || beat.instance == node.joining_instance) {
    return;
  }
  const Duration wait = node.down ? kDisplacedPatience : kDisplacedInterval;
  const auto [tell_at, is_new] =
      displaced_.try_emplace(node.name, node.down ? now_.mono + wait : now_.mono);
  if (now_.mono < tell_at->second) return;
  tell_at->second = now_.mono + wait;
  teller_.Refuse(view_, node.name, beat.instance,
                 "the name '" + node.name.str() + "' was given to another worker" +
                     (node.down ? ", which is down now: start this one again to take it back" : ""),
                 out_);
}

}  // namespace cube::manager
