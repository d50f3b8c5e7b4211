#include "services/manager/teller.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "shared/cluster/assignments.h"
#include "shared/domain/assign.h"
#include "shared/wire/codec.h"

namespace cube::manager {
namespace {

// The name of the node that an item concerns; nullptr if none.
const NodeName* Concerned(const DecisionItem& item) {
  if (const auto* start = std::get_if<StartAttempt>(&item)) return &start->node;
  if (const auto* stop = std::get_if<StopAttempt>(&item)) {
    return stop->attempt == 0 ? nullptr : &stop->node;
  }
  if (const auto* evict = std::get_if<EvictAttempt>(&item)) return &evict->node;
  if (const auto* down = std::get_if<NodeDown>(&item)) return &down->node;
  if (const auto* up = std::get_if<NodeUp>(&item)) return &up->node;
  if (const auto* welcome = std::get_if<WelcomeNode>(&item)) return &welcome->node;
  return nullptr;
}

// Never dropped before the others: what people must act on.
bool IsImportant(const std::string& status) {
  return status == "failed" || status == "lost" || status == "refused";
}

// Everything that goes into a token of the outcome subject; anything else could be a subject of
// its own.
bool IsSafeToken(std::string_view token) {
  constexpr std::size_t kTokenMax = 64;
  return !token.empty() && token.size() <= kTokenMax &&
         std::all_of(token.begin(), token.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '_';
         });
}

std::string_view KindName(IntentResult::Kind kind) {
  switch (kind) {
    case IntentResult::Kind::kAccepted:
      return "accepted";
    case IntentResult::Kind::kUnchanged:
      return "unchanged";
    case IntentResult::Kind::kRefused:
      return "refused";
  }
  return "unknown";
}

// Bounds above the encoded size of a page's head and of an assignment without its spec: names and
// ids of at most 63 bytes, a few numbers.
constexpr std::size_t kHeadBytes = 512;
constexpr std::size_t kAssignmentBytes = 160;

// Of few lengths: with each change of it, turns move.
Duration RoundAfter(Duration burst) {
  Duration round = kHeldMin;
  while (round < kHeldMax && 2 * round <= burst / kHeldPart) round *= 2;
  return round;
}

// When the node's next turn comes.
MonoTime NextTurn(const Node& node, Duration round, MonoTime now) {
  const Duration turn = round / kHeldTurns;
  const std::int64_t number = now.time_since_epoch() / turn;
  const auto own = static_cast<std::int64_t>(node.instance % kHeldTurns);
  const std::int64_t wait = (own - number % kHeldTurns + kHeldTurns) % kHeldTurns;
  return MonoTime((number + (wait == 0 ? kHeldTurns : wait)) * turn);
}

}  // namespace

Teller::Before Teller::Remember(const View& view, const DecisionBatch& batch) {
  Before before;
  for (const DecisionItem& item : batch.items) {
    const NodeName* name = Concerned(item);
    if (name == nullptr) continue;
    const auto [entry, is_new] = before.try_emplace(*name);
    if (!is_new) continue;
    const auto it = view.nodes.find(*name);
    entry->second = it == view.nodes.end() ? 0 : it->second.last_decision;
  }
  return before;
}

AssignBatch Teller::Copy(const View& view, const Node& node, std::uint64_t seq) const {
  AssignBatch copy;
  copy.term = view.term;
  copy.node = node.name;
  copy.instance = node.instance;
  copy.incarnation = node.incarnation;
  copy.seq = seq;
  copy.stamp = view.stamp;
  if (!view.terms.empty()) copy.term_seq = view.terms.back().seq;
  if (view.terms.size() > 1) copy.term_before = view.terms[view.terms.size() - 2].term;
  copy.cluster = view.term_start ? view.term_start->cluster : "";
  return copy;
}

void Teller::Send(const AssignBatch& batch, Operations& out) {
  out.Bus(bus::Publish{
      subjects_.Assign(batch.node.str()), {}, wire::EncodeAssignWith(batch, spec_texts_)});
}

auto Teller::CopyFor(const View& view, const NodeName& name, const Before& before, MonoTime now)
    -> HeldCopy& {
  const auto [it, is_new] = held_.try_emplace(name);
  HeldCopy& held = it->second;
  if (is_new) {
    const Node& node = view.nodes.at(name);
    held.copy = Copy(view, node, view.valid_seq);
    held.due = NextTurn(node, RoundAfter(now - more_since_), now);
    release_at_ = std::min(release_at_, held.due);
    held.copy.prev = before.at(name);
    held.copy.first = view.valid_seq;
  }
  held.copy.seq = view.valid_seq;
  held.copy.stamp = view.stamp;
  return held;
}

void Teller::SendHeld(const NodeName& name, Operations& out) {
  const auto it = held_.find(name);
  if (it == held_.end()) return;
  Send(it->second.copy, out);
  held_.erase(it);
}

// By name: nothing that is sent follows the order of a hash.
template <class Choose>
void Teller::SendThose(const Choose& choose, Operations& out) {
  std::vector<const NodeName*> chosen;
  for (const auto& [name, held] : held_) {
    if (choose(held)) chosen.push_back(&name);
  }
  std::ranges::sort(chosen, [](const NodeName* a, const NodeName* b) { return *a < *b; });
  for (const NodeName* name : chosen) Send(held_.at(*name).copy, out);
  absl::erase_if(held_, [&choose](const auto& entry) { return choose(entry.second); });
  if (held_.empty()) release_at_ = MonoTime::max();
}

void Teller::Release(Operations& out) {
  SendThose([](const HeldCopy&) { return true; }, out);
}

void Teller::ReleaseDue(MonoTime now, Operations& out) {
  if (now < release_at_) return;
  SendThose([now](const HeldCopy& held) { return held.due <= now; }, out);
  if (held_.empty()) return;
  release_at_ = MonoTime::max();
  for (const auto& [name, held] : held_) release_at_ = std::min(release_at_, held.due);
}

std::uint64_t Teller::ToldTo(const Node& node) const {
  const auto held = held_.find(node.name);
  return held == held_.end() ? node.last_decision : held->second.copy.prev;
}

void Teller::TellNodes(const View& view, const DecisionBatch& batch, const Before& before,
                       bool more, MonoTime now, bus::OpId& next_op, Operations& out) {
  more_since_ = more ? std::min(more_since_, now) : MonoTime::max();
  std::vector<NodeName> sets;
  const auto urgent = [&](const NodeName& name) -> AssignBatch& {
    HeldCopy& held = CopyFor(view, name, before, now);
    held.waits = false;
    return held.copy;
  };
  for (const DecisionItem& item : batch.items) {
    if (const auto* start = std::get_if<StartAttempt>(&item)) {
      HeldCopy& held = CopyFor(view, start->node, before, now);
      held.spec_bytes += EncodedBytesMax(*start->spec);
      held.copy.items.emplace_back(
          Assignment{start->task, start->attempt, batch.stamp(), start->spec, false, {}});
    } else if (const auto* stop = std::get_if<StopAttempt>(&item)) {
      if (stop->attempt == 0) continue;
      urgent(stop->node).items.emplace_back(StopAssignment{stop->task, stop->attempt, stop->grace});
    } else if (const auto* evict = std::get_if<EvictAttempt>(&item)) {
      urgent(evict->node)
          .items.emplace_back(StopAssignment{evict->task, evict->attempt, evict->grace});
    } else if (const auto* down = std::get_if<NodeDown>(&item)) {
      // What it starts is lost by now, and goes elsewhere. The next copy shows the worker a gap.
      held_.erase(down->node);
    } else if (const auto* welcome = std::get_if<WelcomeNode>(&item)) {
      SendHeld(welcome->node, out);  // it is of the incarnation before
      urgent(welcome->node)
          .items.emplace_back(Welcomed{welcome->instance, welcome->incarnation, welcome->hold});
      if (!welcome->hold) sets.push_back(welcome->node);
    } else if (const auto* up = std::get_if<NodeUp>(&item)) {
      if (!view.nodes.at(up->node).holding) sets.push_back(up->node);
    } else if (const auto* settle = std::get_if<SettleNode>(&item)) {
      sets.push_back(settle->node);
    } else if (const auto* refuse = std::get_if<RefuseNode>(&item)) {
      Refuse(view, refuse->node, refuse->instance, refuse->reason, out);
    }
  }
  // Each with all that this message says: a part of it would count as the whole.
  SendThose(
      [more](const HeldCopy& held) {
        return !more || !held.waits || held.copy.items.size() >= kHeldItemsMax ||
               held.spec_bytes >= kHeldBytesMax;
      },
      out);
  for (const NodeName& name : sets) TellSet(view, view.nodes.at(name), next_op, out);
  if (!more) spec_texts_.Clear();
}

void Teller::Refuse(const View& view, const NodeName& node, std::uint64_t instance,
                    std::string reason, Operations& out) {
  AssignBatch answer;
  answer.term = view.term;
  answer.node = node;
  answer.instance = instance;
  answer.seq = view.valid_seq;
  answer.items.emplace_back(JoinRefused{instance, std::move(reason)});
  Send(answer, out);
}

void Teller::AskToJoin(const View& view, const NodeName& node, std::uint64_t instance,
                       Operations& out) {
  AssignBatch request;
  request.term = view.term;
  request.node = node;
  request.instance = instance;
  request.seq = view.valid_seq;
  request.items.emplace_back(JoinAgain{instance});
  Send(request, out);
}

void Teller::TellSet(const View& view, const Node& node, bus::OpId& next_op, Operations& out) {
  SendHeld(node.name, out);  // the set is of later
  DesiredPage head;
  head.term = view.term;
  head.node = node.name;
  head.instance = node.instance;
  head.incarnation = node.incarnation;
  head.seq = view.valid_seq;
  if (!node.reported) head.report = node.up;
  head.cluster = view.term_start ? view.term_start->cluster : "";
  head.last_fact = node.last_fact;
  std::vector<DesiredPage> pages(1, head);
  std::size_t bytes = kHeadBytes;
  std::set<const TaskSpec*> specs;  // asked, never iterated
  for (const TaskNumber& number : node.attempts) {
    const Task& task = view.tasks.At(number);
    const std::size_t spec_bytes = EncodedBytesMax(*task.spec);
    std::size_t size = kAssignmentBytes + (specs.contains(task.spec.get()) ? 0 : spec_bytes);
    if (bytes + size > kPageBytesMax) {  // never the first of a page: every spec fits one
      pages.push_back(head);
      specs.clear();
      bytes = kHeadBytes;
      size = kAssignmentBytes + spec_bytes;
    }
    specs.insert(task.spec.get());
    bytes += size;
    pages.back().assignments.push_back(AssignmentOf(task));
  }
  for (std::uint32_t i = 0; i < pages.size(); ++i) {
    pages[i].page = i;
    pages[i].pages = static_cast<std::uint32_t>(pages.size());
    bus::AppendRequest request;
    request.op = next_op++;  // nobody waits for it: a worker that misses it says hello again
    request.subject = subjects_.Desired(node.name.str(), i);
    request.payload = wire::EncodeDesired(pages[i]);
    out.Bus(bus::Append{std::move(request)});
  }
}

bool Teller::AnswerHello(const View& view, const Node& node, std::uint64_t position,
                         bus::OpId& next_op, Operations& out) {
  SendHeld(node.name, out);
  if (node.holding) {  // it tells what it has before it is told what it should have
    AssignBatch answer = Copy(view, node, view.valid_seq);
    answer.items.emplace_back(Welcomed{node.instance, node.incarnation, true});
    Send(answer, out);
    return false;
  }
  const bool knows_all = position != 0 && position >= node.last_decision && node.reported;
  if (!knows_all) {
    TellSet(view, node, next_op, out);
    return true;
  }
  AssignBatch answer = Copy(view, node, view.valid_seq);
  answer.prev = node.last_decision;
  answer.items.emplace_back(UpToDate{});
  Send(answer, out);
  return false;
}

void Teller::TellOutcomes(const std::vector<FoldedIntents>& folded, Operations& out) {
  for (const FoldedIntents& intents : folded) {
    if (!IsSafeToken(intents.outcome_token)) continue;
    nlohmann::ordered_json items = nlohmann::ordered_json::array();
    for (const IntentResult& result : intents.results) {
      nlohmann::ordered_json item{
          {"index", result.index}, {"id", result.task}, {"status", KindName(result.kind)}};
      if (result.kind == IntentResult::Kind::kRefused) {
        item["code"] = CodeName(result.error.code);
        if (!result.error.field.empty()) item["field"] = result.error.field;
        item["reason"] = result.error.message;
      }
      items.push_back(std::move(item));
    }
    const nlohmann::ordered_json outcome{{"intent", intents.seq}, {"items", std::move(items)}};
    out.Bus(bus::Publish{
        subjects_.Outcome(intents.outcome_token),
        {},
        outcome.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace)});
  }
}

std::string FeedJson(const Transition& step) {
  nlohmann::ordered_json line{{"time", FormatRfc3339(step.time)},
                              {"task", step.task},
                              {"name", step.name},
                              {"node", step.node.str()},
                              {"attempt", step.attempt},
                              {"launch", step.launch},
                              {"status", step.status},
                              {"healthy", step.healthy}};
  if (!step.job.empty()) {
    line["job"] = step.job;
    line["slot"] = step.slot;
  }
  if (!step.reason.empty()) line["reason"] = step.reason;
  if (step.exit_code) line["exit_code"] = *step.exit_code;
  if (!step.ports.empty()) {
    nlohmann::ordered_json ports = nlohmann::ordered_json::array();
    for (const BoundPort& port : step.ports) {
      ports.push_back({{"port", port.port},
                       {"host_port", port.host_port},
                       {"protocol", port.protocol == Protocol::kTcp ? "tcp" : "udp"}});
    }
    line["ports"] = std::move(ports);
  }
  return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

void Teller::Feed(const Transition& step, Operations& out) {
  out.Bus(bus::Publish{subjects_.Event(step.name, step.task, step.status), {}, FeedJson(step)});
}

bool Teller::MayFeed(const Transition& step, MonoTime now, Operations& out) {
  if (now - window_ >= std::chrono::seconds(1)) {
    window_ = now;
    in_window_ = 0;
    if (skipped_ > 0) {
      const nlohmann::ordered_json notice{
          {"status", "skipped"},
          {"count", skipped_},
          {"reason", "more transitions than the feed carries; 'cube events' reads them all"}};
      out.Bus(bus::Publish{subjects_.Event("-", "-", "skipped"), {}, notice.dump()});
      skipped_ = 0;
    }
  }
  // What must be acted on has half as much room again.
  const std::uint32_t limit =
      IsImportant(step.status) ? kFeedPerSecond + kFeedPerSecond / 2 : kFeedPerSecond;
  if (in_window_ >= limit) {
    ++skipped_;
    return false;
  }
  ++in_window_;
  return true;
}

void Teller::TellFeed(const View& view, MonoTime now, Operations& out) {
  // Found from the end: under load `untold` holds the last cycle and this one.
  std::size_t first = view.untold.size();
  while (first > 0 && view.untold[first - 1].stamp != fed_ &&
         !(view.untold[first - 1].stamp.term_id == fed_.term_id &&
           view.untold[first - 1].stamp.cycle <= fed_.cycle)) {
    --first;
  }
  for (std::size_t i = first; i < view.untold.size(); ++i) {
    if (view.untold[i].stamp == Stamp{}) break;  // not valid yet
    if (MayFeed(view.untold[i], now, out)) Feed(view.untold[i], out);
  }
  fed_ = view.stamp;
}

}  // namespace cube::manager
