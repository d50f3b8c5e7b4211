#include "shared/wire/human.h"

#include <array>
#include <cmath>
#include <limits>

#include "shared/domain/isolation.h"
#include "shared/domain/rules.h"
#include "shared/domain/signals.h"
#include "shared/domain/text.h"
#include "shared/domain/validate.h"
#include "shared/wire/fields.h"
#include "shared/wire/human_health.h"
#include "shared/wire/internal.h"

namespace cube::wire {
namespace {

using internal::At;
using internal::DurationFromHuman;
using internal::Flag;
using internal::Integer;
using internal::Scalar;
using internal::Text;
using internal::Texts;
using internal::WrongKind;
using nlohmann::json;

struct Draft {
  TaskId id;
  TaskSpec spec;
};

// ---- values of fields: errors have no field yet, or one below it --------------------------------

// An error from a parser of texts, put at a field.
template <class T>
Result<T> Placed(Result<T> parsed, std::string_view field) {
  if (!parsed) return At(std::move(parsed).error(), field);
  return parsed;
}

Result<std::vector<std::string>> ReadArguments(const json& value, std::string_view field) {
  if (value.is_string()) {
    return Fail(Code::kInvalid,
                "must be a list of arguments, not a text, since no shell runs it; write "
                "[\"sh\", \"-c\", \"...\"] if one should",
                std::string(field));
  }
  return Texts(value, field);
}

// A map of scalars, or docker's list of "KEY=VALUE".
Result<std::map<std::string, std::string>> ReadMap(const json& value, std::string_view field) {
  std::map<std::string, std::string> map;
  if (value.is_object()) {
    for (const auto& [key, member] : value.items()) {
      const std::string path = std::string(field) + "." + CleanText(key, kQuotedLengthMax);
      CUBE_TRY(std::string text, Scalar(member, path));
      map.emplace(key, std::move(text));
    }
    return map;
  }
  if (!value.is_array()) return WrongKind("a map", value, std::string(field));
  std::size_t index = 0;
  for (const json& element : value) {
    const std::string path = std::string(field) + "[" + std::to_string(index++) + "]";
    CUBE_TRY(const std::string text, Text(element, path));
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos) {
      return Fail(Code::kInvalid, "must be \"KEY=VALUE\"", path);
    }
    if (!map.emplace(text.substr(0, equals), text.substr(equals + 1)).second) {
      return Fail(Code::kInvalid,
                  "'" + CleanText(text.substr(0, equals), kQuotedLengthMax) + "' is there twice",
                  path);
    }
  }
  return map;
}

Result<PortSpec> ReadPort(const json& value) {
  if (value.is_number()) {
    CUBE_TRY(const std::int64_t number, Integer(value, {}, 1, 65535));
    PortSpec port;
    port.port = static_cast<std::uint16_t>(number);
    return port;
  }
  if (value.is_string()) return ParsePort(value.get_ref<const std::string&>());
  if (!value.is_object()) return WrongKind("a map, or a text as \"8080:80/tcp\"", value, {});
  PortSpec port;
  for (const auto& [key, member] : value.items()) {
    if (key == "port") {
      CUBE_TRY(const std::int64_t number, Integer(member, key, 1, 65535));
      port.port = static_cast<std::uint16_t>(number);
    } else if (key == "host_port") {
      CUBE_TRY(const std::int64_t number, Integer(member, key, 0, 65535));
      port.host_port = static_cast<std::uint16_t>(number);
    } else if (key == "protocol") {
      CUBE_TRY(const std::string protocol, Text(member, key));
      if (protocol != "tcp" && protocol != "udp") {
        return Fail(Code::kInvalid, "must be tcp or udp", key);
      }
      port.protocol = protocol == "udp" ? Protocol::kUdp : Protocol::kTcp;
    } else if (key == "name") {
      CUBE_TRY(port.name, Text(member, key));
    } else {
      return internal::UnknownField(key, {}, {"port", "host_port", "protocol", "name"});
    }
  }
  if (port.port == 0) return Fail(Code::kInvalid, "is required", "port");
  return port;
}

Result<VolumeSpec> ReadVolume(const json& value) {
  if (value.is_string()) return ParseVolume(value.get_ref<const std::string&>());
  if (!value.is_object()) return WrongKind("a map, or a text as \"data:/data:ro\"", value, {});
  VolumeSpec volume;
  for (const auto& [key, member] : value.items()) {
    if (key == "source") {
      CUBE_TRY(volume.source, Text(member, key));
    } else if (key == "target") {
      CUBE_TRY(volume.target, Text(member, key));
    } else if (key == "read_only") {
      CUBE_TRY(volume.read_only, Flag(member, key));
    } else {
      return internal::UnknownField(key, {}, {"source", "target", "read_only"});
    }
  }
  return volume;
}

Result<std::vector<std::string>> ReadCapabilities(const json& value, const std::string& field) {
  CUBE_TRY(std::vector<std::string> names, Texts(value, field));
  for (std::size_t i = 0; i < names.size(); ++i) {
    CUBE_TRY(names[i], CapabilityName(names[i], field + "[" + std::to_string(i) + "]"));
  }
  return names;
}

Result<std::int64_t> ReadBytes(const json& value, std::string_view field) {
  if (value.is_string()) return Placed(ParseBytes(value.get_ref<const std::string&>()), field);
  if (!value.is_number_integer()) {
    return WrongKind("a size such as \"512Mi\", or a whole number of bytes", value,
                     std::string(field));
  }
  return Integer(value, field, 0, kBytesMax);
}

Result<std::int64_t> ReadCpus(const json& value) {
  if (value.is_string()) return Placed(ParseCpus(value.get_ref<const std::string&>()), "cpus");
  if (!value.is_number()) return WrongKind("a number of cpus such as 0.5", value, "cpus");
  const double millis = value.get<double>() * 1000;
  if (!(millis >= 0) || millis > static_cast<double>(kCpuMillisMax)) {
    return Fail(Code::kInvalid, "must be 0 to " + std::to_string(kCpuMillisMax / 1000), "cpus");
  }
  // 0.3 has no exact double; what is further away than its error has a fourth decimal.
  constexpr double kRoundingError = 1e-6;
  const double whole = std::round(millis);
  if (std::abs(millis - whole) > kRoundingError) {
    return Fail(Code::kInvalid, "at most three decimals are allowed", "cpus");
  }
  return static_cast<std::int64_t>(whole);
}

Result<PullPolicy> ReadPull(const json& value) {
  CUBE_TRY(const std::string text, Text(value, "pull"));
  if (text == "missing") return PullPolicy::kMissing;
  if (text == "always") return PullPolicy::kAlways;
  if (text == "never") return PullPolicy::kNever;
  return Fail(Code::kInvalid, "must be missing, always or never", "pull");
}

Result<ReschedulePolicy> ReadReschedule(const json& value) {
  CUBE_TRY(const std::string text, Text(value, "reschedule"));
  return Placed(ParseReschedule(text), "reschedule");
}

Result<std::string> ReadSignal(const json& value) {
  CUBE_TRY(const std::string text, Scalar(value, "stop_signal"));
  const auto number = ParseSignal(text);
  if (!number) {
    return Fail(Code::kInvalid,
                "'" + CleanText(text, kQuotedLengthMax) +
                    "' is no signal; write it as SIGTERM, SIGINT, ...",
                "stop_signal");
  }
  return SignalName(*number);
}

// ---- fields -------------------------------------------------------------------------------------

// Puts one field's value into the draft.
using Reader = Result<void> (*)(const json& value, Draft& draft);

struct Field {
  std::string_view name;
  Reader read;
};

// Reads with `expression` (of `value`) into `target` (of `draft`).
#define CUBE_FIELD(name, target, expression)                    \
  Field {                                                       \
    name, [](const json& value, Draft& draft) -> Result<void> { \
      CUBE_TRY(target, expression);                             \
      return {};                                                \
    }                                                           \
  }

Result<void> ReadPorts(const json& value, Draft& draft) {
  if (!value.is_array()) return WrongKind("a list of ports", value, "ports");
  for (const json& element : value) {
    auto port = ReadPort(element);
    if (!port) return At(std::move(port).error(), "ports", draft.spec.ports.size());
    draft.spec.ports.push_back(*std::move(port));
  }
  return {};
}

Result<void> ReadVolumes(const json& value, Draft& draft) {
  if (!value.is_array()) return WrongKind("a list of volumes", value, "volumes");
  for (const json& element : value) {
    auto volume = ReadVolume(element);
    if (!volume) return At(std::move(volume).error(), "volumes", draft.spec.volumes.size());
    draft.spec.volumes.push_back(*std::move(volume));
  }
  return {};
}

Result<void> ReadConstraints(const json& value, Draft& draft) {
  CUBE_TRY(const std::vector<std::string> texts, Texts(value, "constraints"));
  for (const std::string& text : texts) {
    auto constraint = ParseConstraint(text);
    if (!constraint) {
      return At(std::move(constraint).error(), "constraints", draft.spec.constraints.size());
    }
    draft.spec.constraints.push_back(*std::move(constraint));
  }
  return {};
}

// {"rule": "disk=ssd", "weight": 50}, or "disk=ssd:50".
Result<Affinity> ReadAffinity(const json& value) {
  if (value.is_string()) return ParseAffinity(value.get_ref<const std::string&>());
  if (!value.is_object()) return WrongKind("a map, or a text as \"disk=ssd:50\"", value, {});
  Affinity affinity;
  bool has_rule = false;
  for (const auto& [key, member] : value.items()) {
    if (key == "rule") {
      CUBE_TRY(const std::string rule, Text(member, key));
      CUBE_TRY(affinity.rule, Placed(ParseConstraint(rule), key));
      has_rule = true;
    } else if (key == "weight") {
      CUBE_TRY(const std::int64_t weight,
               Integer(member, key, -kAffinityWeightMax, kAffinityWeightMax));
      affinity.weight = static_cast<std::int32_t>(weight);
    } else {
      return internal::UnknownField(key, {}, {"rule", "weight"});
    }
  }
  if (!has_rule) return Fail(Code::kInvalid, "is required", "rule");
  return affinity;
}

Result<void> ReadAffinities(const json& value, Draft& draft) {
  if (!value.is_array()) return WrongKind("a list of affinities", value, "affinities");
  for (const json& element : value) {
    auto affinity = ReadAffinity(element);
    if (!affinity) {
      return At(std::move(affinity).error(), "affinities", draft.spec.affinities.size());
    }
    draft.spec.affinities.push_back(*std::move(affinity));
  }
  return {};
}

Result<void> ReadScheduler(const json& value, Draft& draft) {
  CUBE_TRY(const std::string text, Text(value, "scheduler"));
  CUBE_TRY(draft.spec.scheduler, ParsePolicy(text, "scheduler"));
  return {};
}

Result<void> ReadDistinct(const json& value, Draft& draft) {
  CUBE_TRY(const std::int64_t count, Integer(value, "distinct", 0, kDistinctMax));
  draft.spec.distinct = static_cast<std::uint32_t>(count);
  return {};
}

Result<void> ReadId(const json& value, Draft& draft) {
  CUBE_TRY(const std::string id, Text(value, "id"));
  CUBE_TRY_VOID(CheckPlainTaskId(id, "id"));
  draft.id = TaskId::Trusted(id);
  return {};
}

Result<void> ReadName(const json& value, Draft& draft) {
  CUBE_TRY(const std::string name, Text(value, "name"));
  CUBE_TRY(draft.spec.name, TaskName::Parse(name, "name"));
  return {};
}

Result<void> ReadRestart(const json& value, Draft& draft) {
  CUBE_TRY(const std::string text, Text(value, "restart"));
  CUBE_TRY(draft.spec.restart, Placed(ParseRestart(text), "restart"));
  return {};
}

Result<void> ReadPriority(const json& value, Draft& draft) {
  CUBE_TRY(const std::int64_t priority, Integer(value, "priority", -kPriorityMax, kPriorityMax));
  draft.spec.priority = static_cast<std::int32_t>(priority);
  return {};
}

const std::array kFields{
    Field{"id", ReadId},
    Field{"name", ReadName},
    CUBE_FIELD("image", draft.spec.image, Text(value, "image")),
    CUBE_FIELD("command", draft.spec.command, ReadArguments(value, "command")),
    CUBE_FIELD("entrypoint", draft.spec.entrypoint, ReadArguments(value, "entrypoint")),
    CUBE_FIELD("env", draft.spec.env, ReadMap(value, "env")),
    CUBE_FIELD("labels", draft.spec.labels, ReadMap(value, "labels")),
    CUBE_FIELD("user", draft.spec.user, Scalar(value, "user")),
    CUBE_FIELD("workdir", draft.spec.workdir, Text(value, "workdir")),
    Field{"ports", ReadPorts},
    CUBE_FIELD("cpus", draft.spec.resources.cpu_millis, ReadCpus(value)),
    CUBE_FIELD("memory", draft.spec.resources.memory_bytes, ReadBytes(value, "memory")),
    CUBE_FIELD("disk", draft.spec.resources.disk_bytes, ReadBytes(value, "disk")),
    Field{"restart", ReadRestart},
    CUBE_FIELD("health", draft.spec.health, internal::HealthFromHuman(value)),
    CUBE_FIELD("stop_signal", draft.spec.stop_signal, ReadSignal(value)),
    CUBE_FIELD("stop_grace", draft.spec.stop_grace, DurationFromHuman(value, "stop_grace")),
    Field{"priority", ReadPriority},
    Field{"constraints", ReadConstraints},
    CUBE_FIELD("engine", draft.spec.engine, Text(value, "engine")),
    CUBE_FIELD("pull", draft.spec.pull, ReadPull(value)),
    Field{"scheduler", ReadScheduler},
    Field{"affinities", ReadAffinities},
    Field{"distinct", ReadDistinct},
    CUBE_FIELD("reschedule", draft.spec.reschedule, ReadReschedule(value)),
    Field{"volumes", ReadVolumes},
    CUBE_FIELD("network", draft.spec.network, Text(value, "network")),
    CUBE_FIELD("cap_add", draft.spec.cap_add, ReadCapabilities(value, "cap_add")),
    CUBE_FIELD("cap_drop", draft.spec.cap_drop, ReadCapabilities(value, "cap_drop")),
    CUBE_FIELD("read_only_root", draft.spec.read_only_root, Flag(value, "read_only_root")),
};
#undef CUBE_FIELD

// What only jobs have.
constexpr std::array<std::string_view, 4> kOfJobs{"type", "replicas", "update", "task"};

Result<void> ReadField(const std::string& name, const json& value, Draft& draft) {
  for (const Field& field : kFields) {
    if (field.name == name) return field.read(value, draft);
  }
  if (std::find(kOfJobs.begin(), kOfJobs.end(), name) != kOfJobs.end()) {
    return Fail(Code::kInvalid,
                "belongs to a job, and this is a task: a job has its template below 'task', and is "
                "submitted with 'cube run -f' or on cube.jobs.submit",
                name);
  }
  std::vector<std::string_view> known;
  for (const Field& field : kFields) known.push_back(field.name);
  return internal::UnknownField(name, {}, known);
}

}  // namespace

Result<SubmitTask> TaskFromHuman(const json& value) {
  if (!value.is_object()) return WrongKind("a map with the fields of a task", value, {});
  Draft draft;
  for (const auto& [name, member] : value.items()) {
    CUBE_TRY_VOID(ReadField(name, member, draft));
  }
  CUBE_TRY_VOID(Validate(draft.spec));
  return SubmitTask{draft.id, std::make_shared<const TaskSpec>(std::move(draft.spec))};
}

Result<HumanStop> StopFromHuman(const json& value) {
  HumanStop stop;
  if (value.is_string()) {
    stop.id = value.get<std::string>();
    return stop;
  }
  if (!value.is_object()) return WrongKind("a map with id and grace, or an id", value, {});
  for (const auto& [name, member] : value.items()) {
    if (name == "id") {
      CUBE_TRY(stop.id, Text(member, "id"));
    } else if (name == "grace") {
      CUBE_TRY(stop.grace, DurationFromHuman(member, "grace"));
    } else {
      return internal::UnknownField(name, {}, {"id", "grace"});
    }
  }
  return stop;
}

}  // namespace cube::wire
