// Ctrl-C (and SIGTERM): noted, so that whoever waits can stop waiting and say what goes on.
#pragma once

namespace cube::cli {

// From now on SIGINT and SIGTERM only set a flag; a second one ends the process at once.
void WatchInterrupts();
[[nodiscard]] bool Interrupted();
// Ctrl-C has been answered by cleaning up: from now on it counts anew.
void ForgetInterrupt();

}  // namespace cube::cli
