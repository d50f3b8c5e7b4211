#include "services/worker/engine/docker/exec_kill.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <optional>
#include <ranges>
#include <set>

#include "shared/runtime/fd.h"

namespace cube::engine::docker {
namespace {

constexpr std::size_t kProcFileBytesMax = 64u << 10;
constexpr std::size_t kContainerIdBytesMin = 12;
constexpr int kLooksMax = 8;  // each finds what was started during the one before

std::string ProcFile(std::int64_t pid, const char* name) {
  const std::string path = "/proc/" + std::to_string(pid) + '/' + name;
  const runtime::Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string text;
  char buffer[4096];
  while (file.valid() && text.size() < kProcFileBytesMax) {
    const ssize_t count = ::read(file.get(), buffer, sizeof(buffer));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    text.append(buffer, static_cast<std::size_t>(count));
  }
  return text;
}

// Field 6 of /proc/<pid>/stat; the name in field 2 may hold anything.
std::optional<std::int64_t> SessionOf(std::int64_t pid) {
  const std::string stat = ProcFile(pid, "stat");
  std::size_t at = stat.rfind(')');
  if (at == std::string::npos) return std::nullopt;
  for (int field = 2; field < 6; ++field) {
    at = stat.find(' ', at + 1);
    if (at == std::string::npos) return std::nullopt;
  }
  std::int64_t session = 0;
  std::from_chars(stat.data() + at + 1, stat.data() + stat.size(), session);
  return session;
}

// Looked at behind a pidfd: what is signalled is what was looked at, whatever numbers are reused.
// Not where it has gone, or is of another container.
bool SignalOf(std::string_view container_id, std::int64_t pid, int number) {
  const runtime::Fd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!process.valid()) return false;
  if (ProcFile(pid, "cgroup").find(container_id) == std::string::npos) return false;
  return ::syscall(SYS_pidfd_send_signal, process.get(), number, nullptr, 0) == 0;
}

std::vector<std::int64_t> OthersOfSession(std::int64_t leader) {
  std::vector<std::int64_t> others;
  const std::unique_ptr<DIR, int (*)(DIR*)> proc(::opendir("/proc"), ::closedir);
  while (const dirent* entry = proc ? ::readdir(proc.get()) : nullptr) {
    std::int64_t pid = 0;
    const char* const end = entry->d_name + std::strlen(entry->d_name);
    const auto [at, error] = std::from_chars(entry->d_name, end, pid);
    if (error == std::errc() && at == end && pid != leader && SessionOf(pid) == leader)
      others.push_back(pid);
  }
  return others;
}

}  // namespace

bool KillInContainer(std::int64_t pid, std::string_view container_id) {
  if (pid <= 1 || container_id.size() < kContainerIdBytesMin) return false;
  if (!SignalOf(container_id, pid, SIGSTOP)) return false;
  // What is stopped starts nothing more, so that a look which finds nothing new has seen all. It
  // keeps its number too.
  std::set<std::int64_t> others;
  bool more = true;
  for (int look = 0; more && look < kLooksMax; ++look) {
    more = false;
    for (const std::int64_t other : OthersOfSession(pid)) {
      if (others.contains(other) || !SignalOf(container_id, other, SIGSTOP)) continue;
      others.insert(other);
      more = true;
    }
  }
  // Children first, as a rule: one whose parent ends may be woken by the kernel (SIGHUP, SIGCONT).
  for (const std::int64_t other : others | std::views::reverse) {
    (void)SignalOf(container_id, other, SIGKILL);
  }
  return SignalOf(container_id, pid, SIGKILL);
}

std::vector<std::string> KillerCommand(const std::string& mark) {
  return {"/bin/sh", "-c",
          "for s in STOP STOP KILL; do"
          " for f in $(grep -ls \"$0\" /proc/[0-9]*/environ); do"
          " p=${f#/proc/}; kill -\"$s\" \"${p%/environ}\"; done; done; true",
          mark};
}

}  // namespace cube::engine::docker
