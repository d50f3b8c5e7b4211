#include "services/worker/machine.h"

#include <utility>

namespace cube::worker {

Result<Sample> Machine::Look(WallTime now) {
  CUBE_TRY(const MachineMetrics metrics, ReadMachineMetrics());
  constexpr std::int64_t kBytesPerKb = 1024;
  Sample sample;
  sample.at_ns = ToNanos(now);
  const CpuMetrics before = std::exchange(cpu_, metrics.cpu);
  if (before.TotalTicks() != 0) sample.cpu_used_permille = CpuUsedPermille(before, metrics.cpu);
  sample.memory_total_bytes = static_cast<std::int64_t>(metrics.memory.mem_total) * kBytesPerKb;
  sample.memory_used_bytes = static_cast<std::int64_t>(metrics.memory.UsedKb()) * kBytesPerKb;
  sample.disk_total_bytes = static_cast<std::int64_t>(metrics.disk.all);
  sample.disk_used_bytes = static_cast<std::int64_t>(metrics.disk.used);
  sample.load1_milli = metrics.load.last1min_milli;
  return sample;
}

}  // namespace cube::worker
