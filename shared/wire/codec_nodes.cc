// Intents about nodes: cube.nodes.cordon, .uncordon, .drain.
#include <cube/v1/nodes.pb.h>

#include "shared/domain/rules.h"
#include "shared/wire/codec.h"
#include "shared/wire/fields.h"
#include "shared/wire/human.h"
#include "shared/wire/intent_readers.h"
#include "shared/wire/internal.h"

namespace cube::wire {
namespace internal {
namespace {

using nlohmann::json;

IntentItem CheckedCordon(std::string_view name, bool cordon) {
  auto node = NodeName::Parse(name, "name");
  if (!node) return Invalid(std::move(node).error(), name);
  return CordonNode{*std::move(node), cordon};
}

IntentItem CheckedDrain(std::string_view name, std::optional<Duration> deadline) {
  auto node = NodeName::Parse(name, "name");
  if (!node) return Invalid(std::move(node).error(), name);
  if (deadline) {
    if (auto good = CheckDrainDeadline(*deadline, "deadline"); !good) {
      return Invalid(std::move(good).error(), name);
    }
  }
  return DrainNode{*std::move(node), deadline};
}

template <class Message>
Result<std::vector<IntentItem>> ReadCordons(std::string_view payload, std::string_view what,
                                            bool cordon) {
  Message message;
  CUBE_TRY_VOID(Parse(payload, what, message));
  CUBE_TRY_VOID(
      CheckCount(static_cast<std::size_t>(message.nodes_size()), kIntentItemsMax, "nodes"));
  std::vector<IntentItem> items;
  for (const std::string& name : message.nodes()) items.push_back(CheckedCordon(name, cordon));
  return items;
}

Result<std::vector<IntentItem>> ReadDrains(std::string_view payload, SpecCache& /*known*/) {
  v1::DrainNodes message;
  CUBE_TRY_VOID(Parse(payload, "a DrainNodes message", message));
  CUBE_TRY_VOID(
      CheckCount(static_cast<std::size_t>(message.nodes_size()), kIntentItemsMax, "nodes"));
  std::vector<IntentItem> items;
  for (const v1::DrainNode& node : message.nodes()) {
    std::optional<Duration> deadline;
    if (node.has_deadline_ns()) deadline = Duration(node.deadline_ns());
    items.push_back(CheckedDrain(node.name(), deadline));
  }
  return items;
}

struct HumanNode {
  std::string name;
  std::optional<Duration> deadline;
};

// A name, or a map with `name` and, where it may be given, `deadline`.
Result<HumanNode> NodeFromHuman(const json& value, bool with_deadline) {
  HumanNode node;
  if (value.is_string()) {
    node.name = value.get<std::string>();
    return node;
  }
  if (!value.is_object()) return WrongKind("a map with a node's name, or the name", value, {});
  for (const auto& [field, member] : value.items()) {
    if (field == "name") {
      CUBE_TRY(node.name, Text(member, "name"));
    } else if (field == "deadline" && with_deadline) {
      CUBE_TRY(node.deadline, DurationFromHuman(member, "deadline"));
    } else if (with_deadline) {
      return UnknownField(field, {}, {"name", "deadline"});
    } else {
      return UnknownField(field, {}, {"name"});
    }
  }
  return node;
}

IntentItem ReadHumanNode(const json& value, bool with_deadline,
                         const std::function<IntentItem(const HumanNode&)>& checked) {
  const std::string name = value.is_string() ? value.get<std::string>() : TextMember(value, "name");
  auto node = NodeFromHuman(value, with_deadline);
  if (!node) return Invalid(std::move(node).error(), name);
  return checked(*node);
}

Result<std::vector<IntentItem>> ReadHumanCordons(std::string_view payload, bool cordon) {
  return ReadHumanItems(payload, "nodes", [cordon](const json& value) {
    return ReadHumanNode(
        value, false, [cordon](const HumanNode& node) { return CheckedCordon(node.name, cordon); });
  });
}

Result<std::vector<IntentItem>> ReadHumanDrains(std::string_view payload) {
  return ReadHumanItems(payload, "nodes", [](const json& value) {
    return ReadHumanNode(
        value, true, [](const HumanNode& node) { return CheckedDrain(node.name, node.deadline); });
  });
}

}  // namespace

const IntentReader kCordonReader{
    [](std::string_view payload, SpecCache& /*known*/) {
      return ReadCordons<v1::CordonNodes>(payload, "a CordonNodes message", true);
    },
    [](std::string_view payload) { return ReadHumanCordons(payload, true); }, true};
const IntentReader kUncordonReader{
    [](std::string_view payload, SpecCache& /*known*/) {
      return ReadCordons<v1::UncordonNodes>(payload, "an UncordonNodes message", false);
    },
    [](std::string_view payload) { return ReadHumanCordons(payload, false); }, true};
const IntentReader kDrainReader{ReadDrains, ReadHumanDrains, true};

}  // namespace internal

std::string EncodeCordon(const std::vector<NodeName>& nodes, bool cordon) {
  if (!cordon) {
    v1::UncordonNodes message;
    for (const NodeName& node : nodes) message.add_nodes(node.str());
    return internal::Serialize(message);
  }
  v1::CordonNodes message;
  for (const NodeName& node : nodes) message.add_nodes(node.str());
  return internal::Serialize(message);
}

std::string EncodeDrain(const std::vector<DrainNode>& nodes) {
  v1::DrainNodes message;
  for (const DrainNode& node : nodes) {
    v1::DrainNode* proto = message.add_nodes();
    proto->set_name(node.node.str());
    if (node.deadline) proto->set_deadline_ns(node.deadline->count());
  }
  return internal::Serialize(message);
}

}  // namespace cube::wire
