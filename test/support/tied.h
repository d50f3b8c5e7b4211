// Programs that end with the one that has started them, even when that one is killed.
#pragma once

#include <array>

namespace cube::test {

// Goes before a command line that is executed by path. From util-linux, like the shell's own tools.
// The signal comes when the thread that spawns it ends: spawn from one that lives to the end.
inline constexpr std::array kTied = {"/usr/bin/setpriv", "--pdeathsig", "KILL"};

}  // namespace cube::test
