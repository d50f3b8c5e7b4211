// What a node says of itself.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "shared/domain/task_spec.h"

namespace cube {

struct EngineDescription {
  std::string kind;     // "docker", "process", "sim"
  std::string version;  // for people
  bool limits = false;  // cpu and memory limits are enforced
  bool up = false;      // it answers
  friend bool operator==(const EngineDescription&, const EngineDescription&) = default;
};

// How much of a node is in use as measured, in sixteenths of its capacity: 0 to 16. Coarse, so that
// it enters the log only when it matters.
inline constexpr std::uint8_t kLoadFull = 16;
struct NodeLoad {
  std::uint8_t cpu = 0;
  std::uint8_t memory = 0;
  std::uint8_t disk = 0;
  friend bool operator==(const NodeLoad&, const NodeLoad&) = default;
};

struct NodeDescription {
  Resources capacity;           // what may be promised to tasks
  std::uint32_t tasks_max = 0;  // tasks at one time
  std::map<std::string, std::string> labels;
  std::vector<EngineDescription> engines;
  std::string version;  // of the worker
  std::string address;  // where published ports are reached; empty = unknown
  friend bool operator==(const NodeDescription&, const NodeDescription&) = default;
};

}  // namespace cube
