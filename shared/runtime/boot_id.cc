#include "shared/runtime/boot_id.h"

#include "shared/runtime/files.h"

namespace cube::runtime {
namespace {

constexpr const char* kBootIdPath = "/proc/sys/kernel/random/boot_id";  // proc(5)
constexpr std::size_t kBootIdBytesMax = 64;                             // it is 36 and a newline

}  // namespace

Result<std::string> ReadBootId() {
  CUBE_TRY(std::string text, ReadFile(kBootIdPath, kBootIdBytesMax));
  text.erase(std::min(text.find('\n'), text.size()));
  if (text.empty()) return Fail(Code::kInternal, "the kernel's boot id is empty");
  return text;
}

}  // namespace cube::runtime
