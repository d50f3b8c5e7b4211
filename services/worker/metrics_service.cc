#include "services/worker/metrics_service.h"

#include <algorithm>
#include <tuple>
#include <utility>
#include <vector>

#include "shared/base/check.h"
#include "shared/wire/codec.h"

namespace cube::worker {
namespace {

constexpr std::int64_t kBytesPerKb = 1024;

void SetMemory(const MemoryMetrics& memory, v1::MemoryCounters& to) {
  // The table has the same names as the message.
  const auto* descriptor = v1::MemoryCounters::descriptor();
  for (const MemoryField& field : kMemoryFields) {
    const auto* proto = descriptor->FindFieldByName(std::string(field.name));
    CUBE_CHECK(proto != nullptr);
    v1::MemoryCounters::GetReflection()->SetUInt64(&to, proto, memory.*field.member);
  }
}

void SetCpu(const CpuMetrics& cpu, v1::CpuCounters& to) {
  to.set_user(cpu.user);
  to.set_nice(cpu.nice);
  to.set_system(cpu.system);
  to.set_idle(cpu.idle);
  to.set_iowait(cpu.iowait);
  to.set_irq(cpu.irq);
  to.set_softirq(cpu.softirq);
  to.set_steal(cpu.steal);
  to.set_guest(cpu.guest);
  to.set_guest_nice(cpu.guest_nice);
}

void SetLoad(const LoadMetrics& load, v1::LoadAverages& to) {
  to.set_last1min_milli(load.last1min_milli);
  to.set_last5min_milli(load.last5min_milli);
  to.set_last15min_milli(load.last15min_milli);
  to.set_process_running(load.process_running);
  to.set_process_total(load.process_total);
  to.set_last_pid(load.last_pid);
}

void SetDisk(const DiskMetrics& disk, v1::FileSystem& to) {
  to.set_all_bytes(disk.all);
  to.set_used_bytes(disk.used);
  to.set_free_bytes(disk.free);
  to.set_available_bytes(disk.available);
  to.set_free_inodes(disk.free_inodes);
}

}  // namespace

Duration MetricsIntervalOf(Duration wanted, std::uint32_t nodes) {
  return std::max(wanted, Duration(std::chrono::seconds(1)) * nodes / kMetricsPerSecondMax);
}

MetricsService::MetricsService(Options options, MonoTime now)
    : options_(std::move(options)), look_at_(now) {
  message_.set_node(options_.node.str());
}

void MetricsService::OnUsages(const std::string& engine, engine::Usages usages) {
  if (!looking_ || awaited_.erase(engine) == 0) return;
  for (engine::LaunchUsage& usage : usages.launches) usages_[usage.key] = std::move(usage);
}

void MetricsService::Advance(const WorkerCore& core, bool connected, std::uint32_t nodes, Now now,
                             Operations& out) {
  if (options_.interval <= Duration{0}) return;
  if (!looking_ && now.mono >= look_at_) BeginLook(core, nodes, now.mono, out);
  if (!looking_ || (now.mono < look_by_ && (!sample_ || !awaited_.empty()))) return;
  looking_ = false;
  if (!sample_) return;  // a machine without /proc has no metrics
  EndLook(core);
  before_ = std::exchange(usages_, {});
  // The first has no share of time; it is only there to be compared with.
  if (looks_ == 1) message_.clear_samples();
  if (message_.samples().empty() || !connected) return;
  out.emplace_back(bus::Operation(bus::Publish{
      options_.subjects.Metrics(options_.node.str()), {}, message_.SerializeAsString()}));
}

void MetricsService::BeginLook(const WorkerCore& core, std::uint32_t nodes, MonoTime now,
                               Operations& out) {
  const Duration interval = MetricsIntervalOf(options_.interval, nodes);
  message_.set_interval_ns(interval.count());
  look_at_ = now + (++looks_ == 1 ? std::min(kMetricsFirstWindow, interval) : interval);
  looking_ = true;
  look_by_ = now + kUsageWait;
  sample_.reset();
  usages_.clear();
  awaited_.clear();
  out.emplace_back(TakeSample{});
  for (const auto& [kind, state] : core.engines()) {
    if (!state.up) continue;
    awaited_.insert(kind);
    out.emplace_back(AskUsage{kind});
  }
}

void MetricsService::EndLook(const WorkerCore& core) {
  const MachineMetrics& machine = sample_->machine;
  v1::MetricsSample& sample = *message_.add_samples();
  sample.set_at_ns(sample_->at_ns);
  sample.set_cpu_used_permille(sample_->cpu_used_permille);
  sample.set_memory_total_bytes(static_cast<std::int64_t>(machine.memory.mem_total) * kBytesPerKb);
  sample.set_memory_used_bytes(static_cast<std::int64_t>(machine.memory.UsedKb()) * kBytesPerKb);
  sample.set_disk_total_bytes(static_cast<std::int64_t>(machine.disk.all));
  sample.set_disk_used_bytes(static_cast<std::int64_t>(machine.disk.used));
  sample.set_load1_milli(machine.load.last1min_milli);
  sample.set_tasks_running(static_cast<std::uint32_t>(core.RunningCount()));
  AddTasks(core, sample);
  auto& samples = *message_.mutable_samples();
  if (samples.size() > static_cast<int>(kMetricsSamplesMax)) {
    samples.DeleteSubrange(0, samples.size() - static_cast<int>(kMetricsSamplesMax));
  }
  message_.set_instance(core.meta().instance);
  message_.set_cpus(sample_->cpus);
  SetMemory(machine.memory, *message_.mutable_memory());
  SetCpu(machine.cpu, *message_.mutable_cpu());
  SetLoad(machine.load, *message_.mutable_load());
  SetDisk(machine.disk, *message_.mutable_root_disk());
  SetDisk(sample_->data_disk, *message_.mutable_data_disk());
}

void MetricsService::AddTasks(const WorkerCore& core, v1::MetricsSample& sample) {
  std::uint32_t cpu_millis = 0;
  std::int64_t memory_bytes = 0;
  std::vector<std::pair<std::uint32_t, const engine::LaunchUsage*>> busiest;
  for (const auto& [key, usage] : usages_) {
    const std::uint32_t millis = CpuMillis(usage).value_or(0);
    cpu_millis += millis;
    memory_bytes += usage.memory_bytes;
    busiest.emplace_back(millis, &usage);
  }
  sample.set_tasks_cpu_millis(cpu_millis);
  sample.set_tasks_memory_bytes(memory_bytes);
  if (busiest.size() > kMetricsTasksMax) {
    std::sort(busiest.begin(), busiest.end(), [](const auto& a, const auto& b) {
      return std::tie(b.first, a.second->key) < std::tie(a.first, b.second->key);
    });
    busiest.resize(kMetricsTasksMax);
  }
  message_.clear_tasks();
  for (const auto& [millis, usage] : busiest) {
    v1::TaskUsage& to = *message_.add_tasks();
    to.set_task(usage->key.task.str());
    const Attempt* attempt = core.Find({usage->key.task, usage->key.attempt});
    if (attempt != nullptr && attempt->spec != nullptr) to.set_name(attempt->spec->name.str());
    to.set_attempt(usage->key.attempt);
    to.set_launch(usage->key.launch);
    if (const auto known = CpuMillis(*usage)) to.set_cpu_millis(*known);
    to.set_memory_bytes(usage->memory_bytes);
    to.set_cpu_nanos(usage->cpu_nanos);
    if (!usage->network) continue;
    to.set_network_rx_bytes(usage->network->rx_bytes);
    to.set_network_tx_bytes(usage->network->tx_bytes);
  }
}

std::optional<std::uint32_t> MetricsService::CpuMillis(const engine::LaunchUsage& usage) const {
  const auto it = before_.find(usage.key);
  if (it == before_.end()) return std::nullopt;
  const Duration window = usage.at - it->second.at;
  if (window <= Duration{0}) return std::nullopt;
  // Sums over processes may run backwards for a moment, while one of them ends.
  const std::uint64_t used = usage.cpu_nanos - std::min(usage.cpu_nanos, it->second.cpu_nanos);
  const double millis = 1000.0 * static_cast<double>(used) / static_cast<double>(window.count());
  return static_cast<std::uint32_t>(std::min(millis + 0.5, 4e9));
}

MonoTime MetricsService::NextDeadline() const {
  if (options_.interval <= Duration{0}) return MonoTime::max();
  return looking_ ? look_by_ : look_at_;
}

}  // namespace cube::worker
