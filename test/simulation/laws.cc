#include "test/simulation/laws.h"

#include <algorithm>

#include "services/manager/view_store.h"
#include "shared/cluster/fold.h"
#include "shared/domain/rules.h"
#include "shared/wire/codec.h"
#include "shared/wire/subjects.h"

namespace cube::sim {
namespace {

const bus::StreamMessage* At(bus::SimServer& server, const std::string& stream, std::uint64_t seq) {
  const bus::SimStream* found = server.FindStream(stream);
  return found == nullptr ? nullptr : found->Find(seq);
}

std::string FirstDifference(const View& view, const View& expected) {
  std::vector<std::string> has = manager::ViewLines(view);
  std::vector<std::string> wants = manager::ViewLines(expected);
  has.emplace_back("nothing more");
  wants.emplace_back("nothing more");
  const auto [one, other] = std::ranges::mismatch(has, wants);
  if (one == has.end() || other == wants.end()) return {};
  return "\n  it has   " + *one + "\n  not      " + *other;
}

// "<job>/<slot>" of "<job>-v<version>-<slot>"; empty for a plain task.
std::string SlotOf(const std::string& id) {
  if (!IsJobTaskId(id)) return {};
  const std::size_t last = id.rfind('-');
  return id.substr(0, id.rfind('-', last - 1)) + "/" + id.substr(last + 1);
}

}  // namespace

std::string Laws::Check() {
  const wire::Subjects names;
  while (const bus::StreamMessage* message = At(server_, names.DecisionsStream(), seq_ + 1)) {
    ++seq_;
    const Result<DecisionBatch> batch = wire::DecodeDecisions(message->payload);
    if (!batch)
      return "decision " + std::to_string(seq_) + " cannot be read: " + batch.error().Text();
    const bool valid =
        batch->prev == view_.stamp &&
        (batch->term_start ? batch->term.epoch > view_.term.epoch : batch->term == view_.term);
    if (!valid) {
      return "law 5: a decision that does not continue the log got in at " + std::to_string(seq_);
    }
    if (batch->decided_at < view_.decided_at) {
      return "cluster time goes back at decision " + std::to_string(seq_);
    }
    if (std::string broken = CheckBatch(*batch); !broken.empty()) {
      return broken + " (decision " + std::to_string(seq_) + ")";
    }
    if (std::string broken = FoldAll(seq_, *batch); !broken.empty()) {
      return broken + " (decision " + std::to_string(seq_) + ")";
    }
    if (view_.valid_seq != seq_) {
      return "law 1: the fold did not take decision " + std::to_string(seq_);
    }
    for (const auto& [name, node] : view_.nodes) {
      if (node.last_fact == fact_numbers_[name.str()]) continue;
      return "law 2: " + name.str() + " has said " + std::to_string(fact_numbers_[name.str()]) +
             " facts, and the view took a repeated one for the newest";
    }
  }
  return {};
}

void Laws::End(Life& life) {
  if (!life.alive) return;
  life.alive = false;
  promised_[life.node] -= life.resources;
  for (const HostPort& port : life.ports) ports_[life.node].erase(port);
}

// The node's full report is awaited, which names the decision that let it in.
void Laws::Awaited(const std::string& node, Stamp up) {
  up_[node] = up;
  reported_.erase(node);
}

std::string Laws::ModelFacts(std::uint64_t until) {
  const wire::Subjects names;
  while (facts_ < until) {
    const bus::StreamMessage* message = At(server_, names.FactsStream(), ++facts_);
    if (message == nullptr) continue;
    const Result<FactBatch> batch =
        wire::DecodeFacts(wire::Subjects::LastToken(message->subject), message->payload);
    if (!batch) continue;
    const std::string node = batch->node.str();
    std::uint64_t number = batch->first_number;
    for (const Fact& fact : batch->facts) {
      const std::uint64_t this_number = number++;
      if (const auto* joined = std::get_if<NodeJoined>(&fact.what)) {
        asked_to_join_[node + "/" + std::to_string(batch->instance)] = joined->description.capacity;
        continue;
      }
      if (speaks_[node] != std::pair(batch->instance, batch->incarnation)) continue;
      const std::string name = "fact " + std::to_string(this_number) + " of " + node;
      if (this_number <= fact_numbers_[node]) {
        if (said_[node].at(this_number - 1) != fact)
          return "law 4: " + name + " comes in two forms";
        continue;
      }
      said_[node].push_back(fact);
      if (said_[node].size() != this_number) return "law 4: " + name + " comes before an older one";
      fact_numbers_[node] = this_number;
      if (const auto* reported = std::get_if<NodeReported>(&fact.what)) {
        if (up_[node] == reported->up) reported_.insert(node);
        continue;
      }
      const auto* launch = std::get_if<LaunchFact>(&fact.what);
      if (launch == nullptr || !launch->final) continue;
      const auto life = lives_.find(launch->key.task.str());
      if (life != lives_.end() && life->second.alive &&
          life->second.attempt == launch->key.attempt && life->second.node == node) {
        End(life->second);
        const bool clean = launch->cause == ExitCause::kExited && launch->exit_code == 0;
        life->second.failed = !clean && !launch->stop_asked;
        life->second.over = launch->stop_asked ? !life->second.evicted : clean;
      }
    }
  }
  return {};
}

// A task is placed again only after a loss, or after a failure if its policy says so.
std::string Laws::CheckMove(Life& life, const StartAttempt& start, WallTime now) {
  const std::string& task = start.task.str();
  if (life.over) return task + " has ended and is placed again";
  if (!life.failed) return {};
  const ReschedulePolicy& policy = start.spec->reschedule;
  if (policy.mode != ReschedulePolicy::Mode::kOnFailure) return task + " has failed and moves";
  std::erase_if(life.moves, [now](WallTime at) { return at <= now - kMovesWindow; });
  life.moves.push_back(now);
  if (life.moves.size() > policy.moves_max) return task + " moves too often";
  return {};
}

std::string Laws::CheckStart(const StartAttempt& start, WallTime now) {
  Life& life = lives_[start.task.str()];
  if (life.alive) return "law 5: two attempts of " + start.task.str() + " are alive";
  if (start.attempt != life.attempt + 1) {
    return "law 7: attempt " + std::to_string(start.attempt) + " of " + start.task.str() +
           " follows attempt " + std::to_string(life.attempt);
  }
  if (start.attempt > 1 && start.spec->reschedule.mode == ReschedulePolicy::Mode::kNever) {
    return "law 5: " + start.task.str() + " must not move and gets another attempt";
  }
  if (std::string broken = CheckMove(life, start, now); !broken.empty()) {
    return broken;
  }
  if (const std::string slot = SlotOf(start.task.str()); !slot.empty()) {
    std::string& holder = slots_[slot];
    if (holder != start.task.str() && lives_[holder].alive) {
      return start.task.str() + " begins while " + holder + " is alive in its slot";
    }
    holder = start.task.str();
  }
  const std::string node = start.node.str();
  if (!reported_.contains(node)) {
    return "law 6: " + start.task.str() + " is placed on " + node +
           ", which is down or has not reported";
  }
  life = {start.attempt, true, node, start.spec->resources, {}, false, false, life.moves};
  promised_[node] += life.resources;
  for (const PortSpec& port : start.spec->ports) {
    if (port.host_port == 0) continue;
    life.ports.emplace_back(port.host_port, port.protocol);
    if (!ports_[node].insert(life.ports.back()).second) {
      return "law 6: port " + std::to_string(port.host_port) + " of " + node + " is promised twice";
    }
  }
  if (promised_[node].cpu_millis > capacity_[node].cpu_millis ||
      promised_[node].memory_bytes > capacity_[node].memory_bytes) {
    return "law 6: more is promised than " + node + " has";
  }
  return {};
}

std::string Laws::CheckBatch(const DecisionBatch& batch) {
  if (std::string broken = ModelFacts(batch.facts.seq); !broken.empty()) return broken;
  for (const DecisionItem& item : batch.items) {
    if (const auto* start = std::get_if<StartAttempt>(&item)) {
      if (std::string broken = CheckStart(*start, batch.decided_at); !broken.empty()) {
        return broken;
      }
    } else if (const auto* fill = std::get_if<FillSlots>(&item)) {
      for (std::uint32_t i = 0; i < fill->count; ++i) {  // a slot's task begins anew
        Life& life = lives_[JobTaskId(fill->job, fill->version, fill->first + i).str()];
        life.over = life.failed = false;
        life.moves.clear();
      }
    } else if (const auto* evict = std::get_if<EvictAttempt>(&item)) {
      Life& life = lives_[evict->task.str()];
      if (!life.alive || life.attempt != evict->attempt || life.node != evict->node.str()) {
        return "an attempt of " + evict->task.str() + " that is not alive has to leave";
      }
      life.evicted = !evict->ends;
    } else if (const auto* refuse = std::get_if<RefuseIntent>(&item)) {
      refused_.emplace(refuse->task, refuse->error.Text());
    } else if (const auto* down = std::get_if<NodeDown>(&item)) {
      for (auto& [id, life] : lives_) {
        if (life.alive && life.node == down->node.str()) End(life);
      }
      reported_.erase(down->node.str());
    } else if (const auto* back = std::get_if<NodeUp>(&item)) {
      Awaited(back->node.str(), batch.stamp());
    } else if (const auto* welcome = std::get_if<WelcomeNode>(&item)) {
      const std::string node = welcome->node.str();
      speaks_[node] = {welcome->instance, welcome->incarnation};
      fact_numbers_[node] = 0;
      said_[node].clear();
      Awaited(node, batch.stamp());
      capacity_[node] = asked_to_join_[node + "/" + std::to_string(welcome->instance)];
    }
  }
  return {};
}

std::string Laws::FoldAll(std::uint64_t seq, const DecisionBatch& batch) {
  const wire::Subjects names;
  // What is new, then the newest of it once more: folding twice must change nothing (law 2).
  const std::uint64_t intents_from[] = {view_.intents.seq + 1, batch.intents.seq};
  const std::uint64_t facts_from[] = {view_.facts.seq + 1, batch.facts.seq};
  for (int pass = 0; pass < 2; ++pass) {
    for (std::uint64_t i = std::max<std::uint64_t>(intents_from[pass], 1); i <= batch.intents.seq;
         ++i) {
      const bus::StreamMessage* message = At(server_, names.IntentsStream(), i);
      if (message == nullptr) continue;
      FoldIntents(view_, {i, message->time, 0},
                  wire::DecodeIntents(message->subject, message->headers, message->payload));
    }
    for (std::uint64_t i = std::max<std::uint64_t>(facts_from[pass], 1); i <= batch.facts.seq;
         ++i) {
      const bus::StreamMessage* message = At(server_, names.FactsStream(), i);
      if (message == nullptr) continue;
      const Result<FactBatch> facts =
          wire::DecodeFacts(wire::Subjects::LastToken(message->subject), message->payload);
      if (facts) {
        FoldFacts(view_, {i, message->time, 0}, *facts);
      } else {
        SkipFacts(view_, {i, message->time, 0});
      }
    }
  }
  for (const DecisionItem& item : batch.items) {
    const auto* start = std::get_if<StartAttempt>(&item);
    if (start == nullptr) continue;
    const auto node = view_.nodes.find(start->node);
    if (node == view_.nodes.end() || !IsEligible(node->second)) {
      return start->task.str() + " goes to " + start->node.str() + ", which takes no tasks";
    }
  }
  if (std::string broken = job_laws_.Check(view_, batch); !broken.empty()) return broken;
  if (IsNext(view_, batch)) FoldDecisions(view_, seq, batch);
  return {};
}

std::string Laws::CheckTrimmed() const {
  const wire::Subjects names;
  const auto gone = [&](const std::string& stream) -> std::uint64_t {
    const bus::SimStream* found = server_.FindStream(stream);
    return found == nullptr ? 0 : found->State().first_seq - 1;
  };
  const std::uint64_t intents = gone(names.IntentsStream());
  const std::uint64_t facts = gone(names.FactsStream());
  const std::uint64_t decisions = gone(names.DecisionsStream());
  const bus::SimStream* snapshots = server_.FindStream(names.SnapshotsStream());
  if (intents + facts + decisions == 0 || snapshots == nullptr) return {};
  std::map<std::uint64_t, std::uint32_t> chunks;  // by snapshot
  int whole = 0;
  for (const auto& [seq, message] : snapshots->messages()) {
    if (message.subject == names.SnapshotChunks()) {
      ++chunks[wire::DecodeSnapshotChunk(message.payload)->snapshot];
      continue;
    }
    const SnapshotManifest manifest = *wire::DecodeSnapshotManifest(message.payload);
    const SnapshotCover& cover = manifest.cover;
    const bool enough =
        cover.intents.seq >= intents && cover.facts.seq >= facts && cover.decision >= decisions;
    if (enough && chunks[manifest.snapshot] == manifest.chunks) ++whole;
  }
  if (whole >= 2) return {};
  return "law 4: the log was trimmed up to decision " + std::to_string(decisions) + ", intent " +
         std::to_string(intents) + ", fact " + std::to_string(facts) + ", which " +
         std::to_string(whole) + " snapshots hold";
}

std::string Laws::CompareView(const std::string& who, const View& view) const {
  if (view.valid_seq != view_.valid_seq || view.intents != view_.intents ||
      view.facts != view_.facts) {
    return {};  // in the middle of a cycle, or behind
  }
  if (manager::ViewBytes(view) == manager::ViewBytes(view_)) return {};
  return "law 1: the view of " + who + " is not the one that the log gives at decision " +
         std::to_string(view.valid_seq) + FirstDifference(view, view_);
}

}  // namespace cube::sim
