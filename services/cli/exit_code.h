// What the process tells its caller. Printed in each command's --help.
#pragma once

#include <string_view>

#include "shared/base/error.h"
#include "shared/domain/launch.h"

namespace cube::cli {

inline constexpr int kExitDone = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitNotConverged = 2;
inline constexpr int kExitNotFound = 3;
inline constexpr int kExitConflict = 4;
inline constexpr int kExitUsage = 64;        // sysexits.h EX_USAGE
inline constexpr int kExitUnreachable = 69;  // sysexits.h EX_UNAVAILABLE
inline constexpr int kExitNotStarted = 125;  // docker run: the engine could not start it
inline constexpr int kExitNotExecutable = cube::kExitNotExecutable;
inline constexpr int kExitNoSuchCommand = cube::kExitNoSuchCommand;
inline constexpr int kExitInterrupted = 130;  // 128 + SIGINT
inline constexpr int kExitOutputGone = 141;   // 128 + SIGPIPE, as a shell has it
inline constexpr int kExitOther = -1;         // in --help only: what the task or command returned

// One line for --help.
[[nodiscard]] std::string_view DescribeExitCode(int code);

// The code for a failure that a command could not deal with.
[[nodiscard]] int ExitCodeOf(const Error& error);

}  // namespace cube::cli
