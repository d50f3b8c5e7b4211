#include "services/manager/load_meter.h"

#include <cube/v1/metrics.pb.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace cube::manager {
namespace {

constexpr std::int64_t kPermille = 1000;

std::int32_t Share(std::int64_t part, std::int64_t whole) {
  if (whole <= 0 || part <= 0) return 0;
  const double share = static_cast<double>(part) / static_cast<double>(whole);
  return static_cast<std::int32_t>(std::lround(std::min(share, 1.0) * kPermille));
}

// Cpu: the average over the last minute.
std::int32_t CpuShare(const v1::Metrics& metrics) {
  const auto& samples = metrics.samples();
  // Times come from outside: unsigned, so that no difference overflows.
  const auto newest = static_cast<std::uint64_t>(samples[samples.size() - 1].at_ns());
  std::int64_t sum = 0;
  std::int64_t count = 0;
  for (int i = samples.size() - 1; i >= 0; --i) {
    const std::uint64_t age = newest - static_cast<std::uint64_t>(samples[i].at_ns());
    if (age >= static_cast<std::uint64_t>(kCpuWindow.count())) break;
    sum += samples[i].cpu_used_permille();
    ++count;
  }
  return Share(sum, count * kPermille);
}

// Cpu and memory are shares of the machine. Disk is what is gone of what the node promised: its
// capacity is what was free when the worker started.
NodeLoad LoadOf(const Node& node, const v1::Metrics& metrics) {
  const auto& newest = metrics.samples(metrics.samples_size() - 1);
  const std::int64_t disk = node.description.capacity.disk_bytes;
  const auto available = static_cast<std::int64_t>(
      std::min<std::uint64_t>(metrics.data_disk().available_bytes(), INT64_MAX));
  NodeLoad load;
  load.cpu = StepOf(CpuShare(metrics), node.load.cpu);
  load.memory =
      StepOf(Share(newest.memory_used_bytes(), newest.memory_total_bytes()), node.load.memory);
  load.disk = metrics.has_data_disk() ? StepOf(Share(disk - available, disk), node.load.disk) : 0;
  return load;
}

// For how long a load stands, if the worker says that it publishes every `interval`.
Duration PatienceWith(const View& view, Duration interval) {
  const auto nodes = static_cast<std::int64_t>(view.nodes.size());
  const Duration usual =
      std::max(kLoadInterval, Duration(std::chrono::seconds(1)) * nodes / kLoadsPerSecond);
  return kLoadIntervals * std::max(usual, std::min(interval, kLoadIntervalMax));
}

}  // namespace

std::uint8_t StepOf(std::int32_t permille, std::uint8_t before) {
  const std::int32_t value = std::clamp<std::int32_t>(permille, 0, kPermille);
  // In units of 1/16000, so that steps are whole.
  constexpr std::int32_t kStep = kPermille;
  const std::int32_t scaled = value * kLoadFull;
  const std::int32_t distance = std::abs(scaled - before * kStep);
  if (distance <= kStep / 2 + kStepMarginPermille * kLoadFull) return before;
  return static_cast<std::uint8_t>((scaled + kStep / 2) / kStep);
}

void LoadMeter::Reset(const View& view, MonoTime now) {
  changed_.clear();
  due_at_ = MonoTime::max();
  stands_until_.clear();
  known_until_ = now + PatienceWith(view, Duration(0));
  const bool any = std::ranges::any_of(
      view.nodes, [](const auto& entry) { return entry.second.load != NodeLoad{}; });
  look_at_ = any ? known_until_ : MonoTime::max();
}

void LoadMeter::OnMetrics(const View& view, std::string_view node, std::string_view payload,
                          MonoTime now) {
  v1::Metrics metrics;
  if (!metrics.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) return;
  if (metrics.node() != node || metrics.samples().empty()) return;
  const auto it = view.nodes.find(NodeName::Trusted(std::string(node)));
  if (it == view.nodes.end() || it->second.incarnation == 0 || it->second.down) return;
  if (metrics.instance() != it->second.instance) return;
  const MonoTime until = now + PatienceWith(view, Duration(metrics.interval_ns()));
  stands_until_[it->first] = until;
  const NodeLoad load = LoadOf(it->second, metrics);
  if (load != NodeLoad{} || it->second.load != NodeLoad{}) look_at_ = std::min(look_at_, until);
  Change(it->second, load, now);
}

void LoadMeter::Change(const Node& node, const NodeLoad& load, MonoTime now) {
  if (load == node.load) {
    changed_.erase(node.name);
  } else {
    changed_[node.name] = load;
  }
  if (changed_.empty()) {
    due_at_ = MonoTime::max();
  } else if (due_at_ == MonoTime::max()) {
    due_at_ = now + kLoadsGather;
  }
}

void LoadMeter::Expire(const View& view, MonoTime now) {
  if (now < look_at_) return;
  look_at_ = MonoTime::max();
  std::erase_if(stands_until_,
                [&](const auto& entry) { return !view.nodes.contains(entry.first); });
  for (const auto& [name, node] : view.nodes) {
    const auto change = changed_.find(name);
    const bool loaded = change != changed_.end() && change->second != NodeLoad{};
    if (!loaded && node.load == NodeLoad{}) continue;
    const auto it = stands_until_.find(name);
    const MonoTime until = it == stands_until_.end() ? known_until_ : it->second;
    if (until > now) {
      look_at_ = std::min(look_at_, until);
    } else if (node.down) {  // the next one to be welcomed begins without
      look_at_ = std::min(look_at_, now + PatienceWith(view, Duration(0)));
    } else {
      Change(node, {}, now);
    }
  }
}

std::map<NodeName, NodeLoad> LoadMeter::Due(const View& view, MonoTime now) {
  Expire(view, now);
  std::map<NodeName, NodeLoad> due;
  if (now < due_at_) return due;
  // What has been decided meanwhile, or has lost its node, is done.
  std::erase_if(changed_, [&](const auto& entry) {
    const auto it = view.nodes.find(entry.first);
    return it == view.nodes.end() || it->second.down || it->second.load == entry.second;
  });
  // What is given now is decided in this cycle; what is left follows.
  due_at_ = changed_.empty() ? MonoTime::max() : now + kLoadsGather;
  for (const auto& entry : changed_) {
    if (due.size() >= kLoadsPerCycle) break;
    due.insert(entry);
  }
  return due;
}

}  // namespace cube::manager
