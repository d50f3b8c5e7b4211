#include "services/worker/exposition.h"

#include <array>
#include <utility>

#include "shared/base/version.h"

namespace cube::worker {
namespace {

using telemetry::AddCounter;
using telemetry::AddFamily;
using telemetry::AddGauge;
using telemetry::Families;
using telemetry::Family;
using telemetry::Kind;
using telemetry::Labels;

constexpr double kMillis = 1000.0;
constexpr double kNanosPerSecond = 1e9;
constexpr double kTicksPerSecond = 100.0;  // USER_HZ of every Linux that Debian builds

constexpr std::array<std::pair<LaunchState, const char*>, 4> kLaunchStates{{
    {LaunchState::kPulling, "pulling"},
    {LaunchState::kStarting, "starting"},
    {LaunchState::kRunning, "running"},
    {LaunchState::kExited, "exited"},
}};

void AddWorker(Families& to, const WorkerLoop& loop, const ShellFigures& shell) {
  AddGauge(to, "cube_worker_connected", "1 while connected to NATS.", loop.connected() ? 1 : 0);
  AddCounter(to, "cube_worker_reconnects_total", "Connections to NATS after the first.",
             shell.connects > 0 ? static_cast<double>(shell.connects - 1) : 0);
  AddCounter(to, "cube_worker_heartbeats_total", "Heartbeats sent.",
             static_cast<double>(shell.heartbeats));
  AddGauge(to, "cube_worker_outbox_facts", "Facts that the log has not acknowledged.",
           static_cast<double>(shell.facts_waiting));
  AddGauge(to, "cube_worker_store_bytes", "Size of the store's file.",
           static_cast<double>(shell.store_bytes));
  AddGauge(to, "cube_worker_inbox_size", "Inputs that wait for the loop.",
           static_cast<double>(shell.inbox_size));
  AddCounter(to, "cube_worker_inbox_dropped_total", "Core messages dropped at a full inbox.",
             static_cast<double>(shell.inbox_dropped));
  const auto counts = loop.core().LaunchCounts();
  Family& launches =
      AddFamily(to, "cube_worker_launches", "Launches that engines have.", Kind::kGauge);
  for (const auto& [state, name] : kLaunchStates) {
    const auto it = counts.find(state);
    launches.series.push_back(
        {{{"state", name}}, it == counts.end() ? 0 : static_cast<double>(it->second), {}});
  }
  Family& engines =
      AddFamily(to, "cube_worker_engine_up", "1 while the engine can be reached.", Kind::kGauge);
  for (const auto& [kind, state] : loop.core().engines()) {
    engines.series.push_back({{{"engine", kind}}, state.up ? 1.0 : 0.0, {}});
  }
}

void AddCpu(Families& to, const v1::CpuCounters& cpu, const Labels& node) {
  const auto* descriptor = v1::CpuCounters::descriptor();
  Family& family = AddFamily(to, "cube_node_cpu_seconds_total",
                             "Time of all cpus together since boot.", Kind::kCounter);
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const auto* field = descriptor->field(i);
    Labels labels = node;
    labels["mode"] = field->name();
    const auto ticks = static_cast<double>(v1::CpuCounters::GetReflection()->GetUInt64(cpu, field));
    family.series.push_back({std::move(labels), ticks / kTicksPerSecond, {}});
  }
}

void AddNode(Families& to, const v1::Metrics& metrics) {
  const Labels node{{"node", metrics.node()}};
  // Before the first sample the names are there, without values.
  const bool known = !metrics.samples().empty();
  const auto gauge = [&](const char* name, const char* help, double value) {
    Family& family = AddFamily(to, name, help, Kind::kGauge);
    if (known) family.series.push_back({node, value, {}});
  };
  const v1::MetricsSample sample =
      known ? metrics.samples(metrics.samples_size() - 1) : v1::MetricsSample{};
  const auto bytes = [](auto value) { return static_cast<double>(value); };
  gauge("cube_node_sampled_timestamp_seconds", "When the other values of the node were read.",
        static_cast<double>(sample.at_ns()) / kNanosPerSecond);
  gauge("cube_node_cpus", "Online cpus.", metrics.cpus());
  gauge("cube_node_cpu_used_ratio", "Busy share of all cpus over the last interval.",
        sample.cpu_used_permille() / kMillis);
  gauge("cube_node_memory_bytes", "Memory of the machine.", bytes(sample.memory_total_bytes()));
  gauge("cube_node_memory_used_bytes", "Memory that is not available to new programs.",
        bytes(sample.memory_used_bytes()));
  gauge("cube_node_load1", "Load average over one minute.", sample.load1_milli() / kMillis);
  gauge("cube_node_load5", "Load average over five minutes.",
        metrics.load().last5min_milli() / kMillis);
  gauge("cube_node_load15", "Load average over fifteen minutes.",
        metrics.load().last15min_milli() / kMillis);
  gauge("cube_node_disk_bytes", "Size of the root file system.",
        bytes(metrics.root_disk().all_bytes()));
  gauge("cube_node_disk_used_bytes", "Used bytes of the root file system.",
        bytes(metrics.root_disk().used_bytes()));
  gauge("cube_node_disk_free_inodes", "Files that the root file system can still take.",
        bytes(metrics.root_disk().free_inodes()));
  gauge("cube_node_data_disk_bytes", "Size of the file system with the worker's data.",
        bytes(metrics.data_disk().all_bytes()));
  gauge("cube_node_data_disk_available_bytes",
        "Free bytes of the file system with the worker's data.",
        bytes(metrics.data_disk().available_bytes()));
  gauge("cube_node_tasks_running", "Launches that run.", sample.tasks_running());
  if (known) {
    AddCpu(to, metrics.cpu(), node);
  } else {
    AddFamily(to, "cube_node_cpu_seconds_total", "Time of all cpus together since boot.",
              Kind::kCounter);
  }
}

void AddTasks(Families& to, const v1::Metrics& metrics) {
  // Filled one by one: the list grows under references.
  Family cpu{"cube_task_cpu_cores", "Cpus used over the last interval.", Kind::kGauge, {}};
  Family cpu_seconds{
      "cube_task_cpu_seconds_total", "Cpu time used since the launch began.", Kind::kCounter, {}};
  Family memory{"cube_task_memory_bytes",
                "Memory used, without cache that can be given back.",
                Kind::kGauge,
                {}};
  Family received{"cube_task_network_receive_bytes_total",
                  "Bytes received since the launch began; none for tasks in the host's network.",
                  Kind::kCounter,
                  {}};
  Family sent{"cube_task_network_transmit_bytes_total",
              "Bytes sent since the launch began; none for tasks in the host's network.",
              Kind::kCounter,
              {}};
  for (const v1::TaskUsage& task : metrics.tasks()) {
    const Labels labels{{"node", metrics.node()}, {"task", task.task()}, {"name", task.name()}};
    if (task.has_cpu_millis()) cpu.series.push_back({labels, task.cpu_millis() / kMillis, {}});
    cpu_seconds.series.push_back(
        {labels, static_cast<double>(task.cpu_nanos()) / kNanosPerSecond, {}});
    memory.series.push_back({labels, static_cast<double>(task.memory_bytes()), {}});
    if (!task.has_network_rx_bytes()) continue;
    received.series.push_back({labels, static_cast<double>(task.network_rx_bytes()), {}});
    sent.series.push_back({labels, static_cast<double>(task.network_tx_bytes()), {}});
  }
  for (Family* family : {&cpu, &cpu_seconds, &memory, &received, &sent}) {
    to.push_back(std::move(*family));
  }
}

}  // namespace

Families Expose(const NodeName& node, const WorkerLoop& loop, const ShellFigures& shell) {
  Families families;
  AddGauge(families, "cube_worker_info", "Always 1; who this is.", 1,
           {{"node", node.str()}, {"version", std::string(kVersion)}});
  AddWorker(families, loop, shell);
  AddNode(families, loop.metrics());
  AddTasks(families, loop.metrics());
  return families;
}

}  // namespace cube::worker
