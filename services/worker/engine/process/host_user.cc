#include "services/worker/engine/process/host_user.h"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <charconv>
#include <vector>

#include "services/worker/engine/process/launch_plan.h"

namespace cube::engine::process {
namespace {

constexpr std::size_t kEntryBytesMax = 64u << 10;  // one user or group with all its members
constexpr int kGroupsMax = 1024;

std::optional<std::uint32_t> AsNumber(const std::string& text) {
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

struct UserEntry {
  std::string name;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::string home;
};

std::optional<UserEntry> FindUser(const std::string& name, std::optional<std::uint32_t> uid) {
  std::vector<char> buffer(kEntryBytesMax);
  passwd entry{};
  passwd* found = nullptr;
  if (uid) {
    getpwuid_r(*uid, &entry, buffer.data(), buffer.size(), &found);
  } else {
    getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
  }
  if (found == nullptr) return std::nullopt;
  return UserEntry{entry.pw_name, entry.pw_uid, entry.pw_gid, entry.pw_dir};
}

Result<std::uint32_t> FindGroup(const std::string& name) {
  if (const auto gid = AsNumber(name)) return *gid;
  std::vector<char> buffer(kEntryBytesMax);
  group entry{};
  group* found = nullptr;
  getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
  if (found == nullptr) return Fail(Code::kNotFound, "no group '" + name + "' here", "user");
  return entry.gr_gid;
}

}  // namespace

Result<HostUser> ResolveUser(const std::string& text) {
  if (text.empty()) {
    const auto self = FindUser({}, geteuid());
    return HostUser{std::nullopt, self ? self->home : "/"};
  }
  CUBE_TRY(const auto parts, SplitUser(text));
  const auto uid = AsNumber(parts.user);
  const auto entry = FindUser(parts.user, uid);
  if (!entry && !uid) {
    return Fail(Code::kNotFound, "no user '" + parts.user + "' on this node", "user");
  }
  Command::Identity identity;
  identity.uid = entry ? entry->uid : *uid;
  identity.gid = entry ? entry->gid : identity.uid;
  if (!parts.group.empty()) {
    CUBE_TRY(identity.gid, FindGroup(parts.group));
  } else if (entry) {
    identity.groups.resize(kGroupsMax);
    int count = kGroupsMax;
    if (getgrouplist(entry->name.c_str(), identity.gid, identity.groups.data(), &count) < 0) {
      return Fail(Code::kResource, "'" + parts.user + "' is in too many groups", "user");
    }
    identity.groups.resize(static_cast<std::size_t>(count));
  }
  if (geteuid() != 0 && (identity.uid != geteuid() || identity.gid != getegid())) {
    return Fail(Code::kPermission, "only a worker that runs as root may change to '" + text + "'",
                "user");
  }
  return HostUser{std::move(identity), entry ? entry->home : "/"};
}

}  // namespace cube::engine::process
