#include <cube/v1/intents.pb.h>
#include <google/protobuf/io/coded_stream.h>

#include <algorithm>
#include <array>
#include <optional>

#include "shared/domain/rules.h"
#include "shared/domain/text.h"
#include "shared/wire/codec.h"
#include "shared/wire/human.h"
#include "shared/wire/intent_readers.h"
#include "shared/wire/internal.h"
#include "shared/wire/scratch.h"
#include "shared/wire/subjects.h"

namespace cube::wire {
namespace {

using internal::CheckCount;
using internal::IntentReader;
using internal::Invalid;
using internal::TextMember;

Error TooLarge(std::size_t size) {
  return {Code::kInvalid,
          "one task has " + std::to_string(size) + " bytes encoded; at most 64 KiB are allowed",
          {}};
}
static_assert(kIntentItemBytesMax == 64u << 10);  // the text above

// ---- submit -----------------------------------------------------------------------------------

// A specification of the table: decoded once, however many tasks refer to it.
struct TableEntry {
  TaskSpecPtr spec;  // empty: error says why, and name is what it names
  Error error;
  std::string name;
};

TableEntry EntryOf(const v1::TaskSpec& proto) {
  const std::size_t size = proto.ByteSizeLong();
  if (size > kIntentItemBytesMax) return {nullptr, TooLarge(size), proto.name()};
  auto spec = FromProto(proto);
  if (!spec) return {nullptr, std::move(spec).error(), proto.name()};
  return {std::make_shared<const TaskSpec>(*std::move(spec)), {}, {}};
}

// nullopt: these bytes are no specification.
std::optional<TableEntry> ReadTableEntry(const std::string& bytes, SpecCache& known) {
  if (TaskSpecPtr spec = known.Find(bytes)) return TableEntry{std::move(spec), {}, {}};
  // As deep as it may be within a SubmitTasks message.
  const int depth_max = google::protobuf::io::CodedInputStream::GetDefaultRecursionLimit() - 1;
  google::protobuf::io::CodedInputStream in(reinterpret_cast<const std::uint8_t*>(bytes.data()),
                                            static_cast<int>(bytes.size()));
  in.SetRecursionLimit(depth_max);
  Scratch<v1::TaskSpec> proto;
  if (!proto->ParseFromCodedStream(&in) || !in.ConsumedEntireMessage()) return std::nullopt;
  TableEntry entry = EntryOf(*proto);
  if (entry.spec != nullptr) known.Keep(bytes, entry.spec);
  return entry;
}

IntentItem ReadSubmit(const v1::SubmitTask& task, const std::vector<TableEntry>& table) {
  if (task.spec() >= table.size()) {
    return Invalid(internal::OutOfTable("spec", task.spec(), table.size()).error(), task.id());
  }
  const TableEntry& entry = table[task.spec()];
  const std::string_view name =
      entry.spec == nullptr ? std::string_view(entry.name) : entry.spec->name.str();
  SubmitTask submit;
  if (!task.id().empty()) {
    if (auto good = CheckPlainTaskId(task.id(), "id"); !good) {
      return Invalid(std::move(good).error(), task.id(), name);
    }
    submit.id = TaskId::Trusted(task.id());
  }
  if (entry.spec == nullptr) return Invalid(entry.error, task.id(), name);
  submit.spec = entry.spec;
  return submit;
}

Result<std::vector<IntentItem>> ReadSubmits(std::string_view payload, SpecCache& known) {
  constexpr std::string_view kWhat = "a SubmitTasks message";
  Scratch<v1::EncodedSubmitTasks> scratch;
  v1::EncodedSubmitTasks& message = *scratch;
  CUBE_TRY_VOID(internal::Parse(payload, kWhat, message));
  const auto count = static_cast<std::size_t>(message.tasks_size());
  CUBE_TRY_VOID(CheckCount(count, kIntentItemsMax, "tasks"));
  CUBE_TRY_VOID(
      CheckCount(static_cast<std::size_t>(message.specs_size()), kIntentItemsMax, "specs"));
  std::vector<TableEntry> table;
  table.reserve(static_cast<std::size_t>(message.specs_size()));
  for (const std::string& bytes : message.specs()) {
    std::optional<TableEntry> entry = ReadTableEntry(bytes, known);
    if (!entry) return internal::NotThat(payload, kWhat);
    table.push_back(*std::move(entry));
  }
  std::vector<IntentItem> items;
  items.reserve(count);
  for (const v1::SubmitTask& task : message.tasks()) {
    items.push_back(ReadSubmit(task, table));
  }
  return items;
}

// ---- stop -------------------------------------------------------------------------------------

IntentItem CheckedStop(std::string_view id, std::optional<Duration> grace) {
  if (auto good = CheckToken(id, "id"); !good) return Invalid(std::move(good).error(), id);
  if (grace) {
    if (auto good = CheckGrace(*grace, "grace"); !good) {
      return Invalid(std::move(good).error(), id);
    }
  }
  return StopTask{TaskId::Trusted(std::string(id)), grace};
}

Result<std::vector<IntentItem>> ReadStops(std::string_view payload, SpecCache& /*known*/) {
  v1::StopTasks message;
  CUBE_TRY_VOID(internal::Parse(payload, "a StopTasks message", message));
  const auto count = static_cast<std::size_t>(message.tasks_size());
  CUBE_TRY_VOID(CheckCount(count, kIntentItemsMax, "tasks"));
  std::vector<IntentItem> items;
  items.reserve(count);
  for (const v1::StopTask& task : message.tasks()) {
    std::optional<Duration> grace;
    if (task.has_grace_ns()) grace = Duration(task.grace_ns());
    items.push_back(CheckedStop(task.id(), grace));
  }
  return items;
}

// ---- human form -------------------------------------------------------------------------------

IntentItem ReadHumanSubmit(const nlohmann::json& value) {
  const std::string id = TextMember(value, "id");
  const std::string name = TextMember(value, "name");
  auto task = TaskFromHuman(value);
  if (!task) return Invalid(std::move(task).error(), id, name);
  v1::TaskSpec proto;
  ToProto(*task->spec, proto);
  const std::size_t size = proto.ByteSizeLong();
  if (size > kIntentItemBytesMax) return Invalid(TooLarge(size), id, name);
  return *std::move(task);
}

IntentItem ReadHumanStop(const nlohmann::json& value) {
  const std::string id = value.is_string() ? value.get<std::string>() : TextMember(value, "id");
  auto stop = StopFromHuman(value);
  if (!stop) return Invalid(std::move(stop).error(), id);
  return CheckedStop(stop->id, stop->grace);
}

Result<std::vector<IntentItem>> ReadHumanSubmits(std::string_view payload) {
  return internal::ReadHumanItems(payload, "tasks", ReadHumanSubmit);
}
Result<std::vector<IntentItem>> ReadHumanStops(std::string_view payload) {
  return internal::ReadHumanItems(payload, "tasks", ReadHumanStop);
}

// ---- which intent -------------------------------------------------------------------------------

constexpr IntentReader kSubmitReader{ReadSubmits, ReadHumanSubmits, false};
constexpr IntentReader kStopReader{ReadStops, ReadHumanStops, true};

struct Verb {
  std::string_view subject;  // its end
  const IntentReader* reader;
};
constexpr std::array kVerbs{
    Verb{"tasks.submit", &kSubmitReader},
    Verb{"tasks.stop", &kStopReader},
    Verb{"nodes.cordon", &internal::kCordonReader},
    Verb{"nodes.uncordon", &internal::kUncordonReader},
    Verb{"nodes.drain", &internal::kDrainReader},
    Verb{"jobs.submit", &internal::kSubmitJobReader},
    Verb{"jobs.stop", &internal::kStopJobReader},
    Verb{"jobs.scale", &internal::kScaleJobReader},
};

const IntentReader* ReaderOf(std::string_view subject) {
  for (const Verb& verb : kVerbs) {
    if (subject.ends_with(verb.subject) &&
        subject.substr(0, subject.size() - verb.subject.size()).ends_with('.')) {
      return verb.reader;
    }
  }
  return nullptr;
}

bool LooksHuman(const IntentReader& reader, std::string_view payload) {
  const std::size_t start = payload.find_first_not_of(" \t\r\n");
  if (start == std::string_view::npos) return false;
  const char first = payload[start];
  return first == '{' || first == '[' || (reader.bare_text && first == '"');
}

// The first byte of our protobuf messages is the key of field 1 or 2: '\n' or 0x12. So a text that
// begins with a line feed may be either: "\n{" is also a first field of 123 bytes. It is the human
// form if it is JSON, which a message never is: its bytes below 0x20 stand within quotes, if any.
Result<std::vector<IntentItem>> ReadEither(const IntentReader& reader, std::string_view payload,
                                           SpecCache& known) {
  if (!LooksHuman(reader, payload)) return reader.read(payload, known);
  if (payload.front() != '\n') return reader.read_human(payload);
  if (auto human = reader.read_human(payload)) return human;
  return reader.read(payload, known);
}

Result<std::vector<IntentItem>> ReadItems(std::string_view subject, std::string_view payload,
                                          SpecCache& known) {
  const IntentReader* reader = ReaderOf(subject);
  if (reader == nullptr) {
    std::string verbs;
    for (const Verb& verb : kVerbs) {
      verbs += (verbs.empty() ? "" : ", ") + std::string(verb.subject);
    }
    return Fail(Code::kUnsupported, "'" + CleanText(subject, kTokenLengthMax) +
                                        "' is not supported by this version; it knows " + verbs);
  }
  if (payload.empty()) return Fail(Code::kInvalid, "the message is empty");
  return ReadEither(*reader, payload, known);
}

// The token becomes part of a subject: nothing may sneak dots or wildcards in.
std::string OutcomeToken(const bus::Headers& headers) {
  const auto header = headers.find(std::string(kHeaderOutcome));
  if (header == headers.end()) return {};
  const std::string& token = header->second;
  const bool good = !token.empty() && token.size() <= kOutcomeTokenBytesMax &&
                    std::all_of(token.begin(), token.end(), [](char c) {
                      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                             (c >= '0' && c <= '9') || c == '-' || c == '_';
                    });
  return good ? token : std::string();
}

}  // namespace

namespace internal {

InvalidItem Invalid(Error error, std::string_view task, std::string_view name) {
  return {CleanText(task, kTokenLengthMax), CleanText(name, kTokenLengthMax), std::move(error)};
}

std::string TextMember(const nlohmann::json& value, const char* key) {
  const auto member = value.is_object() ? value.find(key) : value.end();
  if (!value.is_object() || member == value.end() || !member->is_string()) return {};
  return member->get<std::string>();
}

Result<std::vector<IntentItem>> ReadHumanItems(
    std::string_view payload, const char* list_key,
    const std::function<IntentItem(const nlohmann::json&)>& read_one) {
  CUBE_TRY(const nlohmann::json document, ParseJson(payload));
  const nlohmann::json* list = document.is_array() ? &document : nullptr;
  if (document.is_object() && document.size() == 1 && document.contains(list_key)) {
    list = &document[list_key];
    if (!list->is_array()) return Fail(Code::kInvalid, "must be a list", list_key);
  }
  std::vector<IntentItem> items;
  if (list == nullptr) {
    items.push_back(read_one(document));
    return items;
  }
  CUBE_TRY_VOID(CheckCount(list->size(), kIntentItemsMax, list_key));
  items.reserve(list->size());
  for (const nlohmann::json& value : *list) items.push_back(read_one(value));
  return items;
}

}  // namespace internal

std::string EncodeSubmit(const std::vector<SubmitTask>& tasks) {
  v1::SubmitTasks message;
  internal::SpecTable table;
  message.mutable_tasks()->Reserve(static_cast<int>(tasks.size()));
  for (const SubmitTask& task : tasks) {
    v1::SubmitTask* proto = message.add_tasks();
    proto->set_id(task.id.str());
    proto->set_spec(table.Index(task.spec));
  }
  internal::WriteSpecs(table, message.mutable_specs());
  return internal::Serialize(message);
}

std::string EncodeStop(const std::vector<StopTask>& tasks) {
  v1::StopTasks message;
  for (const StopTask& task : tasks) {
    v1::StopTask* proto = message.add_tasks();
    proto->set_id(task.id.str());
    if (task.grace) proto->set_grace_ns(task.grace->count());
  }
  return internal::Serialize(message);
}

IntentBatch DecodeIntents(std::string_view subject, const bus::Headers& headers,
                          std::string_view payload) {
  SpecCache none;
  return DecodeIntentsWith(subject, headers, payload, none);
}

IntentBatch DecodeIntentsWith(std::string_view subject, const bus::Headers& headers,
                              std::string_view payload, SpecCache& known) {
  IntentBatch batch;
  batch.outcome_token = OutcomeToken(headers);
  auto items = ReadItems(subject, payload, known);
  if (items && items->empty()) {
    items = Fail(Code::kInvalid, "names nothing; name at least one");
  }
  if (items) {
    batch.items = *std::move(items);
  } else {
    batch.items.emplace_back(Invalid(std::move(items).error()));
  }
  return batch;
}

}  // namespace cube::wire
