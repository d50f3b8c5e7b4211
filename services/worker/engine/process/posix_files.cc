#include "services/worker/engine/process/posix_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

#include "shared/runtime/boot_id.h"
#include "shared/runtime/os_error.h"

namespace cube::engine::process {

std::unexpected<Error> SystemFailure(const std::string& what, int error_number) {
  return runtime::FailErrno(error_number, what);
}

Result<void> WriteAll(int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const auto put = write(fd, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return SystemFailure("writing " + path, errno);
    bytes.remove_prefix(static_cast<std::size_t>(put));
  }
  return {};
}

Result<void> WriteFileAtomic(const std::string& path, std::string_view bytes, unsigned mode,
                             bool synced) {
  const std::string temporary = path + ".tmp";
  Fd fd(open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
  if (!fd.valid()) return SystemFailure("creating " + temporary, errno);
  auto written = WriteAll(fd.get(), bytes, temporary);
  if (written && synced && fsync(fd.get()) != 0) {
    written = SystemFailure("syncing " + temporary, errno);
  }
  fd.Close();
  if (written && rename(temporary.c_str(), path.c_str()) != 0) {
    written = SystemFailure("renaming to " + path, errno);
  }
  if (!written) {
    unlink(temporary.c_str());
    return written;
  }
  return {};
}

Result<void> WriteExisting(const std::string& path, std::string_view bytes) {
  const Fd fd(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd.valid()) return SystemFailure("opening " + path, errno);
  return WriteAll(fd.get(), bytes, path);
}

WallTime WallNow() {
  timespec t{};
  clock_gettime(CLOCK_REALTIME, &t);
  return WallFromNanos(static_cast<std::int64_t>(t.tv_sec) * 1'000'000'000 + t.tv_nsec);
}

std::string BootId() { return runtime::ReadBootId().value_or(""); }

}  // namespace cube::engine::process
