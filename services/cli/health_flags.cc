#include "services/cli/health_flags.h"

#include <fmt/format.h>

#include <array>
#include <string_view>

#include "shared/domain/validate.h"
#include "shared/wire/human.h"

namespace cube::cli {
namespace {

constexpr std::array<std::string_view, 3> kKinds{"health-cmd", "health-http", "health-tcp"};
// What only means something beside one of these.
constexpr std::array<std::string_view, 7> kSettings{
    "health-port",    "health-interval",  "health-timeout",   "health-start-period",
    "health-retries", "health-successes", "health-on-failure"};

Result<void> ReadPort(const Args& args, HealthCheck& health) {
  const auto text = args.Get("health-port");
  if (!text) return {};
  if (text->find_first_not_of("0123456789") != std::string::npos) {
    health.port_name = *text;
    return {};
  }
  CUBE_TRY(const auto port, args.Integer("health-port", 1, 65535));
  health.port = static_cast<std::uint16_t>(*port);
  return {};
}

Result<void> ReadCount(const Args& args, const char* flag, std::uint32_t& count) {
  CUBE_TRY(const auto number, args.Integer(flag, 1, kHealthCountMax));
  if (number) count = static_cast<std::uint32_t>(*number);
  return {};
}

Result<void> ReadTime(const Args& args, const char* flag, Duration& time) {
  CUBE_TRY(const auto given, args.Time(flag));
  if (given) time = *given;
  return {};
}

Result<HealthCheck> ReadHealth(const Args& args) {
  HealthCheck health;
  if (const auto command = args.Get("health-cmd")) {
    health.kind = HealthCheck::Kind::kCommand;
    health.command = {"/bin/sh", "-c", *command};  // as docker's
  } else if (const auto path = args.Get("health-http")) {
    health.kind = HealthCheck::Kind::kHttp;
    health.http_path = *path;
  } else {
    health.kind = HealthCheck::Kind::kTcp;
  }
  CUBE_TRY_VOID(ReadPort(args, health));
  CUBE_TRY_VOID(ReadTime(args, "health-interval", health.interval));
  CUBE_TRY_VOID(ReadTime(args, "health-timeout", health.timeout));
  CUBE_TRY_VOID(ReadTime(args, "health-start-period", health.start_period));
  CUBE_TRY_VOID(ReadCount(args, "health-retries", health.retries));
  CUBE_TRY_VOID(ReadCount(args, "health-successes", health.successes));
  if (args.Text("health-on-failure") == "none") health.on_failure = HealthCheck::OnFailure::kNone;
  return health;
}

}  // namespace

std::vector<FlagSpec> HealthFlags() {
  return {
      {.name = "health-cmd",
       .value = "COMMAND",
       .help = "check it by a shell command inside it: exit code 0 is healthy"},
      {.name = "health-http",
       .value = "PATH",
       .help = "check it by a GET of this path: status 200 to 399 is healthy"},
      {.name = "health-tcp", .help = "check it by a connection: one that opens is healthy"},
      {.name = "health-port",
       .value = "PORT",
       .help = "number or name of the port that is checked (default: the lowest published one)"},
      {.name = "health-interval", .value = "TIME", .help = "time between two checks (10s)"},
      {.name = "health-timeout", .value = "TIME", .help = "a check fails after this time (2s)"},
      {.name = "health-start-period",
       .value = "TIME",
       .help = "failures this soon after the start do not count (0s)"},
      {.name = "health-retries",
       .value = "N",
       .help = "failures in a row that make it unhealthy (3)"},
      {.name = "health-successes",
       .value = "N",
       .help = "successes in a row that make it healthy (1)"},
      {.name = "health-on-failure",
       .value = "WHAT",
       .help = "what follows when it is unhealthy: restart, or none (only say so)",
       .fallback = "restart",
       .choices = {"restart", "none"}},
      {.name = "no-healthcheck",
       .help = "no check: the default, since a check that the image brings is never run"},
      {.name = "reschedule",
       .value = "POLICY",
       .help = "move to another node: never, on-lost, or on-failure[:N], N times an hour at most "
               "(default on-lost)"}};
}

Result<void> ReadHealthFlags(const Args& args, TaskSpec& spec) {
  if (const auto text = args.Get("reschedule")) {
    const auto reschedule = wire::ParseReschedule(*text);
    if (!reschedule) {
      return Fail(Code::kInvalid, fmt::format("--reschedule: {}", reschedule.error().message));
    }
    spec.reschedule = *reschedule;
  }
  std::string_view kind;
  for (const std::string_view flag : kKinds) {
    if (!args.Has(flag)) continue;
    if (!kind.empty()) {
      return Fail(Code::kInvalid, fmt::format("--{} and --{}: a task has one check", kind, flag));
    }
    kind = flag;
  }
  if (!kind.empty() && args.Has("no-healthcheck")) {
    return Fail(Code::kInvalid, fmt::format("--no-healthcheck and --{} exclude each other", kind));
  }
  if (kind.empty()) {
    for (const std::string_view flag : kSettings) {
      if (!args.Has(flag)) continue;
      return Fail(
          Code::kInvalid,
          fmt::format("--{} needs a check: --health-http, --health-tcp or --health-cmd", flag));
    }
    return {};
  }
  CUBE_TRY(spec.health, ReadHealth(args));
  return {};
}

}  // namespace cube::cli
