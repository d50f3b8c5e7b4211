#include "services/worker/engine/docker/docker_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>

#include "shared/base/json.h"
#include "shared/domain/isolation.h"
#include "shared/domain/text.h"

namespace cube::engine::docker {
namespace {

using nlohmann::json;

// Longest part of a foreign text that is quoted in an error.
constexpr std::size_t kQuotedBytesMax = 512;
constexpr int kSignalBase = 128;  // exit code of "ended by signal n" is 128 + n
constexpr int kSignalMax = 64;

// The member, or a null that is never written to.
const json& At(const json& object, std::string_view name) {
  static const json kNull;
  if (!object.is_object()) return kNull;
  const auto it = object.find(name);
  return it == object.end() ? kNull : *it;
}

std::string Text(const json& value) {
  return value.is_string() ? value.get<std::string>() : std::string();
}
bool Flag(const json& value) { return value.is_boolean() && value.get<bool>(); }

std::int64_t Integer(const json& value) {
  if (value.is_number_unsigned()) {
    const auto n = value.get<std::uint64_t>();
    constexpr auto kMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    return static_cast<std::int64_t>(std::min(n, kMax));
  }
  return value.is_number_integer() ? value.get<std::int64_t>() : 0;
}

Labels LabelsOf(const json& object) {
  Labels labels;
  if (!object.is_object()) return labels;
  for (const auto& [name, value] : object.items())
    if (value.is_string()) labels.emplace(name, value.get<std::string>());
  return labels;
}

template <class T>
std::optional<T> Number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

// The engine writes year 1 for "never".
WallTime TimeOf(const json& value) {
  const std::string text = Text(value);
  if (text.empty() || text.starts_with("0001-")) return {};
  return ParseRfc3339(text).value_or(WallTime{});
}

std::string Quoted(std::string_view text) { return CleanText(text, kQuotedBytesMax); }

std::unexpected<Error> Garbage(std::string_view what, std::string_view body) {
  return Fail(Code::kInternal, fmt::format("the engine's {} is not what its API promises: \"{}\"",
                                           what, CleanText(body, 80)));
}

std::optional<Protocol> ProtocolOf(std::string_view text) {
  if (text == "tcp") return Protocol::kTcp;
  if (text == "udp") return Protocol::kUdp;
  return std::nullopt;
}

// NetworkSettings.Ports: {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "32768"}, ...]}. Some
// engines bind IPv4 and IPv6 to different host ports; the IPv4 one is reported.
std::vector<BoundPort> PortsOf(const json& object) {
  std::vector<BoundPort> ports;
  if (!object.is_object()) return ports;
  for (const auto& [name, bindings] : object.items()) {
    const std::size_t slash = name.find('/');
    if (slash == std::string::npos || !bindings.is_array()) continue;
    const auto port = Number<std::uint16_t>(std::string_view(name).substr(0, slash));
    const auto protocol = ProtocolOf(std::string_view(name).substr(slash + 1));
    std::optional<std::uint16_t> host_port;
    for (const json& binding : bindings) {
      const auto bound = Number<std::uint16_t>(Text(At(binding, "HostPort")));
      const bool v6 = Text(At(binding, "HostIp")).find(':') != std::string::npos;
      if (bound && (!host_port || !v6)) host_port = bound;
    }
    if (port && protocol && host_port) ports.push_back({*port, *host_port, *protocol});
  }
  std::sort(ports.begin(), ports.end());
  return ports;
}

// NetworkSettings.Networks: {"bridge": {"IPAddress": "172.17.0.2", ...}}. Not the older member
// beside it, which newer engines have dropped. IPv4 goes first.
std::string AddressOf(const json& networks) {
  if (!networks.is_object()) return {};
  for (const char* const member : {"IPAddress", "GlobalIPv6Address"})
    for (const auto& [name, network] : networks.items())
      if (std::string address = Text(At(network, member)); !address.empty()) return address;
  return {};
}

std::vector<BoundPort> RowPortsOf(const json& array) {
  std::vector<BoundPort> ports;
  if (!array.is_array()) return ports;
  for (const json& row : array) {
    const std::int64_t port = Integer(At(row, "PrivatePort"));
    const std::int64_t host_port = Integer(At(row, "PublicPort"));
    const auto protocol = ProtocolOf(Text(At(row, "Type")));
    if (!protocol || port < 1 || port > 65535 || host_port < 1 || host_port > 65535) continue;
    ports.push_back(
        {static_cast<std::uint16_t>(port), static_cast<std::uint16_t>(host_port), *protocol});
  }
  return ports;
}

ContainerState StateOf(const json& state) {
  const std::string status = Text(At(state, "Status"));
  if (status == "created") return ContainerState::kCreated;
  if (status == "removing") return ContainerState::kRemoving;
  if (status == "running" || status == "paused" || status == "restarting")
    return ContainerState::kRunning;
  if (status.empty() && Flag(At(state, "Running"))) return ContainerState::kRunning;
  return ContainerState::kExited;
}

// Invalid UTF-8 from a user's spec is replaced, since JSON cannot carry it.
std::string Dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace

std::optional<Identity> IdentityOf(const Labels& labels, const Owner& owner) {
  const auto get = [&](std::string_view name) -> std::string_view {
    const auto it = labels.find(name);
    return it == labels.end() ? std::string_view() : std::string_view(it->second);
  };
  if (owner.cluster.empty() || get(kLabelCluster) != owner.cluster ||
      get(kLabelNode) != owner.node.str())
    return std::nullopt;
  const auto task = TaskId::Parse(get(kLabelTask), kLabelTask);
  const auto attempt = Number<std::uint32_t>(get(kLabelAttempt));
  const auto launch = Number<std::uint32_t>(get(kLabelLaunch));
  const std::string_view placement = get(kLabelPlacement);
  const std::size_t colon = placement.find(':');
  if (!task || !attempt || !launch || colon == std::string_view::npos) return std::nullopt;
  const auto term_id = Number<std::uint64_t>(placement.substr(0, colon));
  const auto cycle = Number<std::uint64_t>(placement.substr(colon + 1));
  if (!term_id || !cycle) return std::nullopt;
  return Identity{{*task, *attempt, *launch}, {*term_id, *cycle}};
}

std::string ApiVersion::Text() const { return fmt::format("{}.{}", major_number, minor_number); }

Result<ApiVersion> ParseApiVersion(std::string_view text) {
  const std::size_t dot = text.find('.');
  if (dot != std::string_view::npos) {
    const auto major_number = Number<int>(text.substr(0, dot));
    const auto minor_number = Number<int>(text.substr(dot + 1));
    if (major_number && minor_number && *major_number >= 0 && *minor_number >= 0)
      return ApiVersion{*major_number, *minor_number};
  }
  return Fail(Code::kInvalid,
              fmt::format("\"{}\" is not a version of the Docker Engine API; it looks like 1.41",
                          Quoted(text)));
}

Result<ServerVersion> DecodeVersion(std::string_view body) {
  const json document = ParseJsonText(body);
  ServerVersion result;
  result.version = Text(At(document, "Version"));
  const auto api = ParseApiVersion(Text(At(document, "ApiVersion")));
  if (!api) return Garbage("answer to /version", body);
  result.api = *api;
  if (const auto oldest = ParseApiVersion(Text(At(document, "MinAPIVersion"))))
    result.api_oldest = *oldest;
  return result;
}

Result<ApiVersion> NegotiateVersion(const ServerVersion& server, const std::string& wanted) {
  ApiVersion version = std::min(kApiVersionMax, server.api);
  if (!wanted.empty()) {
    CUBE_TRY(version, ParseApiVersion(wanted));
    if (version > server.api)
      return Fail(Code::kUnsupported,
                  fmt::format("DOCKER_API_VERSION asks for {}, the engine speaks at most {}",
                              version.Text(), server.api.Text()));
  }
  if (version < kApiVersionMin)
    return Fail(Code::kUnsupported,
                fmt::format("the engine {} speaks API {}; at least {} is needed", server.version,
                            version.Text(), kApiVersionMin.Text()));
  if (version < server.api_oldest)
    return Fail(Code::kUnsupported,
                fmt::format("the engine {} speaks API {} or newer; at most {} is known here",
                            server.version, server.api_oldest.Text(), version.Text()));
  return version;
}

Result<ServerState> DecodeInfo(std::string_view body) {
  const json document = ParseJsonText(body);
  if (!document.is_object()) return Garbage("answer to /info", body);
  ServerState result;
  result.limits = Flag(At(document, "MemoryLimit")) &&
                  (Flag(At(document, "CpuCfsQuota")) || Flag(At(document, "CPUCfsQuota")) ||
                   Flag(At(document, "CpuCfsPeriod")));
  result.system_time = TimeOf(At(document, "SystemTime"));
  return result;
}

Result<Container> DecodeContainer(std::string_view body) {
  const json document = ParseJsonText(body);
  const json& state = At(document, "State");
  const json& config = At(document, "Config");
  Container result;
  result.id = Text(At(document, "Id"));
  if (result.id.empty() || !state.is_object()) return Garbage("description of a container", body);
  result.state = StateOf(state);
  result.exit_code =
      static_cast<std::int32_t>(std::clamp<std::int64_t>(Integer(At(state, "ExitCode")), -1, 255));
  result.oom_killed = Flag(At(state, "OOMKilled"));
  result.error = Quoted(Text(At(state, "Error")));
  result.started_at = TimeOf(At(state, "StartedAt"));
  result.finished_at = TimeOf(At(state, "FinishedAt"));
  result.pid =
      static_cast<std::int32_t>(std::clamp<std::int64_t>(Integer(At(state, "Pid")), 0, INT32_MAX));
  result.tty = Flag(At(config, "Tty"));
  result.stop_signal = Text(At(config, "StopSignal"));
  result.memory_bytes = Integer(At(At(document, "HostConfig"), "Memory"));
  result.labels = LabelsOf(At(config, "Labels"));
  const json& network = At(document, "NetworkSettings");
  result.ports = PortsOf(At(network, "Ports"));
  // On the node's own network nothing is published: its ports are those of the node.
  const json& host = At(document, "HostConfig");
  if (Text(At(host, "NetworkMode")) == kNetworkHost)
    result.ports = PortsOf(At(host, "PortBindings"));
  result.address = AddressOf(At(network, "Networks"));
  return result;
}

std::string MemoryLimitText(std::int64_t bytes) {
  constexpr std::int64_t kMebibyte = 1 << 20;
  return bytes % kMebibyte == 0 ? fmt::format("{} MiB", bytes / kMebibyte)
                                : fmt::format("{} bytes", bytes);
}

LaunchStatus StatusOf(const Container& container, const Identity& identity) {
  LaunchStatus status;
  status.key = identity.key;
  status.placement = identity.placement;
  status.container_id = container.id;
  switch (container.state) {
    case ContainerState::kCreated:
      status.state = LaunchState::kStarting;
      return status;
    case ContainerState::kRunning:
      status.state = LaunchState::kRunning;
      status.started_at = container.started_at;
      status.ports = container.ports;
      status.address = container.address;
      return status;
    case ContainerState::kRemoving:
    case ContainerState::kExited:
      break;
  }
  status.state = LaunchState::kExited;
  status.started_at = container.started_at;
  status.finished_at = std::max(container.finished_at, container.started_at);
  status.exit_code = container.exit_code;
  const int code = container.exit_code;
  if (container.oom_killed && code != 0) {
    status.cause = ExitCause::kOutOfMemory;
    status.detail =
        "a process was killed at the memory limit of " + MemoryLimitText(container.memory_bytes);
  } else if (code > kSignalBase && code <= kSignalBase + kSignalMax) {
    status.cause = ExitCause::kSignaled;
  } else {
    status.cause = ExitCause::kExited;
  }
  if (status.detail.empty()) status.detail = container.error;
  return status;
}

Result<std::vector<ContainerRow>> DecodeContainerList(std::string_view body) {
  const json document = ParseJsonText(body);
  if (!document.is_array()) return Garbage("list of containers", body);
  std::vector<ContainerRow> rows;
  for (const json& item : document) {
    ContainerRow row;
    row.id = Text(At(item, "Id"));
    if (row.id.empty()) return Garbage("list of containers", body);
    row.state = Text(At(item, "State"));
    row.labels = LabelsOf(At(item, "Labels"));
    row.ports = RowPortsOf(At(item, "Ports"));
    rows.push_back(std::move(row));
  }
  return rows;
}

Result<std::string> DecodeCreated(std::string_view body) {
  std::string id = Text(At(ParseJsonText(body), "Id"));
  if (id.empty()) return Garbage("answer to a create", body);
  return id;
}

std::string EncodeExec(const ExecRequest& request, const std::string& variable) {
  json body = json::object();
  body["AttachStdin"] = request.input;
  body["AttachStdout"] = true;
  body["AttachStderr"] = true;
  body["Tty"] = false;
  body["Cmd"] = request.command;
  if (!request.user.empty()) body["User"] = request.user;
  if (!request.workdir.empty()) body["WorkingDir"] = request.workdir;
  json env = json::array();
  for (const auto& [name, value] : request.env) env.push_back(name + "=" + value);
  if (!variable.empty()) env.push_back(variable);
  if (!env.empty()) body["Env"] = env;
  return Dump(body);
}

Result<ExecState> DecodeExec(std::string_view body) {
  const json document = ParseJsonText(body);
  if (!At(document, "Running").is_boolean()) return Garbage("state of a command", body);
  ExecState state;
  state.running = Flag(At(document, "Running"));
  state.pid = Integer(At(document, "Pid"));
  if (const json& code = At(document, "ExitCode"); code.is_number_integer())
    state.exit_code = static_cast<std::int32_t>(std::clamp<std::int64_t>(Integer(code), -1, 255));
  return state;
}

std::string DecodeErrorText(std::string_view body) {
  const std::string message = Text(At(ParseJsonText(body), "message"));
  return Quoted(message.empty() ? body : std::string_view(message));
}

namespace {

json MountsOf(const TaskSpec& spec, const Owner& owner) {
  json mounts = json::array();
  for (const VolumeSpec& volume : spec.volumes) {
    const bool bind = volume.source.starts_with('/');
    json mount = {{"Type", bind ? "bind" : "volume"},
                  {"Target", volume.target},
                  {"ReadOnly", volume.read_only}};
    if (!volume.source.empty()) mount["Source"] = volume.source;
    // Of a volume that the engine makes now; one that is there keeps its own.
    if (!bind)
      mount["VolumeOptions"] = {{"Labels",
                                 {{std::string(kLabelCluster), owner.cluster},
                                  {std::string(kLabelNode), owner.node.str()}}}};
    mounts.push_back(std::move(mount));
  }
  return mounts;
}

void PutIsolation(const TaskSpec& spec, const Owner& owner, json& host) {
  host["SecurityOpt"] = json::array({"no-new-privileges"});
  if (!spec.volumes.empty()) host["Mounts"] = MountsOf(spec, owner);
  if (!spec.network.empty() && spec.network != kNetworkBridge) host["NetworkMode"] = spec.network;
  if (!spec.cap_add.empty()) host["CapAdd"] = spec.cap_add;
  if (!spec.cap_drop.empty()) host["CapDrop"] = spec.cap_drop;
  if (spec.read_only_root) host["ReadonlyRootfs"] = true;
}

}  // namespace

std::string EncodeCreate(const Owner& owner, const LaunchRequest& request) {
  const TaskSpec& spec = *request.spec;
  json labels = json::object();
  for (const auto& [name, value] : spec.labels) labels[name] = value;
  labels[kLabelCluster] = owner.cluster;
  labels[kLabelNode] = owner.node.str();
  labels[kLabelTask] = request.key.task.str();
  labels[kLabelAttempt] = std::to_string(request.key.attempt);
  labels[kLabelLaunch] = std::to_string(request.key.launch);
  labels[kLabelPlacement] =
      fmt::format("{}:{}", request.placement.term_id, request.placement.cycle);

  json host = json::object();
  host["RestartPolicy"] = {{"Name", "no"}};
  PutIsolation(spec, owner, host);
  // json-file can be read back through the API, and must not fill the disk.
  host["LogConfig"] = {
      {"Type", "json-file"},
      {"Config",
       {{"max-size", std::to_string(kLogFileBytes)}, {"max-file", std::to_string(kLogFiles)}}}};
  if (spec.resources.cpu_millis > 0) host["NanoCpus"] = spec.resources.cpu_millis * 1'000'000;
  if (spec.resources.memory_bytes > 0) {
    host["Memory"] = spec.resources.memory_bytes;
    host["MemorySwap"] = spec.resources.memory_bytes;  // memory + swap: no swap on top
  }
  json exposed = json::object();
  json bindings = json::object();
  for (const PortSpec& port : spec.ports) {
    const std::string name =
        fmt::format("{}/{}", port.port, port.protocol == Protocol::kUdp ? "udp" : "tcp");
    exposed[name] = json::object();
    bindings[name].push_back(
        {{"HostPort", port.host_port == 0 ? std::string() : std::to_string(port.host_port)}});
  }
  if (!spec.ports.empty()) host["PortBindings"] = bindings;

  json body = json::object();
  body["Image"] = spec.image;
  body["Labels"] = labels;
  body["HostConfig"] = host;
  if (!spec.ports.empty()) body["ExposedPorts"] = exposed;
  if (!spec.command.empty()) body["Cmd"] = spec.command;
  if (!spec.entrypoint.empty()) body["Entrypoint"] = spec.entrypoint;
  if (!spec.user.empty()) body["User"] = spec.user;
  if (!spec.workdir.empty()) body["WorkingDir"] = spec.workdir;
  if (!spec.stop_signal.empty()) body["StopSignal"] = spec.stop_signal;
  // Checks are the worker's: one that the image brings would be run for nobody.
  body["Healthcheck"]["Test"] = json::array({"NONE"});
  json env = json::array();
  for (const auto& [name, value] : spec.env) env.push_back(name + "=" + value);
  if (!env.empty()) body["Env"] = env;
  return Dump(body);
}

Result<Network> DecodeNetwork(std::string_view body) {
  const json document = ParseJsonText(body);
  Network network{Text(At(document, "Name")), Text(At(document, "Driver"))};
  if (network.name.empty()) return Garbage("description of a network", body);
  return network;
}

Result<Labels> DecodeVolume(std::string_view body) {
  const json document = ParseJsonText(body);
  if (Text(At(document, "Name")).empty()) return Garbage("description of a volume", body);
  return LabelsOf(At(document, "Labels"));
}

std::string EncodeFilters(const Owner& owner, bool events) {
  json filters = json::object();
  filters["label"] = {fmt::format("{}={}", kLabelCluster, owner.cluster),
                      fmt::format("{}={}", kLabelNode, owner.node.str())};
  if (events) {
    filters["type"] = json::array({"container"});
    filters["event"] = json::array({"die", "oom", "destroy"});
  }
  return Dump(filters);
}

Result<ContainerEvent> DecodeEvent(std::string_view line) {
  const json document = ParseJsonText(line);
  const json& actor = At(document, "Actor");
  ContainerEvent event;
  event.action = Text(At(document, "Action"));
  event.id = Text(At(actor, "ID"));
  if (event.action.empty() || event.id.empty()) return Garbage("event", line);
  event.labels = LabelsOf(At(actor, "Attributes"));
  event.time = WallFromNanos(Integer(At(document, "timeNano")));
  return event;
}

Result<PullStep> DecodePullStep(std::string_view line) {
  const json document = ParseJsonText(line);
  if (!document.is_object()) return Garbage("progress of a pull", line);
  PullStep step;
  step.layer = Quoted(Text(At(document, "id")));
  step.status = Quoted(Text(At(document, "status")));
  const json& progress = At(document, "progressDetail");
  step.current = std::max<std::int64_t>(0, Integer(At(progress, "current")));
  step.total = std::max<std::int64_t>(0, Integer(At(progress, "total")));
  const json& detail = At(document, "errorDetail");
  std::string message = Text(At(detail, "message"));
  if (message.empty()) message = Text(At(document, "error"));
  if (!message.empty()) {
    const std::int64_t status = Integer(At(detail, "code"));
    Code code = Code::kUnavailable;
    if (status == 401 || status == 403) code = Code::kPermission;
    if (status == 404) code = Code::kNotFound;
    step.error = Error{code, Quoted(message), {}};
  }
  return step;
}

void PullProgress::Add(const PullStep& step) {
  // The step that names the tag ("Pulling from library/busybox") is not a layer.
  if (step.layer.empty() || step.status.starts_with("Pulling from")) return;
  auto it = layers_.find(step.layer);
  if (it == layers_.end()) {
    if (layers_.size() >= kLayersMax) return;
    it = layers_.emplace(step.layer, Layer{}).first;
  }
  Layer& layer = it->second;
  // Only for display: a text that changes in a later engine shows a wrong number, no more.
  if (step.status == "Pull complete" || step.status == "Already exists") {
    layer.done = true;
    layer.current = layer.total;
  } else if (step.status == "Downloading" && step.total > 0) {
    layer.total = std::min(step.total, std::int64_t{1} << 50);
    layer.current = std::min(step.current, layer.total);
  } else if (step.status == "Download complete") {
    layer.current = layer.total;
  }
}

std::string PullProgress::Text() const {
  if (layers_.empty()) return "asking the registry";
  std::size_t done = 0;
  long double current = 0;
  long double total = 0;
  for (const auto& [id, layer] : layers_) {
    done += layer.done ? 1u : 0u;
    current += static_cast<long double>(layer.current);
    total += static_cast<long double>(layer.total);
  }
  std::string text = fmt::format("{}/{} layers", done, layers_.size());
  if (total > 0) text += fmt::format(", {}%", static_cast<int>(100 * current / total));
  return text;
}

}  // namespace cube::engine::docker
