#include "shared/wire/human.h"
#include "shared/wire/human_health.h"

namespace cube::wire {
namespace {

using nlohmann::ordered_json;

void PutText(ordered_json& to, const char* name, const std::string& text) {
  if (!text.empty()) to[name] = text;
}

void PutMap(ordered_json& to, const char* name, const std::map<std::string, std::string>& map) {
  if (map.empty()) return;
  ordered_json& object = to[name] = ordered_json::object();
  for (const auto& [key, value] : map) object[key] = value;
}

ordered_json PortToHuman(const PortSpec& port) {
  ordered_json to;
  to["port"] = port.port;
  if (port.host_port != 0) to["host_port"] = port.host_port;
  if (port.protocol == Protocol::kUdp) to["protocol"] = "udp";
  PutText(to, "name", port.name);
  return to;
}

ordered_json VolumeToHuman(const VolumeSpec& volume) {
  ordered_json to;
  PutText(to, "source", volume.source);
  to["target"] = volume.target;
  if (volume.read_only) to["read_only"] = true;
  return to;
}

ordered_json CpusToHuman(std::int64_t millis) {
  constexpr std::int64_t kMillis = 1000;
  if (millis % kMillis == 0) return millis / kMillis;
  return static_cast<double>(millis) / static_cast<double>(kMillis);
}

void PutPolicies(ordered_json& to, const TaskSpec& spec, const TaskSpec& absent) {
  if (spec.restart != absent.restart) to["restart"] = FormatRestart(spec.restart);
  if (spec.health) to["health"] = internal::HealthToHuman(*spec.health);
  PutText(to, "stop_signal", spec.stop_signal);
  if (spec.stop_grace != absent.stop_grace) to["stop_grace"] = FormatDuration(spec.stop_grace);
  if (spec.priority != absent.priority) to["priority"] = spec.priority;
  for (const Constraint& constraint : spec.constraints) {
    to["constraints"].push_back(FormatConstraint(constraint));
  }
  for (const Affinity& affinity : spec.affinities) {
    ordered_json& entry = to["affinities"].emplace_back(ordered_json::object());
    entry["rule"] = FormatConstraint(affinity.rule);
    entry["weight"] = affinity.weight;
  }
  if (spec.distinct != 0) to["distinct"] = spec.distinct;
  PutText(to, "scheduler", spec.scheduler);
  PutText(to, "engine", spec.engine);
  switch (spec.pull) {
    case PullPolicy::kMissing:
      break;
    case PullPolicy::kAlways:
      to["pull"] = "always";
      break;
    case PullPolicy::kNever:
      to["pull"] = "never";
      break;
  }
  if (spec.reschedule != absent.reschedule) to["reschedule"] = FormatReschedule(spec.reschedule);
  for (const VolumeSpec& volume : spec.volumes) to["volumes"].push_back(VolumeToHuman(volume));
  PutText(to, "network", spec.network);
  if (!spec.cap_add.empty()) to["cap_add"] = spec.cap_add;
  if (!spec.cap_drop.empty()) to["cap_drop"] = spec.cap_drop;
  if (spec.read_only_root) to["read_only_root"] = true;
}

}  // namespace

ordered_json SpecToHuman(const TaskSpec& spec) {
  const TaskSpec absent;
  ordered_json to = ordered_json::object();
  PutText(to, "name", spec.name.str());
  PutText(to, "image", spec.image);
  if (!spec.command.empty()) to["command"] = spec.command;
  if (!spec.entrypoint.empty()) to["entrypoint"] = spec.entrypoint;
  PutMap(to, "env", spec.env);
  PutMap(to, "labels", spec.labels);
  PutText(to, "user", spec.user);
  PutText(to, "workdir", spec.workdir);
  for (const PortSpec& port : spec.ports) to["ports"].push_back(PortToHuman(port));
  const Resources& resources = spec.resources;
  if (resources.cpu_millis != 0) to["cpus"] = CpusToHuman(resources.cpu_millis);
  if (resources.memory_bytes != 0) to["memory"] = FormatBytes(resources.memory_bytes);
  if (resources.disk_bytes != 0) to["disk"] = FormatBytes(resources.disk_bytes);
  PutPolicies(to, spec, absent);
  return to;
}

}  // namespace cube::wire
