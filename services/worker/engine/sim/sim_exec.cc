// Commands inside simulated launches.
#include <algorithm>
#include <charconv>
#include <utility>

#include "services/worker/engine/sim/sim_engine.h"

namespace cube::engine {
namespace {

constexpr std::int32_t kExitKilled = 137;
constexpr std::int32_t kExitNoSuchProgram = 127;

std::int32_t NumberOf(const std::string& text) {
  std::int32_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

}  // namespace

SimExec ExecFromCommand(const TaskSpec& spec, const ExecRequest& request) {
  SimExec what;
  if (const auto code = spec.labels.find("sim.exec"); code != spec.labels.end()) {
    what.exit_code = NumberOf(code->second);
    return what;
  }
  const auto word = [&](std::size_t i) {
    return i < request.command.size() ? request.command[i] : std::string();
  };
  const std::string program = word(0);
  if (program == "say") {
    what.out = word(1);
    what.err = word(2);
    what.exit_code = NumberOf(word(3));
  } else if (program == "exit") {
    what.exit_code = NumberOf(word(1));
  } else if (program == "cat") {
    what.copies_input = request.input;
  } else if (program == "sleep") {
    const auto time = ParseDuration(word(1));
    what.run = time ? std::optional(*time) : std::nullopt;
  } else if (program == "print-env") {
    const auto added = request.env.find(word(1));
    const auto own = spec.env.find(word(1));
    if (own != spec.env.end()) what.out = own->second;
    if (added != request.env.end()) what.out = added->second;
    what.out += '\n';
  } else {
    what.err = "sim: " + program + ": not found\n";
    what.exit_code = kExitNoSuchProgram;
  }
  return what;
}

void SimEngine::Exec(std::uint64_t exec, LaunchKey key, ExecRequest request) {
  Soon([this, exec, key = std::move(key), request = std::move(request)] {
    DoExec(exec, key, request);
  });
}

void SimEngine::DoExec(std::uint64_t exec, const LaunchKey& key, const ExecRequest& request) {
  const auto refuse = [&](Error error) { sink_(ExecEnded{exec, -1, std::move(error)}); };
  if (execs_.contains(exec)) return;
  if (!up_) return refuse(NotUp());
  const auto container = Find(key);
  if (container == nullptr && !pulling_.contains(key))
    return refuse({Code::kNotFound, "the engine has no such launch", {}});
  if (container == nullptr || container->status.state != LaunchState::kRunning)
    return refuse({Code::kPrecondition, "the launch does not run", {}});
  if (execs_.size() >= kExecsMax)
    return refuse({Code::kResource, "too many commands are being run", {}});
  Execution& state = execs_[exec];
  state.key = key;
  state.what = machine_->options_.exec(*container->spec, request);
  if (!state.what.copies_input && state.what.run)
    machine_->After(*state.what.run, [this, alive = alive_, exec] {
      if (*alive) FinishExec(exec);
    });
  if (request.timeout > Duration{0})
    machine_->After(request.timeout, [this, alive = alive_, exec] {
      if (*alive) EndExec(exec, Error{Code::kTimedOut, "the command took too long", {}});
    });
}

void SimEngine::ExecCredit(std::uint64_t exec, std::size_t bytes) {
  Soon([this, exec, bytes] {
    const auto it = execs_.find(exec);
    if (it == execs_.end()) return;
    it->second.credit += std::min(bytes, std::size_t{1} << 40);
    FlowExec(exec);
  });
}

void SimEngine::ExecInput(std::uint64_t exec, std::string bytes, bool last) {
  Soon([this, exec, bytes = std::move(bytes), last] {
    const auto it = execs_.find(exec);
    if (it == execs_.end()) return;
    if (it->second.what.copies_input) it->second.what.out += bytes;
    if (!bytes.empty()) sink_(ExecTook{exec, bytes.size()});
    if (last && it->second.what.copies_input) return FinishExec(exec);
    FlowExec(exec);
  });
}

void SimEngine::CancelExec(std::uint64_t exec) {
  Soon([this, exec] { EndExec(exec, Error{Code::kAborted, "the command was ended", {}}); });
}

void SimEngine::FlowExec(std::uint64_t exec) {
  Execution& state = execs_.at(exec);
  for (const bool is_stderr : {false, true}) {
    std::string& text = is_stderr ? state.what.err : state.what.out;
    while (!text.empty() && state.credit > 0) {
      const std::size_t count = std::min({text.size(), state.credit, kLogChunkBytesMax});
      state.credit -= count;
      ExecOutput piece{exec, is_stderr, text.substr(0, count)};
      text.erase(0, count);
      sink_(std::move(piece));
    }
  }
  if (state.over && state.what.out.empty() && state.what.err.empty())
    EndExec(exec, std::nullopt, state.what.exit_code);
}

void SimEngine::FinishExec(std::uint64_t exec) {
  const auto it = execs_.find(exec);
  if (it == execs_.end()) return;
  it->second.over = true;
  FlowExec(exec);
}

void SimEngine::EndExec(std::uint64_t exec, std::optional<Error> error, std::int32_t exit_code) {
  if (execs_.erase(exec) != 0) sink_(ExecEnded{exec, exit_code, std::move(error)});
}

void SimEngine::EndExecsOf(const LaunchKey& key) {
  std::vector<std::uint64_t> ended;
  for (auto& [exec, state] : execs_) {
    if (state.key != key || state.over) continue;
    state.what.exit_code = kExitKilled;
    ended.push_back(exec);
  }
  for (const std::uint64_t exec : ended) FinishExec(exec);
}

}  // namespace cube::engine
