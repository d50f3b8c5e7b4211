// Users of this machine.
#pragma once

#include <optional>
#include <string>

#include "services/worker/engine/process/launch_dir.h"
#include "shared/base/error.h"

namespace cube::engine::process {

struct HostUser {
  std::optional<Command::Identity> identity;  // unset: the worker's own
  std::string home;                           // "/" if the user has none
};

// `text` is a spec's user; empty = the worker's own. Only root may name another one (kPermission).
// A number needs no entry in the machine's list of users, a name does (kNotFound).
[[nodiscard]] Result<HostUser> ResolveUser(const std::string& text);

}  // namespace cube::engine::process
