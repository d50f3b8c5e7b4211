// What `cube exec` returns and says, from how the session ended. Pure.
#pragma once

#include <optional>
#include <string>

#include "shared/base/error.h"

namespace cube::cli {

struct ExecSeen {
  bool interrupted = false;  // Ctrl-C
  bool output_gone = false;  // nobody takes our output any more
  bool begun = false;        // the worker took the command on
  bool ended = false;        // the worker has told its end
  std::optional<Error> failure{};
  int exit_code = 0;  // the command's, if it has ended without a failure
};

struct ExecEnd {
  int exit_code = 0;
  std::string text;  // for people; empty = nothing to say
};

[[nodiscard]] ExecEnd ConcludeExec(const ExecSeen& seen);

}  // namespace cube::cli
