#include "shared/runtime/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "shared/runtime/fd.h"
#include "shared/runtime/os_error.h"

namespace cube::runtime {
namespace {

constexpr std::size_t kReadChunkBytes = 64u << 10;  // one read() call; small files need one
constexpr mode_t kFolderMode = 0700;

Result<Fd> Open(const std::string& path, int flags, mode_t mode, const char* what) {
  while (true) {
    const int fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
    if (fd >= 0) return Fd(fd);
    if (errno != EINTR) return FailErrno(errno, std::string(what) + " '" + path + "'");
  }
}

Result<void> WriteAll(const Fd& fd, std::string_view contents, const std::string& path) {
  while (!contents.empty()) {
    const ssize_t written = ::write(fd.get(), contents.data(), contents.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return FailErrno(errno, "writing '" + path + "'");
    }
    contents.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Result<void> WriteNew(const std::string& path, std::string_view contents, unsigned mode) {
  CUBE_TRY(const Fd fd, Open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW,
                             static_cast<mode_t>(mode), "creating"));
  CUBE_TRY_VOID(WriteAll(fd, contents, path));
  if (::fsync(fd.get()) != 0) return FailErrno(errno, "syncing '" + path + "'");
  return {};
}

bool IsDirectory(const std::string& path) {
  struct stat info{};
  return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

std::optional<std::string> Environment(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

}  // namespace

Result<std::string> ReadFile(const std::string& path, std::size_t bytes_max) {
  CUBE_TRY(const Fd fd, Open(path, O_RDONLY, 0, "opening"));
  std::string contents;
  while (true) {
    const std::size_t had = contents.size();
    // One byte more than allowed tells "exactly the limit" from "more", whatever stat says.
    const std::size_t wanted = std::min(kReadChunkBytes, bytes_max - had + 1);
    contents.resize(had + wanted);
    const ssize_t got = ::read(fd.get(), contents.data() + had, wanted);
    if (got < 0 && errno != EINTR) return FailErrno(errno, "reading '" + path + "'");
    contents.resize(had + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (got == 0) return contents;
    if (contents.size() > bytes_max) {
      return Fail(Code::kResource, "'" + path + "' is larger than the " +
                                       std::to_string(bytes_max) + " bytes that are read");
    }
  }
}

Result<void> WriteFileAtomic(const std::string& path, std::string_view contents, unsigned mode) {
  const std::string fresh = path + ".new-" + std::to_string(::getpid());
  auto written = WriteNew(fresh, contents, mode);
  if (written) written = Rename(fresh, path);
  if (!written) ::unlink(fresh.c_str());
  return written;
}

Result<void> MakeDirectories(const std::string& path) {
  if (path.empty()) return Fail(Code::kInvalid, "making a folder: its path is empty");
  if (IsDirectory(path)) return {};
  const std::string parent = ParentDirectory(path);
  if (parent != path) CUBE_TRY_VOID(MakeDirectories(parent));
  if (::mkdir(path.c_str(), kFolderMode) != 0) {
    // "a/b/" arrives here twice, and another process may have been faster: both are fine.
    if (errno == EEXIST && IsDirectory(path)) return {};
    return FailErrno(errno, "making folder '" + path + "'");
  }
  return SyncDirectory(parent);
}

Result<void> SyncDirectory(const std::string& path) {
  CUBE_TRY(const Fd fd, Open(path, O_RDONLY | O_DIRECTORY, 0, "opening folder"));
  // Some network file systems cannot sync folders and say EINVAL: there is nothing to be done.
  if (::fsync(fd.get()) != 0 && errno != EINVAL) {
    return FailErrno(errno, "syncing folder '" + path + "'");
  }
  return {};
}

Result<void> Rename(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) {
    return FailErrno(errno, "renaming '" + from + "' to '" + to + "'");
  }
  return SyncDirectory(ParentDirectory(to));
}

bool Exists(const std::string& path) {
  struct stat info{};
  return ::lstat(path.c_str(), &info) == 0;
}

std::string ParentDirectory(const std::string& path) {
  const std::size_t last = path.find_last_not_of('/');
  if (last == std::string::npos) return path.empty() ? "." : "/";
  const std::size_t slash = path.rfind('/', last);
  if (slash == std::string::npos) return ".";
  const std::size_t end = path.find_last_not_of('/', slash);
  return end == std::string::npos ? "/" : path.substr(0, end + 1);
}

Result<std::string> StateDirFrom(const StateDirInputs& inputs) {
  if (inputs.root) return "/var/lib/cube";
  if (inputs.xdg_state_home && inputs.xdg_state_home->starts_with('/')) {
    return *inputs.xdg_state_home + "/cube";
  }
  if (inputs.home) return *inputs.home + "/.local/state/cube";
  return Fail(Code::kPrecondition,
              "there is no place for state: neither XDG_STATE_HOME nor HOME is set; "
              "set one of them or use --state-dir");
}

Result<std::string> DefaultStateDir() {
  return StateDirFrom({::geteuid() == 0, Environment("XDG_STATE_HOME"), Environment("HOME")});
}

}  // namespace cube::runtime
