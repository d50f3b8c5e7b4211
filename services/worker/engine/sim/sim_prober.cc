#include "services/worker/engine/sim/sim_prober.h"

#include <utility>

namespace cube::engine {
namespace {

std::string What(const ProbeRequest& request) {
  switch (request.kind) {
    case HealthCheck::Kind::kHttp:
      return "GET " + request.path + ": ";
    case HealthCheck::Kind::kTcp:
      return "tcp port " + std::to_string(request.port) + ": ";
    case HealthCheck::Kind::kCommand:
      break;
  }
  return "command: ";
}

}  // namespace

void SimProber::Start(ProbeRequest request) {
  const SimMachine::Answering answering = machine_->AnswerOf(request.key);
  const bool late = answering.after > request.timeout;
  machine_->Later(late ? request.timeout : answering.after, [this, alive = alive_,
                                                             request = std::move(request), late] {
    if (!*alive) return;
    const SimMachine::Answering now = machine_->AnswerOf(request.key);
    ProbeResult result;
    result.id = request.id;
    result.key = request.key;
    const bool passed = now.serves && !late;
    result.outcome = passed ? ProbeResult::Outcome::kPassed : ProbeResult::Outcome::kFailed;
    if (late) {
      result.detail = What(request) + "no answer within " + FormatDuration(request.timeout);
    } else if (!passed) {
      result.detail = What(request) + now.says;
    }
    sink_(std::move(result));
  });
}

}  // namespace cube::engine
