// Commands inside launches.
#include <fmt/format.h>

#include <utility>

#include "services/worker/engine/docker/core.h"

namespace cube::engine::docker {

void Core::Exec(std::uint64_t exec, const LaunchKey& key, ExecRequest request) {
  const auto refuse = [&](Error error) { Emit(ExecEnded{exec, -1, std::move(error)}); };
  if (execs_.contains(exec)) return;  // its number is in use: a mistake of the caller
  if (!session_.up() || !listed_) return refuse(session_.NotUp());
  const Entry* entry = Find(key);
  if (entry == nullptr) return refuse({Code::kNotFound, "the engine has no such launch", {}});
  if (entry->launching || entry->status.state != LaunchState::kRunning)
    return refuse({Code::kPrecondition, "the launch does not run", {}});
  if (execs_.size() >= kExecsMax)
    return refuse({Code::kResource,
                   fmt::format("{} commands are being run, which is the limit", kExecsMax),
                   {}});
  ExecStream::Handlers handlers;
  handlers.on_output = [this, exec](bool is_stderr, std::string bytes) {
    Emit(ExecOutput{exec, is_stderr, std::move(bytes)});
  };
  handlers.on_took = [this, exec](std::size_t bytes) { Emit(ExecTook{exec, bytes}); };
  handlers.on_end = [this, exec](std::int32_t exit_code, std::optional<Error> error) {
    EndExec(exec, exit_code, std::move(error));
  };
  ExecStream& stream =
      *(execs_[exec] = std::make_unique<ExecStream>(loop_, session_, entry->status.container_id,
                                                    std::move(request), std::move(handlers)));
  stream.Begin();
}

ExecStream* Core::FindExec(std::uint64_t exec) const {
  const auto it = execs_.find(exec);
  return it == execs_.end() ? nullptr : it->second.get();
}

void Core::ExecCredit(std::uint64_t exec, std::size_t bytes) {
  if (ExecStream* stream = FindExec(exec)) stream->Credit(bytes);
}

void Core::ExecInput(std::uint64_t exec, std::string_view bytes, bool last) {
  if (ExecStream* stream = FindExec(exec)) stream->Input(bytes, last);
}

void Core::CancelExec(std::uint64_t exec) {
  if (ExecStream* stream = FindExec(exec))
    stream->Kill({Code::kAborted, "the command was ended", {}});
}

void Core::EndExec(std::uint64_t exec, std::int32_t exit_code, std::optional<Error> error) {
  auto node = execs_.extract(exec);
  if (node.empty()) return;
  retired_execs_.push_back(std::move(node.mapped()));
  loop_.Post([this] { retired_execs_.clear(); });
  Emit(ExecEnded{exec, exit_code, std::move(error)});
}

void Core::EndExecs(const Error& error) {
  while (!execs_.empty()) EndExec(execs_.begin()->first, -1, error);
}

}  // namespace cube::engine::docker
