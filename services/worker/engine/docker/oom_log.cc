#include "services/worker/engine/docker/oom_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "shared/runtime/fd.h"

namespace cube::engine::docker {
namespace {

constexpr std::size_t kRecordBytesMax = 8192;  // the kernel's CONSOLE_EXT_LOG_MAX
constexpr int kRecordsMax = 200'000;           // beyond any ring buffer
constexpr std::size_t kContainerIdBytesMin = 12;

}  // namespace

bool IsOomKillOf(std::string_view record, std::string_view container_id) {
  constexpr std::string_view kGroup = "oom_memcg=";
  if (container_id.size() < kContainerIdBytesMin) return false;
  if (record.find("oom-kill:") == std::string_view::npos) return false;
  const std::size_t begin = record.find(kGroup);
  if (begin == std::string_view::npos) return false;
  const std::string_view group = record.substr(begin, record.find(',', begin) - begin);
  return group.find(container_id) != std::string_view::npos;
}

bool KernelKilledForMemory(std::string_view container_id) {
  const runtime::Fd log(::open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (!log.valid()) return false;
  std::array<char, kRecordBytesMax> record{};
  for (int i = 0; i < kRecordsMax; ++i) {
    const ssize_t size = ::read(log.get(), record.data(), record.size());
    if (size < 0 && (errno == EPIPE || errno == EINTR)) continue;  // overwritten meanwhile
    if (size <= 0) return false;                                   // EAGAIN: that was all
    if (IsOomKillOf(std::string_view(record.data(), static_cast<std::size_t>(size)), container_id))
      return true;
  }
  return false;
}

}  // namespace cube::engine::docker
