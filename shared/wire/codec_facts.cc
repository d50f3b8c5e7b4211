#include <cube/v1/facts.pb.h>

#include <limits>

#include "shared/base/check.h"
#include "shared/domain/rules.h"
#include "shared/domain/text.h"
#include "shared/wire/codec.h"
#include "shared/wire/internal.h"
#include "shared/wire/scratch.h"

namespace cube::wire {
namespace {

using internal::At;

void Write(const NodeJoined& from, v1::Fact& to) {
  v1::NodeJoined& joined = *to.mutable_joined();
  ToProto(from.description, *joined.mutable_description());
  joined.set_incarnation(from.incarnation);
  joined.set_again(from.again);
}
void Write(const NodeDescribed& from, v1::Fact& to) {
  ToProto(from.description, *to.mutable_described());
}
void Write(const NodeReported& from, v1::Fact& to) {
  ToProto(from.up, *to.mutable_reported()->mutable_up());
}
void Write(const LaunchFact& from, v1::Fact& to) { ToProto(from, *to.mutable_launch()); }
void Write(const HealthFact& from, v1::Fact& to) { ToProto(from, *to.mutable_health()); }
void Write(const NodeLeft&, v1::Fact& to) { to.mutable_left(); }
void Write(const NodeLeaving& from, v1::Fact& to) {
  to.mutable_leaving()->set_deadline_ns(from.deadline.count());
}
void Write(const AttemptHeld& from, v1::Fact& to) { ToProto(from, *to.mutable_held()); }
void Write(const AllHeld&, v1::Fact& to) { to.mutable_all_held(); }

void WriteHead(const FactBatch& from, v1::Facts& to) {
  to.set_node(from.node.str());
  to.set_instance(from.instance);
  to.set_incarnation(from.incarnation);
  to.set_first_number(from.first_number);
}
void WriteFact(const Fact& from, v1::Facts& to) {
  v1::Fact& fact = *to.add_facts();
  fact.set_at_ns(ToNanos(from.at));
  std::visit([&fact](const auto& what) { Write(what, fact); }, from.what);
}

Result<Fact> ReadFact(const v1::Fact& from) {
  Fact fact;
  fact.at = WallFromNanos(from.at_ns());
  switch (from.fact_case()) {
    case v1::Fact::kJoined: {
      auto description = FromProto(from.joined().description());
      if (!description) return At(std::move(description).error(), "joined.description");
      CUBE_TRY_VOID(internal::CheckCounter(from.joined().incarnation(), "joined.incarnation"));
      fact.what =
          NodeJoined{*std::move(description), from.joined().incarnation(), from.joined().again()};
      return fact;
    }
    case v1::Fact::kDescribed: {
      auto description = FromProto(from.described());
      if (!description) return At(std::move(description).error(), "described");
      fact.what = NodeDescribed{*std::move(description)};
      return fact;
    }
    case v1::Fact::kReported: {
      const Stamp up = FromProto(from.reported().up());
      CUBE_TRY_VOID(internal::CheckStamp(up, "reported.up"));
      fact.what = NodeReported{up};
      return fact;
    }
    case v1::Fact::kLaunch: {
      auto launch = FromProto(from.launch());
      if (!launch) return At(std::move(launch).error(), "launch");
      fact.what = *std::move(launch);
      return fact;
    }
    case v1::Fact::kLeft:
      fact.what = NodeLeft{};
      return fact;
    case v1::Fact::kHealth: {
      auto health = FromProto(from.health());
      if (!health) return At(std::move(health).error(), "health");
      fact.what = *std::move(health);
      return fact;
    }
    case v1::Fact::kLeaving: {
      const NodeLeaving leaving{Duration(from.leaving().deadline_ns())};
      CUBE_TRY_VOID(CheckDrainDeadline(leaving.deadline, "leaving.deadline"));
      fact.what = leaving;
      return fact;
    }
    case v1::Fact::kHeld: {
      auto held = FromProto(from.held());
      if (!held) return At(std::move(held).error(), "held");
      fact.what = *std::move(held);
      return fact;
    }
    case v1::Fact::kAllHeld:
      fact.what = AllHeld{};
      return fact;
    case v1::Fact::FACT_NOT_SET:
      break;
  }
  return Fail(Code::kUnsupported, "is no fact that this version knows");
}

}  // namespace

std::string EncodeFacts(const FactBatch& batch) {
  v1::Facts message;
  WriteHead(batch, message);
  message.mutable_facts()->Reserve(static_cast<int>(batch.facts.size()));
  for (const Fact& fact : batch.facts) WriteFact(fact, message);
  return internal::Serialize(message);
}

std::string EncodeFact(const Fact& fact) {
  Scratch<v1::Facts> message;
  WriteFact(fact, *message);
  return internal::Serialize(*message);
}

// Fields one behind the other are the message: protobuf's encoding guide, "Last One Wins".
std::string JoinFacts(const FactBatch& head, std::span<const std::string_view> facts) {
  Scratch<v1::Facts> message;
  WriteHead(head, *message);
  std::size_t size = message->ByteSizeLong();
  for (const std::string_view fact : facts) size += fact.size();
  std::string bytes;
  bytes.reserve(size);
  CUBE_CHECK(message->AppendToString(&bytes));
  for (const std::string_view fact : facts) bytes += fact;
  return bytes;
}

Result<FactBatch> DecodeFacts(std::string_view node_token, std::string_view payload) {
  Scratch<v1::Facts> scratch;
  v1::Facts& message = *scratch;
  CUBE_TRY_VOID(internal::Parse(payload, "a Facts message", message));
  FactBatch batch;
  CUBE_TRY(batch.node, NodeName::Parse(message.node(), "node"));
  if (batch.node.str() != node_token) {
    return Fail(Code::kInvalid,
                "is '" + batch.node.str() + "', but the subject names '" +
                    CleanText(node_token, kTokenLengthMax) + "'",
                "node");
  }
  if (message.instance() == 0) return Fail(Code::kInvalid, "is required", "instance");
  batch.instance = message.instance();
  batch.incarnation = message.incarnation();
  const auto count = static_cast<std::size_t>(message.facts_size());
  CUBE_TRY_VOID(internal::CheckCount(count, kItemsMax, "facts"));
  if (message.first_number() == 0 ||
      message.first_number() > std::numeric_limits<std::uint64_t>::max() - kItemsMax) {
    return Fail(Code::kInvalid, "must be at least 1 and leave room for what follows",
                "first_number");
  }
  batch.first_number = message.first_number();
  batch.facts.reserve(count);
  for (const v1::Fact& proto : message.facts()) {
    auto fact = ReadFact(proto);
    if (!fact) return At(std::move(fact).error(), "facts", batch.facts.size());
    batch.facts.push_back(*std::move(fact));
  }
  return batch;
}

}  // namespace cube::wire
