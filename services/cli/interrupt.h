// Ctrl-C (and SIGTERM): noted, so that whoever waits can stop waiting and say what goes on.
#pragma once

namespace cube::cli {

// From now on SIGINT and SIGTERM only set a flag; a second one ends the process at once.
void WatchInterrupts();
[[nodiscard]] bool Interrupted();

}  // namespace cube::cli
