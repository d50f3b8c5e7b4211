#include "services/cli/exec_end.h"

#include "services/cli/exit_code.h"

namespace cube::cli {
namespace {

// How a command ends that has been started; the others say that it was not.
bool EndsWhatRan(Code code) {
  return code == Code::kAborted || code == Code::kTimedOut || code == Code::kDataLoss;
}

}  // namespace

ExecEnd ConcludeExec(const ExecSeen& seen) {
  if (seen.interrupted) {
    std::string text = "interrupted; ";
    if (seen.failure) {
      text += seen.failure->Text();
    } else {
      text += seen.ended ? "the command has ended"
                         : "it is not known whether the command has ended: its worker did not say";
    }
    return {kExitInterrupted, std::move(text)};
  }
  if (seen.output_gone) return {kExitOutputGone, {}};
  if (!seen.failure) return {seen.exit_code, {}};
  const Error& failure = *seen.failure;
  if (seen.begun && EndsWhatRan(failure.code))
    return {kExitFailed, "the command had begun, and did not end by itself: " + failure.Text()};
  // Who asks for a command's code must be able to tell that there is none.
  return {failure.code == Code::kUnavailable ? kExitUnreachable : kExitNotStarted, failure.Text()};
}

}  // namespace cube::cli
