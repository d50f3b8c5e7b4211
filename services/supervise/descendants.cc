#include "services/supervise/descendants.h"

#include <dirent.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>

#include "services/worker/engine/process/launch_dir.h"
#include "services/worker/engine/process/posix_files.h"

namespace cube::supervise {
namespace {

using engine::process::ReadFile;

constexpr std::size_t kChildrenBytesMax = 1u << 20;  // about 140,000 children
constexpr std::size_t kStatBytesMax = 4096;          // one line

// For kernels without CONFIG_PROC_CHILDREN.
std::vector<pid_t> ChildrenByScan() {
  std::vector<pid_t> children;
  const std::unique_ptr<DIR, int (*)(DIR*)> proc(opendir("/proc"), closedir);
  if (!proc) return children;
  while (const dirent* entry = readdir(proc.get())) {
    if (entry->d_name[0] < '0' || entry->d_name[0] > '9') continue;
    const auto bytes = ReadFile("/proc/" + std::string(entry->d_name) + "/stat", kStatBytesMax);
    if (!bytes) continue;
    const auto stat = engine::process::ParseProcStat(*bytes);
    if (stat && stat->parent == getpid()) children.push_back(stat->pid);
  }
  return children;
}

}  // namespace

std::vector<pid_t> Children() {
  const std::string self = std::to_string(getpid());
  const auto bytes = ReadFile("/proc/self/task/" + self + "/children", kChildrenBytesMax);
  if (!bytes) return ChildrenByScan();
  std::vector<pid_t> children;
  const char* at = bytes->c_str();
  while (true) {
    char* end = nullptr;
    const long pid = std::strtol(at, &end, 10);
    if (end == at || pid <= 1) return children;
    children.push_back(static_cast<pid_t>(pid));
    at = end;
  }
}

void KillDescendants(const std::string& kill_file) {
  if (!kill_file.empty()) (void)engine::process::WriteExisting(kill_file, "1");
  for (const pid_t pid : Children()) kill(pid, SIGKILL);
}

}  // namespace cube::supervise
