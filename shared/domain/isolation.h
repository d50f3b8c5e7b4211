// What a task may see and do of its node: mounts, network, capabilities. Rules of values; what a
// node allows of it is the worker's own setting. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/error.h"
#include "shared/domain/task_spec.h"

namespace cube {

inline constexpr std::size_t kVolumesMax = 64;            // more than any container needs
inline constexpr std::size_t kCapabilitiesMax = 64;       // Linux has 41
inline constexpr std::size_t kVolumeNameLengthMax = 255;  // a file name: it becomes a folder
inline constexpr std::string_view kNetworkBridge = "bridge";
inline constexpr std::string_view kNetworkNone = "none";
inline constexpr std::string_view kNetworkHost = "host";

// Part of Validate: kInvalid with the field's path.
[[nodiscard]] Result<void> CheckIsolation(const TaskSpec& spec);

// "cap_net_admin", "NET_ADMIN" -> "NET_ADMIN"; "all" -> "ALL". kInvalid: Linux has no such thing.
[[nodiscard]] Result<std::string> CapabilityName(std::string_view text, const std::string& field);
// In the set that Docker gives to every container: adding it back is always allowed.
[[nodiscard]] bool IsDefaultCapability(std::string_view name);
// A path without the slashes at its end.
[[nodiscard]] std::string WithoutSlash(std::string_view path);

}  // namespace cube
