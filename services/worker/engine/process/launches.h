// The launches of one owner on this machine: starts, takes up, ends and removes them. All calls
// come on the event loop's thread; the sink is called there too.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "services/worker/engine/engine.h"
#include "services/worker/engine/process/control_groups.h"
#include "services/worker/engine/process/event_loop.h"
#include "services/worker/engine/process/execs.h"
#include "services/worker/engine/process/host_ports.h"
#include "services/worker/engine/process/launch_dir.h"
#include "services/worker/engine/process/launch_record.h"
#include "services/worker/engine/process/log_stream.h"
#include "services/worker/engine/process/process_engine.h"
#include "services/worker/engine/process/supervisor_handle.h"

namespace cube::engine::process {

class Launches {
 public:
  Launches(ProcessEngineOptions options, const Sink& sink, EventLoop& loop)
      : options_(std::move(options)), sink_(sink), loop_(loop), execs_(sink, loop) {}
  Launches(const Launches&) = delete;
  Launches& operator=(const Launches&) = delete;

  void Start(Owner owner);
  void Launch(LaunchRequest request);
  void Stop(const LaunchKey& key, const std::string& signal, Duration grace);
  void Remove(const LaunchKey& key, const std::string& save_output_to, std::size_t save_bytes);
  void List();
  void OpenLogs(std::uint64_t stream, const LaunchKey& key, LogOptions options);
  void LogCredit(std::uint64_t stream, std::size_t bytes);
  void CloseLogs(std::uint64_t stream);
  void Exec(std::uint64_t exec, const LaunchKey& key, const ExecRequest& request);
  void ExecCredit(std::uint64_t exec, std::size_t bytes) { execs_.Credit(exec, bytes); }
  void ExecInput(std::uint64_t exec, std::string_view bytes, bool last) {
    execs_.Input(exec, bytes, last);
  }
  void CancelExec(std::uint64_t exec) {
    execs_.Kill(exec, Error{Code::kAborted, "the command was ended", {}});
  }
  void Usage();  // launches_usage.cc

  // What has to be done without an event; how long the next wait may be, in ms.
  int Idle();

 private:
  struct Entry {
    LaunchRecord record;
    std::string folder;
    LaunchStatus status;
    std::optional<SupervisorHandle> supervisor;  // while it lives
    std::uint64_t watch = 0;                     // of its pidfd; 0 = none
    int folder_watch = -1;                       // inotify's number
  };
  struct Stream {
    LaunchKey key;
    LogStream reader;
  };

  // launches.cc
  Result<void> ComeUp();
  Result<void> OpenFolders();
  void EmitListed();
  void Emit(const Entry& entry) { sink_(Changed{entry.status}); }
  void FailStart(const LaunchRequest& request, const Error& error);
  Entry* Find(const LaunchKey& key);
  void Forget(const LaunchKey& key);
  [[nodiscard]] std::string FolderOf(const LaunchKey& key) const;
  void FolderEvents();
  void FolderChanged(int folder_watch, const std::string& name);

  // launches_start.cc
  Result<void> TryLaunch(const LaunchRequest& request);
  Result<void> ClearTheWay(const std::string& folder);
  Result<void> MakeFolder(const LaunchRecord& record, const Command& command,
                          const std::string& folder);
  Result<void> Spawn(Entry& entry);
  [[nodiscard]] TakenPorts PortsInUse() const;
  Result<void> WatchFolder(Entry& entry, bool follow);
  Result<void> WatchSupervisor(Entry& entry);

  // launches_end.cc
  void Adopt(const std::string& name);
  bool AdoptRunning(Entry& entry);
  void TakeRunning(Entry& entry, const StatusRecord& status);
  void StatusChanged(Entry& entry);
  void SupervisorEnded(const LaunchKey& key);
  void Conclude(Entry& entry, const std::string& how, bool seen);
  void ConcludeWithout(Entry& entry, const std::string& how, bool seen);
  void KillLeftOver(const Entry& entry, bool seen);
  bool RemoveFolder(const std::string& folder);

  // launches_logs.cc
  void Pump(std::uint64_t stream);
  void PumpAll(const LaunchKey& key);
  void EndStreams(const LaunchKey& key);
  void EndStream(std::uint64_t stream, std::optional<Error> error);
  void Follow(const LaunchKey& key);
  Result<void> SaveOutput(const Entry& entry, const std::string& path, std::size_t bytes_max);

  // launches_exec.cc
  Result<void> TryExec(std::uint64_t exec, const LaunchKey& key, const ExecRequest& request);

  ProcessEngineOptions options_;
  const Sink& sink_;
  EventLoop& loop_;
  Owner owner_;
  bool up_ = false;
  std::string launches_folder_;
  std::string boot_id_;
  std::optional<ControlGroups> groups_;
  Fd inotify_;
  std::uint64_t inotify_watch_ = 0;
  std::map<LaunchKey, Entry> entries_;
  std::map<int, LaunchKey> by_folder_watch_;
  std::vector<LaunchRequest> waiting_;  // while the engine is down
  std::map<std::uint64_t, Stream> streams_;
  std::set<std::uint64_t> busy_streams_;  // more can be sent at once
  Execs execs_;
};

}  // namespace cube::engine::process
