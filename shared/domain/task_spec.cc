#include "shared/domain/task_spec.h"

#include <string_view>

namespace cube {
namespace {

// A field's key (1 or 2 bytes) and a varint of any length (10), rounded up.
constexpr std::size_t kScalarMax = 12;
// A field's key and the length of what follows.
constexpr std::size_t kFramingMax = 7;

std::size_t Text(std::string_view text) { return kFramingMax + text.size(); }

std::size_t Texts(const std::vector<std::string>& texts) {
  std::size_t size = 0;
  for (const std::string& text : texts) size += Text(text);
  return size;
}

std::size_t Map(const std::map<std::string, std::string>& map) {
  std::size_t size = 0;
  for (const auto& [key, value] : map) size += kFramingMax + Text(key) + Text(value);
  return size;
}

std::size_t Rule(const Constraint& rule) {
  return kFramingMax + Text(rule.label) + kScalarMax + Texts(rule.values);
}

}  // namespace

std::string EngineOf(const TaskSpec& spec) {
  if (!spec.engine.empty()) return spec.engine;
  return spec.image.empty() ? "process" : "docker";
}

std::size_t EncodedBytesMax(const TaskSpec& spec) {
  std::size_t size = kFramingMax + Text(spec.name.str()) + Text(spec.image) + Texts(spec.command) +
                     Texts(spec.entrypoint) + Map(spec.env) + Map(spec.labels) + Text(spec.user) +
                     Text(spec.workdir) + Text(spec.stop_signal) + Text(spec.engine);
  for (const PortSpec& port : spec.ports) size += kFramingMax + 3 * kScalarMax + Text(port.name);
  size += kFramingMax + 3 * kScalarMax;  // resources
  size += kFramingMax + 2 * kScalarMax;  // restart
  if (spec.health) {
    size += kFramingMax + 8 * kScalarMax + Text(spec.health->http_path) +
            Text(spec.health->port_name) + Texts(spec.health->command);
  }
  size += 3 * kScalarMax;                     // stop_grace, priority, pull
  size += kFramingMax + 2 * kScalarMax;       // reschedule
  size += Text(spec.scheduler) + kScalarMax;  // distinct
  for (const Constraint& constraint : spec.constraints) size += Rule(constraint);
  for (const Affinity& affinity : spec.affinities) {
    size += kFramingMax + Rule(affinity.rule) + kScalarMax;
  }
  for (const VolumeSpec& volume : spec.volumes) {
    size += kFramingMax + Text(volume.source) + Text(volume.target) + kScalarMax;
  }
  size += Text(spec.network) + Texts(spec.cap_add) + Texts(spec.cap_drop) + kScalarMax;
  return size;
}

}  // namespace cube
