#include "services/manager/node_records.h"

#include "shared/wire/convert.h"

namespace cube::manager {
namespace {

using wire::FromProto;
using wire::ToProto;

void DrainTo(const Drain& from, v1::DrainRecord& to) {
  to.set_deadline_ns(from.deadline.count());
  to.set_since_ns(ToNanos(from.since));
}

Drain DrainFrom(const v1::DrainRecord& from) {
  return {Duration(from.deadline_ns()), WallFromNanos(from.since_ns())};
}

}  // namespace

v1::NodeRecord NodeRecordOf(const Node& node) {
  v1::NodeRecord record;
  record.set_name(node.name.str());
  record.set_instance(node.instance);
  record.set_incarnation(node.incarnation);
  ToProto(node.description, *record.mutable_description());
  record.set_down(node.down);
  record.set_down_reason(node.down_reason);
  ToProto(node.up, *record.mutable_up());
  record.set_reported(node.reported);
  record.set_last_fact(node.last_fact);
  record.set_last_decision(node.last_decision);
  record.set_joined_at_ns(ToNanos(node.joined_at));
  record.set_joining_instance(node.joining_instance);
  if (node.joining_instance != 0) ToProto(node.joining, *record.mutable_joining());
  if (node.load != NodeLoad{}) ToProto(node.load, *record.mutable_load());
  record.set_cordoned(node.cordoned);
  if (node.drain) DrainTo(*node.drain, *record.mutable_drain());
  if (node.leaving) DrainTo(*node.leaving, *record.mutable_leaving());
  record.set_left(node.left);
  record.set_joining_incarnation(node.joining_incarnation);
  record.set_holding(node.holding);
  record.set_facts_missing(node.facts_missing);
  record.set_all_held(node.all_held);
  record.set_settled_epoch(node.settled_epoch);
  for (const auto& [key, held] : node.held) ToProto(held, *record.add_held());
  return record;
}

Result<Node> NodeFrom(std::string_view bytes) {
  v1::NodeRecord record;
  if (!record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return Fail(Code::kDataLoss, "the view's record of a node cannot be read");
  }
  Node node;
  CUBE_TRY(node.name, NodeName::Parse(record.name(), "name"));
  node.instance = record.instance();
  node.incarnation = record.incarnation();
  CUBE_TRY(node.description, FromProto(record.description()));
  node.down = record.down();
  node.down_reason = record.down_reason();
  node.up = FromProto(record.up());
  node.reported = record.reported();
  node.last_fact = record.last_fact();
  node.last_decision = record.last_decision();
  node.joined_at = WallFromNanos(record.joined_at_ns());
  node.joining_instance = record.joining_instance();
  if (record.has_joining()) {
    CUBE_TRY(node.joining, FromProto(record.joining()));
  }
  CUBE_TRY(node.load, FromProto(record.load()));
  node.cordoned = record.cordoned();
  if (record.has_drain()) node.drain = DrainFrom(record.drain());
  if (record.has_leaving()) node.leaving = DrainFrom(record.leaving());
  node.left = record.left();
  node.joining_incarnation = record.joining_incarnation();
  node.holding = record.holding();
  node.facts_missing = record.facts_missing();
  node.all_held = record.all_held();
  node.settled_epoch = record.settled_epoch();
  for (const v1::AttemptHeld& proto : record.held()) {
    CUBE_TRY(AttemptHeld held, FromProto(proto));
    HeldKey key{held.task, held.attempt};
    node.held.emplace(std::move(key), std::move(held));
  }
  return node;
}

}  // namespace cube::manager
