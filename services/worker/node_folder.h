// The worker's folder: <state>/worker/<name>/ with
//   identity  which node this folder is, and how its name was chosen
//   lock      held by the worker that runs
//   view/     LMDB: assignments, outbox (set aside and begun anew if damaged)
//   output/   saved ends of output (output_files.h)
//   process/  launches of engine `process`
#pragma once

#include <string>

#include "shared/base/error.h"
#include "shared/domain/ids.h"
#include "shared/runtime/lock_file.h"

namespace cube::worker {

struct NodeFolder {
  NodeName name;
  std::string how;  // "flag", "identity", "host name"
  std::string dir;
  runtime::LockFile lock;
};

// Chooses the name (--name, else the only identity in <state>/worker, else the host's name), makes
// the folder and locks it. kConflict: another worker runs in it. kInvalid: not a node's name.
[[nodiscard]] Result<NodeFolder> OpenNodeFolder(const std::string& state_dir,
                                                const std::string& name_flag);

}  // namespace cube::worker
