#include <gtest/gtest.h>

#include "services/worker/engine/docker/usage_reader.h"

namespace cube::engine::docker {
namespace {

// Recorded from Docker 20.10 (API 1.41), control groups version 1, and cut.
constexpr char kVersion1[] = R"({"read":"2026-01-31T12:00:00Z","preread":"0001-01-01T00:00:00Z",
"pids_stats":{"current":1},"num_procs":0,"cpu_stats":{"cpu_usage":{"total_usage":45829344,
"percpu_usage":[45829344],"usage_in_kernelmode":10000000,"usage_in_usermode":20000000},
"system_cpu_usage":4711000000,"online_cpus":2,"throttling_data":{"periods":0}},
"precpu_stats":{"cpu_usage":{"total_usage":0}},"memory_stats":{"usage":1036288,"max_usage":5124096,
"stats":{"active_anon":0,"inactive_file":5,"total_inactive_file":36288},"limit":25296986112},
"name":"/x","id":"abc","networks":{"eth0":{"rx_bytes":1296,"tx_bytes":42},
"eth1":{"rx_bytes":4,"tx_bytes":8}}})";

TEST(DockerStats, Version1) {
  const auto usage = DecodeStats(kVersion1);
  ASSERT_TRUE(usage);
  EXPECT_EQ(usage->cpu_nanos, 45829344u);
  EXPECT_EQ(usage->memory_bytes, 1'000'000);
  EXPECT_EQ(usage->network, (LaunchUsage::Traffic{1300, 50}));
}

TEST(DockerStats, Version2WithoutNetwork) {
  const auto usage = DecodeStats(R"({"cpu_stats":{"cpu_usage":{"total_usage":7}},)"
                                 R"("memory_stats":{"usage":100,"stats":{"inactive_file":30}}})");
  ASSERT_TRUE(usage);
  EXPECT_EQ(usage->memory_bytes, 70);
  EXPECT_FALSE(usage->network);
}

TEST(DockerStats, WhatDoesNotRunHasNone) {
  EXPECT_FALSE(DecodeStats(
      R"({"cpu_stats":{"cpu_usage":{"total_usage":0}},"memory_stats":{},"networks":null})"));
}

TEST(DockerStats, Garbage) {
  for (const char* body :
       {"", "[]", "3", "{", R"({"cpu_stats":3,"memory_stats":[]})",
        R"({"cpu_stats":{"cpu_usage":{"total_usage":-1}}})", R"({"memory_stats":{"usage":"x"}})"}) {
    EXPECT_FALSE(DecodeStats(body)) << body;
  }
  const auto odd = DecodeStats(
      R"({"cpu_stats":{"cpu_usage":{"total_usage":1}},"memory_stats":{"usage":1,"stats":7},)"
      R"("networks":{"eth0":"down"}})");
  ASSERT_TRUE(odd);
  EXPECT_EQ(odd->network, LaunchUsage::Traffic{});
}

}  // namespace
}  // namespace cube::engine::docker
