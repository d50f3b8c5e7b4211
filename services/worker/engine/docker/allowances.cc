#include "services/worker/engine/docker/allowances.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "shared/domain/isolation.h"

namespace cube::engine::docker {
namespace {

constexpr std::string_view kAll = "ALL";

// Both canonical.
bool IsWithin(const std::string& path, const std::string& folder) {
  if (folder == "/" || path == folder) return true;
  return path.starts_with(folder) && path[folder.size()] == '/';
}

Result<void> AllowBind(const Allowances& allowances, VolumeSpec& volume, std::size_t index) {
  const std::string field = fmt::format("volumes[{}].source", index);
  std::error_code error;
  const std::string real = std::filesystem::canonical(volume.source, error).string();
  const bool allowed =
      !error && std::any_of(allowances.mounts.begin(), allowances.mounts.end(),
                            [&](const std::string& folder) { return IsWithin(real, folder); });
  if (allowed) {
    volume.source = real;
    return {};
  }
  // What lies elsewhere is not told apart from what is not there.
  const bool named_within =
      std::any_of(allowances.mounts.begin(), allowances.mounts.end(),
                  [&](const std::string& folder) { return IsWithin(volume.source, folder); });
  if (error && named_within)
    return Fail(Code::kNotFound,
                fmt::format("volume {} cannot be mounted: {}", volume.source, error.message()),
                field);
  return Fail(Code::kPermission,
              fmt::format("this node does not let tasks mount {}; its worker must be started with "
                          "--allow-mount for that folder or one above it",
                          volume.source),
              field);
}

}  // namespace

Result<Allowances> MakeAllowances(const std::vector<std::string>& mounts,
                                  const std::vector<std::string>& volumes,
                                  const std::vector<std::string>& capabilities, bool host_network) {
  Allowances allowances;
  allowances.host_network = host_network;
  allowances.volumes.insert(volumes.begin(), volumes.end());
  for (const std::string& folder : mounts) {
    std::error_code error;
    const auto real = std::filesystem::canonical(folder, error);
    if (folder.empty() || folder.front() != '/' || error)
      return Fail(Code::kInvalid,
                  fmt::format("'{}' is no folder of this node{}; write its absolute path", folder,
                              error ? ": " + error.message() : std::string()),
                  "--allow-mount");
    allowances.mounts.push_back(real.string());
  }
  for (const std::string& capability : capabilities) {
    CUBE_TRY(std::string name, CapabilityName(capability, "--allow-cap"));
    allowances.capabilities.insert(std::move(name));
  }
  return allowances;
}

Result<void> Allow(const Allowances& allowances, TaskSpec& spec) {
  for (std::size_t i = 0; i < spec.volumes.size(); ++i) {
    if (!spec.volumes[i].source.starts_with('/')) continue;
    CUBE_TRY_VOID(AllowBind(allowances, spec.volumes[i], i));
  }
  if (spec.network == kNetworkHost && !allowances.host_network)
    return std::unexpected(HostNetworkDenied());
  for (const std::string& name : spec.cap_add) {
    if (IsDefaultCapability(name) || allowances.capabilities.contains(name) ||
        allowances.capabilities.contains(std::string(kAll)))
      continue;
    return Fail(Code::kPermission,
                fmt::format("this node does not give tasks the capability {0}; its worker must be "
                            "started with --allow-cap {0}",
                            name),
                "cap_add");
  }
  return {};
}

Error ForeignVolume(const std::string& name) {
  return {Code::kPermission,
          fmt::format("the volume {0} was not made by this cluster; the node's worker must be "
                      "started with --allow-volume {0}",
                      name),
          "volumes"};
}

Error HostNetworkDenied() {
  return {Code::kPermission,
          "this node does not let tasks use its own network; its worker must be started with "
          "--allow-host-network",
          "network"};
}

}  // namespace cube::engine::docker
