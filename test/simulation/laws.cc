#include "test/simulation/laws.h"

#include <algorithm>

#include "services/manager/view_store.h"
#include "shared/cluster/fold.h"
#include "shared/domain/rules.h"
#include "shared/wire/codec.h"
#include "shared/wire/subjects.h"
#include "test/support/cluster/indexes.h"

namespace cube::sim {
namespace {

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

const bus::StreamMessage* Laws::Archive::Find(std::uint64_t seq) const {
  const auto found = messages.find(seq);
  return found == messages.end() ? nullptr : &found->second;
}

bool Laws::Archive::Has(const Position& position) const {
  if (position.seq == 0) return true;
  const bus::StreamMessage* message = Find(position.seq);
  return message != nullptr && message->time == position.time;
}

void Laws::Store(Archive& archive, const std::string& stream) {
  const bus::SimStream* found = server_.FindStream(stream);
  if (found == nullptr) return;
  const auto& messages = found->messages();
  for (auto it = messages.upper_bound(archive.last); it != messages.end(); ++it) {
    archive.messages.insert(*it);
    archive.last = it->first;
  }
}

void Laws::OnTailsLost() {
  const wire::Subjects names;
  for (const auto& [archive, stream] :
       {std::pair(&intents_, names.IntentsStream()), std::pair(&facts_, names.FactsStream()),
        std::pair(&decisions_, names.DecisionsStream())}) {
    const bus::SimStream* found = server_.FindStream(stream);
    archive->last = found == nullptr ? 0 : found->State().last_seq;
    archive->messages.erase(archive->messages.upper_bound(archive->last), archive->messages.end());
  }
  lost_until_ = decisions_.last;
  lost_epoch_ = std::max(lost_epoch_, epoch_seen_) + 1;
  lossy_ = true;
  model_ = {};
}

std::string Laws::Check() {
  const wire::Subjects names;
  // What a decision names was stored before it.
  Store(decisions_, names.DecisionsStream());
  Store(intents_, names.IntentsStream());
  Store(facts_, names.FactsStream());
  while (const bus::StreamMessage* message = decisions_.Find(model_.seq + 1)) {
    const std::uint64_t seq = ++model_.seq;
    const Result<DecisionBatch> batch = wire::DecodeDecisions(message->payload);
    if (!batch)
      return "decision " + std::to_string(seq) + " cannot be read: " + batch.error().Text();
    epoch_seen_ = std::max(epoch_seen_, batch->term.epoch);
    if (std::string broken = CheckNext(seq, *batch); !broken.empty()) {
      return broken + " (decision " + std::to_string(seq) + ")";
    }
  }
  return {};
}

std::string Laws::CheckNext(std::uint64_t seq, const DecisionBatch& batch) {
  const View& view = model_.view;
  const bool valid =
      batch.prev == view.stamp && intents_.Has(batch.intents) && facts_.Has(batch.facts) &&
      (batch.term_start ? batch.term.epoch > view.term.epoch : batch.term == view.term);
  // What it continues, or names, was lost; it may also have been under way then.
  if (!valid && (seq <= lost_until_ || batch.term.epoch <= lost_epoch_)) {
    SkipDecisions(model_.view, seq);
    return {};
  }
  if (!valid) return "law 5: a decision that does not continue the log got in";
  if (batch.decided_at < view.decided_at) return "cluster time goes back";
  if (std::string broken = CheckBatch(batch); !broken.empty()) return broken;
  if (std::string broken = FoldAll(seq, batch); !broken.empty()) return broken;
  if (view.valid_seq != seq) return "law 1: the fold did not take it";
  for (const auto& [name, node] : view.nodes) {
    if (node.last_fact == model_.fact_numbers[name.str()]) continue;
    return "law 2: " + name.str() + " has said " + std::to_string(model_.fact_numbers[name.str()]) +
           " facts, and the view took a repeated one for the newest";
  }
  return {};
}

void Laws::End(Life& life) {
  if (!life.alive) return;
  life.alive = false;
  model_.promised[life.node] -= life.resources;
  for (const HostPort& port : life.ports) model_.ports[life.node].erase(port);
}

// The node's full report is awaited, which names the decision that let it in.
void Laws::Awaited(const std::string& node, Stamp up) {
  model_.up[node] = up;
  model_.reported.erase(node);
}

std::string Laws::ModelFacts(std::uint64_t until) {
  const wire::Subjects names;
  while (model_.facts < until) {
    const bus::StreamMessage* message = facts_.Find(++model_.facts);
    if (message == nullptr) continue;
    const Result<FactBatch> batch =
        wire::DecodeFacts(wire::Subjects::LastToken(message->subject), message->payload);
    if (!batch) continue;
    const std::string node = batch->node.str();
    std::map<std::uint64_t, Fact>& said = model_.said[node];
    std::uint64_t number = batch->first_number;
    for (const Fact& fact : batch->facts) {
      const std::uint64_t this_number = number++;
      if (const auto* joined = std::get_if<NodeJoined>(&fact.what)) {
        model_.asked_to_join[node + "/" + std::to_string(batch->instance)] =
            joined->description.capacity;
        continue;
      }
      // An end that was asked for needs the word of who asked.
      if (const auto* launch = std::get_if<LaunchFact>(&fact.what);
          launch && launch->final && !launch->stop_asked) {
        accounted_.insert({launch->key.task, launch->key.attempt});
      }
      if (model_.speaks[node] != std::pair(batch->instance, batch->incarnation)) continue;
      const std::string name = "fact " + std::to_string(this_number) + " of " + node;
      if (this_number <= model_.fact_numbers[node]) {
        const auto before = said.find(this_number);
        if (before != said.end() && before->second != fact) {
          return "law 4: " + name + " comes in two forms";
        }
        continue;
      }
      said[this_number] = fact;
      if (said.size() != this_number && !lossy_) {
        return "law 4: " + name + " comes before an older one";
      }
      model_.fact_numbers[node] = this_number;
      if (const auto* reported = std::get_if<NodeReported>(&fact.what)) {
        if (model_.up[node] == reported->up) model_.reported.insert(node);
        continue;
      }
      if (const auto* held = std::get_if<AttemptHeld>(&fact.what)) {
        model_.held[node].insert_or_assign({held->task, held->attempt}, *held);
        const bool ended = held->observed && held->observed->final && !held->observed->stop_asked;
        if (ended) accounted_.insert({held->task, held->attempt});
        continue;
      }
      const auto* launch = std::get_if<LaunchFact>(&fact.what);
      if (launch == nullptr || !launch->final) continue;
      const auto held = model_.held[node].find({launch->key.task, launch->key.attempt});
      if (held != model_.held[node].end()) held->second.observed = *launch;
      const auto life = model_.lives.find(launch->key.task.str());
      if (life != model_.lives.end() && life->second.alive &&
          life->second.attempt == launch->key.attempt && life->second.node == node &&
          life->second.placement == launch->placement) {
        Ended(life->second, *launch);
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
  Life& life = model_.lives[start.task.str()];
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
  const std::string slot = SlotOf(start.task.str());
  if (!slot.empty() && !model_.plain.contains(start.task.str())) {
    std::string& holder = model_.slots[slot];
    if (holder != start.task.str() && model_.lives[holder].alive) {
      return start.task.str() + " begins while " + holder + " is alive in its slot";
    }
    holder = start.task.str();
  }
  const std::string node = start.node.str();
  if (!model_.reported.contains(node)) {
    return "law 6: " + start.task.str() + " is placed on " + node +
           ", which is down or has not reported";
  }
  life = {start.attempt, true,  node, start.spec->resources, {}, false, false,
          life.moves,    false, {}};
  model_.promised[node] += life.resources;
  for (const PortSpec& port : start.spec->ports) {
    if (port.host_port == 0) continue;
    life.ports.emplace_back(port.host_port, port.protocol);
    if (!model_.ports[node].insert(life.ports.back()).second) {
      return "law 6: port " + std::to_string(port.host_port) + " of " + node + " is promised twice";
    }
  }
  // What is readopted was promised by decisions that are lost, and what has been since may come on
  // top of it; but nothing more then.
  const auto too_much = [&](std::int64_t Resources::* amount) {
    return life.resources.*amount > 0 &&
           model_.promised[node].*amount > model_.capacity[node].*amount;
  };
  if (too_much(&Resources::cpu_millis) || too_much(&Resources::memory_bytes)) {
    return "law 6: more is promised than " + node + " has";
  }
  return {};
}

void Laws::Ended(Life& life, const LaunchFact& launch) {
  End(life);
  const bool clean = launch.cause == ExitCause::kExited && launch.exit_code == 0;
  life.failed = !clean && !launch.stop_asked;
  // Who asked for a stop may be lost.
  life.over = launch.stop_asked ? !life.evicted && !lossy_ : clean;
}

// An attempt that a lost decision had placed.
std::string Laws::Readopt(const ReadoptAttempt& readopt) {
  const std::string id = readopt.task.str();
  const std::string node = readopt.node.str();
  Life& life = model_.lives[id];
  if (life.alive) return "law 5: " + id + " is readopted though an attempt is alive";
  if (life.over) return "law 5: " + id + " has ended and is readopted";
  const auto& told = model_.held[node];
  const auto held = told.find({readopt.task, readopt.attempt});
  if (held == told.end() || held->second.placement != readopt.placement) {
    return id + " is readopted on " + node + ", which has not told of it";
  }
  if (!lossy_ && readopt.spec != nullptr) {
    return "law 4: " + id + " is not in the log, which has lost nothing";
  }
  ++model_.readopted;
  ever_readopted_ = true;
  life = {readopt.attempt, true, node, {}, {}, false, false, life.moves, false, readopt.placement};
  // One of a job that is lost too has no slot.
  if (readopt.spec != nullptr) {
    model_.plain.insert(id);
  } else if (const std::string slot = SlotOf(id); !slot.empty() && !model_.plain.contains(id)) {
    model_.slots[slot] = id;
  }
  if (held->second.spec != nullptr) life.resources = held->second.spec->resources;
  model_.promised[node] += life.resources;
  if (held->second.observed && held->second.observed->final) {
    Ended(life, *held->second.observed);
    return {};
  }
  for (const PortSpec& port : held->second.spec->ports) {
    if (port.host_port == 0) continue;
    life.ports.emplace_back(port.host_port, port.protocol);
    model_.ports[node].insert(life.ports.back());
  }
  return {};
}

std::string Laws::CheckBatch(const DecisionBatch& batch) {
  if (std::string broken = ModelFacts(batch.facts.seq); !broken.empty()) return broken;
  if (batch.term_start && !batch.term_start->reset.empty()) {
    ++model_.resets;
    if (!lossy_) return "a reset though the log has lost nothing: " + batch.term_start->reset;
    model_.speaks.clear();
    model_.reported.clear();
    model_.up.clear();
  }
  for (const DecisionItem& item : batch.items) {
    if (const auto* start = std::get_if<StartAttempt>(&item)) {
      if (std::string broken = CheckStart(*start, batch.decided_at); !broken.empty()) {
        return broken;
      }
      model_.lives[start->task.str()].placement = batch.stamp();
    } else if (const auto* fill = std::get_if<FillSlots>(&item)) {
      for (std::uint32_t i = 0; i < fill->count; ++i) {  // a slot's task begins anew
        Life& life = model_.lives[JobTaskId(fill->job, fill->version, fill->first + i).str()];
        life.over = life.failed = false;
        life.moves.clear();
      }
    } else if (const auto* evict = std::get_if<EvictAttempt>(&item)) {
      Life& life = model_.lives[evict->task.str()];
      if (!life.alive || life.attempt != evict->attempt || life.node != evict->node.str()) {
        return "an attempt of " + evict->task.str() + " that is not alive has to leave";
      }
      life.evicted = !evict->ends;
      accounted_.insert({evict->task, evict->attempt});
    } else if (const auto* stop = std::get_if<StopAttempt>(&item)) {
      accounted_.insert({stop->task, stop->attempt});
    } else if (const auto* readopt = std::get_if<ReadoptAttempt>(&item)) {
      if (std::string broken = Readopt(*readopt); !broken.empty()) return broken;
    } else if (const auto* drop = std::get_if<DropAttempt>(&item)) {
      accounted_.insert({drop->task, drop->attempt});
    } else if (const auto* refuse = std::get_if<RefuseIntent>(&item)) {
      model_.refused.emplace(refuse->task, refuse->error.Text());
    } else if (const auto* down = std::get_if<NodeDown>(&item)) {
      for (auto& [id, life] : model_.lives) {
        if (!life.alive || life.node != down->node.str()) continue;
        accounted_.insert({TaskId::Trusted(id), life.attempt});
        End(life);
      }
      model_.reported.erase(down->node.str());
    } else if (const auto* back = std::get_if<NodeUp>(&item)) {
      Awaited(back->node.str(), batch.stamp());
    } else if (const auto* welcome = std::get_if<WelcomeNode>(&item)) {
      const std::string node = welcome->node.str();
      model_.speaks[node] = {welcome->instance, welcome->incarnation};
      model_.fact_numbers[node] = 0;
      model_.said[node].clear();
      model_.held[node].clear();
      Awaited(node, batch.stamp());
      model_.capacity[node] = model_.asked_to_join[node + "/" + std::to_string(welcome->instance)];
    }
  }
  return {};
}

std::string Laws::FoldAll(std::uint64_t seq, const DecisionBatch& batch) {
  const wire::Subjects names;
  // What is new, then the newest of it once more: folding twice must change nothing (law 2).
  const std::uint64_t intents_from[] = {model_.view.intents.seq + 1, batch.intents.seq};
  const std::uint64_t facts_from[] = {model_.view.facts.seq + 1, batch.facts.seq};
  for (int pass = 0; pass < 2; ++pass) {
    for (std::uint64_t i = std::max<std::uint64_t>(intents_from[pass], 1); i <= batch.intents.seq;
         ++i) {
      const bus::StreamMessage* message = intents_.Find(i);
      if (message == nullptr) continue;
      FoldIntents(model_.view, {i, message->time, 0},
                  wire::DecodeIntents(message->subject, message->headers, message->payload));
    }
    for (std::uint64_t i = std::max<std::uint64_t>(facts_from[pass], 1); i <= batch.facts.seq;
         ++i) {
      const bus::StreamMessage* message = facts_.Find(i);
      if (message == nullptr) continue;
      const Result<FactBatch> facts =
          wire::DecodeFacts(wire::Subjects::LastToken(message->subject), message->payload);
      if (facts) {
        FoldFacts(model_.view, {i, message->time, 0}, *facts);
      } else {
        SkipFacts(model_.view, {i, message->time, 0});
      }
    }
  }
  for (const DecisionItem& item : batch.items) {
    const auto* start = std::get_if<StartAttempt>(&item);
    if (start == nullptr) continue;
    const Task* task = model_.view.Find(start->task);
    if (task != nullptr && task->seldom->pinned && *task->seldom->pinned != start->node) {
      return start->task.str() + " goes to " + start->node.str() + ", and is only for " +
             task->seldom->pinned->str();
    }
    const auto node = model_.view.nodes.find(start->node);
    if (node == model_.view.nodes.end() || !IsEligible(node->second)) {
      return start->task.str() + " goes to " + start->node.str() + ", which takes no tasks";
    }
  }
  if (std::string broken = model_.job_laws.Check(model_.view, batch); !broken.empty())
    return broken;
  if (IsNext(model_.view, batch)) FoldDecisions(model_.view, seq, batch);
  return {};
}

std::uint64_t Laws::Gone(const std::string& stream) const {
  const bus::SimStream* found = server_.FindStream(stream);
  return found == nullptr ? 0 : found->State().first_seq - 1;
}

// Of the log as it is, oldest first, with all that it needs.
std::vector<SnapshotCover> Laws::WholeSnapshots() const {
  const wire::Subjects names;
  std::vector<SnapshotCover> covers;
  const bus::SimStream* snapshots = server_.FindStream(names.SnapshotsStream());
  if (snapshots == nullptr) return covers;
  std::map<std::uint64_t, std::uint32_t> chunks;  // by snapshot
  for (const auto& [seq, message] : snapshots->messages()) {
    if (message.subject == names.SnapshotChunks()) {
      ++chunks[wire::DecodeSnapshotChunk(message.payload)->snapshot];
      continue;
    }
    const SnapshotManifest manifest = *wire::DecodeSnapshotManifest(message.payload);
    const SnapshotCover& cover = manifest.cover;
    const bus::StreamMessage* decision = decisions_.Find(cover.decision);
    const bool ours = decision != nullptr && intents_.Has(cover.intents) &&
                      facts_.Has(cover.facts) &&
                      wire::DecodeDecisions(decision->payload)->stamp() == cover.stamp;
    const bool enough = cover.intents.seq >= Gone(names.IntentsStream()) &&
                        cover.facts.seq >= Gone(names.FactsStream()) &&
                        cover.decision >= Gone(names.DecisionsStream());
    if (ours && enough && chunks[manifest.snapshot] == manifest.chunks) covers.push_back(cover);
  }
  return covers;
}

std::optional<SnapshotCover> Laws::MustStay() const {
  const wire::Subjects names;
  const bool trimmed =
      Gone(names.IntentsStream()) + Gone(names.FactsStream()) + Gone(names.DecisionsStream()) > 0;
  const std::vector<SnapshotCover> whole = WholeSnapshots();
  if (!trimmed) return std::nullopt;
  if (whole.empty()) return SnapshotCover{model_.view.intents, model_.view.facts, model_.seq, {}};
  return whole[std::min<std::size_t>(1, whole.size() - 1)];
}

std::string Laws::CheckTrimmed() const {
  const wire::Subjects names;
  const std::uint64_t intents = Gone(names.IntentsStream());
  const std::uint64_t facts = Gone(names.FactsStream());
  const std::uint64_t decisions = Gone(names.DecisionsStream());
  if (intents + facts + decisions == 0) return {};
  const std::size_t whole = WholeSnapshots().size();
  if (whole >= 2) return {};
  return "law 4: the log was trimmed up to decision " + std::to_string(decisions) + ", intent " +
         std::to_string(intents) + ", fact " + std::to_string(facts) + ", which " +
         std::to_string(whole) + " snapshots hold";
}

std::string Laws::CheckIndexes() const {
  const std::string wrong = test::WrongIndex(model_.view);
  return wrong.empty() ? "" : "law 1: the records do not give the view's index " + wrong;
}

std::string Laws::CompareView(const std::string& who, const View& view) const {
  if (view.valid_seq != model_.view.valid_seq || view.intents != model_.view.intents ||
      view.facts != model_.view.facts) {
    return {};  // in the middle of a cycle, or behind
  }
  // It has not looked at the log since a power cut.
  if (lossy_ && view.stamp != model_.view.stamp) return {};
  if (manager::ViewBytes(view) == manager::ViewBytes(model_.view)) return {};
  return "law 1: the view of " + who + " is not the one that the log gives at decision " +
         std::to_string(view.valid_seq) + FirstDifference(view, model_.view);
}

}  // namespace cube::sim
