// Engine `process`: a launch is a plain process of this machine, run by a supervisor of its own
// (cube-supervise) that outlives the worker. What is running, how it ended and what it printed are
// in files (launch_dir.h), so a new engine on the same folder takes everything up.
//
// One thread waits, without polling, for calls (eventfd), supervisors' ends (pidfd) and changes of
// files (inotify). The folder belongs to one engine at a time: the worker holds a lock on its
// state. Engines of other owners (cluster, node) may have used the folder before; their launches
// are left alone.
//
// What a spec means here: `entrypoint` and `command` are run as one argument list, in `workdir`
// (else
// "/"), as `user` (root only), with the environment of launch_plan.h, without new privileges.
// `image` is refused. Memory and cpu limits need writable control groups (control_groups.h); Up
// says whether. A command has ended when its first process has; whatever that leaves behind is
// killed.
#pragma once

#include <memory>
#include <string>

#include "services/worker/engine/engine.h"

namespace cube::engine {

struct ProcessEngineOptions {
  std::string state_dir;       // "launches/" is made in it
  std::string supervise_path;  // the cube-supervise to start; empty = beside this executable
  std::string cgroup_root = "/sys/fs/cgroup";
  bool use_pidfd = true;  // false: look once a second, as on kernels before 5.3
};

class ProcessEngine : public Engine {
 public:
  ProcessEngine(ProcessEngineOptions options, Sink sink);
  // Launches go on.
  ~ProcessEngine() override;
  ProcessEngine(const ProcessEngine&) = delete;
  ProcessEngine& operator=(const ProcessEngine&) = delete;

  [[nodiscard]] std::string Kind() const override { return "process"; }
  void Start(Owner owner) override;
  void Launch(LaunchRequest request) override;
  void Stop(LaunchKey key, std::string signal, Duration grace) override;
  void Remove(LaunchKey key, std::string save_output_to, std::size_t save_bytes) override;
  void List() override;
  void OpenLogs(std::uint64_t stream, LaunchKey key, LogOptions options) override;
  void LogCredit(std::uint64_t stream, std::size_t bytes) override;
  void CloseLogs(std::uint64_t stream) override;
  void Exec(std::uint64_t exec, LaunchKey key, ExecRequest request) override;
  void ExecCredit(std::uint64_t exec, std::size_t bytes) override;
  void ExecInput(std::uint64_t exec, std::string bytes, bool last) override;
  void CancelExec(std::uint64_t exec) override;
  void Usage() override;

 private:
  class Thread;
  std::unique_ptr<Thread> thread_;
};

}  // namespace cube::engine
