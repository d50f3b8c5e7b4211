// The records of a view one by one, for whoever compares views: each with a key, and as bytes with
// its whole specification, whatever a store calls it by. Equal records have equal bytes.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shared/cluster/view.h"

namespace cube::manager {

// The numbers of v1::RecordKind.
enum class RecordKind : std::uint8_t {
  kMeta = 10,    // ViewMeta; one, with an empty key
  kUntold = 20,  // TransitionRecord, by number
  kNode = 30,    // NodeRecord, by name
  kJob = 40,     // JobRecord, by name
  kTask = 50,    // TaskRecord, by number
};
inline constexpr RecordKind kRecordKinds[] = {
    RecordKind::kMeta, RecordKind::kUntold, RecordKind::kNode, RecordKind::kJob, RecordKind::kTask};

// The bytes of one (view_store.cc). Of a view: where it stands.
[[nodiscard]] std::string RecordBytes(const View& view);
[[nodiscard]] std::string RecordBytes(const Transition& step);
[[nodiscard]] std::string RecordBytes(const Node& node);
[[nodiscard]] std::string RecordBytes(const Task& task);
[[nodiscard]] std::string RecordBytes(const Job& job);

// Keys, big-endian: their order is that of the numbers.
[[nodiscard]] std::string RecordKey(TaskNumber number);
[[nodiscard]] std::string RecordKey(std::uint64_t number);

// Gets a record; false ends the visit.
using RecordVisitor = std::function<bool(const std::string& key, const std::string& bytes)>;
// Records of a kind with keys from `first` on, in order.
void VisitRecords(const View& view, RecordKind kind, const std::string& first,
                  const RecordVisitor& visit);
// nullopt: there is none.
[[nodiscard]] std::optional<std::string> FindRecord(const View& view, RecordKind kind,
                                                    const std::string& key);

// For people: "task web-1", "node a", "the view".
[[nodiscard]] std::string RecordName(RecordKind kind, const std::string& key,
                                     std::string_view bytes);
// A field in which two records of a kind differ, as text: "" = it is not set.
struct FieldDifference {
  std::string field;  // "observed.state"
  std::string left;
  std::string right;
  friend bool operator==(const FieldDifference&, const FieldDifference&) = default;
};
// In the order of the fields. Bytes that are no such record differ as a whole.
[[nodiscard]] std::vector<FieldDifference> CompareRecords(RecordKind kind, std::string_view left,
                                                          std::string_view right);

// All records of a view as bytes, in key order: equal views have equal bytes.
[[nodiscard]] std::string ViewBytes(const View& view);

// The same for people: a line for each field, with the record that it is of.
[[nodiscard]] std::vector<std::string> ViewLines(const View& view);

}  // namespace cube::manager
