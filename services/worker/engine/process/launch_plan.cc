#include "services/worker/engine/process/launch_plan.h"

#include <signal.h>

#include <cctype>
#include <charconv>
#include <cstring>
#include <map>

#include "shared/domain/rules.h"
#include "shared/domain/text.h"

namespace cube::engine::process {
namespace {

// Linux has 64 signals.
constexpr int kSignalMax = 64;

bool HasNul(std::string_view text) { return text.find('\0') != std::string_view::npos; }

Result<void> CheckArguments(const std::vector<std::string>& arguments, const char* field) {
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (!HasNul(arguments[i])) continue;
    return Fail(Code::kInvalid, "must not contain a NUL byte",
                std::string(field) + '[' + std::to_string(i) + ']');
  }
  return {};
}

}  // namespace

Result<void> CheckSpec(const TaskSpec& spec) {
  if (!spec.image.empty()) {
    return Fail(Code::kInvalid, "the process engine runs commands, not images", "image");
  }
  CUBE_TRY_VOID(CheckArguments(spec.entrypoint, "entrypoint"));
  CUBE_TRY_VOID(CheckArguments(spec.command, "command"));
  const auto arguments = Arguments(spec);
  if (arguments.empty() || arguments[0].empty()) {
    return Fail(Code::kInvalid, "the process engine needs a command to run", "command");
  }
  if (!spec.workdir.empty() && (spec.workdir[0] != '/' || HasNul(spec.workdir))) {
    return Fail(Code::kInvalid, "must be an absolute path", "workdir");
  }
  for (const auto& [name, value] : spec.env) {
    if (name.empty() || HasNul(name) || name.find('=') != std::string::npos) {
      return Fail(Code::kInvalid, "the name of a variable must not be empty or contain '='", "env");
    }
    if (HasNul(value)) return Fail(Code::kInvalid, "must not contain a NUL byte", "env." + name);
  }
  return {};
}

std::vector<std::string> Arguments(const TaskSpec& spec) {
  std::vector<std::string> arguments = spec.entrypoint;
  arguments.insert(arguments.end(), spec.command.begin(), spec.command.end());
  return arguments;
}

std::vector<std::string> Environment(const TaskSpec& spec, const LaunchKey& key,
                                     const NodeName& node, const std::vector<BoundPort>& ports,
                                     const std::string& home) {
  std::map<std::string, std::string> variables{{"PATH", std::string(kDefaultPath)},
                                               {"HOME", home.empty() ? "/" : home}};
  for (const auto& [name, value] : spec.env) variables[name] = value;
  variables["CUBE_TASK"] = key.task.str();
  variables["CUBE_ATTEMPT"] = std::to_string(key.attempt);
  variables["CUBE_LAUNCH"] = std::to_string(key.launch);
  variables["CUBE_NODE"] = node.str();
  for (const auto wanted : {Protocol::kUdp, Protocol::kTcp}) {  // tcp overwrites the short name
    for (const auto& port : ports) {
      if (port.protocol != wanted) continue;
      const std::string name = "CUBE_PORT_" + std::to_string(port.port);
      variables[name] = std::to_string(port.host_port);
      if (wanted == Protocol::kUdp) variables[name + "_UDP"] = std::to_string(port.host_port);
    }
  }
  std::vector<std::string> environment;
  environment.reserve(variables.size());
  for (const auto& [name, value] : variables) environment.push_back(name + '=' + value);
  return environment;
}

Result<void> ApplyExec(const ExecRequest& request, Command& command) {
  CUBE_TRY_VOID(CheckArguments(request.command, "command"));
  if (request.command.empty() || request.command[0].empty())
    return Fail(Code::kInvalid, "a command is needed", "command");
  command.arguments = request.command;
  if (!request.workdir.empty()) {
    if (request.workdir[0] != '/' || HasNul(request.workdir))
      return Fail(Code::kInvalid, "must be an absolute path", "workdir");
    command.workdir = request.workdir;
  }
  for (const auto& [name, value] : request.env) {
    if (name.empty() || HasNul(name) || HasNul(value) || name.find('=') != std::string::npos)
      return Fail(Code::kInvalid, "not a variable", "env");
    std::erase_if(command.environment,
                  [&](const std::string& entry) { return entry.starts_with(name + '='); });
    command.environment.push_back(name + '=' + value);
  }
  // Those of the launch: it is not to be killed, and has its own cause of death.
  command.kill_file.clear();
  command.oom_file.clear();
  return {};
}

Result<int> SignalNumber(std::string_view text) {
  if (text.empty()) return SIGTERM;
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size()) {
    if (number >= 1 && number <= kSignalMax) return number;
    return Fail(Code::kInvalid, "signal numbers are 1 to 64", "stop_signal");
  }
  std::string name;
  for (const char c : text) {
    name += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  if (name.starts_with("SIG")) name.erase(0, 3);
  for (int candidate = 1; candidate <= kSignalMax; ++candidate) {
    const char* known = sigabbrev_np(candidate);
    if (known != nullptr && name == known) return candidate;
  }
  return Fail(Code::kInvalid,
              "no such signal: '" + CleanText(text, kQuotedLengthMax) + "' (as in \"SIGTERM\")",
              "stop_signal");
}

Result<UserText> SplitUser(std::string_view text) {
  const auto colon = text.find(':');
  UserText parts{std::string(text.substr(0, colon)),
                 colon == std::string_view::npos ? "" : std::string(text.substr(colon + 1))};
  const bool empty_group = colon != std::string_view::npos && parts.group.empty();
  if (parts.user.empty() || empty_group || HasNul(text) ||
      parts.group.find(':') != std::string::npos) {
    return Fail(Code::kInvalid, "must be \"user\" or \"user:group\", names or numbers", "user");
  }
  return parts;
}

}  // namespace cube::engine::process
