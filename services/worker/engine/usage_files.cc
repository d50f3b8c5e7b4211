#include "services/worker/engine/usage_files.h"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <memory>
#include <vector>

#include "shared/runtime/files.h"

namespace cube::engine {
namespace {

constexpr std::size_t kSmallBytesMax = 64u << 10;
constexpr std::uint64_t kNanosPerSecond = 1'000'000'000;
constexpr std::uint64_t kNanosPerMicro = 1'000;

template <class T>
std::optional<T> Number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string_view TakeLine(std::string_view* rest) {
  const auto line = rest->substr(0, rest->find('\n'));
  rest->remove_prefix(std::min(rest->size(), line.size() + 1));
  return line;
}

std::vector<std::string_view> Words(std::string_view line) {
  std::vector<std::string_view> words;
  while (true) {
    const auto begin = line.find_first_not_of(" \t\n");
    if (begin == std::string_view::npos) return words;
    line.remove_prefix(begin);
    words.push_back(line.substr(0, line.find_first_of(" \t\n")));
    line.remove_prefix(words.back().size());
  }
}

std::optional<std::string> Read(const std::string& path, std::size_t bytes_max = kSmallBytesMax) {
  auto bytes = runtime::ReadFile(path, bytes_max);
  if (!bytes) return std::nullopt;
  return *std::move(bytes);
}

}  // namespace

std::map<std::string, std::string> ParseGroups(std::string_view bytes) {
  std::map<std::string, std::string> groups;
  while (!bytes.empty()) {
    const auto line = TakeLine(&bytes);
    // "4:cpu,cpuacct:/path"; the path may contain colons.
    const auto first = line.find(':');
    if (first == std::string_view::npos) continue;
    const auto second = line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    auto names = line.substr(first + 1, second - first - 1);
    const std::string path(line.substr(second + 1));
    while (true) {
      const auto name = names.substr(0, names.find(','));
      groups[std::string(name)] = path;
      if (name.size() == names.size()) break;
      names.remove_prefix(name.size() + 1);
    }
  }
  return groups;
}

std::optional<std::uint64_t> ParseCounter(std::string_view bytes) {
  const auto words = Words(bytes);
  return words.size() == 1 ? Number<std::uint64_t>(words[0]) : std::nullopt;
}

std::optional<std::uint64_t> ParseNamed(std::string_view bytes, std::string_view name) {
  while (!bytes.empty()) {
    const auto words = Words(TakeLine(&bytes));
    if (words.size() == 2 && words[0] == name) return Number<std::uint64_t>(words[1]);
  }
  return std::nullopt;
}

std::optional<LaunchUsage::Traffic> ParseNetDev(std::string_view bytes) {
  // "  eth0:  1296 16 0 0 0 0 0 0  42 1 ...": bytes are the 1st and the 9th number.
  constexpr std::size_t kReceived = 0;
  constexpr std::size_t kSent = 8;
  std::optional<LaunchUsage::Traffic> sum;
  while (!bytes.empty()) {
    auto line = TakeLine(&bytes);
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    const auto names = Words(line.substr(0, colon));
    const auto numbers = Words(line.substr(colon + 1));
    if (names.size() != 1 || names[0] == "lo" || numbers.size() <= kSent) continue;
    const auto received = Number<std::uint64_t>(numbers[kReceived]);
    const auto sent = Number<std::uint64_t>(numbers[kSent]);
    if (!received || !sent) continue;
    if (!sum) sum = LaunchUsage::Traffic{};
    sum->rx_bytes += *received;
    sum->tx_bytes += *sent;
  }
  return sum;
}

std::optional<ProcessTimes> ParseProcessTimes(std::string_view bytes) {
  // "42 (a name) S 1 ...": the name may hold anything; fields count from the state, the third.
  constexpr std::size_t kParent = 1;
  constexpr std::size_t kUser = 11;
  constexpr std::size_t kResident = 21;
  const auto name_end = bytes.rfind(')');
  if (name_end == std::string_view::npos) return std::nullopt;
  const auto fields = Words(bytes.substr(name_end + 1));
  if (fields.size() <= kResident) return std::nullopt;
  const auto parent = Number<pid_t>(fields[kParent]);
  std::array<std::uint64_t, 4> ticks{};  // user, system, the same of children
  for (std::size_t i = 0; i < ticks.size(); ++i) {
    // Those of children are signed for historic reasons.
    const auto value = Number<std::int64_t>(fields[kUser + i]);
    if (!value || *value < 0) return std::nullopt;
    ticks[i] = static_cast<std::uint64_t>(*value);
  }
  const auto resident = Number<std::int64_t>(fields[kResident]);
  if (!parent || !resident || *resident < 0) return std::nullopt;
  return ProcessTimes{*parent, ticks[0] + ticks[1], ticks[2] + ticks[3],
                      static_cast<std::uint64_t>(*resident)};
}

MonoTime UsageNow() {
  return MonoTime(
      std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()));
}

UsageFolders FoldersOf(const std::string& root, const std::map<std::string, std::string>& groups) {
  const auto memory = groups.find("memory");
  const auto cpu = groups.find("cpuacct");
  if (memory != groups.end() && cpu != groups.end()) {
    return {root + "/cpuacct" + cpu->second, root + "/memory" + memory->second};
  }
  const auto unified = groups.find("");
  if (unified == groups.end()) return {};
  return {root + unified->second, root + unified->second};
}

std::optional<std::uint64_t> GroupCpuNanos(const std::string& folder) {
  if (folder.empty()) return std::nullopt;
  if (const auto nanos = Read(folder + "/cpuacct.usage")) return ParseCounter(*nanos);
  const auto stat = Read(folder + "/cpu.stat");
  const auto micros = stat ? ParseNamed(*stat, "usage_usec") : std::nullopt;
  if (!micros) return std::nullopt;
  return *micros * kNanosPerMicro;
}

std::optional<std::int64_t> GroupMemoryBytes(const std::string& folder) {
  if (folder.empty()) return std::nullopt;
  auto used = Read(folder + "/memory.current");
  const bool unified = used.has_value();
  if (!unified) used = Read(folder + "/memory.usage_in_bytes");
  const auto bytes = used ? ParseCounter(*used) : std::nullopt;
  if (!bytes) return std::nullopt;
  const auto stat = Read(folder + "/memory.stat");
  const std::uint64_t cache =
      stat ? ParseNamed(*stat, unified ? "inactive_file" : "total_inactive_file").value_or(0) : 0;
  return static_cast<std::int64_t>(*bytes - std::min(*bytes, cache));
}

ProcessTree ProcessTree::Read(const std::string& proc) {
  ProcessTree tree;
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(opendir(proc.c_str()), closedir);
  if (!folder) return tree;
  while (const dirent* entry = readdir(folder.get())) {
    const std::string_view name = entry->d_name;
    const auto pid = Number<pid_t>(name);
    if (!pid) continue;
    const auto bytes = engine::Read(proc + '/' + std::string(name) + "/stat");
    const auto times = bytes ? ParseProcessTimes(*bytes) : std::nullopt;
    if (!times) continue;
    tree.times_.emplace(*pid, *times);
    tree.children_.emplace(times->parent, *pid);
  }
  return tree;
}

ProcessTree::Sum ProcessTree::Below(pid_t root) const {
  Sum sum;
  std::uint64_t ticks = 0;
  if (const auto it = times_.find(root); it != times_.end()) ticks += it->second.children_ticks;
  // A process that got a new parent while they were read could close a circle.
  std::size_t left = times_.size();
  std::vector<pid_t> parents{root};
  while (!parents.empty()) {
    const pid_t parent = parents.back();
    parents.pop_back();
    const auto [begin, end] = children_.equal_range(parent);
    for (auto it = begin; it != end && left > 0; ++it, --left) {
      const ProcessTimes& times = times_.at(it->second);
      ticks += times.ticks + times.children_ticks;
      sum.resident_bytes += static_cast<std::int64_t>(times.resident_pages) * getpagesize();
      parents.push_back(it->second);
    }
  }
  const auto per_second = static_cast<std::uint64_t>(std::max(1L, sysconf(_SC_CLK_TCK)));
  sum.cpu_nanos = ticks * (kNanosPerSecond / per_second);
  return sum;
}

}  // namespace cube::engine
