// What processes use, as the kernel's files say: control groups of both versions, /proc. The
// parsers are pure and take any bytes; the readers below them block no longer than reading a few
// small files of the kernel takes. Facts by cgroups(7), proc(5) and the kernel's
// Documentation/admin-guide.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "services/worker/engine/engine.h"
#include "shared/base/time.h"

namespace cube::engine {

// ---- pure -----------------------------------------------------------------------------------

// Controller -> path of /proc/<pid>/cgroup; the version 2 tree has the name "".
[[nodiscard]] std::map<std::string, std::string> ParseGroups(std::string_view bytes);

// A file that is one number: "123\n".
[[nodiscard]] std::optional<std::uint64_t> ParseCounter(std::string_view bytes);
// The value of the line "<name> <value>".
[[nodiscard]] std::optional<std::uint64_t> ParseNamed(std::string_view bytes,
                                                      std::string_view name);
// /proc/<pid>/net/dev: all interfaces but loopback; nullopt if there is no other.
[[nodiscard]] std::optional<LaunchUsage::Traffic> ParseNetDev(std::string_view bytes);

// Of /proc/<pid>/stat. Children are those that have ended and were waited for.
struct ProcessTimes {
  pid_t parent = 0;
  std::uint64_t ticks = 0;           // user and system
  std::uint64_t children_ticks = 0;  // user and system
  std::uint64_t resident_pages = 0;
  friend bool operator==(const ProcessTimes&, const ProcessTimes&) = default;
};
[[nodiscard]] std::optional<ProcessTimes> ParseProcessTimes(std::string_view bytes);

// ---- the system's ---------------------------------------------------------------------------

// The monotonic clock of LaunchUsage::at.
[[nodiscard]] MonoTime UsageNow();

// The folders of one control group: one folder with version 2, one for each controller with 1.
struct UsageFolders {
  std::string cpu;
  std::string memory;
};
// Those of a process whose /proc/<pid>/cgroup says `groups`; `root` is /sys/fs/cgroup.
[[nodiscard]] UsageFolders FoldersOf(const std::string& root,
                                     const std::map<std::string, std::string>& groups);
// nullopt: the folder is not there, or its kernel does not count that.
[[nodiscard]] std::optional<std::uint64_t> GroupCpuNanos(const std::string& folder);
[[nodiscard]] std::optional<std::int64_t> GroupMemoryBytes(const std::string& folder);

// All processes of this machine at one moment, and sums over those that descend from one.
class ProcessTree {
 public:
  // `proc` is "/proc" except in tests.
  [[nodiscard]] static ProcessTree Read(const std::string& proc = "/proc");

  struct Sum {
    std::uint64_t cpu_nanos = 0;
    std::int64_t resident_bytes = 0;  // pages that processes share count in each of them
  };
  // `root` itself counts with the children it has waited for only: it supervises.
  [[nodiscard]] Sum Below(pid_t root) const;

 private:
  std::map<pid_t, ProcessTimes> times_;
  std::multimap<pid_t, pid_t> children_;
};

}  // namespace cube::engine
