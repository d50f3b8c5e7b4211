// What this machine has, and how busy it is: capacity for the node's facts, counters for its
// metrics.
//
// The parsers are pure (bytes of /proc in, values out) and take any bytes; the readers below them
// are Linux's and block no longer than reading a few files of /proc takes.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "shared/base/error.h"
#include "shared/domain/ids.h"
#include "shared/domain/task_spec.h"

namespace cube::worker {

// ---- metrics --------------------------------------------------------------------------------

// /proc/meminfo in kB, as the file says (the counts of huge pages have no unit). 0 = the kernel
// does not report it. kMemoryFields names them.
struct MemoryMetrics {
  std::uint64_t mem_total = 0;
  std::uint64_t mem_free = 0;
  std::uint64_t mem_available = 0;
  std::uint64_t buffers = 0;
  std::uint64_t cached = 0;
  std::uint64_t swap_cached = 0;
  std::uint64_t active = 0;
  std::uint64_t inactive = 0;
  std::uint64_t active_anon = 0;
  std::uint64_t inactive_anon = 0;
  std::uint64_t active_file = 0;
  std::uint64_t inactive_file = 0;
  std::uint64_t unevictable = 0;
  std::uint64_t mlocked = 0;
  std::uint64_t swap_total = 0;
  std::uint64_t swap_free = 0;
  std::uint64_t dirty = 0;
  std::uint64_t write_back = 0;
  std::uint64_t anon_pages = 0;
  std::uint64_t mapped = 0;
  std::uint64_t shmem = 0;
  std::uint64_t slab = 0;
  std::uint64_t s_reclaimable = 0;
  std::uint64_t s_unclaim = 0;
  std::uint64_t kernel_stack = 0;
  std::uint64_t page_tables = 0;
  std::uint64_t nfs_unstable = 0;
  std::uint64_t bounce = 0;
  std::uint64_t writeback_tmp = 0;
  std::uint64_t commit_limit = 0;
  std::uint64_t committed_as = 0;
  std::uint64_t vmalloc_total = 0;
  std::uint64_t vmalloc_used = 0;
  std::uint64_t vmalloc_chunk = 0;
  std::uint64_t hardware_corrupted = 0;
  std::uint64_t anon_huge_pages = 0;
  std::uint64_t huge_pages_total = 0;
  std::uint64_t huge_pages_free = 0;
  std::uint64_t huge_pages_rsvd = 0;
  std::uint64_t huge_pages_surp = 0;
  std::uint64_t hugepagesize = 0;
  std::uint64_t direct_map_4k = 0;
  std::uint64_t direct_map_2m = 0;
  std::uint64_t direct_map_1g = 0;

  // Total minus available.
  [[nodiscard]] std::uint64_t UsedKb() const {
    return mem_total > mem_available ? mem_total - mem_available : 0;
  }
  friend bool operator==(const MemoryMetrics&, const MemoryMetrics&) = default;
};

struct MemoryField {
  std::string_view name;    // for people and JSON: "mem_total"
  std::string_view source;  // in /proc/meminfo: "MemTotal"
  std::uint64_t MemoryMetrics::* member;
};
inline constexpr std::size_t kMemoryFieldCount = 44;
extern const std::array<MemoryField, kMemoryFieldCount> kMemoryFields;

// The aggregate line of /proc/stat: clock ticks since boot, summed over all cpus.
struct CpuMetrics {
  std::uint64_t user = 0;
  std::uint64_t nice = 0;
  std::uint64_t system = 0;
  std::uint64_t idle = 0;
  std::uint64_t iowait = 0;
  std::uint64_t irq = 0;
  std::uint64_t softirq = 0;
  std::uint64_t steal = 0;
  std::uint64_t guest = 0;       // contained in user
  std::uint64_t guest_nice = 0;  // contained in nice

  [[nodiscard]] std::uint64_t IdleTicks() const { return idle + iowait; }
  [[nodiscard]] std::uint64_t TotalTicks() const {
    return IdleTicks() + user + nice + system + irq + softirq + steal;
  }
  friend bool operator==(const CpuMetrics&, const CpuMetrics&) = default;
};

// A file system in bytes (statfs).
struct DiskMetrics {
  std::uint64_t all = 0;
  std::uint64_t used = 0;       // all - free
  std::uint64_t free = 0;       // with what is reserved for root
  std::uint64_t available = 0;  // without
  std::uint64_t free_inodes = 0;
  friend bool operator==(const DiskMetrics&, const DiskMetrics&) = default;
};

// /proc/loadavg; the averages in thousandths.
struct LoadMetrics {
  std::uint32_t last1min_milli = 0;
  std::uint32_t last5min_milli = 0;
  std::uint32_t last15min_milli = 0;
  std::uint32_t process_running = 0;
  std::uint32_t process_total = 0;
  std::uint32_t last_pid = 0;
  friend bool operator==(const LoadMetrics&, const LoadMetrics&) = default;
};

struct MachineMetrics {
  MemoryMetrics memory;
  CpuMetrics cpu;
  DiskMetrics disk;  // of "/"
  LoadMetrics load;
  friend bool operator==(const MachineMetrics&, const MachineMetrics&) = default;
};

// kInternal where the one value is missing that nothing works without (MemTotal, the cpu line,
// three averages).
[[nodiscard]] Result<MemoryMetrics> ParseMemInfo(std::string_view bytes);
[[nodiscard]] Result<CpuMetrics> ParseCpuStat(std::string_view bytes);
[[nodiscard]] Result<LoadMetrics> ParseLoadAvg(std::string_view bytes);

// The busy share of all cpus between two samples, in thousandths: 0 where no time has passed, or
// where counters ran backwards (iowait may, says proc(5)).
[[nodiscard]] std::uint32_t CpuUsedPermille(const CpuMetrics& before, const CpuMetrics& after);

[[nodiscard]] Result<DiskMetrics> ReadDisk(const std::string& path);
// `proc` and `root` are "/proc" and "/" except in tests.
[[nodiscard]] Result<MachineMetrics> ReadMachineMetrics(const std::string& proc = "/proc",
                                                        const std::string& root = "/");

// ---- capacity -------------------------------------------------------------------------------

// Online cpus, total memory, and the space of `data_folder`'s file system that is free for
// everybody.
[[nodiscard]] Result<Resources> MachineCapacity(const std::string& data_folder,
                                                const std::string& proc = "/proc");

// Lower-cased, with every character that a name may not have as '-', cut to a name's length.
// kInvalid if nothing is left.
[[nodiscard]] Result<NodeName> NodeNameFromHost(std::string_view host_name);
// The same of this machine's host name.
[[nodiscard]] Result<NodeName> HostNodeName();

}  // namespace cube::worker
