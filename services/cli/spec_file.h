// Spec files: YAML or JSON in the human form: one task, a list of tasks, {"tasks": [...]} or a job.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "shared/base/error.h"
#include "shared/domain/intent.h"

namespace cube::cli {

// What a file describes: tasks or one job.
struct SpecFile {
  std::vector<SubmitTask> tasks;
  std::optional<JobSpec> job;
};

// "-" = standard input. kInvalid with the file's name and the field's path, line or column.
[[nodiscard]] Result<SpecFile> ReadSpecFile(const std::string& path);
// The same for text that was read already; `path` is for errors, and ".json" means JSON only.
[[nodiscard]] Result<SpecFile> ParseSpecText(const std::string& path, std::string_view text);

}  // namespace cube::cli
