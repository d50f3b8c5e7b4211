#include "services/cli/usage.h"

#include <gtest/gtest.h>

namespace cube::cli {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kNoon = 1'769'860'800 * kSecond;  // 2026-01-31T12:00:00Z

NodeMetrics Metrics(const std::string& node, std::uint32_t permille, std::int64_t memory_used) {
  NodeMetrics known{.message = {}, .came_at = WallFromNanos(kNoon)};
  v1::Metrics& metrics = known.message;
  metrics.set_node(node);
  metrics.set_interval_ns(15 * kSecond);
  metrics.set_cpus(4);
  auto& sample = *metrics.add_samples();
  sample.set_at_ns(kNoon + 7200 * kSecond);  // its clock is wrong, which must not matter
  sample.set_cpu_used_permille(permille);
  sample.set_memory_total_bytes(std::int64_t{8} << 30);
  sample.set_memory_used_bytes(memory_used);
  sample.set_load1_milli(1'250);
  sample.set_tasks_running(2);
  metrics.mutable_memory()->set_mem_total(8'388'608);
  metrics.mutable_memory()->set_direct_map_1g(7);
  metrics.mutable_load()->set_last1min_milli(1'250);
  metrics.mutable_load()->set_last_pid(4'711);
  metrics.mutable_data_disk()->set_all_bytes(std::uint64_t{100} << 30);
  metrics.mutable_data_disk()->set_used_bytes(std::uint64_t{25} << 30);
  return known;
}

void AddTask(NodeMetrics& known, const std::string& id, std::uint32_t cpu_millis,
             std::int64_t memory) {
  auto& task = *known.message.add_tasks();
  task.set_task(id);
  task.set_name("web");
  task.set_attempt(1);
  task.set_cpu_millis(cpu_millis);
  task.set_memory_bytes(memory);
}

v1::NodeView Node(const std::string& name) {
  v1::NodeView node;
  node.set_name(name);
  node.set_status("ready");
  return node;
}

WallTime After(std::int64_t seconds) { return WallFromNanos(kNoon + seconds * kSecond); }

TEST(Usage, OldIsNotShownAsNow) {
  const NodeMetrics metrics = Metrics("a", 500, 1 << 30);
  EXPECT_NE(Newest(&metrics, After(45)), nullptr);
  EXPECT_EQ(Newest(&metrics, After(46)), nullptr);
  EXPECT_NE(Newest(&metrics, After(-3600)), nullptr) << "clocks differ";
  EXPECT_EQ(Newest(nullptr, After(0)), nullptr);
  const NodeMetrics none;
  EXPECT_EQ(Newest(&none, After(0)), nullptr);
  EXPECT_TRUE(UsedJson(&metrics, After(46)).is_null());
  EXPECT_TRUE(LoadJson(nullptr, After(0)).is_null());
}

TEST(Usage, UsedAndLoad) {
  const NodeMetrics metrics = Metrics("a", 500, std::int64_t{2} << 30);
  const auto used = UsedJson(&metrics, After(1));
  EXPECT_EQ(used["cpus"], 2.0);
  EXPECT_EQ(used["memory"], std::int64_t{2} << 30);
  EXPECT_EQ(used["disk"], std::int64_t{25} << 30);
  EXPECT_EQ(LoadJson(&metrics, After(1))["last1min"], 1.25);
}

TEST(Usage, EveryMetricIsInTheDetails) {
  NodeMetrics known = Metrics("a", 500, 1);
  AddTask(known, "web-1", 250, 1000);
  v1::Metrics& metrics = known.message;
  const auto json = MetricsJson(metrics);
  EXPECT_EQ(json["memory"].size(), 44u) << "as the book's worker has them";
  EXPECT_EQ(json["memory"]["mem_total"], 8'388'608);
  EXPECT_EQ(json["memory"]["direct_map_1G"], 7);
  EXPECT_EQ(json["load"]["last_pid"], 4'711);
  EXPECT_TRUE(json["cpu"].is_null()) << "this worker has not said";
  EXPECT_EQ(json["data_disk"]["all_bytes"], std::int64_t{100} << 30);
  EXPECT_EQ(json["samples"][0]["at"], "2026-01-31T14:00:00.000Z");
  EXPECT_EQ(json["tasks"][0]["cpu_millis"], 250);
  EXPECT_TRUE(json["tasks"][0]["network_rx_bytes"].is_null());
  metrics.mutable_cpu()->set_steal(3);
  EXPECT_EQ(MetricsJson(metrics)["cpu"].size(), 10u);
}

TEST(Usage, TotalsOverNodesThatAreKnown) {
  MetricsByNode all{{"a", Metrics("a", 500, std::int64_t{2} << 30)},
                    {"b", Metrics("b", 250, std::int64_t{4} << 30)},
                    {"c", Metrics("c", 1000, std::int64_t{8} << 30)}};
  all["c"].came_at = After(-3600);
  const Totals totals = SumOf(all, After(0));
  EXPECT_EQ(totals.nodes, 2u);
  EXPECT_EQ(TotalsText(totals),
            "3 of 8 cpus (38%), 6 GiB of 16 GiB memory (38%), 50 GiB of 200 GiB disk (25%)");
  EXPECT_EQ(TotalsText({}), "not known: no node has published metrics lately");
}

MetricsByNode Three() {
  MetricsByNode all{{"a", Metrics("a", 100, std::int64_t{4} << 30)},
                    {"b", Metrics("b", 900, std::int64_t{2} << 30)}};
  AddTask(all["a"], "idle-1", 10, 300 << 20);
  AddTask(all["b"], "busy-1", 1'500, 20 << 20);
  auto& fresh = *all["b"].message.add_tasks();
  fresh.set_task("fresh-1");
  fresh.set_memory_bytes(1 << 20);
  fresh.set_network_rx_bytes(2 << 20);
  fresh.set_network_tx_bytes(0);
  return all;
}

TEST(Top, Frame) {
  TopOptions options;
  options.now = After(5);
  EXPECT_EQ(
      TopFrame({Node("a"), Node("b"), Node("gone")}, Three(), options),
      "3 nodes, 4 tasks running. Used: 4 of 8 cpus (50%), 6 GiB of 16 GiB memory (38%), 50 GiB "
      "of 200 GiB disk (25%)\n"
      "\n"
      "NODE   STATUS   CPU%    CPUS   MEM%   MEMORY (MiB)   DISK%   LOAD   RUNNING   AGE\n"
      "b      ready     90%   3.6/4    25%      2048/8192     25%   1.25         2    5s\n"
      "a      ready     10%   0.4/4    50%      4096/8192     25%   1.25         2    5s\n"
      "gone   ready       -       -      -              -       -      -         -     -\n"
      "\n"
      "TASK      NAME   NODE    CPU%    MEMORY   RECEIVED   SENT\n"
      "busy-1    web    b      150.0    20 MiB          -      -\n"
      "idle-1    web    a        1.0   300 MiB          -      -\n"
      "fresh-1          b          -     1 MiB      2 MiB    0 B\n");
}

TEST(Top, SortsAndSelects) {
  TopOptions options;
  options.now = After(5);
  options.sort = TopSort::kMemory;
  auto json = TopJson({Node("a"), Node("b")}, Three(), options);
  EXPECT_EQ(json["nodes"][0]["name"], "a");
  EXPECT_EQ(json["tasks"][0]["id"], "idle-1");
  EXPECT_EQ(json["tasks"][0]["cpus"], 0.01);
  EXPECT_TRUE(json["tasks"][2]["cpus"].is_null());
  EXPECT_EQ(json["tasks"][2]["network_rx_bytes"], 2 << 20);
  options.sort = TopSort::kName;
  options.nodes = false;
  json = TopJson({Node("a"), Node("b")}, Three(), options);
  EXPECT_FALSE(json.contains("nodes"));
  EXPECT_EQ(json["tasks"][0]["id"], "busy-1");
  options.now = After(3600);
  EXPECT_TRUE(TopJson({Node("a")}, Three(), options)["tasks"].empty()) << "too old";
}

}  // namespace
}  // namespace cube::cli
