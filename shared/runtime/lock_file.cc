#include "shared/runtime/lock_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

#include "shared/runtime/files.h"
#include "shared/runtime/os_error.h"

namespace cube::runtime {
namespace {

constexpr std::size_t kLockTextBytesMax = 32;  // a process id and a newline

// The digits a holder wrote; "another process" while it has not yet written them.
std::string HolderName(const std::string& path) {
  const auto text = ReadFile(path, kLockTextBytesMax);
  std::string digits;
  for (const char c : text ? std::string_view(*text) : std::string_view()) {
    if (c < '0' || c > '9') break;
    digits += c;
  }
  if (digits.empty()) return "another process";
  return "process " + digits;
}

Result<void> WriteOwnId(const Fd& fd, const std::string& path) {
  const std::string text = std::to_string(::getpid()) + "\n";
  if (::ftruncate(fd.get(), 0) != 0 ||
      ::pwrite(fd.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
    return FailErrno(errno, "writing lock file '" + path + "'");
  }
  return {};
}

}  // namespace

Result<LockFile> LockFile::Acquire(const std::string& path) {
  // O_CLOEXEC also matters for the lock: a child that kept the descriptor would keep the lock.
  Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd.valid()) return FailErrno(errno, "opening lock file '" + path + "'");
  while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno != EWOULDBLOCK) return FailErrno(errno, "locking '" + path + "'");
    return Fail(Code::kConflict, "'" + ParentDirectory(path) + "' is in use by " +
                                     HolderName(path) + "; stop it or use another --state-dir");
  }
  CUBE_TRY_VOID(WriteOwnId(fd, path));
  return LockFile(std::move(fd));
}

}  // namespace cube::runtime
