// Taking up launches of an earlier worker, and how launches end.
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <ctime>
#include <filesystem>

#include "services/worker/engine/process/launches.h"

namespace cube::engine::process {
namespace {

// A supervisor that the last worker had forked but that does not run its own program yet.
constexpr int kFindTries = 100;
constexpr long kFindPauseNs = 10'000'000;
constexpr std::size_t kErrorTextBytesMax = 300;

Result<StatusRecord> ReadStatus(const std::string& folder) {
  CUBE_TRY(const auto bytes, ReadFile(folder + '/' + kStatusFile, kSmallFileBytesMax));
  return DecodeStatus(bytes);
}

Result<PidRecord> ReadPid(const std::string& folder) {
  CUBE_TRY(const auto bytes, ReadFile(folder + '/' + kPidFile, kSmallFileBytesMax));
  return DecodePid(bytes);
}

// The first line of what the supervisor had to say.
std::string SupervisorsWords(const std::string& folder) {
  auto text = ReadFile(folder + '/' + kSuperviseErrorFile, kSmallFileBytesMax).value_or("");
  text.resize(std::min({text.size(), text.find('\n'), kErrorTextBytesMax}));
  return text.empty() ? "" : ": " + text;
}

ExitCause CauseOf(Phase phase) {
  switch (phase) {
    case Phase::kRunning:
      return ExitCause::kNone;
    case Phase::kExited:
      return ExitCause::kExited;
    case Phase::kSignaled:
      return ExitCause::kSignaled;
    case Phase::kOutOfMemory:
      return ExitCause::kOutOfMemory;
    case Phase::kStartFailed:
      return ExitCause::kStartFailed;
    case Phase::kVanished:
      return ExitCause::kVanished;
  }
  return ExitCause::kVanished;
}

// Groups named by a record are removed and what is in them is killed: only ours may be meant.
void KeepOwnGroups(LaunchRecord* record, const std::string& cgroup_root) {
  const std::string leaf = "/cube/" + record->owner.node.str() + '/' + record->owner.cluster + '.' +
                           FolderName(record->key);
  std::erase_if(record->control_groups, [&](const std::string& folder) {
    return !folder.starts_with(cgroup_root + '/') || !folder.ends_with(leaf) ||
           folder.find("/../") != std::string::npos;
  });
}

}  // namespace

void Launches::Adopt(const std::string& name) {
  Entry entry;
  entry.folder = launches_folder_ + '/' + name;
  const auto bytes = ReadFile(entry.folder + '/' + kLaunchFile, kSmallFileBytesMax);
  if (!bytes) return;
  auto record = DecodeRecord(*bytes);
  // Damaged, or somebody else's: left alone.
  if (!record || record->owner.cluster != owner_.cluster || record->owner.node != owner_.node ||
      FolderName(record->key) != name) {
    return;
  }
  entry.record = std::move(*record);
  KeepOwnGroups(&entry.record, options_.cgroup_root);
  entry.status.key = entry.record.key;
  entry.status.placement = entry.record.placement;
  const bool runs = AdoptRunning(entry);
  Entry& kept = entries_.insert_or_assign(entry.record.key, std::move(entry)).first->second;
  if (!runs) {
    Conclude(kept, "ended while no worker was watching", /*seen=*/false);
    return;
  }
  if (auto status = ReadStatus(kept.folder); status && status->phase != Phase::kStartFailed) {
    TakeRunning(kept, *status);
  }
}

// False if no supervisor holds the folder any more.
bool Launches::AdoptRunning(Entry& entry) {
  for (int i = 0; i < kFindTries; ++i) {
    const auto lock = TakeLock(entry.folder);
    if (lock || lock.error().code != Code::kConflict) return false;
    const auto pid = ReadPid(entry.folder);
    if (pid && pid->boot_id == boot_id_) {
      entry.supervisor = SupervisorHandle::Open(pid->supervisor.pid, pid->supervisor.start_ticks,
                                                options_.use_pidfd);
    } else if (const auto found = FindSupervisor(entry.folder)) {
      entry.supervisor = SupervisorHandle::Open(*found, std::nullopt, options_.use_pidfd);
    }
    if (entry.supervisor) {
      // Without this watch only news of its start would be missed; its end is seen all the same.
      (void)WatchFolder(entry, /*follow=*/false);
      if (!WatchSupervisor(entry)) entry.watch = 0;
      return true;
    }
    const timespec pause{0, kFindPauseNs};
    nanosleep(&pause, nullptr);
  }
  return false;
}

void Launches::TakeRunning(Entry& entry, const StatusRecord& status) {
  entry.status.state = LaunchState::kRunning;
  entry.status.started_at = status.started_at;
  entry.status.ports = entry.record.ports;
  const auto pid = ReadPid(entry.folder);
  entry.status.container_id = pid ? std::to_string(pid->command.pid) : "";
}

void Launches::StatusChanged(Entry& entry) {
  if (entry.status.state != LaunchState::kStarting) return;
  const auto status = ReadStatus(entry.folder);
  if (!status || status->phase == Phase::kStartFailed) return;
  TakeRunning(entry, *status);
  Emit(entry);
}

void Launches::SupervisorEnded(const LaunchKey& key) {
  Entry* entry = Find(key);
  if (entry == nullptr || !entry->supervisor) return;
  loop_.Unwatch(entry->watch);
  entry->watch = 0;
  const std::string how = entry->supervisor->Reap();
  entry->supervisor.reset();
  execs_.KillOf(key);
  StatusChanged(*entry);  // whatever has run was seen running
  Conclude(*entry, how.empty() ? "ended" : how, /*seen=*/true);
  if (entry->status.cause != ExitCause::kStartFailed) {
    Emit(*entry);
    PumpAll(key);
    return;
  }
  // Nothing is left behind; gone before it is told, so that a new try finds room.
  const LaunchStatus status = entry->status;
  EndStreams(key);
  RemoveFolder(entry->folder);
  Forget(key);
  sink_(Changed{status});
}

// The supervisor is dead: how did the launch end? `seen`: it has just happened.
void Launches::Conclude(Entry& entry, const std::string& how, bool seen) {
  const auto status = ReadStatus(entry.folder);
  if (!status || status->phase == Phase::kRunning) {
    ConcludeWithout(entry, how, seen);
  } else {
    if (status->phase != Phase::kStartFailed) TakeRunning(entry, *status);
    entry.status.cause = CauseOf(status->phase);
    const bool has_code = entry.status.cause == ExitCause::kStartFailed
                              ? status->value > 0
                              : entry.status.cause != ExitCause::kVanished;
    entry.status.exit_code = has_code ? status->value : -1;
    entry.status.detail = status->detail;
    entry.status.finished_at = status->finished_at;
    if (status->phase == Phase::kStartFailed) entry.status.failure = status->failure;
  }
  entry.status.state = LaunchState::kExited;
  RemoveGroups(entry.record.control_groups);
}

// It has left no last word.
void Launches::ConcludeWithout(Entry& entry, const std::string& how, bool seen) {
  const bool rebooted = entry.record.boot_id != boot_id_;
  const bool may_have_run = rebooted ||
                            access((entry.folder + '/' + kPidFile).c_str(), F_OK) == 0 ||
                            access((entry.folder + '/' + kStatusFile).c_str(), F_OK) == 0;
  if (may_have_run) KillLeftOver(entry, seen);
  StatusRecord status;
  const auto last = ReadStatus(entry.folder);
  if (last) status.started_at = last->started_at;
  status.phase = may_have_run ? Phase::kVanished : Phase::kStartFailed;
  status.failure = Code::kUnavailable;
  status.finished_at = WallNow();
  if (rebooted) {
    status.detail = "the machine was restarted";
  } else {
    status.detail = "its cube-supervise " + how + SupervisorsWords(entry.folder);
    if (may_have_run) status.detail += "; its processes were killed";
  }
  // Kept, so that the next worker says the same.
  (void)WriteFileAtomic(entry.folder + '/' + kStatusFile, EncodeStatus(status), 0600, true);
  if (last) TakeRunning(entry, status);
  entry.status.cause = CauseOf(status.phase);
  entry.status.exit_code = -1;
  entry.status.detail = status.detail;
  entry.status.finished_at = status.finished_at;
  if (!may_have_run) entry.status.failure = status.failure;
}

void Launches::KillLeftOver(const Entry& entry, bool seen) {
  if (entry.record.boot_id != boot_id_) return;
  KillGroups(entry.record.control_groups);
  const auto pid = ReadPid(entry.folder);
  if (!pid || pid->boot_id != boot_id_) return;
  KillSession(pid->supervisor, seen ? "" : "CUBE_TASK=" + entry.record.key.task.str());
}

// In two steps, so that half a folder is never taken for a launch.
bool Launches::RemoveFolder(const std::string& folder) {
  const auto slash = folder.rfind('/') + 1;
  std::string doomed = folder;
  if (folder.compare(slash, sizeof(kNewPrefix) - 1, kNewPrefix) != 0) {
    doomed = folder.substr(0, slash) + kNewPrefix + folder.substr(slash);
    std::error_code ignored;
    std::filesystem::remove_all(doomed, ignored);
    if (rename(folder.c_str(), doomed.c_str()) != 0) return errno == ENOENT;
  }
  std::error_code error;
  std::filesystem::remove_all(doomed, error);
  return !error;
}

}  // namespace cube::engine::process
