// Small files and folders, with the care that a crash asks for. Paths are UTF-8 text; every call
// may block on the disk. Errors carry the path and the system's reason (os_error.h).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "shared/base/error.h"

namespace cube::runtime {

// The whole file. kResource if it is larger than `bytes_max`, kNotFound if there is none.
[[nodiscard]] Result<std::string> ReadFile(const std::string& path, std::size_t bytes_max);

// After success the file holds `contents` even if power fails now; after a crash or a failure it
// holds either the old or the new contents, never a part. The folder must exist. A file left by
// a crash is `<path>.new-<pid>`. `mode` is that of a new file, before the process's umask.
[[nodiscard]] Result<void> WriteFileAtomic(const std::string& path, std::string_view contents,
                                           unsigned mode = 0644);

// Makes a folder and the missing ones above it, each known to survive a power loss. Folders get
// mode 0700: what the services keep is nobody else's business. One that exists is left as it is.
[[nodiscard]] Result<void> MakeDirectories(const std::string& path);

// Makes created, renamed and removed names in this folder survive a power loss.
[[nodiscard]] Result<void> SyncDirectory(const std::string& path);

// Renames within one file system, then syncs the folder of `to`.
[[nodiscard]] Result<void> Rename(const std::string& from, const std::string& to);

[[nodiscard]] bool Exists(const std::string& path);

// "/a/b" of "/a/b/c"; "." of "c"; "/" of "/c".
[[nodiscard]] std::string ParentDirectory(const std::string& path);

// What decides where state lives when no flag says so.
struct StateDirInputs {
  bool root = false;
  std::optional<std::string> xdg_state_home;
  std::optional<std::string> home;
};
// /var/lib/cube for root, else $XDG_STATE_HOME/cube, else $HOME/.local/state/cube. A relative
// XDG_STATE_HOME is ignored, as the XDG Base Directory Specification says. kPrecondition if
// nothing is set.
[[nodiscard]] Result<std::string> StateDirFrom(const StateDirInputs& inputs);
// The same of this process. Call it before threads change the environment.
[[nodiscard]] Result<std::string> DefaultStateDir();

}  // namespace cube::runtime
