// The table of all commands. Each noun has a file of its own that adds its part.
#pragma once

#include "services/cli/args.h"

namespace cube::cli {

[[nodiscard]] CommandSpec RootCommand();

[[nodiscard]] CommandSpec RunCommand();         // run.cc
[[nodiscard]] CommandSpec StopCommand();        // stop.cc
[[nodiscard]] CommandSpec WaitCommand();        // wait.cc
[[nodiscard]] CommandSpec PsCommand();          // ps.cc
[[nodiscard]] CommandSpec StatusCommand();      // status.cc
[[nodiscard]] CommandSpec TaskCommand();        // task.cc
[[nodiscard]] CommandSpec WhyCommand();         // why.cc
[[nodiscard]] CommandSpec DoctorCommand();      // doctor.cc
[[nodiscard]] CommandSpec VerifyCommand();      // verify.cc
[[nodiscard]] CommandSpec JobCommand();         // job.cc
[[nodiscard]] CommandSpec NodeCommand();        // node.cc
[[nodiscard]] CommandSpec TopCommand();         // top.cc
[[nodiscard]] CommandSpec EventsCommand();      // events.cc
[[nodiscard]] CommandSpec LogsCommand();        // logs.cc
[[nodiscard]] CommandSpec ExecCommand();        // exec.cc
[[nodiscard]] CommandSpec DevCommand();         // dev.cc
[[nodiscard]] CommandSpec ManagerCommand();     // services.cc
[[nodiscard]] CommandSpec WorkerCommand();      // services.cc
[[nodiscard]] CommandSpec VersionCommand();     // version.cc
[[nodiscard]] CommandSpec CompletionCommand();  // completion.cc
[[nodiscard]] CommandSpec CompleteCommand();    // completion.cc: what the scripts call

// Runs one command line, without the program's name: the process's exit code. What goes wrong is
// said on the terminal's err.
[[nodiscard]] int Main(std::vector<std::string> words, const struct Terminal& terminal,
                       struct Environment environment);

}  // namespace cube::cli
