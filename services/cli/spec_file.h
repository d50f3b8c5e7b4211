// Task files: YAML or JSON in the human form, one task or a list.
#pragma once

#include <string>
#include <vector>

#include "shared/base/error.h"
#include "shared/domain/intent.h"

namespace cube::cli {

// "-" = standard input. kInvalid with the file's name and the field's path, line or column.
[[nodiscard]] Result<std::vector<SubmitTask>> ReadSpecFile(const std::string& path);
// The same for text that was read already; `path` is for errors, and ".json" means JSON only.
[[nodiscard]] Result<std::vector<SubmitTask>> ParseSpecText(const std::string& path,
                                                            std::string_view text);

}  // namespace cube::cli
