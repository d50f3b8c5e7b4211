// What running launches use: of their control group where they have one that counts it, else of
// the processes below their supervisor. They live in the machine's network, so none has traffic of
// its own.
#include <optional>

#include "services/worker/engine/process/launches.h"
#include "services/worker/engine/usage_files.h"

namespace cube::engine::process {
namespace {

template <class T>
std::optional<T> OfAny(const std::vector<std::string>& folders,
                       std::optional<T> (*read)(const std::string&)) {
  for (const auto& folder : folders) {
    if (const auto value = read(folder)) return value;
  }
  return std::nullopt;
}

}  // namespace

void Launches::Usage() {
  Usages usages;
  std::optional<ProcessTree> tree;  // read once, and only if a launch needs it
  for (const auto& [key, entry] : entries_) {
    if (entry.status.state != LaunchState::kRunning || !entry.supervisor) continue;
    LaunchUsage usage;
    usage.key = key;
    usage.at = UsageNow();
    const auto& folders = entry.record.control_groups;
    const auto cpu_nanos = OfAny(folders, GroupCpuNanos);
    const auto memory_bytes = OfAny(folders, GroupMemoryBytes);
    if (!cpu_nanos || !memory_bytes) {
      if (!tree) tree = ProcessTree::Read();
      const auto sum = tree->Below(entry.supervisor->pid());
      usage.cpu_nanos = sum.cpu_nanos;
      usage.memory_bytes = sum.resident_bytes;
    }
    if (cpu_nanos) usage.cpu_nanos = *cpu_nanos;
    if (memory_bytes) usage.memory_bytes = *memory_bytes;
    usages.launches.push_back(std::move(usage));
  }
  sink_(std::move(usages));
}

}  // namespace cube::engine::process
