#include "services/worker/engine/docker/usage_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "services/worker/engine/usage_files.h"
#include "shared/base/json.h"
#include "shared/runtime/files.h"

namespace cube::engine::docker {
namespace {

using nlohmann::json;

// Engines older than API 1.41 take two seconds over it.
constexpr std::chrono::seconds kStatsTimeout{10};
constexpr int kOk = 200;
constexpr std::size_t kProcBytesMax = 1u << 20;

// The number at a path of the document, if there is one.
std::optional<std::uint64_t> NumberAt(const json& document, const char* path) {
  const json::json_pointer pointer{std::string(path)};
  if (!document.contains(pointer)) return std::nullopt;
  const json& value = document.at(pointer);
  if (value.is_number_unsigned()) return value.get<std::uint64_t>();
  if (value.is_number_integer() && value.get<std::int64_t>() >= 0)
    return value.get<std::uint64_t>();
  return std::nullopt;
}

}  // namespace

std::optional<LaunchUsage> DecodeStats(std::string_view body) {
  const json document = ParseJsonText(body);
  if (!document.is_object()) return std::nullopt;
  const auto cpu = NumberAt(document, "/cpu_stats/cpu_usage/total_usage");
  const auto memory = NumberAt(document, "/memory_stats/usage");
  if (!cpu || !memory) return std::nullopt;
  // By version of control groups; what docker's own command line takes off.
  auto cache = NumberAt(document, "/memory_stats/stats/total_inactive_file");
  if (!cache) cache = NumberAt(document, "/memory_stats/stats/inactive_file");
  LaunchUsage usage;
  usage.cpu_nanos = *cpu;
  usage.memory_bytes = static_cast<std::int64_t>(*memory - std::min(*memory, cache.value_or(0)));
  const auto networks = document.find("networks");
  if (networks != document.end() && networks->is_object()) {
    LaunchUsage::Traffic sum;
    for (const auto& [name, network] : networks->items()) {
      sum.rx_bytes += NumberAt(network, "/rx_bytes").value_or(0);
      sum.tx_bytes += NumberAt(network, "/tx_bytes").value_or(0);
    }
    usage.network = sum;
  }
  return usage;
}

UsageReader::UsageReader(Session& session, std::function<void(Usages)> done, std::string proc,
                         std::string groups)
    : session_(session),
      done_(std::move(done)),
      proc_(std::move(proc)),
      groups_(std::move(groups)) {}

void UsageReader::Look(std::vector<Target> targets) {
  if (looking_) return;
  looking_ = true;
  usages_.launches.clear();
  if (session_.up()) {
    for (Target& target : targets) {
      if (auto usage = FromFiles(target)) {
        usages_.launches.push_back(*std::move(usage));
      } else {
        to_ask_.push_back(std::move(target));
      }
    }
  }
  AskNext();
}

std::optional<LaunchUsage> UsageReader::FromFiles(const Target& target) const {
  if (target.pid <= 1 || !session_.endpoint().same_machine) return std::nullopt;
  const std::string process = proc_ + '/' + std::to_string(target.pid);
  const auto bytes = runtime::ReadFile(process + "/cgroup", kProcBytesMax);
  if (!bytes) return std::nullopt;
  const UsageFolders folders = FoldersOf(groups_, ParseGroups(*bytes));
  // A worker in a container counts processes differently from its engine, and numbers are used
  // again: only what bears the container's id is the container's.
  for (const auto& folder : {folders.cpu, folders.memory}) {
    if (folder.find(target.container_id) == std::string::npos) return std::nullopt;
  }
  LaunchUsage usage;
  usage.key = target.key;
  usage.at = UsageNow();
  const auto cpu_nanos = GroupCpuNanos(folders.cpu);
  const auto memory_bytes = GroupMemoryBytes(folders.memory);
  if (!cpu_nanos || !memory_bytes) return std::nullopt;
  usage.cpu_nanos = *cpu_nanos;
  usage.memory_bytes = *memory_bytes;
  if (target.own_network) {
    const auto traffic = runtime::ReadFile(process + "/net/dev", kProcBytesMax);
    if (!traffic) return std::nullopt;
    usage.network = ParseNetDev(*traffic);
  }
  return usage;
}

void UsageReader::AskNext() {
  while (asking_ < kStatsMax && !to_ask_.empty()) {
    Target target = std::move(to_ask_.front());
    to_ask_.pop_front();
    ++asking_;
    const std::string path =
        fmt::format("/containers/{}/stats?stream=false&one-shot=true", target.container_id);
    session_.Call("GET", path, {}, kStatsTimeout,
                  [this, key = std::move(target.key)](const Result<HttpResponse>& answer) {
                    --asking_;
                    auto usage =
                        answer && answer->status == kOk ? DecodeStats(answer->body) : std::nullopt;
                    if (usage) {
                      usage->key = key;
                      usage->at = UsageNow();
                      usages_.launches.push_back(*std::move(usage));
                    }
                    AskNext();
                  });
  }
  if (asking_ == 0) Finish();
}

void UsageReader::EngineDown() {
  to_ask_.clear();
  asking_ = 0;
  Finish();
}

void UsageReader::Finish() {
  if (!std::exchange(looking_, false)) return;
  std::sort(usages_.launches.begin(), usages_.launches.end(),
            [](const LaunchUsage& a, const LaunchUsage& b) { return a.key < b.key; });
  done_(std::exchange(usages_, {}));
}

}  // namespace cube::engine::docker
