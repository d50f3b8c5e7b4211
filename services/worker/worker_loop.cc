#include "services/worker/worker_loop.h"

#include <algorithm>
#include <utility>

#include "services/worker/verify_service.h"
#include "shared/wire/codec.h"

namespace cube::worker {
namespace {

constexpr bus::SubId kAssignSub = 1;
constexpr bus::SubId kDesiredSub = 2;
constexpr bus::SubId kLogsSub = 3;
constexpr bus::SubId kExecSub = 4;
constexpr bus::SubId kVerifySub = 5;

EngineDescription DescriptionOf(const std::pair<const std::string, EngineState>& engine) {
  const auto& [kind, state] = engine;
  return {kind, state.version, state.limits, state.usable()};
}

template <class... Fs>
struct Overloaded : Fs... {
  using Fs::operator()...;
};

}  // namespace

WorkerLoop::WorkerLoop(LoopOptions options, StoredState stored, Now now)
    : options_(std::move(options)),
      core_({options_.node, options_.engines}, stored, now),
      catch_up_(options_.node, options_.subjects),
      outbox_(stored.acked, stored.meta.last_fact),
      cluster_size_(options_.subjects, now.mono),
      metrics_({options_.node, options_.subjects,
                options_.metrics ? options_.metrics_interval : Duration{0}},
               now.mono),
      execs_(options_.exec),
      random_(options_.seed),
      put_meta_(stored.meta.incarnation == 0),
      described_by_(now.mono + kDescribeWait) {}

Operations WorkerLoop::Step(std::span<Input> inputs, Now now) {
  if (ended_) return {};
  if (!std::exchange(started_, true)) Start();
  for (Input& input : inputs) Take(input, now);
  if (connected_ && hello_ && now.mono >= catch_up_at_) {
    PlanCatchUp(now);
    catch_up_.Begin(next_op_, after_);
  }
  DescribeIfChanged(now);
  core_.SetPins(logs_.Pins());
  core_.Reconcile(now);
  EndHandOver(now);
  Flush();
  logs_.Advance(core_, now, after_);
  execs_.Advance(now, after_);
  SendJoined(now);
  SendFacts(now);
  SendBeat(now);
  cluster_size_.Advance(connected_, now.mono, next_op_, after_);
  metrics_.Advance(core_, connected_, cluster_size_.nodes(), now, after_);
  EndIfDone(now);
  Operations operations;
  operations.reserve(after_.size() + 1);
  if (!batch_.empty()) operations.emplace_back(Commit{std::exchange(batch_, {})});
  for (Operation& operation : after_) operations.push_back(std::move(operation));
  after_.clear();
  return operations;
}

void WorkerLoop::Start() {
  const std::string& node = options_.node.str();
  Bus(bus::Subscribe{kAssignSub, options_.subjects.Assign(node), ""});
  Bus(bus::Subscribe{kDesiredSub, options_.subjects.DesiredAll(node), ""});
  Bus(bus::Subscribe{kLogsSub, options_.subjects.Logs(node), ""});
  Bus(bus::Subscribe{kExecSub, options_.subjects.Exec(node), ""});
  Bus(bus::Subscribe{kVerifySub, options_.subjects.VerifyNode(node), ""});
  core_.Begin();
}

void WorkerLoop::Take(Input& input, Now now) {
  std::visit(Overloaded{
                 [&](FromBus& in) { OnBus(in.event, now); },
                 [&](FromEngine& in) { OnEngine(in, now); },
                 [&](OutboxRead& in) { outbox_.Filled(std::move(in.facts)); },
                 [&](OutputListed& in) { logs_.OnListed(in, core_, after_); },
                 [&](OutputRead& in) { logs_.OnRead(in, core_, after_); },
                 [&](Probed& in) { core_.Probed(in.result, now); },
                 [&](Sampled& in) { metrics_.OnSampled(*in.sample); },
                 [&](BeatsConnected&) {
                   beat_at_ = now.mono;
                   if (hello_) hello_at_ = now.mono;
                 },
                 [&](Shutdown&) { OnShutdown(now); },
             },
             input);
}

void WorkerLoop::OnEngine(FromEngine& in, Now now) {
  if (auto* chunk = std::get_if<engine::LogChunk>(&in.event)) return logs_.OnChunk(*chunk, after_);
  if (const auto* end = std::get_if<engine::LogEnd>(&in.event))
    return logs_.OnEnd(*end, core_, after_);
  // Those of health checks never come here: their prober takes them.
  if (auto* output = std::get_if<engine::ExecOutput>(&in.event))
    return execs_.OnOutput(*output, after_);
  if (const auto* took = std::get_if<engine::ExecTook>(&in.event))
    return execs_.OnTook(*took, after_);
  if (const auto* ended = std::get_if<engine::ExecEnded>(&in.event))
    return execs_.OnEnded(*ended, after_);
  if (auto* usages = std::get_if<engine::Usages>(&in.event))
    return metrics_.OnUsages(in.engine, std::move(*usages));
  if (const auto* down = std::get_if<engine::Down>(&in.event)) {
    Log(LogLine::Level::kWarning, in.engine + ": " + down->reason);
  } else if (const auto* up = std::get_if<engine::Up>(&in.event)) {
    Log(LogLine::Level::kInfo, "engine is up: " + up->version);
  }
  core_.Observe(in.engine, std::move(in.event), now, random_);
}

void WorkerLoop::OnBus(bus::Event& event, Now now) {
  std::visit(Overloaded{
                 [&](bus::Connected& e) { OnConnected(e, now); },
                 [&](bus::Disconnected& e) {
                   if (!std::exchange(connected_, false)) return;
                   catch_up_.Cancel();
                   Log(LogLine::Level::kWarning,
                       "NATS is away: " + e.reason + "; launches run on, facts are kept");
                 },
                 [&](bus::Closed& e) {
                   ended_ = true;
                   after_.emplace_back(Exit{1, e.error.Text(), false});
                 },
                 [&](bus::Message& e) { OnMessage(e, now); },
                 [&](bus::Appended& e) { OnAppended(e, now); },
                 [&](bus::AppendFailed& e) { OnAppendFailed(e, now); },
                 [&](bus::Got& e) { OnGot(e, now); },
                 [&](bus::OpFailed& e) {
                   if (term_op_ == e.op) term_op_.reset();
                   cluster_size_.OnFailed(e);
                   catch_up_.OnFailed(e);
                 },
                 [](auto&) {},
             },
             event);
}

void WorkerLoop::OnConnected(const bus::Connected& connected, Now now) {
  connected_ = true;
  Log(LogLine::Level::kInfo, "connected to NATS " + connected.server_version);
  facts_at_ = now.mono;
  facts_retry_ = kFactsRetryMin;
  joined_retry_ = kJoinRetryMin;
  joined_at_ = core_.meta().incarnation == 0 ? now.mono : now.mono + kJoinAfterSilence;
  beat_at_ = now.mono;
  SayHello(now);
}

void WorkerLoop::SayHello(Now now) {
  if (!hello_) hello_retry_ = kHelloRetryMin;
  if (!hello_ || catch_up_at_ == MonoTime::max()) PlanCatchUp(now);
  hello_ = true;
  // One at a time: what made us say it again is answered by the same answer.
  hello_at_ = std::max(now.mono, hello_said_ + kHelloRetryMin);
}

void WorkerLoop::PlanCatchUp(Now now) {
  catch_up_at_ = now.mono + kCatchUpAfter +
                 Duration(static_cast<std::int64_t>(
                     random_.Below(static_cast<std::uint64_t>(kCatchUpSpread.count()))));
}

void WorkerLoop::HelloAnswered() {
  hello_ = false;
  joined_at_ = MonoTime::max();
  catch_up_at_ = MonoTime::max();
  catch_up_.Cancel();
}

void WorkerLoop::OnMessage(bus::Message& message, Now now) {
  if (message.subscription == kAssignSub) {
    std::vector<wire::EncodedSpec> specs;
    if (const auto batch = wire::DecodeAssignAndSpecs(message.payload, specs)) {
      const Applied applied = core_.Apply(*batch, now);
      if (applied == Applied::kApplied) {
        for (const wire::EncodedSpec& one : specs) specs_.Keep(one.spec, one.bytes);
      }
      NoteWelcome(now);
      OnApplied(applied, now);
    } else {
      Log(LogLine::Level::kWarning, "a live copy cannot be read: " + batch.error().Text());
      SayHello(now);
    }
  } else if (message.subscription == kDesiredSub) {
    if (const auto page = wire::DecodeDesired(message.payload)) {
      const Applied applied = core_.Apply(*page, now, random_);
      NoteWelcome(now);
      OnApplied(applied, now);
    } else {
      Log(LogLine::Level::kWarning, "a complete set cannot be read: " + page.error().Text());
      SayHello(now);
    }
  } else if (message.subscription == kLogsSub) {
    logs_.OnRequest(message, core_, now, after_);
  } else if (message.subscription == kExecSub) {
    execs_.OnRequest(message, core_, now, after_);
  } else if (message.subscription == kVerifySub) {
    if (auto answer = AnswerVerify(message, options_.node, core_)) Bus(*std::move(answer));
  }
}

void WorkerLoop::OnApplied(Applied applied, Now now) {
  switch (applied) {
    case Applied::kApplied:
      HelloAnswered();
      break;
    case Applied::kGap:
      SayHello(now);
      break;
    case Applied::kOtherTerm:
      LookAtTerm(now);
      break;
    case Applied::kRefused:
      ended_ = true;
      after_.emplace_back(Exit{1,
                               "another worker is node '" + options_.node.str() +
                                   "': end it first, or give this one another --name",
                               false});
      break;
    case Applied::kOtherCluster: {
      // What we keep belongs to a cluster that is no more; its launches are not ours to touch.
      ended_ = true;
      batch_ = {};
      for (const store::TableId table : {kMetaTable, kAssignmentsTable, kOutboxTable}) {
        batch_.Clear(table);
      }
      after_.emplace_back(Exit{
          0, "the cluster was made anew: begins with an empty store; older launches run on", true});
      break;
    }
    case Applied::kJoinAgain:
      if (!std::exchange(join_again_, true)) {
        Log(LogLine::Level::kWarning,
            "the log does not know this worker as it is: it joins again, and tells what it has");
      }
      joined_retry_ = kJoinRetryMin;
      joined_at_ = std::min(joined_at_, now.mono);
      break;
    case Applied::kWelcomed:  // see NoteWelcome
    case Applied::kPartial:
    case Applied::kDuplicate:
    case Applied::kIgnored:
      break;
  }
}

void WorkerLoop::NoteWelcome(Now now) {
  if (welcomes_ == core_.welcomes()) return;
  welcomes_ = core_.welcomes();
  // An answer to facts of before says nothing about those that now have their numbers.
  outbox_.Clear();
  facts_.reset();
  batch_.Clear(kOutboxTable);
  described_.reset();
  describe_at_ = {};
  described_by_ = now.mono + kDescribeWait;  // at the first welcome the engines start only now
  Log(LogLine::Level::kInfo, "joined as node " + options_.node.str() + ", incarnation " +
                                 std::to_string(core_.meta().incarnation));
  joined_at_ = now.mono + kJoinAfterSilence;
  join_again_ = false;
  hello_ = true;
  hello_retry_ = kHelloRetryMin;
  hello_at_ = now.mono + kHelloRetryMin;  // the set is on its way
  PlanCatchUp(now);                       // and may be lost
}

void WorkerLoop::LookAtTerm(Now now) {
  if (term_op_ || now.mono < term_at_) return;
  term_at_ = now.mono + kTermLookInterval;
  term_op_ = next_op_++;
  Bus(bus::GetLast{*term_op_, options_.subjects.DecisionsStream(), options_.subjects.Decisions()});
}

void WorkerLoop::OnGot(const bus::Got& got, Now now) {
  if (cluster_size_.OnGot(got)) return;
  if (catch_up_.OnGot(got, core_, now, random_, next_op_, after_)) return NoteWelcome(now);
  if (term_op_ != got.op) return;
  term_op_.reset();
  if (!got.message) return;
  const auto decisions = wire::DecodeDecisions(got.message->payload);
  if (!decisions) return;
  const bool news = core_.LogIsOf(decisions->term);
  if (decisions->term == core_.meta().term) return;
  if (news) {
    Log(LogLine::Level::kWarning,
        "the log is of another term than what this worker was told: it shows that to the leader");
  }
  SayHello(now);
}

void WorkerLoop::OnAppended(const bus::Appended& done, Now now) {
  if (joined_op_ == done.op) {
    joined_op_.reset();
    return;
  }
  if (!facts_ || facts_->op != done.op) return;
  for (const std::uint64_t number : outbox_.Acked(facts_->last)) DeleteOutbox(batch_, number);
  core_.Acked(facts_->last);
  facts_.reset();
  facts_retry_ = kFactsRetryMin;
  facts_at_ = now.mono;
  outbox_.Restore();
}

void WorkerLoop::OnAppendFailed(const bus::AppendFailed& failed, Now now) {
  if (joined_op_ == failed.op) {
    joined_op_.reset();
    if (failed.error.code == Code::kTimedOut) {
      joined_at_ = now.mono + joined_retry_;
    } else {  // not stored, mostly since the first manager has not made the stream yet
      joined_retry_ = kJoinRetryMin;
      joined_at_ = now.mono + kJoinNotStoredRetry;
    }
    return;
  }
  if (!facts_ || facts_->op != failed.op) return;
  facts_.reset();
  // Whether it is in the log or not: the same numbers again, and the log's readers drop doubles.
  if (failed.error.code == Code::kResource) outbox_.Shrink();
  facts_at_ = now.mono + facts_retry_;
  if (facts_retry_ == kFactsRetryMin && failed.error.code != Code::kTimedOut && connected_) {
    Log(LogLine::Level::kWarning, "facts are not accepted, trying on: " + failed.error.Text());
  }
  facts_retry_ = std::min(facts_retry_ * 2, kFactsRetryMax);
}

NodeDescription WorkerLoop::Describe() const {
  NodeDescription description = options_.description;
  for (const auto& engine : core_.engines()) description.engines.push_back(DescriptionOf(engine));
  return description;
}

// Nothing else of a description changes.
bool WorkerLoop::EnginesAreAsDescribed() const {
  return std::ranges::equal(
      described_->engines, core_.engines(),
      [](const EngineDescription& told, const auto& now) { return told == DescriptionOf(now); });
}

void WorkerLoop::DescribeIfChanged(Now now) {
  // A description says that the worker is there, which takes back that it leaves.
  if (leaving_ || ending_) return;
  if (core_.meta().incarnation == 0 || now.mono < describe_at_) return;
  const auto& engines = core_.engines();
  const bool all_answered =
      std::all_of(engines.begin(), engines.end(), [](const auto& e) { return e.second.answered; });
  if (!all_answered && now.mono < described_by_) return;
  if (described_ && EnginesAreAsDescribed()) return;
  describe_at_ = now.mono + kDescribeInterval;
  described_ = Describe();
  core_.PutFact({now.wall, NodeDescribed{*described_}});
}

void WorkerLoop::Flush() {
  Effects effects = core_.TakeEffects();
  if (!effects.notices.empty()) {
    // First of all, since nothing is carried out behind an Exit, and they may say why it comes.
    Operations behind = std::exchange(after_, {});
    for (Notice& notice : effects.notices) {
      Log(notice.warning ? LogLine::Level::kWarning : LogLine::Level::kInfo, std::move(notice.text),
          std::move(notice.key));
    }
    for (Operation& operation : behind) after_.push_back(std::move(operation));
  }
  if (ended_) return;
  if (effects.meta_changed || std::exchange(put_meta_, false)) PutMeta(batch_, core_.meta());
  for (const AttemptKey& key : effects.attempts_changed) {
    if (const Attempt* attempt = core_.Find(key)) {
      PutAttempt(batch_, *attempt, specs_);
    } else {
      DeleteAttempt(batch_, key);
    }
  }
  for (const NumberedFact& fact : effects.facts) {
    EncodedFact encoded = Encoded(fact);
    PutOutbox(batch_, options_.node, core_.meta(), encoded);
    outbox_.Add(std::move(encoded));
  }
  for (EngineCall& call : effects.calls) after_.emplace_back(std::move(call));
  for (ProbeCall& probe : effects.probes) after_.emplace_back(std::move(probe));
}

void WorkerLoop::SendFacts(Now now) {
  if (const auto from = outbox_.ReadFrom()) after_.emplace_back(ReadOutbox{*from, kOutboxReadMax});
  if (!connected_ || facts_ || now.mono < facts_at_ || ended_) return;
  const std::vector<const EncodedFact*> facts = outbox_.NextBatch();
  if (facts.empty()) return;
  FactBatch batch;
  batch.node = options_.node;
  batch.instance = core_.meta().instance;
  batch.incarnation = core_.meta().incarnation;
  batch.first_number = facts.front()->number;
  facts_ = InFlight{next_op_++, facts.back()->number};
  std::vector<std::string_view> bytes;
  bytes.reserve(facts.size());
  for (const EncodedFact* fact : facts) bytes.emplace_back(fact->bytes);
  bus::AppendRequest request;
  request.op = facts_->op;
  request.subject = options_.subjects.Facts(options_.node.str());
  request.payload = wire::JoinFacts(batch, bytes);
  Bus(bus::Append{std::move(request)});
}

void WorkerLoop::SendJoined(Now now) {
  if (!connected_ || joined_op_ || now.mono < joined_at_ || ended_ || ending_) return;
  FactBatch batch;
  batch.node = options_.node;
  batch.instance = core_.meta().instance;
  batch.first_number = 1;
  batch.facts.push_back({now.wall, NodeJoined{Describe(), core_.meta().incarnation, join_again_}});
  joined_op_ = next_op_++;
  joined_at_ = now.mono + joined_retry_;
  joined_retry_ = std::min(joined_retry_ * 2, kJoinRetryMax);
  bus::AppendRequest request;
  request.op = *joined_op_;
  request.subject = options_.subjects.Facts(options_.node.str());
  request.payload = wire::EncodeFacts(batch);
  Bus(bus::Append{std::move(request)});
}

void WorkerLoop::SendBeat(Now now) {
  if (!connected_ || ended_) return;
  const bool hello = hello_ && now.mono >= hello_at_;
  if (!hello && now.mono < beat_at_) return;
  const Meta& meta = core_.meta();
  Heartbeat beat;
  beat.node = options_.node.str();
  beat.instance = meta.instance;
  beat.incarnation = meta.incarnation;
  beat.number = ++beats_;
  beat.position = meta.position;
  beat.term = meta.term;
  beat.acked_fact = core_.acked();
  beat.hello = hello;
  beat.sent_at = now.wall;
  beat_at_ = now.mono + HeartbeatInterval(cluster_size_.nodes());
  if (hello) {
    hello_said_ = now.mono;
    hello_at_ = now.mono + hello_retry_;
    hello_retry_ = std::min(hello_retry_ * 2, kHelloRetryMax);
  }
  after_.emplace_back(
      Beat{options_.subjects.Heartbeat(options_.node.str()), wire::EncodeHeartbeat(beat)});
}

void WorkerLoop::OnShutdown(Now now) {
  const bool again = leaving_;  // told a second time: ends now
  if (again || options_.on_exit == OnExit::kKeep || core_.meta().incarnation == 0) {
    return BeginEnd(now);
  }
  if (!connected_) {
    Log(LogLine::Level::kWarning, "NATS is away, so nothing can be handed over");
    return BeginEnd(now);
  }
  leaving_ = true;
  const bool drain = options_.on_exit == OnExit::kDrain;
  core_.PutFact({now.wall, NodeLeaving{drain ? options_.exit_limit : Duration(0)}});
  leave_by_ = now.mono + options_.exit_limit + kHandOverSpare;
  Log(LogLine::Level::kInfo, drain ? "told to end: the tasks move elsewhere first"
                                   : "told to end: the tasks are stopped first");
}

void WorkerLoop::EndHandOver(Now now) {
  if (!leaving_ || ending_) return;
  const auto& attempts = core_.attempts();
  const auto left = std::count_if(attempts.begin(), attempts.end(),
                                  [](const auto& entry) { return !entry.second.done; });
  if (left > 0 && now.mono < leave_by_) return;
  if (left > 0) {
    Log(LogLine::Level::kWarning, std::to_string(left) + " tasks could not be handed over within " +
                                      FormatDuration(options_.exit_limit + kHandOverSpare));
  }
  BeginEnd(now);
}

void WorkerLoop::BeginEnd(Now now) {
  if (std::exchange(ending_, true)) return;
  core_.Retire();
  execs_.EndAll(after_);
  if (connected_) core_.PutFact({now.wall, NodeLeft{}});
  end_at_ = connected_ ? now.mono + kFlushMax : now.mono;
}

void WorkerLoop::EndIfDone(Now now) {
  if (!ending_ || ended_ || (!outbox_.empty() && now.mono < end_at_)) return;
  ended_ = true;
  const std::size_t running = core_.RunningCount();
  after_.emplace_back(
      Exit{0, running == 0 ? "told to end; nothing runs" : "told to end; launches run on", false});
}

MonoTime WorkerLoop::NextDeadline() const {
  MonoTime next = std::min(core_.NextDeadline(), end_at_);
  if (leaving_ && !ending_) next = std::min(next, leave_by_);
  if (!started_) return MonoTime{};
  next = std::min(next, metrics_.NextDeadline());
  next = std::min(next, execs_.NextDeadline());
  if (core_.meta().incarnation != 0 && !leaving_ && !ending_) {
    if (!described_) next = std::min(next, std::max(described_by_, describe_at_));
    if (described_ && describe_at_ > MonoTime{} && !EnginesAreAsDescribed()) {
      next = std::min(next, describe_at_);
    }
  }
  if (!connected_) return next;
  next = std::min({next, beat_at_, cluster_size_.NextDeadline()});
  if (hello_) next = std::min({next, hello_at_, catch_up_at_});
  if (!joined_op_ && !ending_) next = std::min(next, joined_at_);
  if (!facts_ && !outbox_.empty()) next = std::min(next, facts_at_);
  return next;
}

}  // namespace cube::worker
