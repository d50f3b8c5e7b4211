// The saved ends of removed launches' output: <dir>/<task>.<attempt>.<launch>.frames, or .log where
// an older worker has saved it. Files are the only record; what is not readable is not there.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "services/worker/saved_output.h"
#include "shared/base/error.h"
#include "shared/base/time.h"
#include "shared/domain/ids.h"

namespace cube::worker {

inline constexpr Duration kOutputAgeMax = std::chrono::hours(24);
inline constexpr std::uint64_t kOutputBytesMax = 1u << 30;  // of a node, all together

class OutputFiles {
 public:
  explicit OutputFiles(std::string dir) : dir_(std::move(dir)) {}

  // Where the frames of a launch belong.
  [[nodiscard]] std::string PathOf(const LaunchKey& key) const;
  // Launches of an attempt (0 = the newest of the task) whose output is there, in order.
  [[nodiscard]] std::vector<LaunchKey> List(const TaskId& task, std::uint32_t attempt) const;
  // kNotFound if there is none.
  [[nodiscard]] Result<SavedOutput> Read(const LaunchKey& key) const;
  // Removes what is too old, then the oldest beyond the size limit. -> how many.
  std::size_t Prune(WallTime now, std::uint64_t bytes_max = kOutputBytesMax) const;

 private:
  [[nodiscard]] std::string PathOf(const LaunchKey& key, std::string_view suffix) const;

  std::string dir_;
};

}  // namespace cube::worker
