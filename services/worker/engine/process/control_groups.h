// Control groups for cpu and memory limits, one for each launch, under `cube/<node>`.
//
// Version 2 (one tree): <root>/cube/<node>/, with the controllers cpu and memory handed down.
// Version 1 (a tree for each controller): below the worker's own group of each tree, so that a
// limit on the worker holds for its launches too. Where the worker may not write them there are no
// limits, and the node says so.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/error.h"
#include "shared/domain/task_spec.h"

namespace cube::engine::process {

// ---- pure -----------------------------------------------------------------------------------

// Microseconds of cpu per kCpuPeriodUs; the kernel takes no quota under 1 ms.
inline constexpr std::int64_t kCpuPeriodUs = 100'000;
inline constexpr std::int64_t kCpuQuotaUsMin = 1'000;
[[nodiscard]] std::int64_t CpuQuotaUs(std::int64_t cpu_millis);

// ---- the system's ---------------------------------------------------------------------------

// What one launch joins; folders in the order of their removal.
struct ControlGroup {
  std::vector<std::string> folders;
  std::vector<std::string> join;
  std::string kill_file;
  std::string oom_file;
};

class ControlGroups {
 public:
  // Makes the parents; `root` is /sys/fs/cgroup. nullopt if either limit cannot be set there.
  [[nodiscard]] static std::optional<ControlGroups> Open(const std::string& root,
                                                         const std::string& node);

  // The launch's group with its limits. An empty one of that name is used again, a populated one
  // is kConflict.
  [[nodiscard]] Result<ControlGroup> Make(const std::string& name, const Resources& resources);

  // Removes empty groups under the parents that begin with `prefix` and are not in `keep`.
  void Sweep(const std::string& prefix, const std::vector<std::string>& keep);
  // Removes the parents, if nothing is in them. Make brings them back.
  void RemoveParents();

  [[nodiscard]] int version() const { return version_; }

 private:
  ControlGroups() = default;
  static std::optional<ControlGroups> TryOpen(const std::string& root, const std::string& node);
  Result<ControlGroup> TryMake(const std::string& name, const Resources& resources);

  std::string root_;
  std::string node_;
  int version_ = 0;
  std::string memory_;  // parent folder for memory; the only one with version 2
  std::string cpu_;     // version 1 only
};

// Kills whatever is in these groups, and removes them. False if some are still there.
bool RemoveGroups(const std::vector<std::string>& folders);
void KillGroups(const std::vector<std::string>& folders);

}  // namespace cube::engine::process
