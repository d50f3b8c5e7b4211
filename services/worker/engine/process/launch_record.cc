#include "services/worker/engine/process/launch_record.h"

#include <limits>
#include <nlohmann/json.hpp>

#include "shared/base/json.h"

namespace cube::engine::process {
namespace {

using Json = nlohmann::json;

constexpr int kVersion = 1;

Result<std::string> Text(const Json& json, const char* key) {
  const auto it = json.find(key);
  if (it == json.end() || !it->is_string()) return Fail(Code::kDataLoss, "not a text", key);
  return it->get<std::string>();
}

template <class T>
Result<T> Number(const Json& json, const char* key) {
  const auto it = json.find(key);
  if (it == json.end() || !it->is_number_unsigned()) {
    return Fail(Code::kDataLoss, "not a number", key);
  }
  const auto value = it->get<std::uint64_t>();
  if (value > std::numeric_limits<T>::max()) return Fail(Code::kDataLoss, "out of range", key);
  return static_cast<T>(value);
}

Result<std::vector<std::string>> Texts(const Json& json, const char* key) {
  const auto it = json.find(key);
  if (it == json.end() || !it->is_array()) return Fail(Code::kDataLoss, "not a list", key);
  std::vector<std::string> texts;
  for (const auto& item : *it) {
    if (!item.is_string()) return Fail(Code::kDataLoss, "not a list of texts", key);
    texts.push_back(item.get<std::string>());
  }
  return texts;
}

Result<std::vector<BoundPort>> Ports(const Json& json) {
  const auto it = json.find("ports");
  if (it == json.end() || !it->is_array()) return Fail(Code::kDataLoss, "not a list", "ports");
  std::vector<BoundPort> ports;
  for (const auto& item : *it) {
    if (!item.is_object()) return Fail(Code::kDataLoss, "not a list of objects", "ports");
    BoundPort& port = ports.emplace_back();
    CUBE_TRY(port.port, Number<std::uint16_t>(item, "port"));
    CUBE_TRY(port.host_port, Number<std::uint16_t>(item, "host_port"));
    CUBE_TRY(const auto protocol, Text(item, "protocol"));
    if (protocol != "tcp" && protocol != "udp") {
      return Fail(Code::kDataLoss, "not tcp or udp", "ports.protocol");
    }
    port.protocol = protocol == "udp" ? Protocol::kUdp : Protocol::kTcp;
  }
  return ports;
}

}  // namespace

std::string EncodeRecord(const LaunchRecord& record) {
  Json ports = Json::array();
  for (const auto& port : record.ports) {
    ports.push_back({{"port", port.port},
                     {"host_port", port.host_port},
                     {"protocol", port.protocol == Protocol::kUdp ? "udp" : "tcp"}});
  }
  const Json json{{"version", kVersion},
                  {"cluster", record.owner.cluster},
                  {"node", record.owner.node.str()},
                  {"task", record.key.task.str()},
                  {"attempt", record.key.attempt},
                  {"launch", record.key.launch},
                  {"placement_term_id", record.placement.term_id},
                  {"placement_cycle", record.placement.cycle},
                  {"boot_id", record.boot_id},
                  {"arguments", record.arguments},
                  {"ports", ports},
                  {"control_groups", record.control_groups}};
  // Arguments may be any bytes; what is not UTF-8 is replaced, since they are for people only.
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
}

Result<LaunchRecord> DecodeRecord(std::string_view bytes) {
  const Json json = ParseJsonText(bytes);
  if (!json.is_object()) return Fail(Code::kDataLoss, "not a JSON object");
  CUBE_TRY(const auto version, Number<std::uint32_t>(json, "version"));
  if (version != kVersion) return Fail(Code::kDataLoss, "unknown version", "version");
  LaunchRecord record;
  CUBE_TRY(record.owner.cluster, Text(json, "cluster"));
  CUBE_TRY(const auto node, Text(json, "node"));
  CUBE_TRY(record.owner.node, NodeName::Parse(node, "node"));
  CUBE_TRY(const auto task, Text(json, "task"));
  CUBE_TRY(record.key.task, TaskId::Parse(task, "task"));
  CUBE_TRY(record.key.attempt, Number<std::uint32_t>(json, "attempt"));
  CUBE_TRY(record.key.launch, Number<std::uint32_t>(json, "launch"));
  CUBE_TRY(record.placement.term_id, Number<std::uint64_t>(json, "placement_term_id"));
  CUBE_TRY(record.placement.cycle, Number<std::uint64_t>(json, "placement_cycle"));
  CUBE_TRY(record.boot_id, Text(json, "boot_id"));
  CUBE_TRY(record.arguments, Texts(json, "arguments"));
  CUBE_TRY(record.ports, Ports(json));
  CUBE_TRY(record.control_groups, Texts(json, "control_groups"));
  return record;
}

std::string FolderName(const LaunchKey& key) {
  return key.task.str() + '-' + std::to_string(key.attempt) + '-' + std::to_string(key.launch);
}

}  // namespace cube::engine::process
