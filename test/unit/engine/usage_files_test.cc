#include "services/worker/engine/usage_files.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace cube::engine {
namespace {

TEST(UsageFiles, Groups) {
  const auto groups = ParseGroups("4:memory:/a/b\n1:cpu,cpuacct:/c:d\n0::/e\ngarbage\n7:x\n");
  EXPECT_EQ(groups.size(), 4u);
  EXPECT_EQ(groups.at("memory"), "/a/b");
  EXPECT_EQ(groups.at("cpu"), "/c:d");
  EXPECT_EQ(groups.at("cpuacct"), "/c:d");
  EXPECT_EQ(groups.at(""), "/e");
  EXPECT_TRUE(ParseGroups("").empty());
}

TEST(UsageFiles, FoldersOfBothVersions) {
  const auto v1 = FoldersOf("/cg", ParseGroups("4:memory:/m/x\n1:cpuacct:/c/x\n0::/u\n"));
  EXPECT_EQ(v1.memory, "/cg/memory/m/x");
  EXPECT_EQ(v1.cpu, "/cg/cpuacct/c/x");
  const auto v2 = FoldersOf("/cg", ParseGroups("0::/system.slice/docker-abc.scope\n"));
  EXPECT_EQ(v2.memory, "/cg/system.slice/docker-abc.scope");
  EXPECT_EQ(v2.cpu, v2.memory);
  EXPECT_TRUE(FoldersOf("/cg", {}).cpu.empty());
}

TEST(UsageFiles, Counters) {
  EXPECT_EQ(ParseCounter("123\n"), 123u);
  EXPECT_EQ(ParseCounter("max\n"), std::nullopt);
  EXPECT_EQ(ParseCounter(""), std::nullopt);
  EXPECT_EQ(ParseCounter("1 2\n"), std::nullopt);
  EXPECT_EQ(ParseNamed("a 1\ninactive_file 77\nb 2", "inactive_file"), 77u);
  EXPECT_EQ(ParseNamed("total_inactive_file 77\n", "inactive_file"), std::nullopt);
  EXPECT_EQ(ParseNamed("inactive_file -1\n", "inactive_file"), std::nullopt);
  EXPECT_EQ(ParseNamed("", "x"), std::nullopt);
}

TEST(UsageFiles, NetDev) {
  constexpr char kRecorded[] =
      "Inter-|   Receive                                                |  Transmit\n"
      " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs "
      "drop fifo colls carrier compressed\n"
      "    lo: 9999999      10    0    0    0     0          0         0  9999999      10    0    0"
      "    0     0       0          0\n"
      "  eth0:    1296      16    0    0    0     0          0         0      42       1    0    0"
      "    0     0       0          0\n"
      "  eth1:4294967296 16 0 0 0 0 0 0 8 1 0 0 0 0 0 0\n";
  EXPECT_EQ(ParseNetDev(kRecorded), (LaunchUsage::Traffic{4294968592u, 50}));
  EXPECT_EQ(ParseNetDev("lo: 1 2 3 4 5 6 7 8 9 10\n"), std::nullopt) << "no network but its own";
  EXPECT_EQ(ParseNetDev("eth0: 1 2 3\neth1: x 0 0 0 0 0 0 0 y\n"), std::nullopt);
  EXPECT_EQ(ParseNetDev(""), std::nullopt);
}

// A real line, with a name that tries to look like the rest of it.
constexpr char kStat[] =
    "4711 (a) R 1 (x) S 42 4711 4711 0 -1 4194304 150 900 0 0 12 8 300 45 20 0 1 0 12345 2621440 "
    "321 18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0\n";

TEST(UsageFiles, ProcessTimes) {
  const auto times = ParseProcessTimes(kStat);
  ASSERT_TRUE(times);
  EXPECT_EQ(*times, (ProcessTimes{42, 20, 345, 321}));
  EXPECT_FALSE(ParseProcessTimes("4711 (x) S 42"));
  EXPECT_FALSE(ParseProcessTimes("4711 x S 42 1 1 0 -1 0 0 0 0 0 1 1 1 1 20 0 1 0 1 1 1"));
  EXPECT_FALSE(ParseProcessTimes(""));
}

class UsageFolders : public ::testing::Test {
 protected:
  UsageFolders() {
    std::string folder = (std::filesystem::temp_directory_path() / "cube-usage-XXXXXX").string();
    EXPECT_NE(mkdtemp(folder.data()), nullptr);
    folder_ = folder;
  }
  ~UsageFolders() override {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  void Put(const std::string& name, const std::string& bytes) const {
    std::filesystem::create_directories(std::filesystem::path(folder_ + '/' + name).parent_path());
    std::ofstream(folder_ + '/' + name, std::ios::binary) << bytes;
  }
  void PutProcess(int pid, int parent, int ticks, int children_ticks, int pages) const {
    Put(std::to_string(pid) + "/stat", std::to_string(pid) + " (p) S " + std::to_string(parent) +
                                           " 0 0 0 0 0 0 0 0 0 " + std::to_string(ticks) + " 0 " +
                                           std::to_string(children_ticks) + " 0 0 0 0 0 0 0 " +
                                           std::to_string(pages) + " 0\n");
  }
  std::string folder_;
};

TEST_F(UsageFolders, Version2) {
  Put("cpu.stat", "usage_usec 2500\nuser_usec 2000\nsystem_usec 500\n");
  Put("memory.current", "10000\n");
  EXPECT_EQ(GroupCpuNanos(folder_), 2'500'000u);
  EXPECT_EQ(GroupMemoryBytes(folder_), 10'000) << "a kernel that says no more";
  Put("memory.stat", "anon 1\ninactive_file 4000\n");
  EXPECT_EQ(GroupMemoryBytes(folder_), 6'000);
  Put("memory.stat", "inactive_file 40000\n");
  EXPECT_EQ(GroupMemoryBytes(folder_), 0) << "read a moment later, it may be more than all";
}

TEST_F(UsageFolders, Version1) {
  Put("cpuacct.usage", "2500\n");
  Put("cpu.stat", "nr_periods 0\nnr_throttled 0\n");
  Put("memory.usage_in_bytes", "10000\n");
  Put("memory.stat", "inactive_file 1\ntotal_inactive_file 4000\n");
  EXPECT_EQ(GroupCpuNanos(folder_), 2500u);
  EXPECT_EQ(GroupMemoryBytes(folder_), 6'000);
}

TEST_F(UsageFolders, NotThere) {
  EXPECT_EQ(GroupCpuNanos(folder_ + "/none"), std::nullopt);
  EXPECT_EQ(GroupMemoryBytes(folder_ + "/none"), std::nullopt);
  EXPECT_EQ(GroupCpuNanos(""), std::nullopt);
  EXPECT_EQ(GroupMemoryBytes(""), std::nullopt);
}

TEST_F(UsageFolders, TreeSumsWhatDescends) {
  PutProcess(10, 1, 1000, 7, 500);  // the supervisor: only what it has waited for
  PutProcess(11, 10, 20, 3, 2);
  PutProcess(12, 11, 5, 0, 1);
  PutProcess(20, 1, 9999, 0, 100);
  Put("self/stat", "garbage");
  Put("30/stat", "garbage");
  const auto tree = ProcessTree::Read(folder_);
  const auto sum = tree.Below(10);
  const auto tick_nanos = 1'000'000'000u / static_cast<unsigned>(sysconf(_SC_CLK_TCK));
  EXPECT_EQ(sum.cpu_nanos, 35u * tick_nanos);
  EXPECT_EQ(sum.resident_bytes, 3L * getpagesize());
  EXPECT_EQ(tree.Below(99).cpu_nanos, 0u);
}

TEST_F(UsageFolders, TreeThatClosesACircleEnds) {
  PutProcess(10, 12, 1, 0, 1);
  PutProcess(11, 10, 1, 0, 1);
  PutProcess(12, 11, 1, 0, 1);
  EXPECT_GT(ProcessTree::Read(folder_).Below(10).cpu_nanos, 0u);
}

}  // namespace
}  // namespace cube::engine
