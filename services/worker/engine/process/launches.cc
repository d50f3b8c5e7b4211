#include "services/worker/engine/process/launches.h"

#include <dirent.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <filesystem>
#include <memory>

#include "services/worker/engine/process/launch_plan.h"

namespace cube::engine::process {
namespace {

// Where the kernel has no pidfd.
constexpr int kLookAgainMs = 1000;

std::vector<std::string> NamesIn(const std::string& path) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(opendir(path.c_str()), closedir);
  if (!folder) return names;
  while (const dirent* entry = readdir(folder.get())) names.emplace_back(entry->d_name);
  return names;
}

}  // namespace

void Launches::Start(Owner owner) {
  owner_ = std::move(owner);
  if (auto up = ComeUp(); !up) sink_(Down{up.error().Text()});
}

Result<void> Launches::OpenFolders() {
  launches_folder_ = options_.state_dir + '/' + kLaunchesFolder;
  if (options_.supervise_path.empty()) options_.supervise_path = DefaultSupervisePath();
  if (access(options_.supervise_path.c_str(), X_OK) != 0) {
    return SystemFailure("the process engine needs " + options_.supervise_path, errno);
  }
  std::error_code error;
  std::filesystem::create_directories(options_.state_dir, error);
  if (mkdir(launches_folder_.c_str(), 0700) != 0 && errno != EEXIST) {
    return SystemFailure("making " + launches_folder_, errno);
  }
  if (access(launches_folder_.c_str(), R_OK | W_OK | X_OK) != 0) {
    return SystemFailure("using " + launches_folder_, errno);
  }
  // Supervisors have another current folder, and are found by this text.
  const auto absolute = std::filesystem::canonical(launches_folder_, error);
  if (error) return Fail(Code::kInternal, launches_folder_ + ": " + error.message());
  launches_folder_ = absolute.string();
  return {};
}

Result<void> Launches::ComeUp() {
  CUBE_TRY_VOID(OpenFolders());
  boot_id_ = BootId();
  if (!inotify_.valid()) {
    inotify_ = Fd(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    if (!inotify_.valid()) return SystemFailure("watching files (inotify)", errno);
    CUBE_TRY(inotify_watch_, loop_.Watch(inotify_.get(), [this] { FolderEvents(); }));
  }
  groups_ = ControlGroups::Open(options_.cgroup_root, owner_.node.str());
  std::vector<std::string> kept_groups;
  for (const auto& name : NamesIn(launches_folder_)) {
    if (name.starts_with(kNewPrefix)) {
      RemoveFolder(launches_folder_ + '/' + name);  // a launch or a removal was cut short
    } else if (!name.starts_with('.')) {
      Adopt(name);
    }
  }
  for (const auto& [key, entry] : entries_) {
    const auto& folders = entry.record.control_groups;
    kept_groups.insert(kept_groups.end(), folders.begin(), folders.end());
  }
  if (groups_) groups_->Sweep(owner_.cluster + '.', kept_groups);
  up_ = true;
  std::string limits = "none";
  if (groups_) limits = "control groups, version " + std::to_string(groups_->version());
  sink_(Up{"process (limits: " + limits + ")", groups_.has_value()});
  EmitListed();
  std::vector<LaunchRequest> waiting;
  waiting.swap(waiting_);
  for (auto& request : waiting) Launch(std::move(request));
  return {};
}

void Launches::EmitListed() {
  Listed listed;
  listed.launches.reserve(entries_.size());
  for (const auto& [key, entry] : entries_) listed.launches.push_back(entry.status);
  sink_(std::move(listed));
}

void Launches::List() {
  if (up_) return EmitListed();
  if (auto up = ComeUp(); !up) sink_(Down{up.error().Text()});
}

Launches::Entry* Launches::Find(const LaunchKey& key) {
  const auto it = entries_.find(key);
  return it == entries_.end() ? nullptr : &it->second;
}

std::string Launches::FolderOf(const LaunchKey& key) const {
  return launches_folder_ + '/' + FolderName(key);
}

void Launches::FailStart(const LaunchRequest& request, const Error& error) {
  LaunchStatus status;
  status.key = request.key;
  status.placement = request.placement;
  status.state = LaunchState::kExited;
  status.cause = ExitCause::kStartFailed;
  status.exit_code = -1;
  status.detail = error.Text();
  status.failure = error.code;
  status.finished_at = WallNow();
  sink_(Changed{std::move(status)});
}

void Launches::Launch(LaunchRequest request) {
  if (!up_) {
    waiting_.push_back(std::move(request));
    return;
  }
  if (const Entry* entry = Find(request.key)) return Emit(*entry);
  if (auto launched = TryLaunch(request); !launched) FailStart(request, launched.error());
}

void Launches::Stop(const LaunchKey& key, const std::string& signal, Duration grace) {
  const auto waits = std::find_if(waiting_.begin(), waiting_.end(),
                                  [&](const LaunchRequest& r) { return r.key == key; });
  if (waits != waiting_.end()) {
    FailStart(*waits, Error{Code::kAborted, "it was stopped before it ran", {}});
    std::erase_if(waiting_, [&](const LaunchRequest& r) { return r.key == key; });
    return;
  }
  const Entry* entry = Find(key);
  if (entry == nullptr) {
    sink_(
        OpFailed{key, Error{Code::kNotFound, "stop: no launch " + FolderName(key) + " here", {}}});
    return;
  }
  if (entry->status.state == LaunchState::kExited) return Emit(*entry);
  const auto number = SignalNumber(signal);
  if (!number) {
    sink_(OpFailed{key, number.error()});
    return;
  }
  const auto grace_ms = std::chrono::ceil<std::chrono::milliseconds>(grace).count();
  const StopRequest request{*number, grace_ms < 0 ? 0 : static_cast<std::uint64_t>(grace_ms)};
  auto stopped = entry->supervisor->Stop(request);
  // One that has ended meanwhile says so through its watch.
  if (!stopped && stopped.error().code != Code::kNotFound) {
    sink_(OpFailed{key, stopped.error()});
  }
}

void Launches::Remove(const LaunchKey& key, const std::string& save_output_to,
                      std::size_t save_bytes) {
  Entry* entry = Find(key);
  if (entry == nullptr) {
    sink_(Removed{key});
    return;
  }
  if (entry->status.state != LaunchState::kExited) {
    sink_(OpFailed{key, Error{Code::kPrecondition,
                              "remove: " + FolderName(key) + " has not ended; stop it first",
                              {}}});
    return;
  }
  if (!save_output_to.empty()) {
    if (auto saved = SaveOutput(*entry, save_output_to, save_bytes); !saved) {
      sink_(OpFailed{key, saved.error()});
      return;
    }
  }
  EndStreams(key);
  RemoveGroups(entry->record.control_groups);
  if (!RemoveFolder(entry->folder)) {
    sink_(OpFailed{key, Error{Code::kUnavailable, "remove: cannot delete " + entry->folder, {}}});
    return;
  }
  Forget(key);
  sink_(Removed{key});
}

void Launches::Forget(const LaunchKey& key) {
  Entry* entry = Find(key);
  if (entry == nullptr) return;
  loop_.Unwatch(entry->watch);
  if (entry->folder_watch >= 0) {
    inotify_rm_watch(inotify_.get(), entry->folder_watch);  // fails if the folder is gone: fine
    by_folder_watch_.erase(entry->folder_watch);
  }
  entries_.erase(key);
}

void Launches::FolderEvents() {
  alignas(inotify_event) std::array<char, 64u << 10> buffer{};
  while (true) {
    const auto got = read(inotify_.get(), buffer.data(), buffer.size());
    if (got <= 0) return;
    const char* at = buffer.data();
    const char* const end = at + got;
    while (at < end) {
      const auto* event = reinterpret_cast<const inotify_event*>(at);
      at += sizeof(inotify_event) + event->len;
      if ((event->mask & IN_Q_OVERFLOW) != 0) {
        // Events were lost: look at everything.
        const auto watches = by_folder_watch_;
        for (const auto& [watch, key] : watches) {
          FolderChanged(watch, kStatusFile);
          FolderChanged(watch, kOutputFile);
        }
      } else if (event->len > 0) {
        FolderChanged(event->wd, event->name);
      }
    }
  }
}

void Launches::FolderChanged(int folder_watch, const std::string& name) {
  const auto it = by_folder_watch_.find(folder_watch);
  if (it == by_folder_watch_.end()) return;
  Entry* entry = Find(it->second);
  if (entry == nullptr) return;
  if (name == kStatusFile) StatusChanged(*entry);
  if (name == kOutputFile) PumpAll(it->second);
}

int Launches::Idle() {
  const auto busy = busy_streams_;
  for (const auto stream : busy) Pump(stream);
  std::vector<LaunchKey> ended;
  bool look_again = false;
  for (const auto& [key, entry] : entries_) {
    if (!entry.supervisor || entry.watch != 0) continue;
    look_again = true;
    if (entry.supervisor->Ended()) ended.push_back(key);
  }
  for (const auto& key : ended) SupervisorEnded(key);
  const int exec_ms = execs_.Idle();
  if (!busy_streams_.empty()) return 0;
  if (!look_again) return exec_ms;
  return exec_ms < 0 ? kLookAgainMs : std::min(exec_ms, kLookAgainMs);
}

}  // namespace cube::engine::process
