// Commands beside launches: which launch, and with what of it.
#include <fmt/format.h>

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
    CUBE_TRY(auto user, ResolveUser(request.user));
    command.identity = std::move(user.identity);
  }
  return execs_.Start(exec, key, options_.supervise_path, command, request.input, request.timeout);
}

}  // namespace cube::engine::process
