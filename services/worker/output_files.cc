#include "services/worker/output_files.h"

#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <optional>

#include "services/worker/engine/output_log.h"
#include "shared/runtime/files.h"

namespace cube::worker {
namespace {

constexpr std::string_view kFramesSuffix = ".frames";
constexpr std::string_view kPlainSuffix = ".log";  // no marks of stream and time

bool ParseNumber(std::string_view text, std::uint32_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

// The inverse of PathOf's last part.
std::optional<LaunchKey> KeyOf(std::string_view file) {
  if (file.ends_with(kFramesSuffix)) {
    file.remove_suffix(kFramesSuffix.size());
  } else if (file.ends_with(kPlainSuffix)) {
    file.remove_suffix(kPlainSuffix.size());
  } else {
    return std::nullopt;
  }
  const std::size_t second = file.rfind('.');
  if (second == std::string_view::npos || second == 0) return std::nullopt;
  const std::size_t first = file.rfind('.', second - 1);
  if (first == std::string_view::npos) return std::nullopt;
  LaunchKey key;
  const auto task = TaskId::Parse(file.substr(0, first), "task");
  if (!task || !ParseNumber(file.substr(first + 1, second - first - 1), key.attempt) ||
      !ParseNumber(file.substr(second + 1), key.launch)) {
    return std::nullopt;
  }
  key.task = *task;
  return key;
}

struct File {
  WallTime changed;
  std::uint64_t bytes = 0;
  std::string path;
};

}  // namespace

std::string OutputFiles::PathOf(const LaunchKey& key, std::string_view suffix) const {
  return dir_ + "/" + key.task.str() + "." + std::to_string(key.attempt) + "." +
         std::to_string(key.launch) + std::string(suffix);
}

std::string OutputFiles::PathOf(const LaunchKey& key) const { return PathOf(key, kFramesSuffix); }

std::vector<LaunchKey> OutputFiles::List(const TaskId& task, std::uint32_t attempt) const {
  std::vector<LaunchKey> launches;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(dir_, error)) {
    const auto key = KeyOf(entry.path().filename().native());
    if (key && key->task == task && (attempt == 0 || key->attempt == attempt)) {
      launches.push_back(*key);
    }
  }
  std::sort(launches.begin(), launches.end());
  if (!launches.empty()) {
    const std::uint32_t newest = launches.back().attempt;
    std::erase_if(launches, [newest](const LaunchKey& key) { return key.attempt != newest; });
  }
  return launches;
}

Result<SavedOutput> OutputFiles::Read(const LaunchKey& key) const {
  constexpr std::size_t kFileMax =
      engine::kFramesPerText * kSavedOutputMax + engine::kCutMark.size();
  Result<std::string> frames = runtime::ReadFile(PathOf(key), kFileMax + 1);
  if (frames || frames.error().code != Code::kNotFound) {
    CUBE_TRY(std::string bytes, std::move(frames));
    return SavedOutput(std::move(bytes), SavedOutput::Form::kFrames);
  }
  CUBE_TRY(std::string bytes, runtime::ReadFile(PathOf(key, kPlainSuffix), kSavedOutputMax + 1));
  return SavedOutput(std::move(bytes), SavedOutput::Form::kPlain);
}

std::size_t OutputFiles::Prune(WallTime now, std::uint64_t bytes_max) const {
  std::vector<File> files;
  std::uint64_t bytes = 0;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(dir_, error)) {
    struct stat status{};
    if (::stat(entry.path().c_str(), &status) != 0 || !S_ISREG(status.st_mode)) continue;
    files.push_back({WallFromNanos(status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec),
                     static_cast<std::uint64_t>(status.st_size), entry.path().native()});
    bytes += files.back().bytes;
  }
  std::sort(files.begin(), files.end(),
            [](const File& a, const File& b) { return a.changed < b.changed; });
  std::size_t removed = 0;
  for (const File& file : files) {
    if (bytes <= bytes_max && now - file.changed < kOutputAgeMax) continue;
    if (!std::filesystem::remove(file.path, error)) continue;
    bytes -= file.bytes;
    ++removed;
  }
  return removed;
}

}  // namespace cube::worker
