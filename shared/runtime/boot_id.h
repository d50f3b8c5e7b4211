// Which run of the kernel this is: tells a restart of a process from a restart of the machine.
#pragma once

#include <string>

#include "shared/base/error.h"

namespace cube::runtime {

// Linux's random boot id ("392ad79a-eae9-..."); the same in all containers of a machine.
[[nodiscard]] Result<std::string> ReadBootId();

}  // namespace cube::runtime
