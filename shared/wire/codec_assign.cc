#include <cube/v1/desired.pb.h>
#include <cube/v1/heartbeats.pb.h>

#include <algorithm>

#include "shared/domain/rules.h"
#include "shared/domain/text.h"
#include "shared/wire/codec.h"
#include "shared/wire/internal.h"
#include "shared/wire/scratch.h"

namespace cube::wire {
namespace {

using internal::At;
using internal::CheckCount;

// ---- assignments ------------------------------------------------------------------------------

// `stamp`: what an absent placement means; most attempts of a live copy are of its last decision.
void WriteAssignment(const Assignment& from, const Stamp& stamp, internal::SpecTable& specs,
                     v1::Assignment& to) {
  to.set_task(from.task.str());
  to.set_attempt(from.attempt);
  if (from.placement != stamp) ToProto(from.placement, *to.mutable_placement());
  to.set_spec(specs.Index(from.spec));
  to.set_stop(from.stop);
  to.set_grace_ns(from.grace.count());
  to.set_launches(from.launches);
}

Result<Assignment> ReadAssignment(const v1::Assignment& from, const Stamp& stamp,
                                  const std::vector<TaskSpecPtr>& specs) {
  Assignment assignment;
  CUBE_TRY(assignment.task, TaskId::Parse(from.task(), "task"));
  if (from.attempt() == 0) return Fail(Code::kInvalid, "must be at least 1", "attempt");
  assignment.attempt = from.attempt();
  assignment.placement = from.has_placement() ? FromProto(from.placement()) : stamp;
  CUBE_TRY_VOID(internal::CheckStamp(assignment.placement, "placement"));
  if (from.spec() >= specs.size()) {
    return internal::OutOfTable("spec", from.spec(), specs.size());
  }
  assignment.spec = specs[from.spec()];
  assignment.stop = from.stop();
  assignment.grace = Duration(from.grace_ns());
  CUBE_TRY_VOID(CheckGrace(assignment.grace, "grace"));
  assignment.launches = from.launches();
  return assignment;
}

// ---- live copies ------------------------------------------------------------------------------

class AssignEncoder {
 public:
  AssignEncoder(const Stamp& stamp, v1::Assign& message) : stamp_(stamp), message_(message) {}
  void Add(const AssignItem& item) {
    v1::AssignItem* proto = message_.add_items();
    std::visit([&](const auto& what) { Write(what, *proto); }, item);
  }
  // In the order of their indexes.
  [[nodiscard]] const auto& specs() const { return specs_.specs(); }

 private:
  void Write(const Assignment& from, v1::AssignItem& to) {
    WriteAssignment(from, stamp_, specs_, *to.mutable_start());
  }
  static void Write(const StopAssignment& from, v1::AssignItem& to) {
    v1::StopAssignment* stop = to.mutable_stop();
    stop->set_task(from.task.str());
    stop->set_attempt(from.attempt);
    stop->set_grace_ns(from.grace.count());
  }
  static void Write(const Welcomed& from, v1::AssignItem& to) {
    v1::Welcomed* welcomed = to.mutable_welcomed();
    welcomed->set_instance(from.instance);
    welcomed->set_incarnation(from.incarnation);
    welcomed->set_hold(from.hold);
  }
  static void Write(const JoinRefused& from, v1::AssignItem& to) {
    v1::JoinRefused* refused = to.mutable_refused();
    refused->set_instance(from.instance);
    refused->set_reason(CleanText(from.reason, kSentenceBytesMax));
  }
  static void Write(const UpToDate&, v1::AssignItem& to) { to.mutable_up_to_date(); }
  static void Write(const JoinAgain& from, v1::AssignItem& to) {
    to.mutable_join_again()->set_instance(from.instance);
  }

  Stamp stamp_;
  v1::Assign& message_;
  internal::SpecTable specs_;
};

Result<AssignItem> ReadStop(const v1::StopAssignment& from) {
  StopAssignment stop;
  CUBE_TRY(stop.task, TaskId::Parse(from.task(), "task"));
  if (from.attempt() == 0) return Fail(Code::kInvalid, "must be at least 1", "attempt");
  stop.attempt = from.attempt();
  stop.grace = Duration(from.grace_ns());
  CUBE_TRY_VOID(CheckGrace(stop.grace, "grace"));
  return stop;
}

Result<AssignItem> ReadWelcomed(const v1::Welcomed& from) {
  if (from.instance() == 0) return Fail(Code::kInvalid, "is required", "instance");
  if (from.incarnation() == 0) return Fail(Code::kInvalid, "must be at least 1", "incarnation");
  return Welcomed{from.instance(), from.incarnation(), from.hold()};
}

Result<AssignItem> ReadRefused(const v1::JoinRefused& from) {
  if (from.instance() == 0) return Fail(Code::kInvalid, "is required", "instance");
  CUBE_TRY_VOID(internal::CheckLength(from.reason(), kSentenceBytesMax, "reason"));
  return JoinRefused{from.instance(), from.reason()};
}

Result<AssignItem> ReadJoinAgain(const v1::JoinAgain& from) {
  if (from.instance() == 0) return Fail(Code::kInvalid, "is required", "instance");
  return JoinAgain{from.instance()};
}

Result<AssignItem> ReadItem(const v1::AssignItem& from, const Stamp& stamp,
                            const std::vector<TaskSpecPtr>& specs) {
  switch (from.item_case()) {
    case v1::AssignItem::kStart:
      return ReadAssignment(from.start(), stamp, specs);
    case v1::AssignItem::kStop:
      return ReadStop(from.stop());
    case v1::AssignItem::kWelcomed:
      return ReadWelcomed(from.welcomed());
    case v1::AssignItem::kRefused:
      return ReadRefused(from.refused());
    case v1::AssignItem::kUpToDate:
      return UpToDate{};
    case v1::AssignItem::kJoinAgain:
      return ReadJoinAgain(from.join_again());
    case v1::AssignItem::ITEM_NOT_SET:
      break;
  }
  return Fail(Code::kUnsupported, "is nothing that this version knows");
}

// A cluster's random name goes into labels of containers. Absent before the first decision.
Result<void> CheckCluster(const std::string& cluster) {
  if (cluster.empty()) return {};
  return CheckToken(cluster, "cluster");
}

}  // namespace

SpecTexts AssignTexts() { return SpecTexts(v1::Assign::kSpecsFieldNumber); }

std::string EncodeAssign(const AssignBatch& batch) {
  SpecTexts texts = AssignTexts();
  return EncodeAssignWith(batch, texts);
}

std::string EncodeAssignWith(const AssignBatch& batch, SpecTexts& texts) {
  Scratch<v1::Assign> scratch;
  v1::Assign& message = *scratch;
  ToProto(batch.term, *message.mutable_term());
  message.set_node(batch.node.str());
  message.set_instance(batch.instance);
  message.set_incarnation(batch.incarnation);
  message.set_seq(batch.seq);
  message.set_prev(batch.prev);
  if (batch.first != batch.seq) message.set_first_seq(batch.first);
  if (batch.stamp != Stamp{}) ToProto(batch.stamp, *message.mutable_stamp());
  message.set_cluster(batch.cluster);
  message.set_term_seq(batch.term_seq);
  if (batch.term_before != Term{}) ToProto(batch.term_before, *message.mutable_term_before());
  message.mutable_items()->Reserve(static_cast<int>(batch.items.size()));
  AssignEncoder encoder(batch.stamp, message);
  for (const AssignItem& item : batch.items) encoder.Add(item);
  std::string bytes = internal::Serialize(message);
  // Fields may come in any order, and one behind the other they are the message.
  for (const TaskSpecPtr* spec : encoder.specs()) texts.Append(*spec, bytes);
  return bytes;
}

Result<AssignBatch> DecodeAssign(std::string_view payload) {
  std::vector<EncodedSpec> unused;
  return DecodeAssignAndSpecs(payload, unused);
}

Result<AssignBatch> DecodeAssignAndSpecs(std::string_view payload,
                                         std::vector<EncodedSpec>& specs) {
  Scratch<v1::Assign> scratch;
  v1::Assign& message = *scratch;
  CUBE_TRY_VOID(internal::Parse(payload, "an Assign message", message));
  AssignBatch batch;
  batch.term = FromProto(message.term());
  CUBE_TRY_VOID(internal::CheckTerm(batch.term, "term"));
  CUBE_TRY(batch.node, NodeName::Parse(message.node(), "node"));
  batch.instance = message.instance();
  batch.incarnation = message.incarnation();
  if (message.seq() == 0) return Fail(Code::kInvalid, "must be at least 1", "seq");
  if (message.prev() > message.seq()) return Fail(Code::kInvalid, "is after seq", "prev");
  if (message.first_seq() > message.seq()) {
    return Fail(Code::kInvalid, "is after seq", "first_seq");
  }
  if (message.first_seq() != 0 && message.prev() >= message.first_seq()) {
    return Fail(Code::kInvalid, "is not before first_seq", "prev");
  }
  batch.first = message.first_seq();
  batch.seq = message.seq();
  batch.prev = message.prev();
  batch.stamp = FromProto(message.stamp());
  CUBE_TRY_VOID(internal::CheckStampOrNone(batch.stamp, "stamp"));
  CUBE_TRY_VOID(CheckCluster(message.cluster()));
  batch.cluster = message.cluster();
  if (message.term_seq() > message.seq()) return Fail(Code::kInvalid, "is after seq", "term_seq");
  batch.term_seq = message.term_seq();
  if (message.has_term_before()) {
    batch.term_before = FromProto(message.term_before());
    CUBE_TRY_VOID(internal::CheckTerm(batch.term_before, "term_before"));
  }
  const auto count = static_cast<std::size_t>(message.items_size());
  CUBE_TRY_VOID(CheckCount(count, kItemsMax, "items"));
  CUBE_TRY(const auto table, internal::ReadSpecs(message.specs()));
  batch.items.reserve(count);
  for (const v1::AssignItem& proto : message.items()) {
    auto item = ReadItem(proto, batch.stamp, table);
    if (!item) return At(std::move(item).error(), "items", batch.items.size());
    batch.items.push_back(*std::move(item));
  }
  // As many as were parsed, from the same bytes.
  const auto bytes = internal::Elements(payload, v1::Assign::kSpecsFieldNumber);
  for (std::size_t i = 0; i < std::min(table.size(), bytes.size()); ++i) {
    specs.push_back({table[i], bytes[i]});
  }
  return batch;
}

std::string EncodeDesired(const DesiredPage& page) {
  v1::DesiredPage message;
  ToProto(page.term, *message.mutable_term());
  message.set_node(page.node.str());
  message.set_instance(page.instance);
  message.set_incarnation(page.incarnation);
  message.set_seq(page.seq);
  message.set_page(page.page);
  message.set_pages(page.pages);
  if (page.report != Stamp{}) ToProto(page.report, *message.mutable_report());
  message.set_cluster(page.cluster);
  message.set_last_fact(page.last_fact);
  message.mutable_assignments()->Reserve(static_cast<int>(page.assignments.size()));
  internal::SpecTable specs;
  for (const Assignment& assignment : page.assignments) {
    WriteAssignment(assignment, Stamp{}, specs, *message.add_assignments());
  }
  internal::WriteSpecs(specs, message.mutable_specs());
  return internal::Serialize(message);
}

Result<DesiredPage> DecodeDesired(std::string_view payload) {
  v1::DesiredPage message;
  CUBE_TRY_VOID(internal::Parse(payload, "a DesiredPage message", message));
  DesiredPage page;
  page.term = FromProto(message.term());
  CUBE_TRY_VOID(internal::CheckTerm(page.term, "term"));
  CUBE_TRY(page.node, NodeName::Parse(message.node(), "node"));
  page.instance = message.instance();
  page.incarnation = message.incarnation();
  if (message.seq() == 0) return Fail(Code::kInvalid, "must be at least 1", "seq");
  page.seq = message.seq();
  if (message.pages() == 0) return Fail(Code::kInvalid, "must be at least 1", "pages");
  if (message.pages() > kDesiredPagesMax) {
    return Fail(Code::kInvalid, "is above " + std::to_string(kDesiredPagesMax), "pages");
  }
  if (message.page() >= message.pages()) {
    return Fail(Code::kInvalid, "is not below the number of pages", "page");
  }
  page.page = message.page();
  page.pages = message.pages();
  page.report = FromProto(message.report());
  CUBE_TRY_VOID(internal::CheckStampOrNone(page.report, "report"));
  CUBE_TRY_VOID(CheckCluster(message.cluster()));
  page.cluster = message.cluster();
  page.last_fact = message.last_fact();
  const auto count = static_cast<std::size_t>(message.assignments_size());
  CUBE_TRY_VOID(CheckCount(count, kItemsMax, "assignments"));
  CUBE_TRY(const auto specs, internal::ReadSpecs(message.specs()));
  page.assignments.reserve(count);
  for (const v1::Assignment& proto : message.assignments()) {
    auto assignment = ReadAssignment(proto, Stamp{}, specs);
    if (!assignment) {
      return At(std::move(assignment).error(), "assignments", page.assignments.size());
    }
    page.assignments.push_back(*std::move(assignment));
  }
  return page;
}

std::string EncodeHeartbeat(const Heartbeat& beat) {
  v1::Heartbeat message;
  message.set_node(beat.node);
  message.set_instance(beat.instance);
  message.set_incarnation(beat.incarnation);
  message.set_number(beat.number);
  message.set_position(beat.position);
  if (beat.term != Term{}) ToProto(beat.term, *message.mutable_term());
  message.set_hello(beat.hello);
  message.set_sent_at_ns(ToNanos(beat.sent_at));
  message.set_nodes(beat.nodes);
  message.set_acked_fact(beat.acked_fact);
  return internal::Serialize(message);
}

Result<Heartbeat> DecodeHeartbeat(std::string_view payload) {
  v1::Heartbeat message;
  CUBE_TRY_VOID(internal::Parse(payload, "a Heartbeat message", message));
  Heartbeat beat;
  if (message.node() != kLeaderHeartbeat) {
    CUBE_TRY_VOID(CheckToken(message.node(), "node"));
    if (message.instance() == 0) return Fail(Code::kInvalid, "is required", "instance");
  }
  beat.node = message.node();
  beat.instance = message.instance();
  beat.incarnation = message.incarnation();
  beat.number = message.number();
  beat.position = message.position();
  beat.term = FromProto(message.term());
  beat.hello = message.hello();
  beat.sent_at = WallFromNanos(message.sent_at_ns());
  beat.nodes = message.nodes();
  beat.acked_fact = message.acked_fact();
  return beat;
}

}  // namespace cube::wire
