#include "test/support/worker/core_rig.h"

namespace cube::worker {
namespace {

std::string CauseName(const LaunchFact& fact) {
  switch (fact.cause) {
    case ExitCause::kNone:
      return "";
    case ExitCause::kExited:
      return " code " + std::to_string(fact.exit_code);
    case ExitCause::kSignaled:
      return " signal " + std::to_string(fact.exit_code);
    case ExitCause::kOutOfMemory:
      return " oom";
    case ExitCause::kVanished:
      return " vanished";
    case ExitCause::kStartFailed:
      return " start-failed";
    case ExitCause::kUnhealthy:
      return " unhealthy " + fact.detail;
  }
  return "?";
}

}  // namespace

std::string Text(const LaunchKey& key) {
  return key.task.str() + "/" + std::to_string(key.attempt) + "/" + std::to_string(key.launch);
}

std::string Text(const Fact& fact) {
  if (const auto* l = std::get_if<LaunchFact>(&fact.what)) {
    return Text(l->key) + " " + std::string(LaunchStateName(l->state)) + CauseName(*l) +
           (l->final ? " final" : "") + (l->stop_asked ? " stop-asked" : "");
  }
  if (const auto* h = std::get_if<HealthFact>(&fact.what)) {
    return Text(h->key) + (h->healthy ? " healthy" : " unhealthy " + h->reason);
  }
  if (const auto* r = std::get_if<NodeReported>(&fact.what)) {
    return "reported " + std::to_string(r->up.cycle);
  }
  if (std::holds_alternative<NodeJoined>(fact.what)) return "joined";
  if (std::holds_alternative<NodeDescribed>(fact.what)) return "described";
  if (const auto* leaving = std::get_if<NodeLeaving>(&fact.what)) {
    return "leaving " + FormatDuration(leaving->deadline);
  }
  if (const auto* held = std::get_if<AttemptHeld>(&fact.what)) {
    return "held " + held->task.str() + "/" + std::to_string(held->attempt) +
           (held->spec == nullptr ? " done" : "");
  }
  if (std::holds_alternative<AllHeld>(fact.what)) return "all held";
  return "left";
}

std::string Text(const EngineCall& call) {
  if (const auto* c = std::get_if<StartEngine>(&call)) {
    return "engine " + c->engine + " as " + c->owner.cluster + "/" + c->owner.node.str();
  }
  if (const auto* c = std::get_if<LaunchCall>(&call)) {
    return "launch " + c->engine + " " + Text(c->request.key);
  }
  if (const auto* c = std::get_if<StopCall>(&call)) {
    return "stop " + c->engine + " " + Text(c->key) + (c->signal.empty() ? "" : " " + c->signal) +
           " " + FormatDuration(c->grace);
  }
  if (const auto* c = std::get_if<RemoveCall>(&call)) {
    return "remove " + c->engine + " " + Text(c->key);
  }
  return "list " + std::get<ListCall>(call).engine;
}

std::string Text(Applied applied) {
  switch (applied) {
    case Applied::kApplied:
      return "applied";
    case Applied::kWelcomed:
      return "welcomed";
    case Applied::kPartial:
      return "partial";
    case Applied::kDuplicate:
      return "duplicate";
    case Applied::kGap:
      return "gap";
    case Applied::kIgnored:
      return "ignored";
    case Applied::kOtherTerm:
      return "other-term";
    case Applied::kRefused:
      return "refused";
    case Applied::kOtherCluster:
      return "other-cluster";
    case Applied::kJoinAgain:
      return "join-again";
  }
  return "?";
}

StoredState CoreRig::Fresh() {
  StoredState stored;
  stored.meta.instance = kInstance;
  return stored;
}

CoreRig::CoreRig(StoredState stored, std::vector<std::string> engines)
    : engines_(std::move(engines)),
      now_{MonoTime(std::chrono::hours(1)), WallFromNanos(1'000'000'000'000'000)},
      meta_(stored.meta),
      acked_(stored.acked) {
  for (const Attempt& a : stored.attempts) records_[a.key] = a;
  core_ = std::make_unique<WorkerCore>(CoreOptions{kNode, engines_}, std::move(stored), now_);
  core_->Begin();
}

CoreRig CoreRig::Ready(std::vector<std::string> engines) {
  CoreRig rig(Fresh(), engines);
  rig.Apply(Batch(9, 0, {Welcomed{kInstance, 1}}));
  rig.Apply(Set(10, {}));
  for (const std::string& engine : engines) {
    rig.Observe(engine::Up{"1", true}, engine);
    rig.Observe(engine::Listed{}, engine);
  }
  rig.Step();
  return rig;
}

std::string CoreRig::Step() {
  core_->Reconcile(now_);
  const Effects effects = core_->TakeEffects();
  for (const Notice& notice : effects.notices) notices_.push_back(notice.text);
  if (effects.meta_changed) meta_ = core_->meta();
  for (const AttemptKey& key : effects.attempts_changed) {
    if (const Attempt* a = core_->Find(key)) {
      records_[key] = *a;
    } else {
      records_.erase(key);
    }
  }
  std::string text;
  for (const NumberedFact& fact : effects.facts) {
    outbox_[fact.number] = fact.fact;
    text += std::to_string(fact.number) + " " + Text(fact.fact) + "\n";
  }
  for (const EngineCall& call : effects.calls) text += Text(call) + "\n";
  for (const ProbeCall& probe : effects.probes) {
    text += "probe " + probe.engine + " " + Text(probe.request.key) + " #" +
            std::to_string(probe.request.id) + "\n";
  }
  return text;
}

void CoreRig::Crash(std::uint64_t acked) {
  acked_ = std::max(acked_, acked);
  std::erase_if(outbox_, [this](const auto& entry) { return entry.first <= acked_; });
  StoredState stored;
  stored.meta = meta_;
  stored.acked = outbox_.empty() ? meta_.last_fact : outbox_.begin()->first - 1;
  for (auto [key, a] : records_) {
    a.due = {};
    a.pull_fact_at = {};
    a.unassigned = false;
    stored.attempts.push_back(a);
  }
  for (const auto& [number, fact] : outbox_) {
    const auto* launch = std::get_if<LaunchFact>(&fact.what);
    if (launch && launch->state == LaunchState::kExited) stored.exits_unacked[launch->key] = number;
  }
  core_ = std::make_unique<WorkerCore>(CoreOptions{kNode, engines_}, std::move(stored), now_);
  core_->Begin();
}

void CoreRig::Crash() { Crash(acked_); }

const Attempt* CoreRig::Stored(const std::string& task, std::uint32_t attempt) const {
  const auto found = records_.find({TaskId::Trusted(task), attempt});
  return found == records_.end() ? nullptr : &found->second;
}

}  // namespace cube::worker
