#include "shared/bus/nats_core.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <random>
#include <utility>

#include "shared/bus/nats_json.h"
#include "shared/bus/reply.h"

namespace cube::bus {
namespace {

// More un-acknowledged appends than this gain nothing and only cost memory (measured: a window of
// 1,024 is the fastest).
constexpr std::size_t kAppendsInFlightMax = 65'536;
constexpr std::size_t kRequestsInFlightMax = 65'536;
// A direct get that has no answer by then is asked for the slower way: far above what one takes.
constexpr Duration kDirectGetWait = std::chrono::seconds(1);

std::uint64_t Seed() {
  std::random_device device;
  return (static_cast<std::uint64_t>(device()) << 32) | device();
}

std::string RandomToken(Random& random) {
  return fmt::format("{:016x}{:016x}", random.Next() ^ Seed(), random.Next() ^ Seed());
}

Error NotConnected(std::string_view what) {
  return Error{Code::kUnavailable, fmt::format("{}: not connected to NATS", what), {}};
}

}  // namespace

NatsCore::NatsCore(NatsBusOptions options, Sink sink)
    : options_(std::move(options)), sink_(std::move(sink)), random_(Seed()) {
  inbox_ = fmt::format("{}.{}.", options_.inbox_prefix, RandomToken(random_));
}

NatsCore::Locked::~Locked() {
  std::vector<Outgoing> outbox;
  outbox.swap(core_.outbox_);
  if (outbox.empty()) return;
  const std::array<std::shared_ptr<NatsLink>, kRoles> links = core_.links_;
  lock_.unlock();
  for (const Outgoing& out : outbox) {
    const auto& link = links[out.role];
    const Result<void> sent = link ? link->Send(out.subject, out.reply, out.headers, out.payload)
                                   : Result<void>(std::unexpected(NotConnected("sending")));
    if (sent) continue;
    lock_.lock();
    core_.SendFailed(out, sent.error());
    if (sent.error().code == Code::kTimedOut && link && core_.links_[out.role] == link) {
      // Part of a message may have gone out: nothing sent after it would be understood.
      core_.links_[out.role] = nullptr;
      core_.dead_links_.push_back(link);
      core_.GoDown(sent.error().message);
      core_.connect_wake_.notify_one();
    }
    lock_.unlock();
  }
}

void NatsCore::SendFailed(const Outgoing& out, const Error& error) {
  if (out.append != 0) {
    if (auto ended = appends_.Finish(out.append)) {
      Emit(AppendFailed{ended->op, error});
    }
  }
  if (out.request != 0) FinishRequest(out.request, std::unexpected(error));
}

void NatsCore::Emit(Event event) {
  if (sink_) sink_(std::move(event));
}

void NatsCore::FailOp(OpId op, Error error) { Emit(OpFailed{op, std::move(error)}); }

std::uint64_t NatsCore::publishes_refused() {
  const Locked locked(*this);
  return publishes_refused_;
}

// ---- deadlines ------------------------------------------------------------------------------

void NatsCore::Due(MonoTime deadline) {
  if (deadline >= timer_due_) return;
  timer_due_ = deadline;
  timer_wake_.notify_one();
}

MonoTime NatsCore::NextDeadline() const {
  MonoTime next = appends_.next_deadline();
  if (!request_deadlines_.empty()) next = std::min(next, request_deadlines_.begin()->first);
  for (const auto& [id, reader] : readers_) next = std::min(next, reader.deadline());
  return next;
}

void NatsCore::RunTimers(MonoTime now) {
  if (appends_.next_deadline() <= now) {
    const std::string refusal = links_[kControl] ? links_[kControl]->LastRefusal() : std::string();
    for (auto& ended : appends_.TakeExpired(now)) {
      Emit(AppendFailed{
          ended.op,
          Error{Code::kTimedOut,
                fmt::format("append to {}: no acknowledgement in time, it may be "
                            "stored or not: read the stream{}{}",
                            ended.subject, refusal.empty() ? "" : "; the server said: ", refusal),
                {}}});
    }
  }
  while (!request_deadlines_.empty() && request_deadlines_.begin()->first <= now) {
    FinishRequest(request_deadlines_.begin()->second,
                  Fail(Code::kTimedOut, "no answer from NATS in time"));
  }
  std::vector<SubId> due;
  for (const auto& [id, reader] : readers_) {
    if (reader.deadline() <= now) due.push_back(id);
  }
  for (const SubId id : due) {
    ReaderActions actions;
    readers_.at(id).Tick(now, actions);
    Carry(id, std::move(actions));
  }
}

// Wakes at timer_due_ only. What ends before its deadline does not move timer_due_, so that a
// stream of short operations costs one wake-up per timeout, not one each.
void NatsCore::TimerLoop() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const MonoTime now = clock_.now().mono;
    if (now >= timer_due_) {
      lock.unlock();
      {
        const Locked locked(*this);
        RunTimers(now);
        timer_due_ = NextDeadline();
      }
      lock.lock();
    } else if (timer_due_ == MonoTime::max()) {
      timer_wake_.wait(lock);
    } else {
      timer_wake_.wait_until(lock, ToSteady(timer_due_));
    }
  }
  ++threads_done_;
  done_wake_.notify_all();
}

// ---- appending and publishing -----------------------------------------------------------------

std::optional<Error> NatsCore::Unfit(std::string_view what, const std::string& subject,
                                     bool subject_fits, const Headers& headers,
                                     const std::string& payload) const {
  if (!subject_fits) {
    return Error{
        Code::kInvalid, fmt::format("{}: '{}' is not a subject to send to", what, subject), {}};
  }
  const std::size_t bytes = ContentBytes(headers, payload);
  if (max_payload_ > 0 && bytes > static_cast<std::size_t>(max_payload_)) {
    return Error{Code::kResource,
                 fmt::format("{} to {}: {} bytes, the server takes at most {} in a message", what,
                             subject, bytes, max_payload_),
                 {}};
  }
  return std::nullopt;
}

void NatsCore::Append(AppendRequest request) {
  const Locked locked(*this);
  if (auto error = Unfit("append", request.subject, AppendableSubject(request.subject),
                         request.headers, request.payload)) {
    Emit(AppendFailed{request.op, std::move(*error)});
    return;
  }
  if (!up_) {
    Emit(AppendFailed{request.op, NotConnected(fmt::format("append to {}", request.subject))});
    return;
  }
  if (appends_.size() >= kAppendsInFlightMax) {
    Emit(AppendFailed{request.op,
                      Error{Code::kUnavailable,
                            fmt::format("append to {}: {} are in flight; wait for acknowledgements",
                                        request.subject, kAppendsInFlightMax),
                            {}}});
    return;
  }
  Outgoing out;
  out.headers = std::move(request.headers);
  if (request.expected_last_seq) {
    out.headers["Nats-Expected-Last-Sequence"] = std::to_string(*request.expected_last_seq);
  }
  if (request.expected_last_subject_seq) {
    out.headers["Nats-Expected-Last-Subject-Sequence"] =
        std::to_string(*request.expected_last_subject_seq);
  }
  out.append = appends_.Add(request.op, request.subject, clock_.now().mono + request.timeout);
  out.reply = fmt::format("{}a.{}", inbox_, out.append);
  out.subject = std::move(request.subject);
  out.payload = std::move(request.payload);
  outbox_.push_back(std::move(out));
  Due(appends_.next_deadline());
}

void NatsCore::OnAck(std::uint64_t token, natsMsg* message) {
  const bool nobody = NoResponders(message);
  const Locked locked(*this);
  const auto ended = appends_.Finish(token);
  if (!ended) return;  // ended by its deadline, or with an older connection
  if (nobody) {
    Emit(AppendFailed{ended->op, Error{Code::kNotFound,
                                       fmt::format("append to {}: no stream takes this subject (or "
                                                   "the server runs without JetStream)",
                                                   ended->subject),
                                       {}}});
    return;
  }
  Result<PubAck> ack = ParsePubAck(PayloadOf(message), ended->subject);
  if (ack) {
    Emit(Appended{ended->op, std::move(ack->stream), ack->seq, ack->duplicate});
  } else {
    Emit(AppendFailed{ended->op, std::move(ack).error()});
  }
}

void NatsCore::Publish(std::string subject, Headers headers, std::string payload) {
  const Locked locked(*this);
  if (Unfit("publish", subject, PublishableSubject(subject), headers, payload)) {
    ++publishes_refused_;
    return;
  }
  if (!up_) return;
  outbox_.push_back({kControl, std::move(subject), {}, std::move(headers), std::move(payload)});
}

void NatsCore::PublishWithReply(std::string subject, std::string reply_to, std::string payload) {
  const Locked locked(*this);
  const bool fit = PublishableSubject(subject) && SafeReplySubject(reply_to);
  if (Unfit("publish", subject, fit, {}, payload)) {
    ++publishes_refused_;
    return;
  }
  if (!up_) return;
  outbox_.push_back({kControl, std::move(subject), std::move(reply_to), {}, std::move(payload)});
}

// ---- requests -----------------------------------------------------------------------------------

void NatsCore::Ask(std::string subject, Headers headers, std::string payload, Duration timeout,
                   Code if_lost, OnAnswer done) {
  if (!up_) {
    done(std::unexpected(NotConnected("request")));
    return;
  }
  if (requests_.size() >= kRequestsInFlightMax) {
    done(Fail(Code::kUnavailable,
              fmt::format("request: {} are in flight; wait for answers", kRequestsInFlightMax)));
    return;
  }
  const std::uint64_t token = ++request_last_;
  const MonoTime deadline = clock_.now().mono + timeout;
  requests_.emplace(token, PendingRequest{deadline, if_lost, std::move(done)});
  request_deadlines_.emplace(deadline, token);
  Outgoing out;
  out.subject = std::move(subject);
  out.reply = fmt::format("{}q.{}", inbox_, token);
  out.headers = std::move(headers);
  out.payload = std::move(payload);
  out.request = token;
  outbox_.push_back(std::move(out));
  Due(deadline);
}

void NatsCore::FinishRequest(std::uint64_t token, Result<Incoming>&& answer) {
  auto node = requests_.extract(token);
  if (node.empty()) return;
  request_deadlines_.erase({node.mapped().deadline, token});
  node.mapped().done(std::move(answer));
}

void NatsCore::Request(OpId op, std::string subject, Headers headers, std::string payload,
                       Duration timeout) {
  const Locked locked(*this);
  if (auto error = Unfit("request", subject, PublishableSubject(subject), headers, payload)) {
    FailOp(op, std::move(*error));
    return;
  }
  std::string name = subject;
  Ask(std::move(subject), std::move(headers), std::move(payload), timeout, Code::kTimedOut,
      [this, op, name = std::move(name)](Result<Incoming>&& answer) {
        if (!answer) {
          FailOp(op,
                 Annotate(std::move(answer).error(), fmt::format("request to {}", name)).error());
        } else if (answer->status == 503) {
          FailOp(op, Error{Code::kUnavailable,
                           fmt::format("request to {}: nobody listens there", name),
                           {}});
        } else {
          Emit(Replied{op, std::move(answer->headers), std::move(answer->payload)});
        }
      });
}

void NatsCore::Api(const std::string& what, std::string body,
                   std::function<void(Result<std::string>&&)> done, Code if_lost) {
  Ask("$JS.API." + what, {}, std::move(body), options_.request_timeout, if_lost,
      [done = std::move(done)](Result<Incoming>&& answer) {
        if (!answer) {
          done(std::unexpected(std::move(answer).error()));
        } else if (answer->status != 0) {
          done(Fail(Code::kUnavailable,
                    "JetStream does not answer: it is starting, or the server (or this account) "
                    "runs without it"));
        } else {
          done(std::move(answer->payload));
        }
      });
}

void NatsCore::Get(OpId op, std::string stream, std::uint64_t seq) {
  const Locked locked(*this);
  std::string direct = stream;
  GetBy(op, std::move(stream), std::move(direct), GetBySeqJson(seq));
}

// The subject that is looked for is part of the one that is asked, so that accounts can tell whose
// newest message somebody may read.
void NatsCore::GetLast(OpId op, std::string stream, std::string subject) {
  const Locked locked(*this);
  std::string direct = stream + "." + subject;
  GetBy(op, std::move(stream), std::move(direct), GetLastJson(subject));
}

// Direct get is answered without the stream's lock; a stream that was not made for it (or does not
// exist) has nobody who listens there, which newer servers say at once and 2.9 not at all: then the
// slower way says which.
void NatsCore::GetBy(OpId op, std::string stream, std::string direct, std::string body) {
  std::string question = direct == stream ? body : std::string();
  Ask("$JS.API.DIRECT.GET." + direct, {}, std::move(question),
      std::min(options_.request_timeout, kDirectGetWait), Code::kUnavailable,
      [this, op, stream = std::move(stream), body = std::move(body)](Result<Incoming>&& answer) {
        if (answer && answer->status != 503) {
          auto message = ParseDirectGet(std::move(*answer));
          if (message) {
            Emit(Got{op, std::move(*message)});
          } else {
            FailOp(op, std::move(message).error());
          }
          return;
        }
        if (!answer && !up_) {
          FailOp(op, Annotate(std::move(answer).error(), "reading from stream " + stream).error());
          return;
        }
        Api("STREAM.MSG.GET." + stream, body, [this, op, stream](Result<std::string>&& json) {
          if (!json) {
            FailOp(op, std::move(json).error());
            return;
          }
          auto message = ParseMsgGet(*json, stream);
          if (message) {
            Emit(Got{op, std::move(*message)});
          } else {
            FailOp(op, std::move(message).error());
          }
        });
      });
}

// ---- from the C client's threads ----------------------------------------------------------------

void NatsCore::Target::OnMessage(natsMsg* message) noexcept {
  switch (kind) {
    case Kind::kInbox:
      core->OnInbox(message);
      break;
    case Kind::kSubscription:
      core->OnSubscription(id, generation, message);
      break;
    case Kind::kReaders:
      core->OnReaderMessage(message);
      break;
  }
}

// "<inbox>a.7": acknowledgement; "q.7": answer; "b.7": barrier, see Unsubscribe.
void NatsCore::OnInbox(natsMsg* message) {
  std::string_view subject = natsMsg_GetSubject(message);
  if (!subject.starts_with(inbox_) || subject.size() < inbox_.size() + 3) return;
  subject.remove_prefix(inbox_.size());
  std::uint64_t token = 0;
  const char* const end = subject.data() + subject.size();
  if (const auto r = std::from_chars(subject.data() + 2, end, token);
      r.ec != std::errc{} || r.ptr != end) {
    return;
  }
  switch (subject.front()) {
    case 'a':
      OnAck(token, message);
      break;
    case 'q': {
      Incoming answer = TakeMessage(message);
      const Locked locked(*this);
      FinishRequest(token, std::move(answer));
      break;
    }
    case 'b': {
      const Locked locked(*this);
      auto node = ended_subscriptions_.extract(token);
      if (!node.empty() && links_[kControl]) links_[kControl]->Release(node.mapped());
      break;
    }
    default:
      break;
  }
}

void NatsCore::OnSubscription(SubId id, std::uint64_t generation, natsMsg* message) {
  Incoming in = TakeMessage(message);
  const Locked locked(*this);
  const auto it = subscriptions_.find(id);
  if (it == subscriptions_.end() || it->second.generation != generation) return;
  Emit(Message{id, std::move(in.subject), std::move(in.reply), std::move(in.headers),
               std::move(in.payload)});
}

}  // namespace cube::bus
