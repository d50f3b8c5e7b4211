#include "services/worker/flags.h"

#include "services/worker/capacity.h"
#include "services/worker/engine/prober.h"
#include "shared/base/version.h"
#include "shared/domain/rules.h"
#include "shared/wire/human.h"
#include "shared/wire/limits.h"

namespace cube::worker {

namespace {

static_assert(engine::kProbesMax > kTasksMaxDefault, "each launch has at most one check at a time");

std::unexpected<Error> Named(Error error, const std::string& flag) {
  error.field = flag;
  return std::unexpected(std::move(error));
}

Result<void> AddLabel(const std::string& text, std::map<std::string, std::string>& labels) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos) {
    return Fail(Code::kInvalid, "'" + text + "' is not of the form key=value", "--label");
  }
  const std::string key = text.substr(0, equals);
  CUBE_TRY_VOID(CheckLabelKey(key, "--label"));
  labels[key] = text.substr(equals + 1);
  return {};
}

}  // namespace

void AddFlags(CLI::App& app, Flags& flags) {
  service::AddServiceFlags(app, flags.service, "/etc/cube/worker.toml");
  app.add_option("--name", flags.name, "name of the node (default: as before, else the host's)")
      ->envname("CUBE_NAME");
  app.add_option("--engine", flags.engines,
                 "what runs tasks: docker, process or sim; repeat it for several")
      ->envname("CUBE_ENGINE")
      ->delimiter(',')
      ->check(CLI::IsMember({"docker", "process", "sim"}))
      ->capture_default_str();
  app.add_option("--cpus", flags.cpus, "cpus to promise, e.g. 1.5 (default: all online)")
      ->envname("CUBE_CPUS");
  app.add_option("--memory", flags.memory, "memory to promise, e.g. 4Gi (default: all)")
      ->envname("CUBE_MEMORY");
  app.add_option("--disk", flags.disk, "disk to promise, e.g. 50Gi (default: what is free)")
      ->envname("CUBE_DISK");
  app.add_option("--max-tasks", flags.tasks_max, "tasks at one time")
      ->envname("CUBE_MAX_TASKS")
      ->check(CLI::Range(1u, wire::kNodeTasksMax))
      ->capture_default_str();
  app.add_option("--label", flags.labels, "key=value that constraints look at; repeat it")
      ->envname("CUBE_LABEL")
      ->delimiter(',');
  app.add_option(
         "--address", flags.address,
         "where published ports are reached; workers that share a machine give the same one, so "
         "that a port is promised there once")
      ->envname("CUBE_ADDRESS");
  app.add_option("--allow-mount", flags.allow_mounts,
                 "folder of this machine that tasks may mount, with all below it; repeat it")
      ->envname("CUBE_ALLOW_MOUNT")
      ->delimiter(',');
  app.add_option("--allow-volume", flags.allow_volumes,
                 "volume that others have made and tasks may mount; repeat it")
      ->envname("CUBE_ALLOW_VOLUME")
      ->delimiter(',');
  app.add_option("--allow-cap", flags.allow_capabilities,
                 "capability that tasks may add, e.g. NET_ADMIN, or ALL; repeat it")
      ->envname("CUBE_ALLOW_CAP")
      ->delimiter(',');
  app.add_flag("--allow-host-network", flags.allow_host_network,
               "tasks may use this machine's own network")
      ->envname("CUBE_ALLOW_HOST_NETWORK");
  app.add_flag("--no-exec", flags.no_exec, "refuse to run commands in tasks for 'cube exec'")
      ->envname("CUBE_NO_EXEC");
  app.add_option("--on-exit", flags.on_exit,
                 "told to end: keep = tasks run on; drain = they move elsewhere one by one; stop = "
                 "they are stopped at once and start elsewhere")
      ->envname("CUBE_ON_EXIT")
      ->check(CLI::IsMember({"keep", "drain", "stop"}))
      ->capture_default_str();
  app.add_option("--exit-limit", flags.exit_limit,
                 "on exit drain: what has not moved by then is stopped")
      ->envname("CUBE_EXIT_LIMIT")
      ->capture_default_str();
  app.add_option("--metrics-interval", flags.metrics_interval,
                 "time between metrics, 0 = none; from 7500 nodes on nodes/500 s if that is longer")
      ->envname("CUBE_METRICS_INTERVAL")
      ->capture_default_str();
}

Result<NodeDescription> DescriptionOf(const Flags& flags, const std::string& data_dir) {
  NodeDescription description;
  Resources& capacity = description.capacity;
  CUBE_TRY(capacity, MachineCapacity(data_dir));
  if (!flags.cpus.empty()) {
    auto cpus = wire::ParseCpus(flags.cpus);
    if (!cpus) return Named(std::move(cpus).error(), "--cpus");
    capacity.cpu_millis = *cpus;
  }
  if (!flags.memory.empty()) {
    auto memory = wire::ParseBytes(flags.memory);
    if (!memory) return Named(std::move(memory).error(), "--memory");
    capacity.memory_bytes = *memory;
  }
  if (!flags.disk.empty()) {
    auto disk = wire::ParseBytes(flags.disk);
    if (!disk) return Named(std::move(disk).error(), "--disk");
    capacity.disk_bytes = *disk;
  }
  CUBE_TRY_VOID(CheckResources(capacity));
  for (const std::string& label : flags.labels) {
    CUBE_TRY_VOID(AddLabel(label, description.labels));
  }
  description.tasks_max = flags.tasks_max;
  if (flags.address.starts_with('/')) {
    return Fail(Code::kInvalid, "may not begin with '/'; give a host name or an IP address",
                "--address");
  }
  description.address = flags.address;
  description.version = kVersion;
  return description;
}

}  // namespace cube::worker
