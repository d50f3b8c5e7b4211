// launch.json: whose a launch is and what it holds, so that a new worker can take it up. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "services/worker/engine/engine.h"
#include "shared/base/error.h"

namespace cube::engine::process {

struct LaunchRecord {
  Owner owner;
  LaunchKey key;
  Stamp placement;
  std::string boot_id;
  std::vector<std::string> arguments;       // for people
  std::vector<BoundPort> ports;             // as chosen, sorted
  std::vector<std::string> control_groups;  // folders to remove with the launch
};

[[nodiscard]] std::string EncodeRecord(const LaunchRecord& record);
[[nodiscard]] Result<LaunchRecord> DecodeRecord(std::string_view bytes);

// "<task>-<attempt>-<launch>": unique, since attempt and launch are the last two numbers.
[[nodiscard]] std::string FolderName(const LaunchKey& key);

}  // namespace cube::engine::process
