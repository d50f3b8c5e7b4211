// Small files and descriptors, as the process engine and its supervisor use them. Calls block for as
// long as the local disk takes. Errors name the path and the system's reason.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "shared/base/error.h"
#include "shared/base/time.h"

namespace cube::engine::process {

// Owns a descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) Reset(std::exchange(other.fd_, -1));
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { Reset(); }

  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool valid() const { return fd_ >= 0; }
  void Reset(int fd = -1);

 private:
  int fd_ = -1;
};

// "opening /a/b: No such file or directory", with the code that fits the system's error number.
[[nodiscard]] std::unexpected<Error> SystemFailure(const std::string& what, int error_number);
[[nodiscard]] Code CodeOfErrno(int error_number);

// kNotFound if it is not there; kResource if it is larger than bytes_max. Good for /proc too.
[[nodiscard]] Result<std::string> ReadFile(const std::string& path, std::size_t bytes_max);

// Readers see the old bytes or the new ones, never a part. `synced`: and so they do after a power cut
// (which of them is open: the folder is not synced). The temporary file is `<path>.tmp`, so one writer
// per path.
[[nodiscard]] Result<void> WriteFileAtomic(const std::string& path, std::string_view bytes,
                                           unsigned mode, bool synced);
// Writes to a file that is there (of /proc or a control group), in one write.
[[nodiscard]] Result<void> WriteExisting(const std::string& path, std::string_view bytes);
[[nodiscard]] Result<void> WriteAll(int fd, std::string_view bytes, const std::string& path);

[[nodiscard]] WallTime WallNow();
// This boot's id; empty where the kernel does not say.
[[nodiscard]] std::string BootId();

}  // namespace cube::engine::process
