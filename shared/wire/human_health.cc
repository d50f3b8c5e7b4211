#include "shared/wire/human_health.h"

#include <charconv>

#include "shared/domain/rules.h"
#include "shared/domain/text.h"
#include "shared/domain/validate.h"
#include "shared/wire/fields.h"
#include "shared/wire/human.h"
#include "shared/wire/internal.h"

namespace cube::wire {
namespace internal {
namespace {

using nlohmann::json;

Result<Duration> ReadTime(const json& value, const std::string& field) {
  if (!value.is_string()) return WrongKind("a duration such as \"10s\"", value, field);
  auto time = ParseDuration(value.get_ref<const std::string&>());
  if (!time) return At(std::move(time).error(), field);
  return time;
}

// A port by number, or by the name that `ports` gives it.
Result<void> ReadPort(const json& value, const std::string& field, HealthCheck& health) {
  if (value.is_number()) {
    CUBE_TRY(const std::int64_t number, Integer(value, field, 1, 65535));
    health.port = static_cast<std::uint16_t>(number);
    return {};
  }
  CUBE_TRY(health.port_name, Text(value, field));
  return {};
}

Result<void> ReadKind(const std::string& key, const json& value, HealthCheck& health) {
  const std::string field = "health." + key;
  if (key == "http") {
    health.kind = HealthCheck::Kind::kHttp;
    CUBE_TRY(health.http_path, Text(value, field));
    return {};
  }
  if (key == "command") {
    health.kind = HealthCheck::Kind::kCommand;
    if (value.is_string()) {
      return Fail(Code::kInvalid,
                  "must be a list of arguments, not a text, since no shell runs it; write "
                  "[\"sh\", \"-c\", \"...\"] if one should",
                  field);
    }
    CUBE_TRY(health.command, Texts(value, field));
    return {};
  }
  health.kind = HealthCheck::Kind::kTcp;
  if (value.is_boolean() && value.get<bool>()) return {};
  if (value.is_boolean()) return Fail(Code::kInvalid, "must be true, or the port", field);
  return ReadPort(value, field, health);
}

Result<void> ReadOnFailure(const json& value, HealthCheck& health) {
  CUBE_TRY(const std::string text, Text(value, "health.on_failure"));
  if (text != "restart" && text != "none") {
    return Fail(Code::kInvalid, "must be restart or none", "health.on_failure");
  }
  health.on_failure =
      text == "none" ? HealthCheck::OnFailure::kNone : HealthCheck::OnFailure::kRestart;
  return {};
}

Result<void> ReadSetting(const std::string& key, const json& value, HealthCheck& health) {
  const std::string field = "health." + key;
  if (key == "port") return ReadPort(value, field, health);
  if (key == "on_failure") return ReadOnFailure(value, health);
  if (key == "interval") {
    CUBE_TRY(health.interval, ReadTime(value, field));
  } else if (key == "timeout") {
    CUBE_TRY(health.timeout, ReadTime(value, field));
  } else if (key == "start_period") {
    CUBE_TRY(health.start_period, ReadTime(value, field));
  } else if (key == "retries" || key == "successes") {
    CUBE_TRY(const std::int64_t count, Integer(value, field, 1, kHealthCountMax));
    (key == "retries" ? health.retries : health.successes) = static_cast<std::uint32_t>(count);
  } else {
    return UnknownField(key, "health",
                        {"http", "tcp", "command", "port", "interval", "timeout", "start_period",
                         "retries", "successes", "on_failure"});
  }
  return {};
}

}  // namespace

Result<HealthCheck> HealthFromHuman(const json& value) {
  if (!value.is_object()) {
    return WrongKind("a map such as {http: /health}", value, "health");
  }
  HealthCheck health;
  std::size_t kinds = 0;
  for (const auto& [key, member] : value.items()) {
    if (key == "http" || key == "tcp" || key == "command") {
      if (++kinds > 1) break;
      CUBE_TRY_VOID(ReadKind(key, member, health));
    }
  }
  if (kinds != 1) {
    return Fail(Code::kInvalid, "needs one of http, tcp and command", "health");
  }
  for (const auto& [key, member] : value.items()) {
    if (key == "http" || key == "tcp" || key == "command") continue;
    CUBE_TRY_VOID(ReadSetting(key, member, health));
  }
  return health;
}

nlohmann::ordered_json HealthToHuman(const HealthCheck& health) {
  nlohmann::ordered_json to;
  switch (health.kind) {
    case HealthCheck::Kind::kHttp:
      to["http"] = health.http_path;
      break;
    case HealthCheck::Kind::kTcp:
      to["tcp"] = true;
      break;
    case HealthCheck::Kind::kCommand:
      to["command"] = health.command;
      break;
  }
  if (health.port != 0) to["port"] = health.port;
  if (!health.port_name.empty()) to["port"] = health.port_name;
  to["interval"] = FormatDuration(health.interval);
  to["timeout"] = FormatDuration(health.timeout);
  to["start_period"] = FormatDuration(health.start_period);
  to["retries"] = health.retries;
  to["successes"] = health.successes;
  to["on_failure"] = health.on_failure == HealthCheck::OnFailure::kNone ? "none" : "restart";
  return to;
}

}  // namespace internal

Result<ReschedulePolicy> ParseReschedule(std::string_view text) {
  using Mode = ReschedulePolicy::Mode;
  constexpr std::string_view kOnFailure = "on-failure";
  if (text == "never") return ReschedulePolicy{Mode::kNever, 0};
  // "always" is what the first version called it.
  if (text == "on-lost" || text == "always") return ReschedulePolicy{Mode::kOnLost, 0};
  if (text == kOnFailure) return ReschedulePolicy{Mode::kOnFailure, kMovesDefault};
  if (text.starts_with(kOnFailure) && text.substr(kOnFailure.size()).starts_with(':')) {
    const std::string_view digits = text.substr(kOnFailure.size() + 1);
    std::uint32_t moves = 0;
    const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), moves);
    if (failed == std::errc() && end == digits.data() + digits.size() && moves > 0) {
      return ReschedulePolicy{Mode::kOnFailure, moves};
    }
  }
  return Fail(Code::kInvalid, "'" + CleanText(text, kQuotedLengthMax) +
                                  "' is no reschedule policy; there are never, on-lost, on-failure "
                                  "and on-failure:N (moves within an hour)");
}

std::string FormatReschedule(const ReschedulePolicy& policy) {
  switch (policy.mode) {
    case ReschedulePolicy::Mode::kNever:
      return "never";
    case ReschedulePolicy::Mode::kOnLost:
      return "on-lost";
    case ReschedulePolicy::Mode::kOnFailure:
      break;
  }
  return "on-failure:" + std::to_string(policy.moves_max);
}

}  // namespace cube::wire
