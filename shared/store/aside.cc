#include "shared/store/aside.h"

#include <charconv>
#include <filesystem>

#include "shared/runtime/files.h"

namespace cube::store {
namespace {

// The numbers n of all `<dir>.aside-<n>`.
std::set<std::uint64_t> AsideNumbers(const std::string& dir) {
  const std::string prefix = std::filesystem::path(dir).filename().string() + ".aside-";
  std::set<std::uint64_t> numbers;
  std::error_code ignored;
  for (const auto& entry :
       std::filesystem::directory_iterator(runtime::ParentDirectory(dir), ignored)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(prefix)) continue;
    std::uint64_t number = 0;
    const char* end = name.data() + name.size();
    const auto parsed = std::from_chars(name.data() + prefix.size(), end, number);
    if (parsed.ec == std::errc() && parsed.ptr == end) numbers.insert(number);
  }
  return numbers;
}

std::string AsidePath(const std::string& dir, std::uint64_t number) {
  return dir + ".aside-" + std::to_string(number);
}

}  // namespace

Result<std::string> MoveAside(const std::string& dir) {
  std::set<std::uint64_t> numbers = AsideNumbers(dir);
  const std::uint64_t next = numbers.empty() ? 1 : *numbers.rbegin() + 1;
  CUBE_TRY_VOID(runtime::Rename(dir, AsidePath(dir, next)));
  numbers.insert(next);
  while (numbers.size() > kAsideFoldersMax) {
    // What cannot be removed now is tried again next time; it does no harm meanwhile.
    std::error_code ignored;
    std::filesystem::remove_all(AsidePath(dir, *numbers.begin()), ignored);
    numbers.erase(numbers.begin());
  }
  return AsidePath(dir, next);
}

}  // namespace cube::store
