// One process at a time: an advisory lock (flock) on a file, held as long as the object lives.
// The kernel drops it when the process ends in whatever way, so there is no stale lock.
#pragma once

#include <string>

#include "shared/base/error.h"
#include "shared/runtime/fd.h"

namespace cube::runtime {

class LockFile {
 public:
  // Never waits. The file is made if missing and keeps our process id for others' messages; it is
  // never removed, since removing a locked file lets a third process in.
  // kConflict: held by another process, or by this one through another LockFile.
  [[nodiscard]] static Result<LockFile> Acquire(const std::string& path);

  LockFile(LockFile&&) noexcept = default;
  LockFile& operator=(LockFile&&) noexcept = default;

 private:
  explicit LockFile(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;  // closing it is unlocking it
};

}  // namespace cube::runtime
