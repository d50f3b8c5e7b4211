#include "services/cli/exit_code.h"

namespace cube::cli {

std::string_view DescribeExitCode(int code) {
  switch (code) {
    case kExitDone:
      return "done";
    case kExitFailed:
      return "failed";
    case kExitNotConverged:
      return "not placed or not converged within --timeout";
    case kExitNotFound:
      return "not found";
    case kExitConflict:
      return "conflict, or an ambiguous name";
    case kExitUsage:
      return "wrong usage";
    case kExitUnreachable:
      return "cluster unreachable";
    case kExitNotStarted:
      return "the task or command could not be started";
    case kExitNotExecutable:
      return "its program cannot be executed";
    case kExitNoSuchCommand:
      return "its program was not found";
    case kExitInterrupted:
      return "interrupted by Ctrl-C; the work goes on";
    default:
      return "the exit code of the task or command itself";
  }
}

int ExitCodeOf(const Error& error) {
  switch (error.code) {
    case Code::kInvalid:
    case Code::kUnsupported:
      return kExitUsage;
    case Code::kNotFound:
      return kExitNotFound;
    case Code::kConflict:
      return kExitConflict;
    case Code::kUnavailable:
    case Code::kTimedOut:
    case Code::kPermission:
    case Code::kPrecondition:
      return kExitUnreachable;
    case Code::kAborted:
    case Code::kResource:
    case Code::kDataLoss:
    case Code::kInternal:
      return kExitFailed;
  }
  return kExitFailed;
}

}  // namespace cube::cli
