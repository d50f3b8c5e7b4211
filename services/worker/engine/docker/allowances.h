// What this node's own configuration lets tasks have of it, beyond what every container has.
// Nothing that a message says can widen it.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "shared/base/error.h"
#include "shared/domain/task_spec.h"

namespace cube::engine::docker {

struct Allowances {
  std::vector<std::string> mounts;     // folders below which binds may lie; canonical
  std::set<std::string> volumes;       // volumes that others have made, by name
  std::set<std::string> capabilities;  // "NET_ADMIN", or "ALL"
  bool host_network = false;
};

// kInvalid with the worker's flag: a folder that is not there, something that is no capability.
[[nodiscard]] Result<Allowances> MakeAllowances(const std::vector<std::string>& mounts,
                                                const std::vector<std::string>& volumes,
                                                const std::vector<std::string>& capabilities,
                                                bool host_network);

// Whether a task may be started here, as far as the engine need not be asked; and writes where its
// binds really lead (no link, no "..") into the specification, since that is what was looked at.
// kPermission names the flag that the worker lacks; kNotFound: there is nothing to bind.
[[nodiscard]] Result<void> Allow(const Allowances& allowances, TaskSpec& spec);

// Texts for what only the engine can tell.
[[nodiscard]] Error ForeignVolume(const std::string& name);
[[nodiscard]] Error HostNetworkDenied();

}  // namespace cube::engine::docker
