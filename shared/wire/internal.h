// What the codecs of this folder share: parsing and serializing, paths of errors, tables.
// Not for includes from elsewhere.
#pragma once

#include <absl/container/flat_hash_map.h>
#include <google/protobuf/message_lite.h>

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "shared/base/error.h"
#include "shared/domain/decision.h"
#include "shared/domain/task_spec.h"
#include "shared/wire/convert.h"
#include "shared/wire/limits.h"
#include "shared/wire/spec_texts.h"

namespace cube::wire::internal {

// ---- bytes ------------------------------------------------------------------------------------

// What a message that has been parsed holds in one of its fields, element by element.
[[nodiscard]] std::vector<std::string_view> Elements(std::string_view payload, int field);
// Equal messages give equal bytes (maps are sorted).
[[nodiscard]] std::string Serialize(const google::protobuf::MessageLite& message);
// kInvalid if the bytes are no such message; `what` names it: "a Facts message".
[[nodiscard]] Result<void> Parse(std::string_view payload, std::string_view what,
                                 google::protobuf::MessageLite& message);
// What Parse says then.
[[nodiscard]] std::unexpected<Error> NotThat(std::string_view payload, std::string_view what);

// ---- errors -----------------------------------------------------------------------------------

// The error with its field put below `prefix`: At(e{field "node"}, "start") -> "start.node".
[[nodiscard]] std::unexpected<Error> At(Error error, std::string_view prefix);
[[nodiscard]] std::unexpected<Error> At(Error error, std::string_view list, std::size_t index);
[[nodiscard]] std::unexpected<Error> OutOfTable(std::string_view field, std::uint32_t index,
                                                std::size_t size);
[[nodiscard]] Result<void> CheckCount(std::size_t count, std::size_t count_max,
                                      std::string_view field);
[[nodiscard]] Result<void> CheckLength(std::string_view text, std::size_t length_max,
                                       std::string_view field);
// At most kCounterMax.
[[nodiscard]] Result<void> CheckCounter(std::uint32_t number, std::string_view field);
// Both parts of a stamp are set.
[[nodiscard]] Result<void> CheckStamp(const Stamp& stamp, std::string_view field);
// Both parts or none.
[[nodiscard]] Result<void> CheckStampOrNone(const Stamp& stamp, std::string_view field);
// Epoch and id are set.
[[nodiscard]] Result<void> CheckTerm(const Term& term, std::string_view field);

void RestartToProto(const RestartPolicy& from, v1::RestartPolicy& to);
// An enum's number that this version does not know, or the zero that is invalid.
[[nodiscard]] std::unexpected<Error> UnknownEnum(int value, std::string_view field);

// ---- small values (convert_spec.cc) -------------------------------------------------------------

[[nodiscard]] v1::Protocol ProtocolToProto(Protocol protocol);
[[nodiscard]] Result<Protocol> ProtocolFromProto(v1::Protocol protocol);
// port_min to 65535.
[[nodiscard]] Result<std::uint16_t> PortFromProto(std::uint32_t port, std::uint32_t port_min,
                                                  std::string_view field);

// ---- tables -----------------------------------------------------------------------------------

// Gives each specification its index: equal by pointer means the same index, and so does equal by
// value, unless it is of many tasks already. Points to what is being encoded.
class SpecTable {
 public:
  [[nodiscard]] std::uint32_t Index(const TaskSpecPtr& spec);
  std::uint32_t Index(TaskSpecPtr&&) = delete;  // it would be gone when it is written
  [[nodiscard]] const std::vector<const TaskSpecPtr*>& specs() const { return specs_; }

 private:
  const TaskSpec* last_ = nullptr;
  std::uint32_t last_index_ = 0;
  std::vector<const TaskSpecPtr*> specs_;
  absl::flat_hash_map<const TaskSpec*, std::uint32_t> by_pointer_;
  std::unordered_multimap<std::size_t, std::uint32_t> by_value_;
};

// Writes the table to a message's `specs`.
template <class Repeated>
void WriteSpecs(const SpecTable& table, Repeated* to) {
  to->Reserve(static_cast<int>(table.specs().size()));
  for (const TaskSpecPtr* spec : table.specs()) ToProto(**spec, *to->Add());
}

// Reads it back; the error's field is "specs[i].…".
template <class Repeated>
[[nodiscard]] Result<std::vector<TaskSpecPtr>> ReadSpecs(const Repeated& from) {
  std::vector<TaskSpecPtr> specs;
  specs.reserve(static_cast<std::size_t>(from.size()));
  for (const v1::TaskSpec& proto : from) {
    auto spec = FromProto(proto);
    if (!spec) return At(std::move(spec).error(), "specs", specs.size());
    specs.push_back(std::make_shared<const TaskSpec>(*std::move(spec)));
  }
  return specs;
}

// Equal specifications have equal hashes; all fields count.
[[nodiscard]] std::size_t HashSpec(const TaskSpec& spec);
[[nodiscard]] std::size_t HashExplanation(const Explanation& explanation);

}  // namespace cube::wire::internal
