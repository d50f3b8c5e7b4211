// Commands beside launches: which launch, and with what of it.
#include <fmt/format.h>
#include <unistd.h>

#include "services/worker/engine/process/host_user.h"
#include "services/worker/engine/process/launch_plan.h"
#include "services/worker/engine/process/launches.h"

namespace cube::engine::process {

void Launches::Exec(std::uint64_t exec, const LaunchKey& key, const ExecRequest& request) {
  if (execs_.Has(exec)) return;
  if (auto started = TryExec(exec, key, request); !started)
    sink_(ExecEnded{exec, -1, std::move(started).error()});
}

Result<void> Launches::TryExec(std::uint64_t exec, const LaunchKey& key,
                               const ExecRequest& request) {
  const Entry* entry = Find(key);
  if (entry == nullptr)
    return Fail(Code::kNotFound, "exec: no launch " + FolderName(key) + " here");
  if (entry->status.state != LaunchState::kRunning)
    return Fail(Code::kPrecondition, "exec: " + FolderName(key) + " does not run");
  if (execs_.size() >= kExecsMax)
    return Fail(Code::kResource,
                fmt::format("{} commands are being run, which is the limit", kExecsMax));
  CUBE_TRY(const auto bytes, ReadFile(entry->folder + '/' + kCommandFile, kSmallFileBytesMax));
  CUBE_TRY(auto command, DecodeCommand(bytes));
  CUBE_TRY_VOID(ApplyExec(request, command));
  if (!request.user.empty()) {
    CUBE_TRY(const auto user, ResolveUser(request.user));
    const Command::Identity self{.uid = geteuid(), .gid = getegid(), .groups = {}};
    const Command::Identity& launch = command.identity ? *command.identity : self;
    const Command::Identity& asked = user.identity ? *user.identity : self;
    // There is no container around a process: another user would have more rights than the task.
    if (asked.uid != launch.uid || asked.gid != launch.gid)
      return Fail(Code::kPermission,
                  "beside a process a command runs as the user of its task; leave it out", "user");
  }
  return execs_.Start(exec, key, options_.supervise_path, command, request.input, request.timeout);
}

}  // namespace cube::engine::process
