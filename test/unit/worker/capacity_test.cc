#include "services/worker/capacity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <ctime>
#include <set>

#include "shared/base/random.h"

namespace cube::worker {
namespace {

// Every field of the list with a value of its own, in the kernel's form.
std::string MemInfoText() {
  std::string text;
  std::uint64_t value = 1000;
  for (const auto& field : kMemoryFields) {
    text += std::string(field.source) + ":   " + std::to_string(value++) + " kB\n";
    text += "Unknown" + std::string(field.source) + ": 7 kB\n";
  }
  return text;
}

TEST(CapacityTest, AllFieldsOfMemInfo) {
  const auto memory = ParseMemInfo(MemInfoText());
  ASSERT_TRUE(memory) << memory.error().Text();
  std::uint64_t value = 1000;
  std::set<std::string_view> names;
  for (const auto& field : kMemoryFields) {
    EXPECT_EQ((*memory).*field.member, value++) << field.name;
    EXPECT_TRUE(names.insert(field.name).second) << field.name;
  }
  EXPECT_EQ(names.size(), 44u);
}

TEST(CapacityTest, MemInfoOfARealKernel) {
  const auto memory = ParseMemInfo(
      "MemTotal:       24684084 kB\nMemFree:        21429196 kB\nMemAvailable:   23139888 kB\n"
      "Active(anon):       1684 kB\nHugePages_Total:       3\nHugepagesize:       2048 kB\n"
      "DirectMap1G:    25165824 kB\nNonsense\n:\nDirty: x kB\n");
  ASSERT_TRUE(memory);
  EXPECT_EQ(memory->mem_total, 24684084u);
  EXPECT_EQ(memory->UsedKb(), 24684084u - 23139888u);
  EXPECT_EQ(memory->active_anon, 1684u);
  EXPECT_EQ(memory->huge_pages_total, 3u);
  EXPECT_EQ(memory->direct_map_1g, 25165824u);
  EXPECT_EQ(memory->dirty, 0u);
  EXPECT_FALSE(ParseMemInfo(""));
  EXPECT_FALSE(ParseMemInfo("MemFree: 5 kB\n"));
}

TEST(CapacityTest, CpuLine) {
  const auto cpu = ParseCpuStat("cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 100 0 0 0 0 0 0 0 0 0\nintr 5\n");
  ASSERT_TRUE(cpu);
  EXPECT_EQ(*cpu, (CpuMetrics{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}));
  EXPECT_EQ(cpu->IdleTicks(), 9u);
  EXPECT_EQ(cpu->TotalTicks(), 36u);                   // guest times are in user and nice already
  EXPECT_EQ(ParseCpuStat("cpu 1 2 3 4\n")->idle, 4u);  // an old kernel
  EXPECT_FALSE(ParseCpuStat(""));
  EXPECT_FALSE(ParseCpuStat("cpu0 1 2 3 4 5\n"));
  EXPECT_FALSE(ParseCpuStat("cpu 1 2 x\n"));
}

TEST(CapacityTest, CpuUsedBetweenTwoSamples) {
  CpuMetrics before;
  before.user = 1000;
  before.idle = 9000;
  CpuMetrics after = before;
  EXPECT_EQ(CpuUsedPermille(before, after), 0u);  // no time has passed
  after.user += 25;
  after.system += 5;
  after.idle += 60;
  after.iowait += 10;
  EXPECT_EQ(CpuUsedPermille(before, after), 300u);
  EXPECT_EQ(CpuUsedPermille(after, before), 0u);  // backwards
  after = before;
  after.steal += 10;
  EXPECT_EQ(CpuUsedPermille(before, after), 1000u);
  after.idle -= 5;  // as iowait may
  EXPECT_EQ(CpuUsedPermille(before, after), 1000u);
}

TEST(CapacityTest, LoadAverages) {
  const auto load = ParseLoadAvg("0.20 1.5 12.125 1/80 11206\n");
  ASSERT_TRUE(load);
  EXPECT_EQ(*load, (LoadMetrics{200, 1500, 12125, 1, 80, 11206}));
  EXPECT_FALSE(ParseLoadAvg(""));
  EXPECT_FALSE(ParseLoadAvg("0.20 0.1\n"));
  EXPECT_FALSE(ParseLoadAvg("a b c 1/2 3\n"));
  EXPECT_FALSE(ParseLoadAvg("99999999999.00 0 0 1/2 3\n"));
}

TEST(CapacityTest, AnyBytesMayBeParsed) {
  Random random(5);
  const std::vector<std::string> seeds{MemInfoText(), "cpu  1 2 3 4 5 6 7 8 9 10\n",
                                       "0.20 0.18 0.12 1/80 11206\n"};
  for (int i = 0; i < 5'000; ++i) {
    std::string bytes = seeds[random.Below(seeds.size())];
    for (std::uint64_t n = 1 + random.Below(10); n > 0; --n) {
      bytes[random.Below(bytes.size())] = static_cast<char>(random.Below(256));
    }
    bytes.resize(random.Below(bytes.size() + 1));
    (void)ParseMemInfo(bytes);
    (void)ParseCpuStat(bytes);
    (void)ParseLoadAvg(bytes);
    (void)NodeNameFromHost(bytes);
  }
}

TEST(CapacityTest, NodeNames) {
  EXPECT_EQ(NodeNameFromHost("Web-01.Example.COM")->str(), "web-01-example-com");
  EXPECT_EQ(NodeNameFromHost("under_score")->str(), "under-score");
  EXPECT_EQ(NodeNameFromHost("-.a.-")->str(), "a");
  EXPECT_EQ(NodeNameFromHost(std::string(100, 'x'))->str().size(), kTokenLengthMax);
  EXPECT_FALSE(NodeNameFromHost(""));
  EXPECT_FALSE(NodeNameFromHost("..."));
}

// This machine's own, whatever it is.
TEST(CapacityTest, OfThisMachine) {
  const auto capacity = MachineCapacity("/tmp");
  ASSERT_TRUE(capacity) << capacity.error().Text();
  EXPECT_EQ(capacity->cpu_millis, sysconf(_SC_NPROCESSORS_ONLN) * 1000);
  EXPECT_GT(capacity->memory_bytes, 16 << 20);
  EXPECT_GT(capacity->disk_bytes, 0);
  const auto missing = MachineCapacity("/no/such/folder");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Code::kNotFound);

  const auto first = ReadMachineMetrics();
  ASSERT_TRUE(first) << first.error().Text();
  EXPECT_EQ(static_cast<std::int64_t>(first->memory.mem_total) * 1024, capacity->memory_bytes);
  EXPECT_EQ(first->disk.used + first->disk.free, first->disk.all);
  EXPECT_GT(first->load.process_total, 0u);
  // Work until the counters show it: this test is itself what keeps a cpu busy.
  auto second = ReadMachineMetrics();
  while (second && second->cpu.TotalTicks() < first->cpu.TotalTicks() + 10) {
    second = ReadMachineMetrics();
  }
  ASSERT_TRUE(second);
  const auto used = CpuUsedPermille(first->cpu, second->cpu);
  EXPECT_GT(used, 0u);
  EXPECT_LE(used, 1000u);
  EXPECT_TRUE(HostNodeName());
}

double ThisThreadsCpuSeconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

// One of N cpus pegged is a share of 1/N, whatever happened since boot. On a machine that others
// use too the pegging thread gets less, and the share is more: so both bounds are what is sure.
TEST(CapacityTest, OneOfAllCpusPegged) {
  const auto cpus = static_cast<double>(sysconf(_SC_NPROCESSORS_ONLN));
  const auto before = ReadMachineMetrics();
  const double cpu_before = ThisThreadsCpuSeconds();
  const auto begin = std::chrono::steady_clock::now();
  while (ThisThreadsCpuSeconds() < cpu_before + 0.5) continue;
  const auto after = ReadMachineMetrics();
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - begin;
  ASSERT_TRUE(before && after);
  const double share = CpuUsedPermille(before->cpu, after->cpu) / 1000.0;
  EXPECT_GT(share, 0.7 * 0.5 / wall.count() / cpus);
  EXPECT_LE(share, 1.0);
  // What was idle all the time cannot have been used.
  const double idle = static_cast<double>(after->cpu.IdleTicks() - before->cpu.IdleTicks()) /
                      static_cast<double>(after->cpu.TotalTicks() - before->cpu.TotalTicks());
  EXPECT_NEAR(share, 1 - idle, 0.01);
}

}  // namespace
}  // namespace cube::worker
