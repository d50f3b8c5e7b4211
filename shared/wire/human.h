// The human form of specs and times: JSON messages, YAML files, -o json (docs/SPEC.md).
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/error.h"
#include "shared/domain/intent.h"

namespace cube::wire {

// JSON text with limits on size and depth; the error says line and column.
[[nodiscard]] Result<nlohmann::json> ParseJson(std::string_view text);
// YAML 1.2 text (JSON is a subset), as a JSON value; numbers and booleans typed as YAML does.
[[nodiscard]] Result<nlohmann::json> ParseYaml(std::string_view text);

// One task in the human form: object with the fields of a spec file, and `id`. Unknown fields,
// wrong types and values out of range are kInvalid with the path ("ports[1].host_port") and, for a
// misspelt name, the field that was probably meant.
[[nodiscard]] Result<SubmitTask> TaskFromHuman(const nlohmann::json& value);
// What cube.tasks.stop takes: {"id": "...", "grace": "5s"}, or the id alone as a text. The values
// are typed, not checked: the caller decides which ids may be stopped.
struct HumanStop {
  std::string id;
  std::optional<Duration> grace;
};
[[nodiscard]] Result<HumanStop> StopFromHuman(const nlohmann::json& value);
// A job: name, type, replicas, task, update. As TaskFromHuman.
[[nodiscard]] Result<JobSpec> JobFromHuman(const nlohmann::json& value);
// Whether a value is meant to be a job and not a task.
[[nodiscard]] bool LooksLikeJob(const nlohmann::json& value);
[[nodiscard]] nlohmann::ordered_json JobToHuman(const JobSpec& job);
// The inverse of TaskFromHuman; absent where it is the default. Memory and disk as "512Mi", cpus as
// 0.5.
[[nodiscard]] nlohmann::ordered_json SpecToHuman(const TaskSpec& spec);

// "512Mi", "1.5Gi", "100k", "1073741824": bytes. Ki Mi Gi Ti are powers of 1024, k M G T of 1000;
// docker's single letters b k m g in lower case are powers of 1024 where `docker_units`.
[[nodiscard]] Result<std::int64_t> ParseBytes(std::string_view text, bool docker_units = false);
// The shortest exact text: "512Mi", "1000".
[[nodiscard]] std::string FormatBytes(std::int64_t bytes);
// "0.5" cpus -> 500 thousandths.
[[nodiscard]] Result<std::int64_t> ParseCpus(std::string_view text);
// "8080:80/tcp", "80", "127.0.0.1:…" is refused with a reason.
[[nodiscard]] Result<PortSpec> ParsePort(std::string_view text);
// As docker's -v: "data:/var/lib/data", "/srv/www:/www:ro", "/scratch".
[[nodiscard]] Result<VolumeSpec> ParseVolume(std::string_view text);
// "no", "on-failure", "on-failure:3", "always", "unless-stopped".
[[nodiscard]] Result<RestartPolicy> ParseRestart(std::string_view text);
[[nodiscard]] std::string FormatRestart(const RestartPolicy& policy);
// "never", "on-lost" (or "always"), "on-failure", "on-failure:3".
[[nodiscard]] Result<ReschedulePolicy> ParseReschedule(std::string_view text);
[[nodiscard]] std::string FormatReschedule(const ReschedulePolicy& policy);
// "disk=ssd", "zone!=b", "zone in a,b", "gpu".
[[nodiscard]] Result<Constraint> ParseConstraint(std::string_view text);
[[nodiscard]] std::string FormatConstraint(const Constraint& constraint);
// "disk=ssd:50": a constraint and a weight behind the last ':'.
[[nodiscard]] Result<Affinity> ParseAffinity(std::string_view text);
[[nodiscard]] std::string FormatAffinity(const Affinity& affinity);

}  // namespace cube::wire
