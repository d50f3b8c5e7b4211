// Starting a launch: checks, folder, supervisor.
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "services/worker/engine/process/host_user.h"
#include "services/worker/engine/process/launch_plan.h"
#include "services/worker/engine/process/launches.h"

namespace cube::engine::process {
namespace {

Result<void> CheckWorkdir(const std::string& workdir) {
  if (workdir.empty()) return {};
  struct stat found{};
  if (stat(workdir.c_str(), &found) == 0 && S_ISDIR(found.st_mode)) return {};
  return Fail(Code::kNotFound, workdir + " is not a folder of this node", "workdir");
}

}  // namespace

TakenPorts Launches::PortsInUse() const {
  TakenPorts taken;
  for (const auto& [key, entry] : entries_) {
    if (entry.status.state == LaunchState::kExited) continue;
    for (const auto& port : entry.record.ports) taken.emplace(port.protocol, port.host_port);
  }
  return taken;
}

Result<void> Launches::TryLaunch(const LaunchRequest& request) {
  const TaskSpec& spec = *request.spec;
  CUBE_TRY_VOID(CheckSpec(spec));
  CUBE_TRY_VOID(CheckWorkdir(spec.workdir));
  CUBE_TRY(const auto user, ResolveUser(spec.user));
  const std::string folder = FolderOf(request.key);
  CUBE_TRY_VOID(ClearTheWay(folder));
  Entry entry;
  entry.folder = folder;
  LaunchRecord& record = entry.record;
  record.owner = owner_;
  record.key = request.key;
  record.placement = request.placement;
  record.boot_id = boot_id_;
  record.arguments = Arguments(spec);
  CUBE_TRY(record.ports, ChoosePorts(spec.ports, PortsInUse()));

  Command command;
  command.arguments = record.arguments;
  command.environment = Environment(spec, request.key, owner_.node, record.ports, user.home);
  command.workdir = spec.workdir;
  command.identity = user.identity;
  if (groups_) {
    CUBE_TRY(auto group,
             groups_->Make(owner_.cluster + '.' + FolderName(request.key), spec.resources));
    record.control_groups = std::move(group.folders);
    command.join = std::move(group.join);
    command.kill_file = std::move(group.kill_file);
    command.oom_file = std::move(group.oom_file);
  }
  entry.status.key = request.key;
  entry.status.placement = request.placement;
  auto started = MakeFolder(record, command, folder);
  if (started) started = WatchFolder(entry, /*follow=*/false);
  if (started) started = Spawn(entry);
  if (!started) {
    RemoveGroups(record.control_groups);
    if (entry.folder_watch >= 0) by_folder_watch_.erase(entry.folder_watch);
    RemoveFolder(folder);
    return started;
  }
  const Entry& kept = entries_.emplace(request.key, std::move(entry)).first->second;
  Emit(kept);
  return {};
}

// A folder of that name that this engine does not know is somebody else's launch, or what a power
// cut has left of one of ours.
Result<void> Launches::ClearTheWay(const std::string& folder) {
  if (access(folder.c_str(), F_OK) != 0) return {};
  const auto bytes = ReadFile(folder + '/' + kLaunchFile, kSmallFileBytesMax);
  const bool known = bytes && DecodeRecord(*bytes);
  if (!known && TakeLock(folder) && RemoveFolder(folder)) return {};
  return Fail(Code::kConflict, "the folder " + folder + " of another launch is in the way");
}

// Under its final name only when it is complete.
Result<void> Launches::MakeFolder(const LaunchRecord& record, const Command& command,
                                  const std::string& folder) {
  const std::string fresh = launches_folder_ + '/' + kNewPrefix + FolderName(record.key);
  RemoveFolder(fresh);
  if (mkdir(fresh.c_str(), 0700) != 0) return SystemFailure("making " + fresh, errno);
  CUBE_TRY_VOID(WriteFileAtomic(fresh + '/' + kCommandFile, EncodeCommand(command), 0600, false));
  CUBE_TRY_VOID(WriteFileAtomic(fresh + '/' + kLaunchFile, EncodeRecord(record), 0600, false));
  if (rename(fresh.c_str(), folder.c_str()) != 0) {
    return SystemFailure("renaming to " + folder, errno);
  }
  return {};
}

Result<void> Launches::Spawn(Entry& entry) {
  CUBE_TRY(const auto lock, TakeLock(entry.folder));
  CUBE_TRY(const auto pid, SpawnSupervisor(options_.supervise_path, entry.folder, lock));
  entry.supervisor = SupervisorHandle::OfChild(pid, options_.use_pidfd);
  return WatchSupervisor(entry);
}

Result<void> Launches::WatchFolder(Entry& entry, bool follow) {
  // Changes of the output are told only while somebody follows it: it may be written a lot.
  const std::uint32_t mask = follow ? IN_MOVED_TO | IN_CREATE | IN_MODIFY : IN_MOVED_TO;
  const int watch = inotify_add_watch(inotify_.get(), entry.folder.c_str(), mask | IN_ONLYDIR);
  if (watch < 0) {
    return SystemFailure("watching " + entry.folder + " (fs.inotify.max_user_watches)", errno);
  }
  entry.folder_watch = watch;
  by_folder_watch_[watch] = entry.record.key;
  return {};
}

// Without a pidfd there is nothing to watch: Idle() looks.
Result<void> Launches::WatchSupervisor(Entry& entry) {
  if (entry.supervisor->fd() < 0) return {};
  CUBE_TRY(entry.watch, loop_.Watch(entry.supervisor->fd(),
                                    [this, key = entry.record.key] { SupervisorEnded(key); }));
  return {};
}

}  // namespace cube::engine::process
