#include "services/worker/machine.h"

#include <sys/statvfs.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <utility>

namespace cube::worker {
namespace {

struct CpuTimes {
  std::uint64_t busy = 0;
  std::uint64_t total = 0;
};

// proc(5): user nice system idle iowait irq softirq steal ...
CpuTimes ReadCpuTimes() {
  std::ifstream file("/proc/stat");
  std::string label;
  file >> label;
  CpuTimes times;
  std::uint64_t value = 0;
  for (int column = 0; column < 8 && (file >> value); ++column) {
    times.total += value;
    const bool idle = column == 3 || column == 4;
    if (!idle) times.busy += value;
  }
  return times;
}

// A line "MemTotal:  16384 kB" of /proc/meminfo, in bytes.
std::int64_t ReadMemory(std::string_view name) {
  std::ifstream file("/proc/meminfo");
  std::string line;
  while (std::getline(file, line)) {
    if (!line.starts_with(name)) continue;
    return std::strtoll(line.c_str() + name.size(), nullptr, 10) * 1024;
  }
  return 0;
}

}  // namespace

Sample Machine::Look(WallTime now) {
  Sample sample;
  sample.at_ns = ToNanos(now);
  const CpuTimes cpu = ReadCpuTimes();
  const std::uint64_t before_busy = std::exchange(cpu_busy_, cpu.busy);
  const std::uint64_t before_total = std::exchange(cpu_total_, cpu.total);
  if (before_total != 0 && cpu.total > before_total && cpu.busy >= before_busy) {
    sample.cpu_used_permille =
        static_cast<std::uint32_t>((cpu.busy - before_busy) * 1000 / (cpu.total - before_total));
  }
  sample.memory_total_bytes = ReadMemory("MemTotal:");
  sample.memory_used_bytes = sample.memory_total_bytes - ReadMemory("MemAvailable:");
  struct statvfs disk{};
  if (::statvfs("/", &disk) == 0) {
    const auto block = static_cast<std::int64_t>(disk.f_frsize);
    sample.disk_total_bytes = static_cast<std::int64_t>(disk.f_blocks) * block;
    sample.disk_used_bytes =
        sample.disk_total_bytes - static_cast<std::int64_t>(disk.f_bfree) * block;
  }
  double load = 0;
  if (::getloadavg(&load, 1) == 1) sample.load1_milli = static_cast<std::uint32_t>(load * 1000);
  return sample;
}

}  // namespace cube::worker
