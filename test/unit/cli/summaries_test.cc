#include "services/cli/summaries.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "services/cli/render/text.h"
#include "shared/wire/convert.h"

namespace cube::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::int64_t kNoon = 1'767'225'600'000'000'000;
constexpr std::int64_t kSecond = 1'000'000'000;
const SummaryOptions kOptions{.now = WallFromNanos(kNoon + 180 * kSecond),
                              .cluster = "x1-y2z3w4v5"};

v1::TaskView Web(bool checked) {
  TaskSpec spec;
  spec.name = TaskName::Trusted("web");
  spec.image = "nginx:1.25";
  if (checked) {
    HealthCheck check;
    check.http_path = "/health";
    check.port = 80;
    check.start_period = std::chrono::seconds(30);
    spec.health = check;
  }
  v1::TaskView task;
  task.set_id("web-k3x7q2ab");
  wire::ToProto(spec, *task.mutable_spec());
  task.set_status("running");
  task.set_node("node-a");
  task.set_attempt(1);
  task.set_healthy(true);
  task.set_created_at_ns(kNoon);
  task.set_container_id("0123456789abcdef");
  return task;
}

TEST(Summaries, ATasksHealthAndItsCheck) {
  v1::TaskView task = Web(true);
  EXPECT_THAT(TaskSummary(task, kOptions), HasSubstr("Status      running (healthy) on node-a\n"
                                                     "Health      healthy\n"));
  EXPECT_THAT(TaskSummary(task, kOptions),
              HasSubstr("Check       GET /health to port 80 every 10s, 2s for an answer, 30s to "
                        "start; healthy after 1, not after 3 failures, then it is restarted\n"));
  task.set_healthy(false);
  EXPECT_THAT(TaskSummary(task, kOptions), HasSubstr("Health      not healthy yet\n"));
  task.set_status("unhealthy");
  task.set_reason("GET /health: status 500");
  EXPECT_THAT(TaskSummary(task, kOptions),
              HasSubstr("Status      unhealthy on node-a: GET /health: status 500\n"
                        "Health      not healthy\n"));
  task.set_status("failed");
  EXPECT_THAT(TaskSummary(task, kOptions), Not(HasSubstr("Health ")));
}

TEST(Summaries, WithoutACheckHealthyIsRunning) {
  const std::string text = TaskSummary(Web(false), kOptions);
  EXPECT_THAT(text, HasSubstr("Status      running on node-a\n"));
  EXPECT_THAT(text, HasSubstr("Health      healthy (it runs)\n"));
  EXPECT_THAT(text, HasSubstr("Check       none\n"));
}

TEST(Summaries, EveryKindOfCheck) {
  HealthCheck check;
  check.kind = HealthCheck::Kind::kTcp;
  check.port_name = "web";
  check.retries = 1;
  check.on_failure = HealthCheck::OnFailure::kNone;
  EXPECT_EQ(CheckText(check),
            "a TCP connection to port web every 10s, 2s for an answer; healthy after 1, not after "
            "1 failure, then it runs on");
  check.kind = HealthCheck::Kind::kCommand;
  check.command = {"pg_isready", "-q"};
  EXPECT_THAT(CheckText(check), HasSubstr("pg_isready -q every 10s"));
  HealthCheck any_port;
  any_port.kind = HealthCheck::Kind::kTcp;
  EXPECT_THAT(CheckText(any_port), HasSubstr("to its lowest published port"));
}

TEST(Summaries, WhatIsPendingHasALastAttemptAndNoNode) {
  v1::TaskView task = Web(false);
  task.set_status("pending");
  task.set_reason("no node has 4 cpus");
  task.clear_node();
  task.set_last_node("node-a");
  const std::string text = TaskSummary(task, kOptions);
  EXPECT_THAT(text, HasSubstr("Status      pending: no node has 4 cpus\n"
                              "Last        attempt 1 on node-a, launch 0\n"));
  EXPECT_THAT(text, Not(HasSubstr("Container")));
}

v1::NodeView Node() {
  v1::NodeView node;
  node.set_name("node-a");
  node.set_status("ready");
  node.set_eligible(true);
  auto& about = *node.mutable_description();
  about.mutable_capacity()->set_cpu_millis(4'000);
  about.mutable_capacity()->set_memory_bytes(std::int64_t{8} << 30);
  about.mutable_capacity()->set_disk_bytes(std::int64_t{100} << 30);
  about.set_tasks_max(500);
  return node;
}

TEST(Summaries, ANodesRoleAndWhatIsPromisedEvenIfNothingIs) {
  v1::NodeView node = Node();
  EXPECT_EQ(NodeSummary(node, nullptr, kOptions),
            "Node        node-a\n"
            "Role        worker\n"
            "Status      ready\n"
            "Eligible    yes\n"
            "Capacity    4 cpus, 8 GiB of memory, 100 GiB of disk, 500 tasks\n"
            "Promised    0 cpus, 0 B of memory, 0 B of disk, 0 tasks\n"
            "Used        not known: it has published no metrics lately\n");
  node.mutable_allocated()->set_cpu_millis(500);
  node.mutable_allocated()->set_memory_bytes(std::int64_t{1} << 30);
  node.set_tasks(1);
  EXPECT_THAT(NodeSummary(node, nullptr, kOptions),
              HasSubstr("Promised    0.5 cpus, 1 GiB of memory, 0 B of disk, 1 task\n"));
}

TEST(Summaries, WhatANodeUses) {
  NodeMetrics known{.message = {}, .came_at = kOptions.now};
  known.message.set_node("node-a");
  known.message.set_interval_ns(15 * kSecond);
  known.message.set_cpus(4);
  auto& sample = *known.message.add_samples();
  sample.set_cpu_used_permille(500);
  sample.set_memory_total_bytes(std::int64_t{8} << 30);
  sample.set_memory_used_bytes(std::int64_t{2} << 30);
  sample.set_tasks_running(2);
  known.message.mutable_data_disk()->set_all_bytes(std::uint64_t{100} << 30);
  known.message.mutable_data_disk()->set_used_bytes(std::uint64_t{25} << 30);
  EXPECT_THAT(NodeSummary(Node(), &known, kOptions),
              HasSubstr("Used        2 of 4 cpus (50%), 2 GiB of 8 GiB memory (25%), 25 GiB of 100 "
                        "GiB disk (25%), 2 tasks running, just now\n"));
}

TEST(Summaries, NothingIsWiderThanTheTerminal) {
  v1::QueryReply reply;
  reply.set_leading(true);
  reply.mutable_cluster()->set_leader("m1");
  Totals used;
  used.nodes = 3;
  used.cpu_millis = used.cpu_millis_used = 12'345;
  used.memory_bytes = used.memory_bytes_used = std::int64_t{777} << 30;
  used.disk_bytes = used.disk_bytes_used = std::int64_t{777} << 30;
  SummaryOptions options = kOptions;
  options.width = 80;
  const std::string text = ClusterSummary(reply, used, "nats://127.0.0.1:4222", options) +
                           TaskSummary(Web(true), options) + NodeSummary(Node(), nullptr, options);
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(DisplayWidth(line), 80u) << line;
  EXPECT_THAT(text, HasSubstr("\n            "));
}

}  // namespace
}  // namespace cube::cli
