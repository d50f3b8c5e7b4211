#include "services/cli/feed.h"

#include <nlohmann/json.hpp>

#include "shared/base/json.h"

namespace cube::cli {
namespace {

using Json = nlohmann::json;

// The member as text, empty if it is absent, null or something else.
std::string Text(const Json& json, const char* key) {
  const auto it = json.find(key);
  return it != json.end() && it->is_string() ? it->get<std::string>() : std::string();
}

// The member as a number that fits, 0 if it is absent or something else.
template <class Number>
Number Count(const Json& json, const char* key) {
  const auto it = json.find(key);
  if (it == json.end() || !it->is_number_unsigned()) return 0;
  const auto value = it->get<std::uint64_t>();
  return value <= std::numeric_limits<Number>::max() ? static_cast<Number>(value) : 0;
}

Result<Json> ParseObject(std::string_view payload, std::string_view what) {
  Json json = ParseJsonText(payload);
  if (!json.is_object()) {
    return Fail(Code::kInvalid, std::string(what) + " is not a JSON object");
  }
  return json;
}

}  // namespace

Code CodeFromName(std::string_view name) {
  constexpr std::array kCodes = {Code::kInvalid,      Code::kNotFound, Code::kConflict,
                                 Code::kUnavailable,  Code::kTimedOut, Code::kAborted,
                                 Code::kPrecondition, Code::kResource, Code::kPermission,
                                 Code::kUnsupported,  Code::kDataLoss, Code::kInternal};
  for (const Code code : kCodes) {
    if (CodeName(code) == name) return code;
  }
  return Code::kInternal;
}

Result<FeedEvent> ParseFeedEvent(std::string_view payload) {
  CUBE_TRY(const Json json, ParseObject(payload, "a message of the feed"));
  FeedEvent event;
  event.time = Text(json, "time");
  event.task = Text(json, "task");
  event.name = Text(json, "name");
  event.node = Text(json, "node");
  event.attempt = Count<std::uint32_t>(json, "attempt");
  event.launch = Count<std::uint32_t>(json, "launch");
  event.status = Text(json, "status");
  const auto healthy = json.find("healthy");
  event.healthy = healthy != json.end() && healthy->is_boolean() && healthy->get<bool>();
  event.reason = Text(json, "reason");
  const auto exit_code = json.find("exit_code");
  if (exit_code != json.end() && exit_code->is_number_integer()) {
    event.exit_code = exit_code->get<std::int64_t>();
  }
  return event;
}

Result<Outcome> ParseOutcome(std::string_view payload) {
  CUBE_TRY(const Json json, ParseObject(payload, "an outcome"));
  Outcome outcome;
  outcome.intent = Count<std::uint64_t>(json, "intent");
  const auto items = json.find("items");
  if (items == json.end() || !items->is_array()) {
    return Fail(Code::kInvalid, "an outcome has no array of items");
  }
  for (const auto& item : *items) {
    if (!item.is_object()) return Fail(Code::kInvalid, "an item of an outcome is not an object");
    outcome.items.push_back(
        {.index = Count<std::uint32_t>(item, "index"),
         .id = Text(item, "id"),
         .status = Text(item, "status"),
         .error = {CodeFromName(Text(item, "code")), Text(item, "reason"), Text(item, "field")}});
  }
  return outcome;
}

}  // namespace cube::cli
