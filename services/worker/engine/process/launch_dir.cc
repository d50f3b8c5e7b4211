#include "services/worker/engine/process/launch_dir.h"

#include <array>
#include <charconv>

namespace cube::engine::process {
namespace {

constexpr std::string_view kMagic = "cube-launch 1\n";

constexpr std::array<std::pair<Phase, std::string_view>, 6> kPhases{{
    {Phase::kRunning, "running"},
    {Phase::kExited, "exited"},
    {Phase::kSignaled, "signaled"},
    {Phase::kOutOfMemory, "out-of-memory"},
    {Phase::kStartFailed, "start-failed"},
    {Phase::kVanished, "vanished"},
}};

// The failures that a start can end in; others are written and read as "internal".
constexpr std::array<Code, 8> kFailures{Code::kInvalid,     Code::kNotFound,     Code::kConflict,
                                        Code::kUnavailable, Code::kPrecondition, Code::kResource,
                                        Code::kPermission,  Code::kUnsupported};

template <class T>
bool ParseNumber(std::string_view text, T* value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  return error == std::errc() && end == text.data() + text.size();
}

template <class T>
Result<void> Read(const std::string& text, std::string_view key, T* value) {
  if (ParseNumber(text, value)) return {};
  return Fail(Code::kDataLoss, "'" + text + "' is not a number in range", std::string(key));
}

Result<void> ReadTime(const std::string& text, std::string_view key, WallTime* value) {
  std::int64_t nanos = 0;
  CUBE_TRY_VOID(Read(text, key, &nanos));
  *value = WallFromNanos(nanos);
  return {};
}

std::string Escaped(std::string_view value) {
  std::string text;
  text.reserve(value.size());
  for (const char c : value) {
    if (c == '\\') {
      text += "\\\\";
    } else if (c == '\n') {
      text += "\\n";
    } else {
      text += c;
    }
  }
  return text;
}

std::optional<std::string> Unescaped(std::string_view text) {
  std::string value;
  value.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      value += text[i];
      continue;
    }
    if (++i == text.size()) return std::nullopt;
    if (text[i] != '\\' && text[i] != 'n') return std::nullopt;
    value += text[i] == 'n' ? '\n' : '\\';
  }
  return value;
}

// The next word of `rest`, which is shortened by it.
std::string_view NextWord(std::string_view* rest) {
  const auto begin = rest->find_first_not_of(' ');
  if (begin == std::string_view::npos) return {};
  rest->remove_prefix(begin);
  const auto end = rest->find_first_of(" \n");
  const auto word = rest->substr(0, end);
  rest->remove_prefix(word.size());
  return word;
}

}  // namespace

std::string EncodeFields(const Fields& fields) {
  std::string text(kMagic);
  for (const auto& [key, value] : fields) text += key + ' ' + Escaped(value) + '\n';
  return text;
}

Result<Fields> DecodeFields(std::string_view bytes) {
  if (!bytes.starts_with(kMagic)) return Fail(Code::kDataLoss, "not a file of a launch");
  bytes.remove_prefix(kMagic.size());
  Fields fields;
  while (!bytes.empty()) {
    const auto end = bytes.find('\n');
    if (end == std::string_view::npos) return Fail(Code::kDataLoss, "the last line is cut off");
    const auto line = bytes.substr(0, end);
    bytes.remove_prefix(end + 1);
    const auto space = line.find(' ');
    if (space == 0 || space == std::string_view::npos) {
      return Fail(Code::kDataLoss, "a line without a key");
    }
    auto value = Unescaped(line.substr(space + 1));
    if (!value) return Fail(Code::kDataLoss, "a bad escape", std::string(line.substr(0, space)));
    fields.emplace_back(std::string(line.substr(0, space)), std::move(*value));
  }
  return fields;
}

std::string EncodeCommand(const Command& command) {
  Fields fields;
  for (const auto& argument : command.arguments) fields.emplace_back("argument", argument);
  for (const auto& variable : command.environment) fields.emplace_back("environment", variable);
  if (!command.workdir.empty()) fields.emplace_back("workdir", command.workdir);
  if (command.identity) {
    fields.emplace_back("uid", std::to_string(command.identity->uid));
    fields.emplace_back("gid", std::to_string(command.identity->gid));
    for (const auto group : command.identity->groups) {
      fields.emplace_back("group", std::to_string(group));
    }
  }
  for (const auto& path : command.join) fields.emplace_back("join", path);
  if (!command.kill_file.empty()) fields.emplace_back("kill_file", command.kill_file);
  if (!command.oom_file.empty()) fields.emplace_back("oom_file", command.oom_file);
  return EncodeFields(fields);
}

Result<Command> DecodeCommand(std::string_view bytes) {
  CUBE_TRY(auto fields, DecodeFields(bytes));
  Command command;
  bool has_uid = false;
  bool has_gid = false;
  Command::Identity identity;
  for (auto& [key, value] : fields) {
    if (key == "argument") {
      command.arguments.push_back(std::move(value));
    } else if (key == "environment") {
      command.environment.push_back(std::move(value));
    } else if (key == "workdir") {
      command.workdir = std::move(value);
    } else if (key == "uid") {
      CUBE_TRY_VOID(Read(value, key, &identity.uid));
      has_uid = true;
    } else if (key == "gid") {
      CUBE_TRY_VOID(Read(value, key, &identity.gid));
      has_gid = true;
    } else if (key == "group") {
      CUBE_TRY_VOID(Read(value, key, &identity.groups.emplace_back()));
    } else if (key == "join") {
      command.join.push_back(std::move(value));
    } else if (key == "kill_file") {
      command.kill_file = std::move(value);
    } else if (key == "oom_file") {
      command.oom_file = std::move(value);
    } else {
      // A key that is not understood could be a restriction: not running is the safe answer.
      return Fail(Code::kDataLoss, "unknown key", key);
    }
  }
  if (command.arguments.empty()) return Fail(Code::kDataLoss, "no command", "argument");
  if (has_uid != has_gid) return Fail(Code::kDataLoss, "uid and gid must come together", "uid");
  if (has_uid) command.identity = std::move(identity);
  return command;
}

std::string EncodePid(const PidRecord& record) {
  return EncodeFields({{"boot_id", record.boot_id},
                       {"supervisor_pid", std::to_string(record.supervisor.pid)},
                       {"supervisor_start", std::to_string(record.supervisor.start_ticks)},
                       {"command_pid", std::to_string(record.command.pid)},
                       {"command_start", std::to_string(record.command.start_ticks)}});
}

Result<PidRecord> DecodePid(std::string_view bytes) {
  CUBE_TRY(auto fields, DecodeFields(bytes));
  PidRecord record;
  for (auto& [key, value] : fields) {
    if (key == "boot_id") {
      record.boot_id = std::move(value);
    } else if (key == "supervisor_pid") {
      CUBE_TRY_VOID(Read(value, key, &record.supervisor.pid));
    } else if (key == "supervisor_start") {
      CUBE_TRY_VOID(Read(value, key, &record.supervisor.start_ticks));
    } else if (key == "command_pid") {
      CUBE_TRY_VOID(Read(value, key, &record.command.pid));
    } else if (key == "command_start") {
      CUBE_TRY_VOID(Read(value, key, &record.command.start_ticks));
    }
  }
  // Signals go to these: 0, 1 and negative numbers would mean somebody else entirely.
  if (record.supervisor.pid <= 1) return Fail(Code::kDataLoss, "no pid", "supervisor_pid");
  if (record.command.pid <= 1) return Fail(Code::kDataLoss, "no pid", "command_pid");
  if (record.boot_id.empty()) return Fail(Code::kDataLoss, "missing", "boot_id");
  return record;
}

std::string EncodeStatus(const StatusRecord& record) {
  Fields fields;
  for (const auto& [phase, name] : kPhases) {
    if (phase == record.phase) fields.emplace_back("phase", name);
  }
  fields.emplace_back("value", std::to_string(record.value));
  if (record.phase == Phase::kStartFailed) {
    fields.emplace_back("failure", CodeName(record.failure));
  }
  fields.emplace_back("started_ns", std::to_string(ToNanos(record.started_at)));
  fields.emplace_back("finished_ns", std::to_string(ToNanos(record.finished_at)));
  fields.emplace_back("detail", record.detail);
  return EncodeFields(fields);
}

Result<StatusRecord> DecodeStatus(std::string_view bytes) {
  CUBE_TRY(auto fields, DecodeFields(bytes));
  StatusRecord record;
  bool has_phase = false;
  for (auto& [key, value] : fields) {
    if (key == "phase") {
      for (const auto& [phase, name] : kPhases) {
        if (name != value) continue;
        record.phase = phase;
        has_phase = true;
      }
    } else if (key == "value") {
      CUBE_TRY_VOID(Read(value, key, &record.value));
    } else if (key == "failure") {
      for (const auto code : kFailures) {
        if (CodeName(code) == value) record.failure = code;
      }
    } else if (key == "started_ns") {
      CUBE_TRY_VOID(ReadTime(value, key, &record.started_at));
    } else if (key == "finished_ns") {
      CUBE_TRY_VOID(ReadTime(value, key, &record.finished_at));
    } else if (key == "detail") {
      record.detail = std::move(value);
    }
  }
  if (!has_phase) return Fail(Code::kDataLoss, "missing or unknown", "phase");
  return record;
}

std::uint64_t EncodeStop(StopRequest request) {
  const std::uint64_t grace_ms =
      request.grace_ms < kGraceMsMax ? request.grace_ms : kGraceMsMax - 1;
  return (grace_ms << 8) | static_cast<std::uint64_t>(request.signal);
}

std::optional<StopRequest> DecodeStop(std::uint64_t value) {
  StopRequest request{static_cast<std::int32_t>(value & 0xff), value >> 8};
  if (request.signal < 1 || request.signal > 64) return std::nullopt;
  if (request.grace_ms >= kGraceMsMax) return std::nullopt;
  return request;
}

std::optional<ProcStat> ParseProcStat(std::string_view bytes) {
  // "pid (name) state parent group session ...": the name ends at the last parenthesis.
  const auto open = bytes.find(" (");
  const auto close = bytes.rfind(") ");
  if (open == std::string_view::npos || close == std::string_view::npos || close < open) {
    return std::nullopt;
  }
  ProcStat stat;
  if (!ParseNumber(bytes.substr(0, open), &stat.pid)) return std::nullopt;
  auto rest = bytes.substr(close + 2);
  constexpr int kFirstField = 3;
  constexpr int kParent = 4;
  constexpr int kSession = 6;
  constexpr int kStartTime = 22;
  for (int field = kFirstField; field <= kStartTime; ++field) {
    const auto word = NextWord(&rest);
    if (word.empty()) return std::nullopt;
    bool ok = true;
    if (field == kFirstField) stat.state = word[0];
    if (field == kParent) ok = ParseNumber(word, &stat.parent);
    if (field == kSession) ok = ParseNumber(word, &stat.session);
    if (field == kStartTime) ok = ParseNumber(word, &stat.start_ticks);
    if (!ok) return std::nullopt;
  }
  return stat;
}

std::uint64_t ParseOomKills(std::string_view bytes) {
  constexpr std::string_view kKey = "oom_kill ";
  while (!bytes.empty()) {
    const auto line = bytes.substr(0, bytes.find('\n'));
    bytes.remove_prefix(line.size() < bytes.size() ? line.size() + 1 : line.size());
    std::uint64_t count = 0;
    if (line.starts_with(kKey) && ParseNumber(line.substr(kKey.size()), &count)) return count;
  }
  return 0;
}

}  // namespace cube::engine::process
