#include "services/worker/engine/probe/exec_prober.h"

#include <fmt/format.h>

#include <utility>

#include "shared/base/check.h"

namespace cube::engine {
namespace {

// A check's output is not kept but for its end, so it may be as long as it likes.
constexpr std::size_t kCredit = std::size_t{1} << 40;
// Of the output, in the sentence on why a check failed.
constexpr std::size_t kOutputMax = 128;
// What a command that ends with its launch has as its exit code. One that ran out of its time ends
// with an error instead.
constexpr std::int32_t kExitKilled = 137;
static_assert(kOutputMax < kProbeDetailMax);

std::string LastLine(std::string_view output) {
  while (!output.empty() && (output.back() == '\n' || output.back() == '\r')) {
    output.remove_suffix(1);
  }
  const std::size_t start = output.rfind('\n');
  return std::string(start == std::string_view::npos ? output : output.substr(start + 1));
}

// Whether the error is about the command and not about its surroundings.
bool IsOfTheCommand(Code code) {
  return code == Code::kTimedOut || code == Code::kInvalid || code == Code::kUnsupported;
}

}  // namespace

void ExecProber::Start(ProbeRequest request) {
  CUBE_CHECK(engine_ != nullptr);
  ExecRequest exec;
  exec.command = request.command;
  exec.timeout = request.timeout;
  const std::uint64_t number = kExecOfProbe | request.id;
  LaunchKey key = request.key;
  {
    const std::lock_guard lock(mutex_);
    running_[number] = {std::move(request), {}};
  }
  engine_->Exec(number, std::move(key), std::move(exec));
  engine_->ExecCredit(number, kCredit);
}

bool ExecProber::Take(const Event& event) {
  if (const auto* output = std::get_if<ExecOutput>(&event)) {
    if ((output->exec & kExecOfProbe) == 0) return false;
    const std::lock_guard lock(mutex_);
    const auto found = running_.find(output->exec);
    if (found == running_.end()) return true;
    std::string& end = found->second.output;
    end += output->bytes;
    if (end.size() > kOutputMax) end.erase(0, end.size() - kOutputMax);
    return true;
  }
  if (const auto* took = std::get_if<ExecTook>(&event)) return (took->exec & kExecOfProbe) != 0;
  const auto* ended = std::get_if<ExecEnded>(&event);
  if (ended == nullptr || (ended->exec & kExecOfProbe) == 0) return false;
  End(*ended);
  return true;
}

void ExecProber::End(const ExecEnded& ended) {
  Running running;
  {
    const std::lock_guard lock(mutex_);
    auto node = running_.extract(ended.exec);
    if (node.empty()) return;
    running = std::move(node.mapped());
  }
  ProbeResult result;
  result.id = running.request.id;
  result.key = running.request.key;
  if (!ended.error && ended.exit_code == 0) {
    result.outcome = ProbeResult::Outcome::kPassed;
    return sink_(std::move(result));
  }
  if (!ended.error && ended.exit_code == kExitKilled) {
    result.outcome = ProbeResult::Outcome::kUnknown;
    result.detail = "command: it was killed";
    return sink_(std::move(result));
  }
  if (!ended.error) {
    result.outcome = ProbeResult::Outcome::kFailed;
    result.detail = fmt::format("command: exit code {}", ended.exit_code);
    const std::string line = LastLine(running.output);
    if (!line.empty()) result.detail += ": " + line;
    return sink_(std::move(result));
  }
  result.outcome = IsOfTheCommand(ended.error->code) ? ProbeResult::Outcome::kFailed
                                                     : ProbeResult::Outcome::kUnknown;
  result.detail = ended.error->code == Code::kTimedOut
                      ? "command: not over within " + FormatDuration(running.request.timeout)
                      : "command: " + ended.error->message;
  if (result.detail.size() > kProbeDetailMax) result.detail.resize(kProbeDetailMax);
  sink_(std::move(result));
}

}  // namespace cube::engine
