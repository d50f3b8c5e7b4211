// Fields of a specification as the flags of `cube run` that set them. Pure.
#pragma once

#include "services/cli/args.h"
#include "shared/base/error.h"

namespace cube::cli {

// An error of a specification that was made of flags: names the flag, and of several the value;
// the operands are IMAGE and COMMAND.
[[nodiscard]] Error NameTheFlag(Error error, const Args& args);

}  // namespace cube::cli
