#include "shared/bus/nats_json.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <utility>

#include "shared/base/json.h"
#include "shared/domain/text.h"

namespace cube::bus {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kSaidShown = 512;  // bytes of a server's sentence that an error repeats
// How long a consumer without pulls stays; longer than any pull of ours waits.
constexpr Duration kConsumerInactive = std::chrono::minutes(2);

template <class T>
T Field(const Json& object, const char* name, T otherwise) {
  if (!object.is_object()) return otherwise;
  const auto it = object.find(name);
  if (it == object.end()) return otherwise;
  if constexpr (std::is_same_v<T, std::string>) {
    return it->is_string() ? it->get<std::string>() : otherwise;
  } else if constexpr (std::is_same_v<T, bool>) {
    return it->is_boolean() ? it->get<bool>() : otherwise;
  } else {
    return it->is_number_integer() ? it->get<T>() : otherwise;
  }
}

// By JetStream's number first, else by the kind of HTTP status it gives.
Code CodeOf(int number, int status) {
  switch (number) {
    case 10070:  // wrong last msg id
    case 10071:  // wrong last sequence
    case 10164:  // the same, without the number
      return Code::kAborted;
    case 10002:  // account: resources exceeded
    case 10023:  // insufficient resources
    case 10028:  // storage resources exceeded
    case 10047:  // insufficient storage resources
    case 10054:  // message exceeds maximum size
    case 10077:  // store failed: maximum bytes or messages exceeded
      return Code::kResource;
    case 10014:  // consumer not found
    case kJsNoMessageFound:
    case kJsStreamNotFound:
      return Code::kNotFound;
    case 10039:  // JetStream not enabled for account
    case 10052:  // stream configuration that the server does not take
    case kJsStreamNameInUse:
    case 10060:  // expected stream does not match
    case kJsSubjectsOverlap:
    case 10074:  // replicas > 1 without a cluster
    case 10109:  // stream is sealed
    case 10110:  // stream denies purging
      return Code::kPrecondition;
    default:
      break;
  }
  if (status == 404) return Code::kNotFound;
  if (status == 408) return Code::kTimedOut;
  if (status >= 500) return Code::kUnavailable;
  if (status == 400) return Code::kInvalid;
  return Code::kInternal;
}

Error ErrorOf(const Json& error, std::string_view what, int* number) {
  const int err_code = Field(error, "err_code", 0);
  if (number != nullptr) *number = err_code;
  return Error{
      CodeOf(err_code, Field(error, "code", 0)),
      fmt::format("{}: the server says: {} ({})", what,
                  CleanText(Field<std::string>(error, "description", "no reason"), kSaidShown),
                  err_code),
      {}};
}

// The value of `"key":` in a flat JSON text that the server wrote; npos-safe.
std::string_view After(std::string_view json, std::string_view key) {
  const std::size_t at = json.find(key);
  return at == std::string_view::npos ? std::string_view{} : json.substr(at + key.size());
}

std::unexpected<Error> Odd(std::string_view what, std::string_view json) {
  constexpr std::size_t kShown = 200;  // bytes of an answer that an error repeats
  return Fail(Code::kInternal, fmt::format("{}: the server's answer is not understood: {}", what,
                                           CleanText(json, kShown)));
}

}  // namespace

Result<PubAck> ParsePubAck(std::string_view json, std::string_view subject) {
  // {"stream":"X","seq":7[,"duplicate":true][,"domain":"d"]}: no parser on the fast path.
  if (json.find("\"error\"") == std::string_view::npos) {
    const std::string_view name = After(json, "\"stream\":");
    std::string_view number = After(json, "\"seq\":");
    while (number.starts_with(' ')) number.remove_prefix(1);
    const std::size_t open = name.find('"');
    const std::size_t close = open == std::string_view::npos ? open : name.find('"', open + 1);
    PubAck ack;
    if (close != std::string_view::npos &&
        std::from_chars(number.data(), number.data() + number.size(), ack.seq).ec == std::errc{}) {
      ack.stream = name.substr(open + 1, close - open - 1);
      std::string_view duplicate = After(json, "\"duplicate\":");
      while (duplicate.starts_with(' ')) duplicate.remove_prefix(1);
      ack.duplicate = duplicate.starts_with("true");
      return ack;
    }
  }
  if (auto error = ApiError(json, fmt::format("append to {}", subject))) {
    return std::unexpected(std::move(*error));
  }
  return Odd("append", json);
}

std::optional<Error> ApiError(std::string_view json, std::string_view what, int* number) {
  const Json answer = ParseJsonText(json);
  if (!answer.is_object()) return Odd(what, json).error();
  const auto error = answer.find("error");
  if (error == answer.end()) return std::nullopt;
  return ErrorOf(*error, what, number);
}

Result<StreamAnswer> ParseStreamInfo(std::string_view json) {
  const Json answer = ParseJsonText(json);
  if (!answer.is_object() || !answer.contains("config") || !answer.contains("state")) {
    return Odd("stream info", json);
  }
  const Json& config = answer["config"];
  const Json& state = answer["state"];
  StreamAnswer out;
  out.state.name = Field<std::string>(config, "name", "");
  CUBE_TRY(out.state.created, ParseRfc3339(Field<std::string>(answer, "created", "")));
  out.state.first_seq = Field<std::uint64_t>(state, "first_seq", 0);
  out.state.last_seq = Field<std::uint64_t>(state, "last_seq", 0);
  out.state.messages = Field<std::uint64_t>(state, "messages", 0);
  out.state.bytes = Field<std::uint64_t>(state, "bytes", 0);
  out.state.bytes_max = Field<std::int64_t>(config, "max_bytes", -1);
  out.state.replicas = Field<std::int32_t>(config, "num_replicas", 1);
  // An empty stream begins at what comes next, whether it was purged or is new.
  if (out.state.messages == 0) out.state.first_seq = out.state.last_seq + 1;
  out.rolling = Field<std::int64_t>(config, "max_msgs_per_subject", -1) > 0 ||
                Field<std::int64_t>(config, "max_age", 0) > 0 ||
                Field<std::int64_t>(config, "max_msgs", -1) > 0 ||
                Field<std::string>(config, "discard", "old") == "old";
  out.config = config.dump();
  return out;
}

// Go's zero time. Read as text: each look at a stream comes by here.
bool IsBeingMade(std::string_view json) {
  return json.contains(R"("created":"0001-01-01T00:00:00Z")");
}

std::string CreateStreamJson(const StreamConfig& config) {
  Json json = {
      {"name", config.name},
      {"subjects", config.subjects},
      {"retention", "limits"},
      {"storage", "file"},
      {"discard", "new"},
      {"max_consumers", -1},
      {"max_msgs", -1},
      {"max_bytes", config.bytes_max},
      {"max_age", config.age_max.count()},
      {"max_msgs_per_subject", config.messages_per_subject_max},
      {"max_msg_size", config.message_bytes_max},
      {"num_replicas", config.replicas},
      {"allow_direct", true},
      {"deny_delete", config.deny_delete},
  };
  if (!config.description.empty()) json["description"] = config.description;
  return json.dump();
}

namespace {

std::unexpected<Error> Incompatible(const StreamConfig& want, std::string_view setting,
                                    const std::string& have, const std::string& wanted) {
  return Fail(Code::kPrecondition,
              fmt::format("stream {} has {} {}, but {} is needed: change it with `nats stream edit "
                          "{}`, or remove the stream, or choose another root name",
                          want.name, setting, have, wanted, want.name));
}

struct Shape {
  const char* setting;
  Json wanted;
  Json otherwise;  // what a missing field means
};

std::vector<std::string> Sorted(std::vector<std::string> subjects) {
  std::sort(subjects.begin(), subjects.end());
  return subjects;
}

std::vector<std::string> SortedSubjects(const Json& config) {
  std::vector<std::string> subjects;
  if (const auto it = config.find("subjects"); it != config.end() && it->is_array()) {
    for (const Json& subject : *it) {
      if (subject.is_string()) subjects.push_back(subject.get<std::string>());
    }
  }
  return Sorted(std::move(subjects));
}

Result<void> CheckShape(const StreamConfig& want, const Json& config) {
  const std::vector<std::string> subjects = Sorted(want.subjects);
  const std::vector<std::string> there = SortedSubjects(config);
  if (there != subjects) {
    return Incompatible(want, "subjects", fmt::format("[{}]", fmt::join(there, ", ")),
                        fmt::format("[{}]", fmt::join(subjects, ", ")));
  }
  const std::array<Shape, 6> shapes{{
      {"retention", "limits", "limits"},
      {"storage", "file", "file"},
      {"discard", "new", "old"},
      {"max_msgs", -1, -1},
      {"max_msgs_per_subject", want.messages_per_subject_max, -1},
      {"deny_delete", want.deny_delete, false},
  }};
  for (const Shape& shape : shapes) {
    const auto it = config.find(shape.setting);
    const Json& have = it == config.end() ? shape.otherwise : *it;
    if (have != shape.wanted) {
      return Incompatible(want, shape.setting, have.dump(), shape.wanted.dump());
    }
  }
  return {};
}

}  // namespace

Result<std::optional<std::string>> UpdateStreamJson(const StreamConfig& want,
                                                    std::string_view have) {
  Json config = ParseJsonText(have);
  if (!config.is_object()) return Odd("stream info", have);
  CUBE_TRY_VOID(CheckShape(want, config));
  bool changed = false;
  const auto set = [&](const char* name, const Json& value) {
    config[name] = value;
    changed = true;
  };
  // Raised only: two processes with different settings must not turn a limit back and forth.
  const auto raise = [&](const char* name, std::int64_t wanted) {
    const auto there = Field<std::int64_t>(config, name, -1);
    if (there < 0 || (wanted >= 0 && wanted <= there)) return;
    set(name, wanted);
  };
  raise("max_bytes", want.bytes_max);
  raise("max_msg_size", want.message_bytes_max);
  if (Field<std::int64_t>(config, "num_replicas", 1) < want.replicas) {
    set("num_replicas", want.replicas);
  }
  if (Field<std::int64_t>(config, "max_age", 0) != want.age_max.count()) {
    set("max_age", want.age_max.count());
    // The server refuses a window longer than the age; it was derived from the old one.
    if (want.age_max > Duration{0} &&
        Field<std::int64_t>(config, "duplicate_window", 0) > want.age_max.count()) {
      set("duplicate_window", want.age_max.count());
    }
  }
  if (!Field(config, "allow_direct", false)) set("allow_direct", true);
  // Given once: neither a person's words nor those of another version are turned back and forth.
  if (!want.description.empty() && Field<std::string>(config, "description", "").empty()) {
    set("description", want.description);
  }
  if (!changed) return std::optional<std::string>{};
  return std::optional<std::string>(config.dump());
}

std::string PurgeJson(std::uint64_t up_to_seq) {
  return fmt::format(R"({{"seq":{}}})", up_to_seq + 1);  // what it names is the first to stay
}

std::string CreateConsumerJson(const ConsumerSpec& spec) {
  const Json json = {
      {"stream_name", spec.stream},
      {"config",
       {{"name", spec.name},
        {"deliver_policy", "by_start_sequence"},
        {"opt_start_seq", spec.from_seq},
        {"ack_policy", "none"},
        {"replay_policy", "instant"},
        {"inactive_threshold", kConsumerInactive.count()},
        {"num_replicas", 1},
        {"mem_storage", true}}},
  };
  return json.dump();
}

std::string PullJson(std::uint64_t batch, Duration expires, Duration idle_heartbeat) {
  return fmt::format(R"({{"batch":{},"expires":{},"idle_heartbeat":{}}})", batch, expires.count(),
                     idle_heartbeat.count());
}

std::string GetBySeqJson(std::uint64_t seq) { return fmt::format(R"({{"seq":{}}})", seq); }

std::string GetLastJson(std::string_view subject) { return Json{{"last_by_subj", subject}}.dump(); }

Result<std::optional<StreamMessage>> ParseDirectGet(Incoming in) {
  if (in.status == 404) return std::optional<StreamMessage>{};
  if (in.status != 0) {
    return Fail(in.status == 503 ? Code::kUnavailable : Code::kInternal,
                fmt::format("reading a message: the server says: {} {}", in.status,
                            CleanText(in.status_text, kSaidShown)));
  }
  StreamMessage message;
  const auto take = [&in](const char* name) {
    auto node = in.headers.extract(name);
    return node.empty() ? std::string{} : std::move(node.mapped());
  };
  message.stream = take("Nats-Stream");
  message.subject = take("Nats-Subject");
  const std::string seq = take("Nats-Sequence");
  const std::string time = take("Nats-Time-Stamp");
  for (const char* added : {"Nats-Num-Pending", "Nats-Last-Sequence", "Nats-UpTo-Sequence"}) {
    take(added);
  }
  if (std::from_chars(seq.data(), seq.data() + seq.size(), message.seq).ec != std::errc{}) {
    return Odd("reading a message", "headers without Nats-Sequence");
  }
  CUBE_TRY(message.time, ParseRfc3339(time));
  message.headers = std::move(in.headers);
  message.payload = std::move(in.payload);
  return std::optional(std::move(message));
}

namespace {

std::optional<std::string> DecodeBase64(std::string_view text) {
  const auto value = [](char c) -> int {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '+') return 62;
    if (c == '/') return 63;
    return -1;
  };
  while (text.ends_with('=')) text.remove_suffix(1);
  std::string out;
  unsigned bits = 0;
  int count = 0;
  for (const char c : text) {
    const int v = value(c);
    if (v < 0) return std::nullopt;
    bits = (bits << 6) | static_cast<unsigned>(v);
    count += 6;
    if (count >= 8) {
      count -= 8;
      out.push_back(static_cast<char>((bits >> count) & 0xff));
    }
  }
  return out;
}

// "NATS/1.0\r\nKey: value\r\n\r\n"
Headers ParseHeaderBlock(std::string_view block) {
  Headers headers;
  std::size_t at = block.find("\r\n");
  while (at != std::string_view::npos) {
    block.remove_prefix(at + 2);
    at = block.find("\r\n");
    const std::string_view line = block.substr(0, at);
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    std::string_view value = line.substr(colon + 1);
    while (value.starts_with(' ')) value.remove_prefix(1);
    headers.emplace(line.substr(0, colon), value);
  }
  return headers;
}

}  // namespace

Result<std::optional<StreamMessage>> ParseMsgGet(std::string_view json, const std::string& stream) {
  int number = 0;
  if (auto error = ApiError(json, fmt::format("reading from stream {}", stream), &number)) {
    if (number == kJsNoMessageFound) return std::optional<StreamMessage>{};
    return std::unexpected(std::move(*error));
  }
  const Json answer = ParseJsonText(json);
  if (!answer.contains("message")) return Odd("reading a message", json);
  const Json& m = answer["message"];
  StreamMessage message;
  message.stream = stream;
  message.subject = Field<std::string>(m, "subject", "");
  message.seq = Field<std::uint64_t>(m, "seq", 0);
  CUBE_TRY(message.time, ParseRfc3339(Field<std::string>(m, "time", "")));
  auto payload = DecodeBase64(Field<std::string>(m, "data", ""));
  auto headers = DecodeBase64(Field<std::string>(m, "hdrs", ""));
  if (!payload || !headers) return Odd("reading a message", json);
  message.payload = std::move(*payload);
  message.headers = ParseHeaderBlock(*headers);
  return std::optional(std::move(message));
}

std::optional<Delivery> ParseDelivery(std::string_view reply) {
  // $JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time>.<pending>
  // $JS.ACK.<domain>.<account>.<stream>.<consumer>.<...the same>[.<random>]
  if (!reply.starts_with("$JS.ACK.")) return std::nullopt;
  constexpr std::size_t kShort = 9;
  constexpr std::size_t kLong = 11;
  std::array<std::string_view, 16> tokens;
  std::size_t count = 0;
  while (count < tokens.size()) {
    const std::size_t dot = reply.find('.');
    tokens[count++] = reply.substr(0, dot);
    if (dot == std::string_view::npos) break;
    reply.remove_prefix(dot + 1);
  }
  if (count != kShort && count < kLong) return std::nullopt;
  const std::size_t at = count == kShort ? 2 : 4;
  Delivery delivery;
  delivery.stream = tokens[at];
  delivery.consumer = tokens[at + 1];
  const auto number = [](std::string_view text, auto& value) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} && end == text.data() + text.size();
  };
  if (!number(tokens[at + 3], delivery.stream_seq) ||
      !number(tokens[at + 4], delivery.consumer_seq) || !number(tokens[at + 5], delivery.time_ns) ||
      !number(tokens[at + 6], delivery.pending)) {
    return std::nullopt;
  }
  return delivery;
}

}  // namespace cube::bus
