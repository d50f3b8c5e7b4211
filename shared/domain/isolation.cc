#include "shared/domain/isolation.h"

#include <algorithm>
#include <array>
#include <set>

#include "shared/domain/rules.h"
#include "shared/domain/text.h"

namespace cube {
namespace {

constexpr std::size_t kPathLengthMax = 4096;  // Linux's PATH_MAX

// capabilities(7), Linux 6.1, without their prefix.
constexpr std::array<std::string_view, 41> kCapabilities{
    "AUDIT_CONTROL",   "AUDIT_READ",   "AUDIT_WRITE",
    "BLOCK_SUSPEND",   "BPF",          "CHECKPOINT_RESTORE",
    "CHOWN",           "DAC_OVERRIDE", "DAC_READ_SEARCH",
    "FOWNER",          "FSETID",       "IPC_LOCK",
    "IPC_OWNER",       "KILL",         "LEASE",
    "LINUX_IMMUTABLE", "MAC_ADMIN",    "MAC_OVERRIDE",
    "MKNOD",           "NET_ADMIN",    "NET_BIND_SERVICE",
    "NET_BROADCAST",   "NET_RAW",      "PERFMON",
    "SETFCAP",         "SETGID",       "SETPCAP",
    "SETUID",          "SYSLOG",       "SYS_ADMIN",
    "SYS_BOOT",        "SYS_CHROOT",   "SYS_MODULE",
    "SYS_NICE",        "SYS_PACCT",    "SYS_PTRACE",
    "SYS_RAWIO",       "SYS_RESOURCE", "SYS_TIME",
    "SYS_TTY_CONFIG",  "WAKE_ALARM"};
// moby, oci/caps/defaults.go.
constexpr std::array<std::string_view, 14> kDefaultCapabilities{
    "CHOWN",   "DAC_OVERRIDE", "FSETID",           "FOWNER",
    "MKNOD",   "NET_RAW",      "SETGID",           "SETUID",
    "SETFCAP", "SETPCAP",      "NET_BIND_SERVICE", "SYS_CHROOT",
    "KILL",    "AUDIT_WRITE"};
constexpr std::string_view kAll = "ALL";

bool IsAlphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// Names of volumes and networks, as Docker has them (moby, daemon/names).
bool IsEngineName(std::string_view name) {
  if (name.empty() || name.size() > kVolumeNameLengthMax || !IsAlphanumeric(name.front()))
    return false;
  return std::all_of(name.begin(), name.end(),
                     [](char c) { return IsAlphanumeric(c) || c == '_' || c == '.' || c == '-'; });
}

Result<void> CheckPath(std::string_view path, const std::string& field) {
  if (path.empty() || path.front() != '/')
    return Fail(Code::kInvalid, "must be an absolute path, beginning with '/'", field);
  if (path.size() > kPathLengthMax)
    return Fail(Code::kInvalid, "may have at most 4096 bytes", field);
  if (!IsUtf8(path) || path.find('\0') != std::string_view::npos)
    return Fail(Code::kInvalid, "must be UTF-8 without NUL", field);
  if (path.find(':') != std::string_view::npos)
    return Fail(Code::kInvalid, "may not hold ':', which parts a volume's texts", field);
  const std::string whole = std::string(path) + "/";
  if (whole.find("/../") != std::string::npos || whole.find("/./") != std::string::npos)
    return Fail(Code::kInvalid, "may not hold '.' or '..' as a part", field);
  return {};
}

Result<void> CheckVolumes(const std::vector<VolumeSpec>& volumes) {
  if (volumes.size() > kVolumesMax)
    return Fail(Code::kInvalid, "may have at most " + std::to_string(kVolumesMax) + " entries",
                "volumes");
  std::set<std::string> targets;
  for (std::size_t i = 0; i < volumes.size(); ++i) {
    const VolumeSpec& volume = volumes[i];
    const std::string field = "volumes[" + std::to_string(i) + "]";
    CUBE_TRY_VOID(CheckPath(volume.target, field + ".target"));
    const std::string target = WithoutSlash(volume.target);
    if (target.empty()) return Fail(Code::kInvalid, "may not be '/'", field + ".target");
    if (!targets.insert(target).second)
      return Fail(Code::kInvalid, "something is mounted there already", field + ".target");
    if (volume.source.starts_with('/')) {
      CUBE_TRY_VOID(CheckPath(volume.source, field + ".source"));
    } else if (!volume.source.empty() && !IsEngineName(volume.source)) {
      return Fail(Code::kInvalid,
                  "'" + CleanText(volume.source, kQuotedLengthMax) +
                      "' is neither a volume's name (letters, digits, '_', '.', '-') nor an "
                      "absolute path of the node",
                  field + ".source");
    }
  }
  return {};
}

Result<void> CheckNetwork(const TaskSpec& spec) {
  if (spec.network.empty()) return {};
  if (!IsEngineName(spec.network))
    return Fail(Code::kInvalid,
                "'" + CleanText(spec.network, kQuotedLengthMax) +
                    "' is no network; there are bridge, none, host and names of the node's own",
                "network");
  if (spec.network == kNetworkNone && !spec.ports.empty())
    return Fail(Code::kInvalid, "network none has no ports to publish; leave them out", "ports");
  if (spec.network != kNetworkHost) return {};
  for (std::size_t i = 0; i < spec.ports.size(); ++i) {
    if (spec.ports[i].host_port == spec.ports[i].port) continue;
    const std::string port = std::to_string(spec.ports[i].port);
    return Fail(Code::kInvalid,
                "with network host a port is the node's own; write " + port + ":" + port,
                "ports[" + std::to_string(i) + "].host_port");
  }
  return {};
}

Result<void> CheckCapabilities(const std::vector<std::string>& names, const std::string& field) {
  if (names.size() > kCapabilitiesMax)
    return Fail(Code::kInvalid, "may have at most 64 entries", field);
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::string path = field + "[" + std::to_string(i) + "]";
    CUBE_TRY(const std::string name, CapabilityName(names[i], path));
    if (name != names[i]) return Fail(Code::kInvalid, "must be written as " + name, path);
  }
  return {};
}

// The field of what only containers have, if the spec has any of it.
std::string_view ContainerField(const TaskSpec& spec) {
  if (!spec.volumes.empty()) return "volumes";
  if (!spec.network.empty()) return "network";
  if (!spec.cap_add.empty()) return "cap_add";
  if (!spec.cap_drop.empty()) return "cap_drop";
  return spec.read_only_root ? "read_only_root" : "";
}

}  // namespace

std::string WithoutSlash(std::string_view path) {
  while (path.ends_with('/')) path.remove_suffix(1);
  return std::string(path);
}

Result<std::string> CapabilityName(std::string_view text, const std::string& field) {
  std::string name;
  for (const char c : text) name += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  if (name.starts_with("CAP_")) name.erase(0, 4);
  if (name == kAll ||
      std::find(kCapabilities.begin(), kCapabilities.end(), name) != kCapabilities.end())
    return name;
  return Fail(Code::kInvalid,
              "'" + CleanText(text, kQuotedLengthMax) +
                  "' is no capability of Linux; write it as NET_ADMIN, or ALL",
              field);
}

bool IsDefaultCapability(std::string_view name) {
  return std::find(kDefaultCapabilities.begin(), kDefaultCapabilities.end(), name) !=
         kDefaultCapabilities.end();
}

Result<void> CheckIsolation(const TaskSpec& spec) {
  if (EngineOf(spec) == kEngineProcess) {
    const std::string_view field = ContainerField(spec);
    if (field.empty()) return {};
    return Fail(Code::kInvalid,
                "engine process starts programs of the node as they are; leave it out or take "
                "engine docker",
                std::string(field));
  }
  CUBE_TRY_VOID(CheckVolumes(spec.volumes));
  CUBE_TRY_VOID(CheckNetwork(spec));
  CUBE_TRY_VOID(CheckCapabilities(spec.cap_add, "cap_add"));
  CUBE_TRY_VOID(CheckCapabilities(spec.cap_drop, "cap_drop"));
  return {};
}

}  // namespace cube
