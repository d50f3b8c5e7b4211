#include "services/worker/capacity.h"

#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <limits>

#include "shared/runtime/files.h"
#include "shared/runtime/os_error.h"

namespace cube::worker {
namespace {

using M = MemoryMetrics;

// /proc/stat has a line per cpu and per interrupt.
constexpr std::size_t kProcFileBytesMax = 4u << 20;
constexpr std::size_t kHostNameBytesMax = 256;  // Linux: 64; POSIX: 255

template <class T>
bool ParseNumber(std::string_view text, T* value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  return error == std::errc() && end == text.data() + text.size();
}

// The text up to the next `stop` or the end; `rest` begins after it.
std::string_view Take(std::string_view* rest, char stop) {
  const auto part = rest->substr(0, rest->find(stop));
  rest->remove_prefix(std::min(rest->size(), part.size() + 1));
  return part;
}

std::string_view NextWord(std::string_view* rest) {
  while (!rest->empty() && (rest->front() == ' ' || rest->front() == '\t')) rest->remove_prefix(1);
  return Take(rest, ' ');
}

// "1.25" -> 1250. More than three decimals are cut.
bool ParseMilli(std::string_view text, std::uint32_t* milli) {
  constexpr std::size_t kDecimals = 3;
  const auto whole = Take(&text, '.');
  std::uint32_t value = 0;
  if (!ParseNumber(whole, &value)) return false;
  if (value > std::numeric_limits<std::uint32_t>::max() / 1000 - 1) return false;
  std::string decimals(text.substr(0, kDecimals));
  decimals.resize(kDecimals, '0');
  std::uint32_t fraction = 0;
  if (!ParseNumber(std::string_view(decimals), &fraction)) return false;
  *milli = value * 1000 + fraction;
  return true;
}

}  // namespace

constexpr std::array<MemoryField, kMemoryFieldCount> kMemoryFields{{
    {"mem_total", "MemTotal", &M::mem_total},
    {"mem_free", "MemFree", &M::mem_free},
    {"mem_available", "MemAvailable", &M::mem_available},
    {"buffers", "Buffers", &M::buffers},
    {"cached", "Cached", &M::cached},
    {"swap_cached", "SwapCached", &M::swap_cached},
    {"active", "Active", &M::active},
    {"inactive", "Inactive", &M::inactive},
    {"active_anon", "Active(anon)", &M::active_anon},
    {"inactive_anon", "Inactive(anon)", &M::inactive_anon},
    {"active_file", "Active(file)", &M::active_file},
    {"inactive_file", "Inactive(file)", &M::inactive_file},
    {"unevictable", "Unevictable", &M::unevictable},
    {"mlocked", "Mlocked", &M::mlocked},
    {"swap_total", "SwapTotal", &M::swap_total},
    {"swap_free", "SwapFree", &M::swap_free},
    {"dirty", "Dirty", &M::dirty},
    {"write_back", "Writeback", &M::write_back},
    {"anon_pages", "AnonPages", &M::anon_pages},
    {"mapped", "Mapped", &M::mapped},
    {"shmem", "Shmem", &M::shmem},
    {"slab", "Slab", &M::slab},
    {"s_reclaimable", "SReclaimable", &M::s_reclaimable},
    {"s_unclaim", "SUnreclaim", &M::s_unclaim},
    {"kernel_stack", "KernelStack", &M::kernel_stack},
    {"page_tables", "PageTables", &M::page_tables},
    {"nfs_unstable", "NFS_Unstable", &M::nfs_unstable},
    {"bounce", "Bounce", &M::bounce},
    {"writeback_tmp", "WritebackTmp", &M::writeback_tmp},
    {"commit_limit", "CommitLimit", &M::commit_limit},
    {"committed_as", "Committed_AS", &M::committed_as},
    {"vmalloc_total", "VmallocTotal", &M::vmalloc_total},
    {"vmalloc_used", "VmallocUsed", &M::vmalloc_used},
    {"vmalloc_chunk", "VmallocChunk", &M::vmalloc_chunk},
    {"hardware_corrupted", "HardwareCorrupted", &M::hardware_corrupted},
    {"anon_huge_pages", "AnonHugePages", &M::anon_huge_pages},
    {"huge_pages_total", "HugePages_Total", &M::huge_pages_total},
    {"huge_pages_free", "HugePages_Free", &M::huge_pages_free},
    {"huge_pages_rsvd", "HugePages_Rsvd", &M::huge_pages_rsvd},
    {"huge_pages_surp", "HugePages_Surp", &M::huge_pages_surp},
    {"hugepagesize", "Hugepagesize", &M::hugepagesize},
    {"direct_map_4k", "DirectMap4k", &M::direct_map_4k},
    {"direct_map_2M", "DirectMap2M", &M::direct_map_2m},
    {"direct_map_1G", "DirectMap1G", &M::direct_map_1g},
}};
// Each value of the struct has its line in the table.
static_assert(sizeof(MemoryMetrics) == kMemoryFieldCount * sizeof(std::uint64_t));

Result<MemoryMetrics> ParseMemInfo(std::string_view bytes) {
  MemoryMetrics memory;
  while (!bytes.empty()) {
    auto line = Take(&bytes, '\n');
    const auto name = Take(&line, ':');
    std::uint64_t value = 0;
    if (!ParseNumber(NextWord(&line), &value)) continue;
    for (const auto& field : kMemoryFields) {
      if (field.source == name) memory.*field.member = value;
    }
  }
  if (memory.mem_total == 0) return Fail(Code::kInternal, "meminfo: no MemTotal in it");
  return memory;
}

Result<CpuMetrics> ParseCpuStat(std::string_view bytes) {
  constexpr std::array<std::uint64_t CpuMetrics::*, 10> kMembers{
      &CpuMetrics::user,   &CpuMetrics::nice,      &CpuMetrics::system,  &CpuMetrics::idle,
      &CpuMetrics::iowait, &CpuMetrics::irq,       &CpuMetrics::softirq, &CpuMetrics::steal,
      &CpuMetrics::guest,  &CpuMetrics::guest_nice};
  constexpr std::size_t kMembersMin = 4;  // as Linux 2.4 had; later ones have been added
  while (!bytes.empty()) {
    auto line = Take(&bytes, '\n');
    if (NextWord(&line) != "cpu") continue;
    CpuMetrics cpu;
    std::size_t count = 0;
    while (count < kMembers.size() && ParseNumber(NextWord(&line), &(cpu.*kMembers[count]))) {
      ++count;
    }
    if (count >= kMembersMin) return cpu;
  }
  return Fail(Code::kInternal, "stat: no line of all cpus in it");
}

Result<LoadMetrics> ParseLoadAvg(std::string_view bytes) {
  // "0.20 0.18 0.12 1/80 11206\n"
  auto line = Take(&bytes, '\n');
  LoadMetrics load;
  for (auto* average : {&load.last1min_milli, &load.last5min_milli, &load.last15min_milli}) {
    if (!ParseMilli(NextWord(&line), average)) {
      return Fail(Code::kInternal, "loadavg: not three averages");
    }
  }
  auto processes = NextWord(&line);
  (void)ParseNumber(Take(&processes, '/'), &load.process_running);
  (void)ParseNumber(processes, &load.process_total);
  (void)ParseNumber(NextWord(&line), &load.last_pid);
  return load;
}

std::uint32_t CpuUsedPermille(const CpuMetrics& before, const CpuMetrics& after) {
  if (after.TotalTicks() <= before.TotalTicks()) return 0;
  const std::uint64_t total = after.TotalTicks() - before.TotalTicks();
  const std::uint64_t idle =
      after.IdleTicks() > before.IdleTicks() ? after.IdleTicks() - before.IdleTicks() : 0;
  if (idle >= total) return 0;
  const double share = static_cast<double>(total - idle) / static_cast<double>(total);
  return static_cast<std::uint32_t>(std::lround(share * 1000.0));
}

Result<DiskMetrics> ReadDisk(const std::string& path) {
  struct statfs found{};
  if (statfs(path.c_str(), &found) != 0) {
    return runtime::FailErrno(errno, "statfs " + path);
  }
  const auto block = static_cast<std::uint64_t>(found.f_bsize);
  DiskMetrics disk;
  disk.all = found.f_blocks * block;
  disk.free = found.f_bfree * block;
  disk.available = found.f_bavail * block;
  disk.used = disk.all - disk.free;
  disk.free_inodes = found.f_ffree;
  return disk;
}

Result<MachineMetrics> ReadMachineMetrics(const std::string& proc, const std::string& root) {
  MachineMetrics metrics;
  CUBE_TRY(const auto memory, runtime::ReadFile(proc + "/meminfo", kProcFileBytesMax));
  CUBE_TRY(metrics.memory, ParseMemInfo(memory));
  CUBE_TRY(const auto stat, runtime::ReadFile(proc + "/stat", kProcFileBytesMax));
  CUBE_TRY(metrics.cpu, ParseCpuStat(stat));
  CUBE_TRY(const auto load, runtime::ReadFile(proc + "/loadavg", kProcFileBytesMax));
  CUBE_TRY(metrics.load, ParseLoadAvg(load));
  CUBE_TRY(metrics.disk, ReadDisk(root));
  return metrics;
}

Result<Resources> MachineCapacity(const std::string& data_folder, const std::string& proc) {
  CUBE_TRY(const auto bytes, runtime::ReadFile(proc + "/meminfo", kProcFileBytesMax));
  CUBE_TRY(const auto memory, ParseMemInfo(bytes));
  CUBE_TRY(const auto disk, ReadDisk(data_folder));
  Resources capacity;
  capacity.cpu_millis = std::max<std::int64_t>(1, sysconf(_SC_NPROCESSORS_ONLN)) * 1000;
  capacity.memory_bytes = static_cast<std::int64_t>(memory.mem_total) * 1024;
  capacity.disk_bytes = static_cast<std::int64_t>(disk.available);
  return capacity;
}

Result<NodeName> NodeNameFromHost(std::string_view host_name) {
  std::string name;
  for (const char c : host_name.substr(0, kTokenLengthMax)) {
    const bool upper = c >= 'A' && c <= 'Z';
    const bool allowed = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    name += upper ? static_cast<char>(c - 'A' + 'a') : allowed ? c : '-';
  }
  // A name begins and ends with a letter or digit.
  name.erase(0, std::min(name.size(), name.find_first_not_of('-')));
  while (name.ends_with('-')) name.pop_back();
  if (name.empty()) {
    return Fail(Code::kInvalid,
                "the host name '" + std::string(host_name) + "' makes no node name; give one",
                "name");
  }
  return NodeName::Parse(name, "name");
}

Result<NodeName> HostNodeName() {
  std::array<char, kHostNameBytesMax> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) {
    return runtime::FailErrno(errno, "asking for the host name");
  }
  return NodeNameFromHost(name.data());
}

}  // namespace cube::worker
