#include "shared/domain/validate.h"

#include <set>
#include <string>
#include <string_view>
#include <tuple>

#include "shared/domain/isolation.h"
#include "shared/domain/rules.h"
#include "shared/domain/signals.h"
#include "shared/domain/text.h"

namespace cube {
namespace {

constexpr std::size_t kUserLengthMax = 128;    // two names of 32 and ample room
constexpr std::size_t kPathLengthMax = 4096;   // Linux's PATH_MAX
constexpr std::size_t kEnvKeyLengthMax = 256;  // beyond any real one; keeps error paths short
// More launches than the back-off of 0.2 s to 30 s lets happen in 10 minutes.
constexpr std::uint32_t kRestartLaunchesMax = 1000;

std::string Indexed(std::string_view field, std::size_t index) {
  return std::string(field) + "[" + std::to_string(index) + "]";
}

// Whether CheckText says nothing: asked first, where the field's name would have to be made.
bool IsText(std::string_view text) {
  return text.size() <= kTextLengthMax && text.find('\0') == std::string_view::npos && IsUtf8(text);
}

Result<void> CheckText(std::string_view text, std::string_view field,
                       std::size_t length_max = kTextLengthMax) {
  if (text.size() > length_max) {
    return Fail(Code::kInvalid,
                "has " + std::to_string(text.size()) + " bytes; at most " +
                    std::to_string(length_max) + " are allowed",
                std::string(field));
  }
  if (text.find('\0') != std::string_view::npos) {
    return Fail(Code::kInvalid, "may not hold a NUL character", std::string(field));
  }
  if (!IsUtf8(text)) return Fail(Code::kInvalid, "is not valid UTF-8", std::string(field));
  return {};
}

Result<void> CheckCount(std::size_t count, std::size_t count_max, std::string_view field) {
  if (count <= count_max) return {};
  return Fail(Code::kInvalid,
              "has " + std::to_string(count) + " entries; at most " + std::to_string(count_max) +
                  " are allowed",
              std::string(field));
}

bool IsPrintableWord(std::string_view text) {
  for (char c : text) {
    if (static_cast<unsigned char>(c) <= ' ' || c == 0x7F) return false;
  }
  return true;
}

Result<void> CheckEngine(const TaskSpec& spec) {
  if (!spec.engine.empty() && !IsEngine(spec.engine)) {
    return Fail(Code::kInvalid,
                "'" + CleanText(spec.engine, kQuotedLengthMax) +
                    "' is no engine; there are docker, process and sim",
                "engine");
  }
  const std::string engine = EngineOf(spec);
  if (spec.image.empty() && spec.engine.empty() && spec.command.empty() &&
      spec.entrypoint.empty()) {
    return Fail(Code::kInvalid, "is required (or a command, to run a plain process)", "image");
  }
  if (engine == kEngineDocker && spec.image.empty()) {
    return Fail(Code::kInvalid, "is required with engine docker", "image");
  }
  if (engine == kEngineProcess) {
    if (!spec.image.empty()) {
      return Fail(Code::kInvalid,
                  "engine process starts programs of the node, not images; leave it out or take "
                  "engine docker",
                  "image");
    }
    if (spec.command.empty() && spec.entrypoint.empty()) {
      return Fail(Code::kInvalid, "is required with engine process", "command");
    }
  }
  return {};
}

Result<void> CheckImage(const std::string& image) {
  CUBE_TRY_VOID(CheckText(image, "image", kImageLengthMax));
  bool good = image.empty() || (image.front() != '-' && image.front() != '/');
  for (char c : image) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    good = good && (letter || std::string_view("._-/:@+").find(c) != std::string_view::npos);
  }
  if (good) return {};
  return Fail(Code::kInvalid,
              "'" + CleanText(image, kQuotedLengthMax) +
                  "' is no image reference; write it as nginx, nginx:1.27 or "
                  "registry.example.com/team/app:v2",
              "image");
}

// What is executed may not be an empty string: no program has that name.
Result<void> CheckArguments(const std::vector<std::string>& arguments, std::string_view field) {
  CUBE_TRY_VOID(CheckCount(arguments.size(), kArgumentsMax, field));
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (!IsText(arguments[i])) CUBE_TRY_VOID(CheckText(arguments[i], Indexed(field, i)));
  }
  return {};
}

Result<void> CheckProgram(const TaskSpec& spec) {
  CUBE_TRY_VOID(CheckArguments(spec.command, "command"));
  CUBE_TRY_VOID(CheckArguments(spec.entrypoint, "entrypoint"));
  if (!spec.entrypoint.empty() && spec.entrypoint.front().empty()) {
    return Fail(Code::kInvalid, "names no program", "entrypoint[0]");
  }
  const bool command_is_program = EngineOf(spec) == kEngineProcess && spec.entrypoint.empty();
  if (command_is_program && !spec.command.empty() && spec.command.front().empty()) {
    return Fail(Code::kInvalid, "names no program", "command[0]");
  }
  return {};
}

Result<void> CheckEnv(const std::map<std::string, std::string>& env) {
  CUBE_TRY_VOID(CheckCount(env.size(), kEnvMax, "env"));
  for (const auto& [key, value] : env) {
    if (key.empty()) return Fail(Code::kInvalid, "has an empty name", "env");
    CUBE_TRY_VOID(CheckText(key, "env", kEnvKeyLengthMax));
    const auto field = [&key] { return "env." + CleanText(key, kQuotedLengthMax); };
    if (key.find('=') != std::string::npos) {
      return Fail(Code::kInvalid, "a variable's name may not hold '='", field());
    }
    if (!IsText(value)) CUBE_TRY_VOID(CheckText(value, field()));
  }
  return {};
}

Result<void> CheckLabels(const std::map<std::string, std::string>& labels) {
  CUBE_TRY_VOID(CheckCount(labels.size(), kLabelsMax, "labels"));
  for (const auto& [key, value] : labels) {
    CUBE_TRY_VOID(CheckLabelKey(key, "labels"));
    const std::string field = "labels." + key;
    if (std::string_view(key).starts_with(kOwnLabelPrefix)) {
      return Fail(Code::kInvalid,
                  "labels that begin with '" + std::string(kOwnLabelPrefix) +
                      "' are the worker's own; choose another prefix",
                  field);
    }
    CUBE_TRY_VOID(CheckText(value, field));
  }
  return {};
}

Result<void> CheckPorts(const std::vector<PortSpec>& ports) {
  CUBE_TRY_VOID(CheckCount(ports.size(), kPortsMax, "ports"));
  std::set<std::tuple<std::uint16_t, Protocol>> inside;
  std::set<std::tuple<std::uint16_t, Protocol>> outside;
  std::set<std::string> names;
  for (std::size_t i = 0; i < ports.size(); ++i) {
    const PortSpec& port = ports[i];
    const std::string field = Indexed("ports", i);
    if (port.port == 0) return Fail(Code::kInvalid, "must be 1 to 65535", field + ".port");
    if (!inside.emplace(port.port, port.protocol).second) {
      return Fail(Code::kInvalid,
                  std::to_string(port.port) +
                      " is published twice; a port of the container can "
                      "have one port of the node",
                  field + ".port");
    }
    if (port.host_port != 0 && !outside.emplace(port.host_port, port.protocol).second) {
      return Fail(Code::kInvalid, std::to_string(port.host_port) + " is used twice",
                  field + ".host_port");
    }
    if (port.name.empty()) continue;
    CUBE_TRY_VOID(CheckToken(port.name, field + ".name"));
    if (!names.insert(port.name).second) {
      return Fail(Code::kInvalid, "'" + port.name + "' is used twice", field + ".name");
    }
  }
  return {};
}

Result<void> CheckAmount(std::int64_t amount, std::int64_t amount_max, std::string_view field,
                         std::string_view most) {
  if (amount < 0) return Fail(Code::kInvalid, "may not be negative", std::string(field));
  if (amount > amount_max) {
    return Fail(Code::kInvalid, "may be at most " + std::string(most), std::string(field));
  }
  return {};
}

Result<void> CheckSpecResources(const TaskSpec& spec) {
  CUBE_TRY_VOID(CheckResources(spec.resources));
  const std::int64_t memory = spec.resources.memory_bytes;
  if (memory != 0 && memory < kMemoryBytesMin && EngineOf(spec) == kEngineDocker) {
    return Fail(Code::kInvalid, "must be at least 6Mi with engine docker (or absent: unlimited)",
                "memory");
  }
  return {};
}

Result<void> CheckTime(Duration time, Duration time_min, Duration time_max,
                       std::string_view field) {
  if (time >= time_min && time <= time_max) return {};
  return Fail(Code::kInvalid,
              "must be " + FormatDuration(time_min) + " to " + FormatDuration(time_max),
              std::string(field));
}

Result<void> CheckHealthCount(std::uint32_t count, std::string_view field) {
  if (count >= 1 && count <= kHealthCountMax) return {};
  return Fail(Code::kInvalid, "must be 1 to " + std::to_string(kHealthCountMax),
              std::string(field));
}

// Kinds http and tcp: the check must have a port to go to.
Result<void> CheckHealthPort(const TaskSpec& spec) {
  const HealthCheck& health = *spec.health;
  if (health.port != 0 && !health.port_name.empty()) {
    return Fail(Code::kInvalid, "is either a number or a name", "health.port");
  }
  if (health.port != 0) return {};
  bool any_tcp = false;
  for (const PortSpec& port : spec.ports) {
    if (port.protocol != Protocol::kTcp) continue;
    any_tcp = true;
    if (!health.port_name.empty() && port.name == health.port_name) return {};
  }
  if (!health.port_name.empty()) {
    return Fail(
        Code::kInvalid,
        "no tcp port of this task is named '" + CleanText(health.port_name, kQuotedLengthMax) + "'",
        "health.port");
  }
  if (any_tcp) return {};
  return Fail(Code::kInvalid, "is required, since the task publishes no tcp port", "health.port");
}

Result<void> CheckHealth(const TaskSpec& spec) {
  const HealthCheck& health = *spec.health;
  const bool command = health.kind == HealthCheck::Kind::kCommand;
  if (health.kind == HealthCheck::Kind::kHttp) {
    CUBE_TRY_VOID(CheckText(health.http_path, "health.http", kHealthPathLengthMax));
    if (!health.http_path.starts_with('/') || !IsPrintableWord(health.http_path)) {
      return Fail(Code::kInvalid, "must be a path that begins with '/' and holds no blanks",
                  "health.http");
    }
  } else if (!health.http_path.empty()) {
    return Fail(Code::kInvalid, "a check is one of http, tcp and command", "health.http");
  }
  if (command) {
    CUBE_TRY_VOID(CheckArguments(health.command, "health.command"));
    if (health.command.empty() || health.command.front().empty()) {
      return Fail(Code::kInvalid, "names no program", "health.command");
    }
    if (health.port != 0 || !health.port_name.empty()) {
      return Fail(Code::kInvalid, "a command needs none; leave it out", "health.port");
    }
  } else {
    if (!health.command.empty()) {
      return Fail(Code::kInvalid, "a check is one of http, tcp and command", "health.command");
    }
    if (spec.network == kNetworkNone) {
      return Fail(Code::kInvalid,
                  "cannot be reached with network none; use a command, or another network",
                  "health");
    }
    CUBE_TRY_VOID(CheckHealthPort(spec));
  }
  CUBE_TRY_VOID(
      CheckTime(health.interval, kHealthIntervalMin, kHealthIntervalMax, "health.interval"));
  CUBE_TRY_VOID(CheckTime(health.timeout, kHealthTimeoutMin, kHealthTimeoutMax, "health.timeout"));
  CUBE_TRY_VOID(
      CheckTime(health.start_period, Duration(0), kHealthStartPeriodMax, "health.start_period"));
  CUBE_TRY_VOID(CheckHealthCount(health.retries, "health.retries"));
  return CheckHealthCount(health.successes, "health.successes");
}

Result<void> CheckPolicies(const TaskSpec& spec) {
  if (spec.restart.mode != RestartMode::kOnFailure && spec.restart.launches_max != 0) {
    return Fail(Code::kInvalid, "only on-failure takes a number of launches", "restart");
  }
  if (spec.restart.launches_max > kRestartLaunchesMax) {
    return Fail(Code::kInvalid,
                "the number of launches may be at most " + std::to_string(kRestartLaunchesMax),
                "restart");
  }
  if (spec.health) CUBE_TRY_VOID(CheckHealth(spec));
  const ReschedulePolicy& moves = spec.reschedule;
  const bool counts = moves.mode == ReschedulePolicy::Mode::kOnFailure;
  if (counts ? moves.moves_max == 0 || moves.moves_max > kMovesMax : moves.moves_max != 0) {
    return Fail(Code::kInvalid,
                counts ? "the number of moves must be 1 to " + std::to_string(kMovesMax)
                       : "only on-failure takes a number of moves",
                "reschedule");
  }
  if (!spec.stop_signal.empty() && !ParseSignal(spec.stop_signal)) {
    return Fail(Code::kInvalid,
                "'" + CleanText(spec.stop_signal, kQuotedLengthMax) +
                    "' is no signal; write it as SIGTERM, SIGINT, ...",
                "stop_signal");
  }
  CUBE_TRY_VOID(CheckGrace(spec.stop_grace, "stop_grace"));
  if (spec.priority < -kPriorityMax || spec.priority > kPriorityMax) {
    return Fail(Code::kInvalid,
                "must be -" + std::to_string(kPriorityMax) + " to " + std::to_string(kPriorityMax),
                "priority");
  }
  return {};
}

Result<void> CheckConstraint(const Constraint& constraint, const std::string& field) {
  CUBE_TRY_VOID(CheckLabelKey(constraint.label, field));
  const std::size_t count = constraint.values.size();
  CUBE_TRY_VOID(CheckCount(count, kConstraintValuesMax, field));
  bool good = false;
  switch (constraint.op) {
    case Constraint::Op::kEquals:
    case Constraint::Op::kNotEquals:
      good = count == 1;
      break;
    case Constraint::Op::kIn:
      good = count >= 1;
      break;
    case Constraint::Op::kExists:
      good = count == 0;
      break;
  }
  if (!good) {
    return Fail(Code::kInvalid, "has a wrong number of values for its comparison", field);
  }
  for (const std::string& value : constraint.values) {
    CUBE_TRY_VOID(CheckText(value, field));
    // The textual form ("zone in a,b") must be able to say it.
    if (value.empty() || !IsPrintableWord(value) ||
        value.find_first_of(",=") != std::string::npos) {
      return Fail(Code::kInvalid, "a value may not be empty, nor hold blanks, ',' or '='", field);
    }
  }
  return {};
}

Result<void> CheckConstraints(const std::vector<Constraint>& constraints) {
  CUBE_TRY_VOID(CheckCount(constraints.size(), kConstraintsMax, "constraints"));
  for (std::size_t i = 0; i < constraints.size(); ++i) {
    CUBE_TRY_VOID(CheckConstraint(constraints[i], Indexed("constraints", i)));
  }
  return {};
}

Result<void> CheckAffinities(const std::vector<Affinity>& affinities) {
  CUBE_TRY_VOID(CheckCount(affinities.size(), kAffinitiesMax, "affinities"));
  for (std::size_t i = 0; i < affinities.size(); ++i) {
    const std::string field = Indexed("affinities", i);
    CUBE_TRY_VOID(CheckConstraint(affinities[i].rule, field + ".rule"));
    const std::int32_t weight = affinities[i].weight;
    if (weight == 0 || weight < -kAffinityWeightMax || weight > kAffinityWeightMax) {
      return Fail(Code::kInvalid, "must be 1 to 100 to attract, or -100 to -1 to repel",
                  field + ".weight");
    }
  }
  return {};
}

Result<void> CheckPlacement(const TaskSpec& spec) {
  CUBE_TRY_VOID(CheckConstraints(spec.constraints));
  CUBE_TRY_VOID(CheckAffinities(spec.affinities));
  if (!spec.scheduler.empty()) {
    CUBE_TRY_VOID(ParsePolicy(spec.scheduler, "scheduler"));
  }
  if (spec.distinct > kDistinctMax) {
    return Fail(Code::kInvalid, "may be at most " + std::to_string(kDistinctMax), "distinct");
  }
  return {};
}

bool IsDigits(std::string_view text) {
  for (char c : text) {
    if (c < '0' || c > '9') return false;
  }
  return !text.empty();
}

}  // namespace

bool IsEngine(std::string_view name) {
  return name == kEngineDocker || name == kEngineProcess || name == kEngineSim;
}

Result<std::string> ParsePolicy(std::string_view name, const std::string& field) {
  const std::string_view wanted = name == "roundrobin" ? kPolicies.front() : name;
  if (std::ranges::find(kPolicies, wanted) != kPolicies.end()) return std::string(wanted);
  std::string all;
  for (std::string_view policy : kPolicies) {
    all += (all.empty() ? "" : ", ") + std::string(policy);
  }
  return Fail(
      Code::kInvalid,
      "'" + CleanText(name, kQuotedLengthMax) + "' is no scheduling policy; there are " + all,
      field);
}

Result<void> CheckLabelKey(std::string_view key, const std::string& field) {
  const auto alphanumeric = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  bool good = !key.empty() && key.size() <= kLabelKeyLengthMax && alphanumeric(key.front()) &&
              alphanumeric(key.back());
  for (char c : key) {
    good = good && (alphanumeric(c) || std::string_view("._-/").find(c) != std::string_view::npos);
  }
  if (good) return {};
  return Fail(Code::kInvalid,
              "'" + CleanText(key, kQuotedLengthMax) + "' is no label; a label has 1 to " +
                  std::to_string(kLabelKeyLengthMax) +
                  " letters, digits, '.', '_', '-' or '/', and begins and ends with a letter or "
                  "digit",
              field);
}

Result<void> CheckResources(const Resources& resources) {
  CUBE_TRY_VOID(CheckAmount(resources.cpu_millis, kCpuMillisMax, "cpus", "1000"));
  CUBE_TRY_VOID(CheckAmount(resources.memory_bytes, kBytesMax, "memory", "1024Ti"));
  CUBE_TRY_VOID(CheckAmount(resources.disk_bytes, kBytesMax, "disk", "1024Ti"));
  return {};
}

Result<void> CheckGrace(Duration grace, const std::string& field) {
  if (grace >= Duration(0) && grace <= kStopGraceMax) return {};
  return Fail(Code::kInvalid, "must be 0s to " + FormatDuration(kStopGraceMax), field);
}

Result<void> CheckDrainDeadline(Duration deadline, const std::string& field) {
  if (deadline >= Duration(0) && deadline <= kDrainDeadlineMax) return {};
  return Fail(Code::kInvalid, "must be 0s to " + FormatDuration(kDrainDeadlineMax), field);
}

bool IsJobTaskId(std::string_view id) {
  const std::size_t last = id.rfind('-');
  if (last == std::string_view::npos || !IsDigits(id.substr(last + 1))) return false;
  const std::string_view head = id.substr(0, last);
  const std::size_t dash = head.rfind('-');
  if (dash == std::string_view::npos || dash == 0) return false;
  const std::string_view version = head.substr(dash + 1);
  return version.starts_with('v') && IsDigits(version.substr(1)) && CheckToken(id, "id");
}

Result<void> CheckPlainTaskId(std::string_view id, const std::string& field) {
  CUBE_TRY_VOID(CheckToken(id, field));
  if (!IsJobTaskId(id)) return {};
  return Fail(Code::kInvalid,
              "'" + std::string(id) + "' is reserved for tasks of jobs (NAME-vVERSION-SLOT)",
              field);
}

Result<void> Validate(const TaskSpec& spec) {
  CUBE_TRY_VOID(CheckToken(spec.name.str(), "name", kTaskNameLengthMax));
  CUBE_TRY_VOID(CheckImage(spec.image));
  CUBE_TRY_VOID(CheckEngine(spec));
  CUBE_TRY_VOID(CheckProgram(spec));
  CUBE_TRY_VOID(CheckEnv(spec.env));
  CUBE_TRY_VOID(CheckLabels(spec.labels));
  CUBE_TRY_VOID(CheckText(spec.user, "user", kUserLengthMax));
  if (!IsPrintableWord(spec.user)) {
    return Fail(Code::kInvalid, "may not hold blanks; write it as 1000, 1000:1000 or a name",
                "user");
  }
  CUBE_TRY_VOID(CheckText(spec.workdir, "workdir", kPathLengthMax));
  if (!spec.workdir.empty() && spec.workdir.front() != '/') {
    return Fail(Code::kInvalid, "must be an absolute path, beginning with '/'", "workdir");
  }
  CUBE_TRY_VOID(CheckPorts(spec.ports));
  CUBE_TRY_VOID(CheckSpecResources(spec));
  CUBE_TRY_VOID(CheckPolicies(spec));
  CUBE_TRY_VOID(CheckPlacement(spec));
  CUBE_TRY_VOID(CheckIsolation(spec));
  return {};
}

}  // namespace cube
