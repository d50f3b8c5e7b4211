#include "services/worker/engine/process/posix_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>

namespace cube::engine::process {

void Fd::Reset(int fd) {
  if (fd_ >= 0) close(fd_);
  fd_ = fd;
}

Code CodeOfErrno(int error_number) {
  switch (error_number) {
    case ENOENT:
    case ENOTDIR:
      return Code::kNotFound;
    case EACCES:
    case EPERM:
    case EROFS:
      return Code::kPermission;
    case ENOSPC:
    case EDQUOT:
    case E2BIG:
    case EFBIG:
    case ENAMETOOLONG:
      return Code::kResource;
    case EAGAIN:
    case ENOMEM:
    case EMFILE:
    case ENFILE:
    case EBUSY:
    case EINTR:
      return Code::kUnavailable;
    case ENOSYS:
    case EOPNOTSUPP:
      return Code::kUnsupported;
    case ENOEXEC:
    case EINVAL:
      return Code::kInvalid;
    default:
      return Code::kInternal;
  }
}

std::unexpected<Error> SystemFailure(const std::string& what, int error_number) {
  return Fail(CodeOfErrno(error_number), what + ": " + strerror(error_number));
}

Result<std::string> ReadFile(const std::string& path, std::size_t bytes_max) {
  const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) return SystemFailure("opening " + path, errno);
  std::string bytes;
  char piece[16u << 10];
  while (true) {
    const auto got = read(fd.get(), piece, sizeof(piece));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return SystemFailure("reading " + path, errno);
    if (got == 0) return bytes;
    bytes.append(piece, static_cast<std::size_t>(got));
    if (bytes.size() > bytes_max) {
      return Fail(Code::kResource,
                  "reading " + path + ": larger than " + std::to_string(bytes_max) + " bytes");
    }
  }
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
  fd.Reset();
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

std::string BootId() {
  auto text = ReadFile("/proc/sys/kernel/random/boot_id", 128);
  if (!text) return {};
  while (!text->empty() && text->back() == '\n') text->pop_back();
  return *text;
}

}  // namespace cube::engine::process
