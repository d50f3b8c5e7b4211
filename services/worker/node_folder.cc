#include "services/worker/node_folder.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

#include "services/worker/capacity.h"
#include "shared/base/json.h"
#include "shared/runtime/files.h"

namespace cube::worker {
namespace {

constexpr std::size_t kIdentityBytesMax = 4096;

// Names in <state>/worker whose folder has an identity.
std::vector<std::string> KnownNames(const std::string& workers_dir) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(workers_dir, error)) {
    if (runtime::Exists(entry.path().native() + "/identity")) {
      names.push_back(entry.path().filename().native());
    }
  }
  return names;
}

Result<void> CheckIdentity(const std::string& path, const NodeName& name) {
  CUBE_TRY(const std::string text, runtime::ReadFile(path, kIdentityBytesMax));
  const auto identity = ParseJsonText(text);
  std::string known;
  if (identity.is_object()) {
    const auto written = identity.find("name");
    if (written != identity.end() && written->is_string()) known = written->get<std::string>();
  }
  if (known == name.str()) return {};
  return Fail(Code::kPrecondition,
              path + " says that this folder belongs to node '" + known + "', not '" + name.str() +
                  "'; a folder that was copied or renamed is not a second node: remove it, or set "
                  "--state-dir");
}

}  // namespace

Result<NodeFolder> OpenNodeFolder(const std::string& state_dir, const std::string& name_flag) {
  const std::string workers_dir = state_dir + "/worker";
  std::string name = name_flag;
  std::string how = "flag";
  if (name.empty()) {
    const std::vector<std::string> known = KnownNames(workers_dir);
    how = known.size() == 1 ? "identity" : "host name";
    if (known.size() == 1) {
      name = known.front();
    } else {
      CUBE_TRY(const NodeName host, HostNodeName());
      name = host.str();
    }
  }
  CUBE_TRY(NodeName node, NodeName::Parse(name, "--name"));
  const std::string dir = workers_dir + "/" + node.str();
  CUBE_TRY_VOID(runtime::MakeDirectories(dir));
  CUBE_TRY_VOID(runtime::MakeDirectories(dir + "/output"));
  auto lock = runtime::LockFile::Acquire(dir + "/lock");
  if (!lock) return Annotate(std::move(lock).error(), "node '" + node.str() + "'");
  const std::string identity = dir + "/identity";
  if (runtime::Exists(identity)) {
    CUBE_TRY_VOID(CheckIdentity(identity, node));
  } else {
    const nlohmann::ordered_json text{{"name", node.str()}, {"chosen_by", how}};
    CUBE_TRY_VOID(runtime::WriteFileAtomic(identity, text.dump() + "\n"));
  }
  return NodeFolder{std::move(node), std::move(how), dir, *std::move(lock)};
}

}  // namespace cube::worker
