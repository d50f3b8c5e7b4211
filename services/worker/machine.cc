#include "services/worker/machine.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

namespace cube::worker {

Result<Sample> Machine::Look(WallTime now) {
  Sample sample;
  CUBE_TRY(sample.machine, ReadMachineMetrics());
  CUBE_TRY(sample.data_disk, ReadDisk(data_folder_));
  sample.at_ns = ToNanos(now);
  sample.cpus = static_cast<std::uint32_t>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)));
  const CpuMetrics before = std::exchange(cpu_, sample.machine.cpu);
  if (before.TotalTicks() != 0) {
    sample.cpu_used_permille = CpuUsedPermille(before, sample.machine.cpu);
  }
  return sample;
}

}  // namespace cube::worker
