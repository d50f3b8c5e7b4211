// Programs that a benchmark starts beside itself, and what they use of the machine.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "shared/base/error.h"

namespace cube::bench {

// What a process has used since its start, and holds now.
struct Usage {
  double cpu_s = 0;       // of all its threads that live
  double main_cpu_s = 0;  // of its first thread: the loop of a service
  std::int64_t rss_bytes = 0;
  std::int64_t rss_anon_bytes = 0;
};
[[nodiscard]] Result<Usage> UsageOf(pid_t pid);
// The processes that it has started and that have not ended.
[[nodiscard]] std::vector<pid_t> ChildrenOf(pid_t pid);

class Child {
 public:
  // command[0] is a path. `log` takes what it prints; empty = our own streams. A tied one ends with
  // us, even when we are killed; being tied costs it an exec.
  [[nodiscard]] static Result<std::unique_ptr<Child>> Start(std::vector<std::string> command,
                                                            const std::string& log,
                                                            bool tied = true);
  ~Child();  // as Stop
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  // SIGTERM, and SIGKILL if it is still there after 10 s. Waits for the end.
  void Stop();
  // SIGKILL. Waits for the end.
  void Kill();

 private:
  explicit Child(pid_t pid) : pid_(pid) {}
  pid_t pid_;
};

// A folder below the system's temporary one, removed at the end.
class WorkDir {
 public:
  WorkDir();
  ~WorkDir();
  WorkDir(const WorkDir&) = delete;
  WorkDir& operator=(const WorkDir&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// The folder of this very program.
[[nodiscard]] std::string OwnFolder();
[[nodiscard]] std::string OwnPath();

}  // namespace cube::bench
