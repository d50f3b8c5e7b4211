#include "services/cli/spec_flags.h"

#include <fmt/format.h>

#include <algorithm>

#include "services/cli/flag_names.h"
#include "services/cli/health_flags.h"
#include "shared/domain/isolation.h"
#include "shared/domain/rules.h"
#include "shared/domain/validate.h"
#include "shared/wire/human.h"

namespace cube::cli {
namespace {

std::unexpected<Error> BadFlag(std::string_view flag, const Error& error) {
  return Fail(Code::kInvalid, fmt::format("--{}: {}", flag, error.message));
}

// As `docker run --env-file`: one a line, '#' begins a comment line.
Result<void> AddEnvFile(const std::string& path, const Environment& environment,
                        std::map<std::string, std::string>& env) {
  const auto read = environment.read_file(path);
  if (!read) return BadFlag("env-file", read.error());
  const std::string& text = *read;
  std::size_t at = 0;
  while (at < text.size()) {
    std::size_t end = std::min(text.find('\n', at), text.size());
    std::string line = text.substr(at, end - at);
    at = end + 1;
    while (!line.empty() && (line.back() == '\r')) line.pop_back();
    line.erase(0, line.find_first_not_of(" \t"));
    if (line.empty() || line.front() == '#') continue;
    CUBE_TRY_VOID(AddVariable("env-file", line, environment, env));
  }
  return {};
}

Result<void> ReadEnv(const Args& args, const Environment& environment, TaskSpec& spec) {
  for (const auto& path : args.All("env-file")) {
    CUBE_TRY_VOID(AddEnvFile(path, environment, spec.env));
  }
  for (const auto& text : args.All("env")) {
    CUBE_TRY_VOID(AddVariable("env", text, environment, spec.env));
  }
  for (const auto& text : args.All("label")) {
    const std::size_t equals = text.find('=');
    if (equals == 0) {
      return Fail(Code::kInvalid, fmt::format("--label cannot be '{}': write key=value", text));
    }
    spec.labels[text.substr(0, equals)] =
        equals == std::string::npos ? std::string() : text.substr(equals + 1);
  }
  return {};
}

Result<void> ReadResources(const Args& args, TaskSpec& spec) {
  if (const auto text = args.Get("cpus")) {
    const auto cpus = wire::ParseCpus(*text);
    if (!cpus) return BadFlag("cpus", cpus.error());
    spec.resources.cpu_millis = *cpus;
  }
  if (const auto text = args.Get("memory")) {
    const auto bytes = wire::ParseBytes(*text, true);
    if (!bytes) return BadFlag("memory", bytes.error());
    spec.resources.memory_bytes = *bytes;
  }
  if (const auto text = args.Get("disk")) {
    const auto bytes = wire::ParseBytes(*text, true);
    if (!bytes) return BadFlag("disk", bytes.error());
    spec.resources.disk_bytes = *bytes;
  }
  return {};
}

Result<void> ReadPlacement(const Args& args, TaskSpec& spec) {
  for (const auto& text : args.All("constraint")) {
    const auto constraint = wire::ParseConstraint(text);
    if (!constraint) return BadFlag("constraint", constraint.error());
    spec.constraints.push_back(*constraint);
  }
  for (const auto& text : args.All("affinity")) {
    const auto affinity = wire::ParseAffinity(text);
    if (!affinity) return BadFlag("affinity", affinity.error());
    spec.affinities.push_back(*affinity);
  }
  CUBE_TRY(const auto distinct, args.Integer("distinct", 0, kDistinctMax));
  if (distinct) spec.distinct = static_cast<std::uint32_t>(*distinct);
  if (const auto name = args.Get("scheduler")) {
    const auto policy = ParsePolicy(*name, {});
    if (!policy) return BadFlag("scheduler", policy.error());
    spec.scheduler = *policy;
  }
  return {};
}

Result<void> ReadIsolation(const Args& args, TaskSpec& spec) {
  for (const auto& text : args.All("volume")) {
    const auto volume = wire::ParseVolume(text);
    if (!volume) return BadFlag("volume", volume.error());
    spec.volumes.push_back(*volume);
  }
  spec.network = args.Text("network");
  spec.read_only_root = args.Has("read-only");
  const auto read = [&](const char* flag, std::vector<std::string>& names) -> Result<void> {
    for (const auto& text : args.All(flag)) {
      const auto name = CapabilityName(text, {});
      if (!name) return BadFlag(flag, name.error());
      names.push_back(*name);
    }
    return {};
  };
  CUBE_TRY_VOID(read("cap-add", spec.cap_add));
  return read("cap-drop", spec.cap_drop);
}

Result<void> ReadPolicies(const Args& args, TaskSpec& spec) {
  if (const auto text = args.Get("restart")) {
    const auto restart = wire::ParseRestart(*text);
    if (!restart) return BadFlag("restart", restart.error());
    spec.restart = *restart;
  } else if (args.Has("attach")) {
    CUBE_TRY(spec.restart, wire::ParseRestart("no"));  // as docker run: who watches it decides
  }
  for (const auto& text : args.All("publish")) {
    const auto port = wire::ParsePort(text);
    if (!port) return BadFlag("publish", port.error());
    spec.ports.push_back(*port);
  }
  CUBE_TRY_VOID(ReadPlacement(args, spec));
  CUBE_TRY(const auto priority, args.Integer("priority", -kPriorityMax, kPriorityMax));
  if (priority) spec.priority = static_cast<std::int32_t>(*priority);
  CUBE_TRY(const auto grace, args.Time("stop-timeout"));
  if (grace) spec.stop_grace = *grace;
  const std::string pull = args.Text("pull");
  spec.pull = pull == "always"  ? PullPolicy::kAlways
              : pull == "never" ? PullPolicy::kNever
                                : PullPolicy::kMissing;
  return {};
}

// Operands: IMAGE [COMMAND...], or only a command for engines without images.
Result<void> ReadProgram(const Args& args, TaskSpec& spec) {
  spec.engine = args.Text("engine");
  std::vector<std::string> words = args.operands;
  const bool has_image = spec.engine != "process";
  if (has_image) {
    spec.image = words.front();
    words.erase(words.begin());
  }
  spec.command = std::move(words);
  if (const auto text = args.Get("entrypoint")) {
    auto program = SplitWords(*text);
    if (!program) return BadFlag("entrypoint", program.error());
    spec.entrypoint = std::move(*program);
  }
  spec.user = args.Text("user");
  spec.workdir = args.Text("workdir");
  spec.stop_signal = args.Text("stop-signal");
  const std::string source = has_image ? spec.image : spec.command.front();
  auto name = TaskName::Parse(args.Get("name").value_or(NameFor(source)), "name");
  if (!name) return BadFlag("name", name.error());
  spec.name = *name;
  return {};
}

// Flags that say where a task may and should run.
std::vector<FlagSpec> PlacementFlags() {
  return {
      {.name = "constraint",
       .value = "RULE",
       .help = "rule on node labels: disk=ssd, zone!=b, 'zone in a,b', gpu",
       .repeated = true},
      {.name = "affinity",
       .value = "RULE:N",
       .help = "prefer nodes by labels: disk=ssd:50; a weight N below 0 avoids them",
       .repeated = true},
      {.name = "distinct",
       .value = "N",
       .help = "at most N tasks of this name on one node",
       .fallback = "0"},
      {.name = "scheduler",
       .value = "POLICY",
       .help = "round-robin, spread, binpack, epvm, epvm-book or greedy (default: the cluster's)"}};
}

std::vector<FlagSpec> JobFlags() {
  return {
      {.name = "replicas", .value = "N", .help = "make it a job with so many tasks"},
      {.name = "type",
       .value = "TYPE",
       .help = "make it a job: service (tasks are kept alive), batch (they run to their end) or "
               "system (one on each node)",
       .choices = {"service", "batch", "system"}}};
}

}  // namespace

Result<void> AddVariable(std::string_view flag, const std::string& text,
                         const Environment& environment, std::map<std::string, std::string>& env) {
  const std::size_t equals = text.find('=');
  const std::string name = text.substr(0, equals);
  if (name.empty()) {
    return Fail(Code::kInvalid,
                fmt::format("--{} cannot be '{}': write NAME=value, or NAME to take it from the "
                            "environment",
                            flag, text));
  }
  if (equals != std::string::npos) {
    env[name] = text.substr(equals + 1);
  } else if (const auto value = environment.variable(name)) {
    env[name] = *value;
  }
  return {};
}

namespace {

std::vector<FlagSpec> IsolationFlags() {
  return {{.name = "volume",
           .letter = 'v',
           .value = "[SOURCE:]PATH[:ro]",
           .help = "mount a volume, or a folder of the node that its worker allows",
           .repeated = true},
          {.name = "network",
           .value = "NETWORK",
           .help = "bridge, none, host (where the worker allows it) or a network of the node"},
          {.name = "cap-add",
           .value = "CAP",
           .help = "a capability beyond Docker's default set, where the worker allows it",
           .repeated = true},
          {.name = "cap-drop",
           .value = "CAP",
           .help = "a capability less; ALL for every one",
           .repeated = true},
          {.name = "read-only", .help = "the container's own file system cannot be written"}};
}

}  // namespace

std::vector<FlagSpec> SpecFlags() {
  std::vector<FlagSpec> flags = {
      {.name = "name", .value = "NAME", .help = "what people call it (default: from the image)"},
      {.name = "id", .value = "ID", .help = "its id (default: the name and 8 random characters)"},
      {.name = "publish",
       .letter = 'p',
       .value = "[HOST:]PORT[/udp]",
       .help = "publish a port of the container on its node",
       .repeated = true},
      {.name = "env",
       .letter = 'e',
       .value = "NAME[=VALUE]",
       .help = "set a variable; without a value it comes from this environment",
       .repeated = true},
      {.name = "env-file",
       .value = "FILE",
       .help = "set the variables in a file, one NAME=VALUE a line",
       .repeated = true,
       .word = Word::kFile},
      {.name = "cpus", .value = "N", .help = "cpus to reserve, and the most it may use (0.5)"},
      {.name = "memory",
       .letter = 'm',
       .value = "SIZE",
       .help = "memory to reserve, and the most it may use (512m, 2g)"},
      {.name = "disk", .value = "SIZE", .help = "disk to reserve"},
      {.name = "restart",
       .value = "POLICY",
       .help = "no, on-failure[:N], always or unless-stopped (default on-failure:3; with "
               "--attach no)"},
      {.name = "label",
       .letter = 'l',
       .value = "KEY=VALUE",
       .help = "label of the task and its containers",
       .repeated = true},
      {.name = "entrypoint", .value = "PROGRAM", .help = "program in place of the image's"},
      {.name = "user", .letter = 'u', .value = "USER[:GROUP]", .help = "user that it runs as"},
      {.name = "workdir", .letter = 'w', .value = "PATH", .help = "folder that it starts in"},
      {.name = "priority", .value = "N", .help = "higher is placed first", .fallback = "0"},
      {.name = "engine",
       .value = "ENGINE",
       .help = "docker, process (no image: the operands are the command) or sim",
       .choices = {"docker", "process", "sim"}},
      {.name = "pull",
       .value = "WHEN",
       .help = "when to fetch the image: missing, always or never",
       .fallback = "missing",
       .choices = {"missing", "always", "never"}},
      {.name = "stop-signal", .value = "SIGNAL", .help = "signal that stops it (SIGTERM)"},
      {.name = "stop-timeout", .value = "TIME", .help = "time between that and SIGKILL (10s)"}};
  for (const auto& more : {JobFlags(), HealthFlags(), IsolationFlags(), PlacementFlags()})
    flags.insert(flags.end(), more.begin(), more.end());
  return flags;
}

std::vector<std::string> SpecFlagsGiven(const Args& args) {
  std::vector<std::string> given;
  for (const auto& flag : SpecFlags()) {
    if (args.Has(flag.name)) given.push_back(flag.name);
  }
  return given;
}

Result<SubmitTask> SpecFromFlags(const Args& args, const Environment& environment) {
  auto spec = std::make_shared<TaskSpec>();
  CUBE_TRY_VOID(ReadProgram(args, *spec));
  CUBE_TRY_VOID(ReadEnv(args, environment, *spec));
  CUBE_TRY_VOID(ReadResources(args, *spec));
  CUBE_TRY_VOID(ReadPolicies(args, *spec));
  CUBE_TRY_VOID(ReadHealthFlags(args, *spec));
  CUBE_TRY_VOID(ReadIsolation(args, *spec));
  auto valid = Validate(*spec);
  if (!valid) return std::unexpected(NameTheFlag(std::move(valid).error(), args));
  SubmitTask task;
  if (const auto id = args.Get("id")) {
    auto parsed = TaskId::Parse(*id, "id");
    if (!parsed) return BadFlag("id", parsed.error());
    task.id = *parsed;
  }
  task.spec = std::move(spec);
  return task;
}

bool IsJob(const Args& args) { return args.Has("replicas") || args.Has("type"); }

Result<JobSpec> JobFromFlags(const Args& args, const Environment& environment) {
  if (args.Has("id")) {
    return Fail(Code::kInvalid, "--id: the tasks of a job get their ids from it; use --name");
  }
  CUBE_TRY(SubmitTask task, SpecFromFlags(args, environment));
  JobSpec job;
  job.name = task.spec->name;
  if (const auto type = args.Get("type")) {
    CUBE_TRY(job.type, ParseJobType(*type, "--type"));
  }
  job.replicas = job.type == JobType::kSystem ? 0 : 1;
  CUBE_TRY(const auto replicas, args.Integer("replicas", 0, kReplicasMax));
  if (replicas) job.replicas = static_cast<std::uint32_t>(*replicas);
  auto spec = std::make_shared<TaskSpec>(*task.spec);
  if (!args.Has("restart")) spec->restart = DefaultRestart(job.type);
  if (!args.Has("reschedule")) spec->reschedule = DefaultReschedule(job.type);
  job.task = std::move(spec);
  auto valid = Validate(job);
  if (!valid) return std::unexpected(NameTheFlag(std::move(valid).error(), args));
  return job;
}

std::string NameFor(std::string_view image_or_program) {
  std::string_view text = image_or_program.substr(0, image_or_program.find('@'));
  if (const std::size_t slash = text.rfind('/'); slash != std::string_view::npos) {
    text.remove_prefix(slash + 1);
  }
  text = text.substr(0, text.find(':'));
  std::string name;
  for (const char c : text) {
    const bool lower = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    const bool upper = c >= 'A' && c <= 'Z';
    name += lower ? c : upper ? static_cast<char>(c - 'A' + 'a') : '-';
  }
  name.erase(0, name.find_first_not_of('-'));
  if (name.size() > kTaskNameLengthMax) name.resize(kTaskNameLengthMax);
  while (!name.empty() && name.back() == '-') name.pop_back();
  return name.empty() ? "task" : name;
}

Result<std::vector<std::string>> SplitWords(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  bool open = false;  // a word has begun
  char quote = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote != 0 && c == quote) {
      quote = 0;
    } else if (quote == 0 && (c == '"' || c == '\'')) {
      quote = c;
      open = true;
    } else if (c == '\\' && quote != '\'' && i + 1 < text.size()) {
      word += text[++i];
      open = true;
    } else if (quote == 0 && (c == ' ' || c == '\t' || c == '\n')) {
      if (open) words.push_back(std::move(word));
      word.clear();
      open = false;
    } else {
      word += c;
      open = true;
    }
  }
  if (quote != 0) return Fail(Code::kInvalid, fmt::format("a {} is not closed", quote));
  if (open) words.push_back(std::move(word));
  return words;
}

}  // namespace cube::cli
