#include "services/manager/view_records.h"

#include <cube/v1/jobs.pb.h>
#include <cube/v1/records.pb.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/text_format.h>

#include <algorithm>
#include <memory>
#include <sstream>

namespace cube::manager {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

template <class Number>
void AddBigEndian(Number number, std::string& key) {
  for (std::size_t i = sizeof(Number); i-- > 0;) key += static_cast<char>(number >> (8 * i));
}

// Missing bytes are zeros: every prefix of a key is a number.
std::uint64_t NumberAt(std::string_view key, std::size_t from, std::size_t bytes) {
  std::uint64_t number = 0;
  for (std::size_t i = from; i < from + bytes; ++i) {
    number = number << 8 | (i < key.size() ? static_cast<unsigned char>(key[i]) : 0U);
  }
  return number;
}

constexpr std::size_t kIntentBytes = sizeof(TaskNumber::intent);

TaskNumber TaskNumberOf(std::string_view key) {
  TaskNumber number;
  number.intent = NumberAt(key, 0, kIntentBytes);
  number.index =
      static_cast<decltype(number.index)>(NumberAt(key, kIntentBytes, sizeof(TaskNumber::index)));
  return number;
}

std::unique_ptr<Message> EmptyRecord(RecordKind kind) {
  switch (kind) {
    case RecordKind::kMeta:
      return std::make_unique<v1::ViewMeta>();
    case RecordKind::kUntold:
      return std::make_unique<v1::TransitionRecord>();
    case RecordKind::kNode:
      return std::make_unique<v1::NodeRecord>();
    case RecordKind::kJob:
      return std::make_unique<v1::JobRecord>();
    case RecordKind::kTask:
      return std::make_unique<v1::TaskRecord>();
  }
  return std::make_unique<v1::ViewMeta>();
}

std::unique_ptr<Message> Parsed(RecordKind kind, std::string_view bytes) {
  std::unique_ptr<Message> record = EmptyRecord(kind);
  if (!record->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return nullptr;
  return record;
}

void AddLines(const std::string& of, const Message& record, std::vector<std::string>& lines) {
  std::istringstream text(record.DebugString());
  for (std::string line; std::getline(text, line);) lines.push_back(of + ": " + line);
}

// One value of a field, on one line; index -1 = the field is not repeated.
std::string ValueText(const Message& of, const FieldDescriptor& field, int index) {
  google::protobuf::TextFormat::Printer printer;
  printer.SetSingleLineMode(true);
  std::string text;
  printer.PrintFieldValueToString(of, &field, index, &text);
  return text;
}

int CountOf(const Message& of, const FieldDescriptor& field) {
  const Reflection& reflection = *of.GetReflection();
  if (field.is_repeated()) return reflection.FieldSize(of, &field);
  // A plain number has no presence; its default is a value.
  return !field.has_presence() || reflection.HasField(of, &field) ? 1 : 0;
}

const Message& MessageAt(const Message& of, const FieldDescriptor& field, int index) {
  const Reflection& reflection = *of.GetReflection();
  return index < 0 ? reflection.GetMessage(of, &field)
                   : reflection.GetRepeatedMessage(of, &field, index);
}

// NOLINTNEXTLINE(misc-no-recursion): as deep as the messages are
void Compare(const Message& left, const Message& right, const std::string& prefix,
             std::vector<FieldDifference>& found) {
  const google::protobuf::Descriptor& type = *left.GetDescriptor();
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    const int lefts = CountOf(left, field);
    const int rights = CountOf(right, field);
    for (int n = 0; n < std::max(lefts, rights); ++n) {
      const int index = field.is_repeated() ? n : -1;
      std::string path = prefix + field.name();
      if (index >= 0) path += "[" + std::to_string(index) + "]";
      if (n < lefts && n < rights && field.message_type() != nullptr) {
        Compare(MessageAt(left, field, index), MessageAt(right, field, index), path + ".", found);
        continue;
      }
      std::string has = n < lefts ? ValueText(left, field, index) : std::string();
      std::string wants = n < rights ? ValueText(right, field, index) : std::string();
      if (has != wants) found.push_back({std::move(path), std::move(has), std::move(wants)});
    }
  }
}

}  // namespace

std::string RecordKey(std::uint64_t number) {
  std::string key;
  AddBigEndian(number, key);
  return key;
}

std::string RecordKey(TaskNumber number) {
  std::string key;
  AddBigEndian(number.intent, key);
  AddBigEndian(number.index, key);
  return key;
}

void VisitRecords(const View& view, RecordKind kind, const std::string& first,
                  const RecordVisitor& visit) {
  switch (kind) {
    case RecordKind::kMeta:
      if (first.empty()) visit("", RecordBytes(view));
      return;
    case RecordKind::kUntold: {
      const std::uint64_t from = NumberAt(first, 0, sizeof(std::uint64_t));
      std::uint64_t number = view.untold_first;
      for (const Transition& step : view.untold) {
        if (number >= from && !visit(RecordKey(number), RecordBytes(step))) return;
        ++number;
      }
      return;
    }
    case RecordKind::kNode:
      for (auto it = view.nodes.lower_bound(NodeName::Trusted(first)); it != view.nodes.end();
           ++it) {
        if (!visit(it->first.str(), RecordBytes(it->second))) return;
      }
      return;
    case RecordKind::kJob:
      for (auto it = view.jobs.lower_bound(TaskName::Trusted(first)); it != view.jobs.end(); ++it) {
        if (!visit(it->first.str(), RecordBytes(it->second))) return;
      }
      return;
    case RecordKind::kTask:
      for (auto it = view.tasks.From(TaskNumberOf(first)); it != view.tasks.end(); ++it) {
        if (!visit(RecordKey(it->number), RecordBytes(*it))) return;
      }
      return;
  }
}

std::optional<std::string> FindRecord(const View& view, RecordKind kind, const std::string& key) {
  std::optional<std::string> found;
  VisitRecords(view, kind, key, [&](const std::string& at, const std::string& bytes) {
    if (at == key) found = bytes;
    return false;
  });
  return found;
}

std::string RecordName(RecordKind kind, const std::string& key, std::string_view bytes) {
  switch (kind) {
    case RecordKind::kMeta:
      return "the view";
    case RecordKind::kUntold:
      return "untold step " + std::to_string(NumberAt(key, 0, sizeof(std::uint64_t)));
    case RecordKind::kNode:
      return "node " + key;
    case RecordKind::kJob:
      return "job " + key;
    case RecordKind::kTask:
      break;
  }
  v1::TaskRecord record;
  if (record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) && !record.id().empty()) {
    return "task " + record.id();
  }
  const TaskNumber number = TaskNumberOf(key);
  return "task number " + std::to_string(number.intent) + "." + std::to_string(number.index);
}

std::vector<FieldDifference> CompareRecords(RecordKind kind, std::string_view left,
                                            std::string_view right) {
  if (left == right) return {};
  std::vector<FieldDifference> found;
  const std::unique_ptr<Message> has = Parsed(kind, left);
  const std::unique_ptr<Message> wants = Parsed(kind, right);
  if (has && wants) Compare(*has, *wants, "", found);
  if (found.empty()) {
    const auto size = [](std::string_view bytes) {
      return std::to_string(bytes.size()) + " bytes";
    };
    found.push_back({"(bytes)", size(left), size(right)});
  }
  return found;
}

std::string ViewBytes(const View& view) {
  std::string bytes;
  for (const RecordKind kind : kRecordKinds) {
    VisitRecords(view, kind, "", [&](const std::string& key, const std::string& record) {
      bytes += key + record;
      return true;
    });
  }
  return bytes;
}

std::vector<std::string> ViewLines(const View& view) {
  std::vector<std::string> lines;
  for (const RecordKind kind : kRecordKinds) {
    VisitRecords(view, kind, "", [&](const std::string& key, const std::string& bytes) {
      const std::string name = kind == RecordKind::kMeta     ? "view"
                               : kind == RecordKind::kUntold ? "untold"
                                                             : RecordName(kind, key, bytes);
      if (const auto record = Parsed(kind, bytes)) AddLines(name, *record, lines);
      return true;
    });
  }
  return lines;
}

}  // namespace cube::manager
