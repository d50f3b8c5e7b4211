#include <cube/v1/decisions.pb.h>

#include "shared/base/check.h"
#include "shared/domain/rules.h"
#include "shared/domain/text.h"
#include "shared/wire/codec.h"
#include "shared/wire/convert_jobs.h"
#include "shared/wire/internal.h"

namespace cube::wire {
namespace {

using internal::At;
using internal::CheckCount;
using internal::CheckLength;

// ---- encoding ---------------------------------------------------------------------------------

class Encoder {
 public:
  explicit Encoder(v1::Decisions& message) : message_(message) {}

  void Add(const DecisionItem& item) {
    v1::DecisionItem* proto = message_.add_items();
    std::visit([&](const auto& what) { Write(what, *proto); }, item);
  }
  void Finish() { internal::WriteSpecs(specs_, message_.mutable_specs()); }

 private:
  void Write(const StartAttempt& from, v1::DecisionItem& item) {
    v1::StartAttempt* to = item.mutable_start();
    to->set_task(from.task.str());
    to->set_attempt(from.attempt);
    to->set_node(Node(from.node));
    to->set_spec(specs_.Index(from.spec));
    to->set_explanation(Reason(from.explanation));
  }
  void Write(const StopAttempt& from, v1::DecisionItem& item) {
    v1::StopAttempt* to = item.mutable_stop();
    to->set_task(from.task.str());
    to->set_attempt(from.attempt);
    if (from.attempt != 0) to->set_node(Node(from.node));
    to->set_grace_ns(from.grace.count());
  }
  void Write(const RefuseIntent& from, v1::DecisionItem& item) {
    v1::RefuseIntent* to = item.mutable_refuse();
    to->set_intent(from.intent);
    to->set_index(from.index);
    to->set_task(CleanText(from.task, kWordBytesMax));
    ToProto(from.error, *to->mutable_failure());
  }
  void Write(const NodeDown& from, v1::DecisionItem& item) {
    v1::NodeDown* to = item.mutable_node_down();
    to->set_node(Node(from.node));
    to->set_reason(CleanText(from.reason, kSentenceBytesMax));
  }
  void Write(const NodeUp& from, v1::DecisionItem& item) {
    item.mutable_node_up()->set_node(Node(from.node));
  }
  void Write(const WelcomeNode& from, v1::DecisionItem& item) {
    v1::WelcomeNode* to = item.mutable_welcome();
    to->set_node(Node(from.node));
    to->set_instance(from.instance);
    to->set_incarnation(from.incarnation);
    to->set_hold(from.hold);
  }
  void Write(const RefuseNode& from, v1::DecisionItem& item) {
    v1::RefuseNode* to = item.mutable_refuse_node();
    to->set_node(Node(from.node));
    to->set_instance(from.instance);
    to->set_reason(CleanText(from.reason, kSentenceBytesMax));
  }
  void Write(const ForgetTask& from, v1::DecisionItem& item) {
    item.mutable_forget()->set_task(from.task.str());
  }
  void Write(const SetLoad& from, v1::DecisionItem& item) {
    v1::SetLoad* to = item.mutable_load();
    to->set_node(Node(from.node));
    ToProto(from.load, *to->mutable_load());
  }

  void Write(const EvictAttempt& from, v1::DecisionItem& item) {
    v1::EvictAttempt* to = item.mutable_evict();
    to->set_task(from.task.str());
    to->set_attempt(from.attempt);
    to->set_node(Node(from.node));
    to->set_grace_ns(from.grace.count());
    to->set_reason(CleanText(from.reason, kSentenceBytesMax));
    to->set_ends(from.ends);
  }
  void Write(const FillSlots& from, v1::DecisionItem& item) {
    v1::FillSlots* to = item.mutable_fill_slots();
    to->set_job(from.job.str());
    to->set_version(from.version);
    to->set_first(from.first);
    to->set_count(from.count);
    if (!from.node.empty()) to->set_node(Node(from.node) + 1);
    to->set_vacant(from.vacant);
  }
  void Write(const EmptySlots& from, v1::DecisionItem& item) {
    v1::EmptySlots* to = item.mutable_empty_slots();
    to->set_job(from.job.str());
    to->set_version(from.version);
    to->set_first(from.first);
    to->set_count(from.count);
    if (from.grace) to->set_grace_ns(from.grace->count());
    to->set_release(from.release);
  }
  void Write(const EndUpdate& from, v1::DecisionItem& item) {
    v1::EndUpdate* to = item.mutable_end_update();
    to->set_job(from.job.str());
    to->set_version(from.version);
    to->set_failure(CleanText(from.failure, kSentenceBytesMax));
  }
  void Write(const EndJob& from, v1::DecisionItem& item) {
    v1::EndJob* to = item.mutable_end_job();
    to->set_job(from.job.str());
    to->set_end(ToProto(from.end));
    to->set_reason(CleanText(from.reason, kSentenceBytesMax));
  }
  void Write(const ReadoptAttempt& from, v1::DecisionItem& item) {
    v1::ReadoptAttempt* to = item.mutable_readopt();
    to->set_node(Node(from.node));
    to->set_task(from.task.str());
    to->set_attempt(from.attempt);
    ToProto(from.placement, *to->mutable_placement());
    if (from.spec != nullptr) to->set_spec(specs_.Index(from.spec) + 1);
  }
  void Write(const DropAttempt& from, v1::DecisionItem& item) {
    v1::DropAttempt* to = item.mutable_drop();
    to->set_node(Node(from.node));
    to->set_task(from.task.str());
    to->set_attempt(from.attempt);
    to->set_reason(CleanText(from.reason, kSentenceBytesMax));
  }
  void Write(const SettleNode& from, v1::DecisionItem& item) {
    item.mutable_settle()->set_node(Node(from.node));
  }

  std::uint32_t Node(const NodeName& node) {
    CUBE_CHECK(!node.empty());
    const auto [known, fresh] =
        nodes_.try_emplace(node.str(), static_cast<std::uint32_t>(nodes_.size()));
    if (fresh) message_.add_nodes(node.str());
    return known->second;
  }

  std::uint32_t Reason(const SharedExplanation& shared) {
    // Tasks of one class follow each other and share their explanation.
    if (!reasons_.empty() && *reasons_[last_reason_] == shared) return last_reason_;
    const Explanation& explanation = *shared;
    const std::size_t hash = internal::HashExplanation(explanation);
    const auto [begin, end] = reason_by_value_.equal_range(hash);
    for (auto it = begin; it != end; ++it) {
      if (*reasons_[it->second] == shared) return last_reason_ = it->second;
    }
    last_reason_ = static_cast<std::uint32_t>(reasons_.size());
    reasons_.push_back(&shared);
    reason_by_value_.emplace(hash, last_reason_);
    v1::Explanation* to = message_.add_explanations();
    ToProto(explanation, *to);
    if (!explanation.runner_up.empty()) to->set_runner_up(Node(explanation.runner_up) + 1);
    return last_reason_;
  }

  v1::Decisions& message_;
  internal::SpecTable specs_;
  std::unordered_map<std::string_view, std::uint32_t> nodes_;  // keys live in the batch
  std::vector<const SharedExplanation*> reasons_;
  std::unordered_multimap<std::size_t, std::uint32_t> reason_by_value_;
  std::uint32_t last_reason_ = 0;
};

// ---- decoding ---------------------------------------------------------------------------------

// What items refer to by index, checked once.
struct Tables {
  std::vector<NodeName> nodes;
  std::vector<TaskSpecPtr> specs;
  std::vector<SharedExplanation> explanations;
};

Result<NodeName> NodeAt(const Tables& tables, std::uint32_t index, std::string_view field) {
  if (index >= tables.nodes.size()) {
    return internal::OutOfTable(field, index, tables.nodes.size());
  }
  return tables.nodes[index];
}

Result<Explanation> ReadExplanation(const v1::Explanation& from, const Tables& tables) {
  CUBE_TRY_VOID(CheckLength(from.scheduler(), kTokenLengthMax, "scheduler"));
  CUBE_TRY_VOID(
      CheckCount(static_cast<std::size_t>(from.filtered_size()), kFiltersMax, "filtered"));
  for (const v1::FilterCount& count : from.filtered()) {
    CUBE_TRY_VOID(CheckLength(count.filter(), kFilterNameLengthMax, "filtered"));
  }
  Explanation explanation = FromProto(from);
  if (from.runner_up() != 0) {
    CUBE_TRY(explanation.runner_up, NodeAt(tables, from.runner_up() - 1, "runner_up"));
  }
  return explanation;
}

Result<Tables> ReadTables(const v1::Decisions& from) {
  Tables tables;
  tables.nodes.reserve(static_cast<std::size_t>(from.nodes_size()));
  for (const std::string& name : from.nodes()) {
    auto node = NodeName::Parse(name, {});
    if (!node) return At(std::move(node).error(), "nodes", tables.nodes.size());
    tables.nodes.push_back(*std::move(node));
  }
  CUBE_TRY(tables.specs, internal::ReadSpecs(from.specs()));
  tables.explanations.reserve(static_cast<std::size_t>(from.explanations_size()));
  for (const v1::Explanation& proto : from.explanations()) {
    auto explanation = ReadExplanation(proto, tables);
    if (!explanation) {
      return At(std::move(explanation).error(), "explanations", tables.explanations.size());
    }
    tables.explanations.push_back(*std::move(explanation));
  }
  return tables;
}

Result<DecisionItem> Read(const v1::StartAttempt& from, const Tables& tables) {
  StartAttempt start;
  CUBE_TRY(start.task, TaskId::Parse(from.task(), "task"));
  if (from.attempt() == 0) return Fail(Code::kInvalid, "must be at least 1", "attempt");
  start.attempt = from.attempt();
  CUBE_TRY(start.node, NodeAt(tables, from.node(), "node"));
  if (from.spec() >= tables.specs.size()) {
    return internal::OutOfTable("spec", from.spec(), tables.specs.size());
  }
  start.spec = tables.specs[from.spec()];
  if (from.explanation() >= tables.explanations.size()) {
    return internal::OutOfTable("explanation", from.explanation(), tables.explanations.size());
  }
  start.explanation = tables.explanations[from.explanation()];
  return start;
}

Result<DecisionItem> Read(const v1::StopAttempt& from, const Tables& tables) {
  StopAttempt stop;
  CUBE_TRY(stop.task, TaskId::Parse(from.task(), "task"));
  stop.attempt = from.attempt();
  if (stop.attempt != 0) {
    CUBE_TRY(stop.node, NodeAt(tables, from.node(), "node"));
  }
  stop.grace = Duration(from.grace_ns());
  CUBE_TRY_VOID(CheckGrace(stop.grace, "grace"));
  return stop;
}

Result<DecisionItem> Read(const v1::RefuseIntent& from, const Tables&) {
  RefuseIntent refuse;
  if (from.intent() == 0) return Fail(Code::kInvalid, "must be at least 1", "intent");
  refuse.intent = from.intent();
  refuse.index = from.index();
  CUBE_TRY_VOID(CheckLength(from.task(), kWordBytesMax, "task"));
  refuse.task = from.task();
  CUBE_TRY_VOID(CheckLength(from.failure().message(), kSentenceBytesMax, "failure.message"));
  CUBE_TRY_VOID(CheckLength(from.failure().field(), kSentenceBytesMax, "failure.field"));
  refuse.error = FromProto(from.failure());
  return refuse;
}

Result<DecisionItem> Read(const v1::NodeDown& from, const Tables& tables) {
  NodeDown down;
  CUBE_TRY(down.node, NodeAt(tables, from.node(), "node"));
  CUBE_TRY_VOID(CheckLength(from.reason(), kSentenceBytesMax, "reason"));
  down.reason = from.reason();
  return down;
}

Result<DecisionItem> Read(const v1::NodeUp& from, const Tables& tables) {
  NodeUp up;
  CUBE_TRY(up.node, NodeAt(tables, from.node(), "node"));
  return up;
}

Result<DecisionItem> Read(const v1::WelcomeNode& from, const Tables& tables) {
  WelcomeNode welcome;
  CUBE_TRY(welcome.node, NodeAt(tables, from.node(), "node"));
  if (from.instance() == 0) return Fail(Code::kInvalid, "is required", "instance");
  if (from.incarnation() == 0) return Fail(Code::kInvalid, "must be at least 1", "incarnation");
  welcome.instance = from.instance();
  welcome.incarnation = from.incarnation();
  welcome.hold = from.hold();
  return welcome;
}

Result<DecisionItem> Read(const v1::RefuseNode& from, const Tables& tables) {
  RefuseNode refuse;
  CUBE_TRY(refuse.node, NodeAt(tables, from.node(), "node"));
  if (from.instance() == 0) return Fail(Code::kInvalid, "is required", "instance");
  refuse.instance = from.instance();
  CUBE_TRY_VOID(CheckLength(from.reason(), kSentenceBytesMax, "reason"));
  refuse.reason = from.reason();
  return refuse;
}

Result<DecisionItem> Read(const v1::ForgetTask& from, const Tables&) {
  ForgetTask forget;
  CUBE_TRY(forget.task, TaskId::Parse(from.task(), "task"));
  return forget;
}

Result<DecisionItem> Read(const v1::SetLoad& from, const Tables& tables) {
  SetLoad set;
  CUBE_TRY(set.node, NodeAt(tables, from.node(), "node"));
  auto load = FromProto(from.load());
  if (!load) return At(std::move(load).error(), "load");
  set.load = *load;
  return set;
}

Result<DecisionItem> Read(const v1::EvictAttempt& from, const Tables& tables) {
  EvictAttempt evict;
  CUBE_TRY(evict.task, TaskId::Parse(from.task(), "task"));
  if (from.attempt() == 0) return Fail(Code::kInvalid, "must be at least 1", "attempt");
  evict.attempt = from.attempt();
  CUBE_TRY(evict.node, NodeAt(tables, from.node(), "node"));
  evict.grace = Duration(from.grace_ns());
  CUBE_TRY_VOID(CheckGrace(evict.grace, "grace"));
  CUBE_TRY_VOID(CheckLength(from.reason(), kSentenceBytesMax, "reason"));
  evict.reason = from.reason();
  evict.ends = from.ends();
  return evict;
}

// What both kinds of items about slots have.
template <class Item, class Message>
Result<Item> ReadSlots(const Message& from) {
  Item item;
  CUBE_TRY(item.job, TaskName::Parse(from.job(), "job"));
  if (from.version() == 0) return Fail(Code::kInvalid, "must be at least 1", "version");
  item.version = from.version();
  if (from.count() == 0 || from.count() > kSlotsPerItemMax) {
    return Fail(Code::kInvalid, "must be 1 to " + std::to_string(kSlotsPerItemMax), "count");
  }
  // A cluster may have more nodes than a job tasks; twice as many are beyond any.
  if (from.first() > 2 * kReplicasMax) {
    return Fail(Code::kInvalid, "must be at most " + std::to_string(2 * kReplicasMax), "first");
  }
  item.first = from.first();
  item.count = from.count();
  return item;
}

Result<DecisionItem> Read(const v1::FillSlots& from, const Tables& tables) {
  CUBE_TRY(FillSlots fill, ReadSlots<FillSlots>(from));
  if (from.node() != 0) {
    CUBE_TRY(fill.node, NodeAt(tables, from.node() - 1, "node"));
    if (fill.count != 1) return Fail(Code::kInvalid, "must be 1 for a node's slot", "count");
  }
  fill.vacant = from.vacant();
  return fill;
}

Result<DecisionItem> Read(const v1::EmptySlots& from, const Tables&) {
  CUBE_TRY(EmptySlots empty, ReadSlots<EmptySlots>(from));
  if (from.has_grace_ns()) {
    empty.grace = Duration(from.grace_ns());
    CUBE_TRY_VOID(CheckGrace(*empty.grace, "grace"));
  }
  empty.release = from.release();
  return empty;
}

Result<DecisionItem> Read(const v1::EndUpdate& from, const Tables&) {
  EndUpdate end;
  CUBE_TRY(end.job, TaskName::Parse(from.job(), "job"));
  if (from.version() == 0) return Fail(Code::kInvalid, "must be at least 1", "version");
  end.version = from.version();
  CUBE_TRY_VOID(CheckLength(from.failure(), kSentenceBytesMax, "failure"));
  end.failure = from.failure();
  return end;
}

Result<DecisionItem> Read(const v1::EndJob& from, const Tables&) {
  EndJob end;
  CUBE_TRY(end.job, TaskName::Parse(from.job(), "job"));
  CUBE_TRY(end.end, FromProto(from.end()));
  if (end.end == JobEnd::kNone) return Fail(Code::kInvalid, "is required", "end");
  CUBE_TRY_VOID(CheckLength(from.reason(), kSentenceBytesMax, "reason"));
  end.reason = from.reason();
  return end;
}

Result<DecisionItem> Read(const v1::ReadoptAttempt& from, const Tables& tables) {
  ReadoptAttempt readopt;
  CUBE_TRY(readopt.node, NodeAt(tables, from.node(), "node"));
  CUBE_TRY(readopt.task, TaskId::Parse(from.task(), "task"));
  if (from.attempt() == 0) return Fail(Code::kInvalid, "must be at least 1", "attempt");
  readopt.attempt = from.attempt();
  readopt.placement = FromProto(from.placement());
  CUBE_TRY_VOID(internal::CheckStamp(readopt.placement, "placement"));
  if (from.spec() > tables.specs.size()) {
    return internal::OutOfTable("spec", from.spec() - 1, tables.specs.size());
  }
  if (from.spec() != 0) readopt.spec = tables.specs[from.spec() - 1];
  return readopt;
}

Result<DecisionItem> Read(const v1::DropAttempt& from, const Tables& tables) {
  DropAttempt drop;
  CUBE_TRY(drop.node, NodeAt(tables, from.node(), "node"));
  CUBE_TRY(drop.task, TaskId::Parse(from.task(), "task"));
  if (from.attempt() == 0) return Fail(Code::kInvalid, "must be at least 1", "attempt");
  drop.attempt = from.attempt();
  CUBE_TRY_VOID(CheckLength(from.reason(), kSentenceBytesMax, "reason"));
  drop.reason = from.reason();
  return drop;
}

Result<DecisionItem> Read(const v1::SettleNode& from, const Tables& tables) {
  SettleNode settle;
  CUBE_TRY(settle.node, NodeAt(tables, from.node(), "node"));
  return settle;
}

Result<DecisionItem> ReadItem(const v1::DecisionItem& from, const Tables& tables) {
  switch (from.item_case()) {
    case v1::DecisionItem::kStart:
      return Read(from.start(), tables);
    case v1::DecisionItem::kStop:
      return Read(from.stop(), tables);
    case v1::DecisionItem::kRefuse:
      return Read(from.refuse(), tables);
    case v1::DecisionItem::kNodeDown:
      return Read(from.node_down(), tables);
    case v1::DecisionItem::kNodeUp:
      return Read(from.node_up(), tables);
    case v1::DecisionItem::kWelcome:
      return Read(from.welcome(), tables);
    case v1::DecisionItem::kRefuseNode:
      return Read(from.refuse_node(), tables);
    case v1::DecisionItem::kForget:
      return Read(from.forget(), tables);
    case v1::DecisionItem::kLoad:
      return Read(from.load(), tables);
    case v1::DecisionItem::kEvict:
      return Read(from.evict(), tables);
    case v1::DecisionItem::kFillSlots:
      return Read(from.fill_slots(), tables);
    case v1::DecisionItem::kEmptySlots:
      return Read(from.empty_slots(), tables);
    case v1::DecisionItem::kEndUpdate:
      return Read(from.end_update(), tables);
    case v1::DecisionItem::kEndJob:
      return Read(from.end_job(), tables);
    case v1::DecisionItem::kReadopt:
      return Read(from.readopt(), tables);
    case v1::DecisionItem::kDrop:
      return Read(from.drop(), tables);
    case v1::DecisionItem::kSettle:
      return Read(from.settle(), tables);
    case v1::DecisionItem::ITEM_NOT_SET:
      break;
  }
  return Fail(Code::kUnsupported, "is no decision that this version knows");
}

Result<Position> ReadPosition(const v1::StreamPosition& from, std::string_view field) {
  const Position position = FromProto(from);
  if (position.seq == 0 && IsSet(position.time)) {
    return Fail(Code::kInvalid, "has a time but no sequence", std::string(field));
  }
  return position;
}

Result<TermStart> ReadTermStart(const v1::TermStart& from) {
  CUBE_TRY_VOID(CheckToken(from.cluster(), "cluster"));
  CUBE_TRY_VOID(CheckLength(from.manager(), kWordBytesMax, "manager"));
  CUBE_TRY_VOID(CheckLength(from.reset(), kSentenceBytesMax, "reset"));
  CUBE_TRY_VOID(CheckToken(from.settings().scheduler(), "settings.scheduler"));
  if (from.settings().finished_age_max_ns() < 0) {
    return Fail(Code::kInvalid, "may not be negative", "settings.finished_age_max");
  }
  return FromProto(from);
}

Result<DecisionBatch> ReadHead(const v1::Decisions& from) {
  DecisionBatch batch;
  batch.term = FromProto(from.term());
  CUBE_TRY_VOID(internal::CheckTerm(batch.term, "term"));
  if (from.cycle() == 0) return Fail(Code::kInvalid, "must be at least 1", "cycle");
  batch.cycle = from.cycle();
  batch.prev = FromProto(from.prev());
  CUBE_TRY_VOID(internal::CheckStampOrNone(batch.prev, "prev"));
  CUBE_TRY(batch.intents, ReadPosition(from.intents(), "intents"));
  CUBE_TRY(batch.facts, ReadPosition(from.facts(), "facts"));
  if (from.decided_at_ns() < 0) {
    return Fail(Code::kInvalid, "may not be before 1970", "decided_at");
  }
  batch.decided_at = WallFromNanos(from.decided_at_ns());
  batch.told = FromProto(from.told());
  CUBE_TRY_VOID(internal::CheckStampOrNone(batch.told, "told"));
  if (from.has_term_start()) {
    auto start = ReadTermStart(from.term_start());
    if (!start) return At(std::move(start).error(), "term_start");
    batch.term_start = *std::move(start);
  }
  return batch;
}

}  // namespace

std::string EncodeDecisions(const DecisionBatch& batch) {
  v1::Decisions message;
  ToProto(batch.term, *message.mutable_term());
  message.set_cycle(batch.cycle);
  if (batch.prev != Stamp{}) ToProto(batch.prev, *message.mutable_prev());
  if (batch.intents != Position{}) ToProto(batch.intents, *message.mutable_intents());
  if (batch.facts != Position{}) ToProto(batch.facts, *message.mutable_facts());
  message.set_decided_at_ns(ToNanos(batch.decided_at));
  if (batch.told != Stamp{}) ToProto(batch.told, *message.mutable_told());
  if (batch.term_start) ToProto(*batch.term_start, *message.mutable_term_start());
  message.mutable_items()->Reserve(static_cast<int>(batch.items.size()));
  Encoder encoder(message);
  for (const DecisionItem& item : batch.items) encoder.Add(item);
  encoder.Finish();
  return internal::Serialize(message);
}

Result<DecisionBatch> DecodeDecisions(std::string_view payload) {
  v1::Decisions message;
  CUBE_TRY_VOID(internal::Parse(payload, "a Decisions message", message));
  CUBE_TRY(DecisionBatch batch, ReadHead(message));
  const auto count = static_cast<std::size_t>(message.items_size());
  CUBE_TRY_VOID(CheckCount(count, kItemsMax, "items"));
  CUBE_TRY(const Tables tables, ReadTables(message));
  batch.items.reserve(count);
  for (const v1::DecisionItem& proto : message.items()) {
    auto item = ReadItem(proto, tables);
    if (!item) return At(std::move(item).error(), "items", batch.items.size());
    batch.items.push_back(*std::move(item));
  }
  return batch;
}

}  // namespace cube::wire
