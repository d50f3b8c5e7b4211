#include "services/worker/engine/process/control_groups.h"

#include <dirent.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <ctime>
#include <memory>

#include "services/worker/engine/process/posix_files.h"
#include "services/worker/engine/usage_files.h"

namespace cube::engine::process {
namespace {

constexpr char kParent[] = "/cube";
constexpr std::size_t kListBytesMax = 1u << 20;  // cgroup.procs: about 130,000 processes
// A killed process leaves its group when it has been torn down, microseconds to milliseconds later.
constexpr int kRemoveTries = 100;
constexpr long kRemovePauseNs = 2'000'000;
// Empty parents may be removed by another worker that shares them, at any moment until a launch of
// ours is in them.
constexpr int kParentTries = 5;

bool IsFolder(const std::string& path) {
  struct stat found{};
  return stat(path.c_str(), &found) == 0 && S_ISDIR(found.st_mode);
}

bool MakeFolder(const std::string& path) {
  return mkdir(path.c_str(), 0755) == 0 || errno == EEXIST;
}

std::vector<std::string> Subfolders(const std::string& path) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(opendir(path.c_str()), closedir);
  if (!folder) return names;
  while (const dirent* entry = readdir(folder.get())) {
    if (entry->d_type == DT_DIR && entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  return names;
}

// Version 1: the parent in one controller's tree; empty if it cannot be written.
std::string ParentOf(const std::string& tree, const std::string& own, const std::string& node,
                     const char* limit_file) {
  if (!IsFolder(tree)) return {};
  // In a container the path may be one of the host's that is not mounted here.
  std::string base = own != "/" && IsFolder(tree + own) ? tree + own : tree;
  const std::string parent = base + kParent + '/' + node;
  if (!MakeFolder(base + kParent) || !MakeFolder(parent)) return {};
  return access((parent + '/' + limit_file).c_str(), W_OK) == 0 ? parent : "";
}

bool HasControllers(const std::string& folder) {
  const auto bytes = ReadFile(folder + "/cgroup.controllers", 4096);
  if (!bytes) return false;
  const std::string list = ' ' + bytes->substr(0, bytes->find('\n')) + ' ';
  return list.find(" cpu ") != std::string::npos && list.find(" memory ") != std::string::npos;
}

std::vector<pid_t> Members(const std::string& folder) {
  std::vector<pid_t> members;
  const auto bytes = ReadFile(folder + "/cgroup.procs", kListBytesMax);
  if (!bytes) return members;
  const char* at = bytes->data();
  const char* const end = at + bytes->size();
  while (at < end) {
    pid_t pid = 0;
    const auto [next, error] = std::from_chars(at, end, pid);
    if (error != std::errc()) break;
    if (pid > 1) members.push_back(pid);
    at = next + 1;
  }
  return members;
}

}  // namespace

std::int64_t CpuQuotaUs(std::int64_t cpu_millis) {
  return std::max(kCpuQuotaUsMin, cpu_millis * (kCpuPeriodUs / 1000));
}

std::optional<ControlGroups> ControlGroups::Open(const std::string& root, const std::string& node) {
  for (int i = 1; i < kParentTries; ++i) {
    if (auto groups = TryOpen(root, node)) return groups;
  }
  return TryOpen(root, node);
}

Result<ControlGroup> ControlGroups::Make(const std::string& name, const Resources& resources) {
  for (int i = 1; i < kParentTries; ++i) {
    auto made = TryMake(name, resources);
    if (made || made.error().code != Code::kNotFound) return made;
    if (auto again = Open(root_, node_)) *this = std::move(*again);
  }
  return TryMake(name, resources);
}

std::optional<ControlGroups> ControlGroups::TryOpen(const std::string& root,
                                                    const std::string& node) {
  ControlGroups groups;
  groups.root_ = root;
  groups.node_ = node;
  if (access((root + "/cgroup.controllers").c_str(), R_OK) == 0) {
    std::string folder = root;
    for (const auto& below : {std::string(kParent), '/' + node}) {
      // Fails where it is on already but not ours to change; what counts is what arrives below.
      (void)WriteExisting(folder + "/cgroup.subtree_control", "+cpu +memory");
      folder += below;
      if (!MakeFolder(folder) || !HasControllers(folder)) return std::nullopt;
    }
    if (!WriteExisting(folder + "/cgroup.subtree_control", "+cpu +memory")) return std::nullopt;
    groups.version_ = 2;
    groups.memory_ = folder;
    return groups;
  }
  const auto own = ParseGroups(ReadFile("/proc/self/cgroup", 64u << 10).value_or(""));
  const auto path = [&](const char* controller) {
    const auto it = own.find(controller);
    return it == own.end() ? std::string("/") : it->second;
  };
  groups.version_ = 1;
  groups.memory_ = ParentOf(root + "/memory", path("memory"), node, "memory.limit_in_bytes");
  groups.cpu_ = ParentOf(root + "/cpu", path("cpu"), node, "cpu.cfs_quota_us");
  if (groups.memory_.empty() || groups.cpu_.empty()) {
    groups.RemoveParents();
    return std::nullopt;
  }
  return groups;
}

Result<ControlGroup> ControlGroups::TryMake(const std::string& name, const Resources& resources) {
  ControlGroup group;
  const std::string memory = memory_ + '/' + name;
  const std::string cpu = version_ == 2 ? memory : cpu_ + '/' + name;
  group.folders.push_back(memory);
  if (version_ == 1) group.folders.push_back(cpu);
  const auto make = [&]() -> Result<void> {
    for (const auto& folder : group.folders) {
      if (!MakeFolder(folder)) return SystemFailure("making the control group " + folder, errno);
      if (!Members(folder).empty()) {
        return Fail(Code::kConflict, "the control group " + folder + " is in use");
      }
      group.join.push_back(folder + "/cgroup.procs");
    }
    if (resources.memory_bytes > 0) {
      const std::string bytes = std::to_string(resources.memory_bytes);
      CUBE_TRY_VOID(WriteExisting(
          memory + (version_ == 2 ? "/memory.max" : "/memory.limit_in_bytes"), bytes));
      // A hard limit: no swap beyond it. Kernels without swap accounting lack the file.
      (void)WriteExisting(
          memory + (version_ == 2 ? "/memory.swap.max" : "/memory.memsw.limit_in_bytes"),
          version_ == 2 ? "0" : bytes);
    }
    if (resources.cpu_millis > 0) {
      const std::string quota = std::to_string(CpuQuotaUs(resources.cpu_millis));
      const std::string period = std::to_string(kCpuPeriodUs);
      if (version_ == 2) return WriteExisting(cpu + "/cpu.max", quota + ' ' + period);
      CUBE_TRY_VOID(WriteExisting(cpu + "/cpu.cfs_period_us", period));
      CUBE_TRY_VOID(WriteExisting(cpu + "/cpu.cfs_quota_us", quota));
    }
    return {};
  };
  if (auto made = make(); !made) {
    if (made.error().code != Code::kConflict) RemoveGroups(group.folders);
    return Annotate(made.error(), "resources");
  }
  if (version_ == 2) group.kill_file = memory + "/cgroup.kill";
  group.oom_file = memory + (version_ == 2 ? "/memory.events" : "/memory.oom_control");
  return group;
}

void ControlGroups::Sweep(const std::string& prefix, const std::vector<std::string>& keep) {
  for (const auto& parent : {memory_, cpu_}) {
    if (parent.empty()) continue;
    for (const auto& name : Subfolders(parent)) {
      const std::string folder = parent + '/' + name;
      if (!name.starts_with(prefix)) continue;
      if (std::find(keep.begin(), keep.end(), folder) == keep.end()) rmdir(folder.c_str());
    }
  }
}

void ControlGroups::RemoveParents() {
  for (const auto& parent : {memory_, cpu_}) {
    if (parent.empty() || rmdir(parent.c_str()) != 0) continue;
    rmdir(parent.substr(0, parent.rfind('/')).c_str());
  }
}

void KillGroups(const std::vector<std::string>& folders) {
  for (const auto& folder : folders) {
    if (WriteExisting(folder + "/cgroup.kill", "1")) continue;
    for (const pid_t pid : Members(folder)) kill(pid, SIGKILL);
  }
}

bool RemoveGroups(const std::vector<std::string>& folders) {
  bool all = true;
  for (const auto& folder : folders) {
    bool gone = false;
    for (int i = 0; i < kRemoveTries && !gone; ++i) {
      gone = rmdir(folder.c_str()) == 0 || errno == ENOENT;
      if (gone || errno != EBUSY) break;
      KillGroups({folder});
      const timespec pause{0, kRemovePauseNs};
      nanosleep(&pause, nullptr);
    }
    all = all && gone;
  }
  return all;
}

}  // namespace cube::engine::process
