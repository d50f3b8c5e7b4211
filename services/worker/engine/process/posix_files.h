// What the process engine and its supervisor need of files beyond shared/runtime: writes that do
// not wait for the disk, and writes to files that the kernel makes. Errors name the path and the
// reason.
#pragma once

#include <string>
#include <string_view>

#include "shared/base/error.h"
#include "shared/base/time.h"
#include "shared/runtime/fd.h"
#include "shared/runtime/files.h"

namespace cube::engine::process {

using runtime::Fd;
using runtime::ReadFile;

// "opening /a/b: No such file or directory", with the code that fits the system's error number.
[[nodiscard]] std::unexpected<Error> SystemFailure(const std::string& what, int error_number);

// Readers see the old bytes or the new ones, never a part. `synced`: and so they do after a power
// cut (which of them is open: the folder is not synced). The temporary file is `<path>.tmp`, so one
// writer per path.
[[nodiscard]] Result<void> WriteFileAtomic(const std::string& path, std::string_view bytes,
                                           unsigned mode, bool synced);
// Writes to a file that is there, from its beginning (of /proc or a control group: in one write).
[[nodiscard]] Result<void> WriteExisting(const std::string& path, std::string_view bytes);
[[nodiscard]] Result<void> WriteAll(int fd, std::string_view bytes, const std::string& path);

[[nodiscard]] WallTime WallNow();
// This boot's id; empty where the kernel does not say.
[[nodiscard]] std::string BootId();

}  // namespace cube::engine::process
