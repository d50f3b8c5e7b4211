// --help and usage texts, from the command table.
#pragma once

#include <string>
#include <vector>

#include "services/cli/args.h"

namespace cube::cli {

// One sentence, usage, flags with defaults, examples, exit codes.
[[nodiscard]] std::string RenderHelp(const std::vector<const CommandSpec*>& path);

}  // namespace cube::cli
