#include "services/cli/views.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/cli/render/format.h"
#include "services/cli/watch.h"
#include "shared/domain/launch.h"

namespace cube::cli {
namespace {

using ::testing::HasSubstr;

constexpr std::int64_t kNoon = 1'767'225'600'000'000'000;
constexpr std::int64_t kSecond = 1'000'000'000;

v1::TaskView Web() {
  v1::TaskView task;
  task.set_id("web-k3x7q2ab");
  task.mutable_spec()->set_name("web");
  task.mutable_spec()->set_image("nginx:1.25");
  task.set_status("running");
  task.set_node("node-a");
  task.set_attempt(1);
  task.set_healthy(true);
  task.set_created_at_ns(kNoon);
  task.set_started_at_ns(kNoon + kSecond);
  task.set_container_id("0123456789abcdef");
  task.set_node_address("10.0.0.5");
  auto* port = task.add_ports();
  port->set_port(80);
  port->set_host_port(32'768);
  return task;
}

v1::TaskView Pending() {
  v1::TaskView task;
  task.set_id("big-aaaa1111");
  task.mutable_spec()->set_name("big");
  task.mutable_spec()->set_image("huge");
  task.set_status("pending");
  task.set_reason("no node has 64 cpus");
  task.set_created_at_ns(kNoon);
  return task;
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
  about.set_version("0.1.0");
  (*about.mutable_labels())["disk"] = "ssd";
  auto* engine = about.add_engines();
  engine->set_kind("docker");
  engine->set_version("20.10");
  engine->set_up(true);
  engine->set_limits(true);
  node.mutable_allocated()->set_cpu_millis(500);
  node.mutable_allocated()->set_memory_bytes(std::int64_t{1} << 30);
  node.set_tasks(2);
  node.set_joined_at_ns(kNoon);
  return node;
}

TEST(Views, TaskJsonHasEveryPromisedMember) {
  EXPECT_EQ(TaskJson(Web()).dump(),
            R"({"id":"web-k3x7q2ab","name":"web","job":null,"slot":null,"node":"node-a",)"
            R"("status":"running","healthy":true,"attempt":1,"launch":0,"image":"nginx:1.25",)"
            R"("reason":null,"exit_code":null,)"
            R"("ports":[{"port":80,"host_port":32768,"protocol":"tcp"}],)"
            R"("created_at":"2026-01-01T00:00:00.000Z","started_at":"2026-01-01T00:00:01.000Z",)"
            R"("finished_at":null})");
  const auto pending = TaskJson(Pending());
  EXPECT_EQ(pending["node"], nullptr);
  EXPECT_EQ(pending["launch"], nullptr);
  EXPECT_EQ(pending["reason"], "no node has 64 cpus");
}

TEST(Views, DetailsHaveTheSpecification) {
  const auto json = TaskDetailJson(Web());
  EXPECT_EQ(json["spec"]["image"], "nginx:1.25");
  EXPECT_EQ(json["container_id"], "0123456789abcdef");
}

TEST(Views, TaskTable) {
  const ViewOptions options{.now = WallFromNanos(kNoon + 180 * kSecond), .cluster = "x1-y2z3w4v5"};
  EXPECT_EQ(TaskTable({Web()}, options).Render({}),
            "ID             NAME   NODE     STATE     CREATED   CONTAINERNAME                   "
            "IMAGE        PORTS\n"
            "web-k3x7q2ab   web    node-a   running   3m ago    cube-web-k3x7q2ab-1-0-oalvn5t   "
            "nginx:1.25   10.0.0.5:32768->80/tcp\n");
  const std::string with_reason = TaskTable({Web(), Pending()}, options).Render({});
  EXPECT_THAT(with_reason, HasSubstr("REASON"));
  EXPECT_THAT(with_reason, HasSubstr("no node has 64 cpus"));
  EXPECT_THAT(TaskTable({}, options).Render({}), HasSubstr("ID   NAME   NODE   STATE   CREATED"));
}

TEST(Views, NarrowTerminalsShowWhatIsFoundNowhereElse) {
  v1::TaskView web = Web();
  web.mutable_spec()->set_image("docker.io/library/nginx:1.25");
  const ViewOptions options{.now = WallFromNanos(kNoon + 180 * kSecond), .cluster = "x1-y2z3w4v5"};
  EXPECT_EQ(TaskTable({web, Pending()}, options).Render({.width = 100}),
            "ID             NAME   NODE     STATE     CREATED   IMAGE        PORTS       REASON\n"
            "web-k3x7q2ab   web    node-a   running   3m ago    nginx:1.25   32768->80\n"
            "big-aaaa1111   big    -        pending   3m ago    huge                     "
            "no node has 64 cpus\n");
  EXPECT_EQ(TaskTable({web, Pending()}, options).Render({.width = 80}),
            "ID             NODE     STATE     CREATED   PORTS       REASON\n"
            "web-k3x7q2ab   node-a   running   3m ago    32768->80\n"
            "big-aaaa1111   -        pending   3m ago                no node has 64 cpus\n");
}

TEST(Views, OneWordForHealthAtEveryWidth) {
  v1::TaskView web = Web();
  web.mutable_spec()->mutable_health();
  web.set_healthy(false);
  const ViewOptions options{.now = WallFromNanos(kNoon + 180 * kSecond), .cluster = "x1-y2z3w4v5"};
  for (const std::size_t width : {0U, 120U, 80U}) {
    EXPECT_THAT(TaskTable({web}, options).Render({.width = width}),
                HasSubstr("running (not healthy yet)"))
        << width;
  }
}

TEST(Views, NarrowTerminalsKeepTheEndOfIds) {
  v1::TaskView web = Web();
  web.set_id("a-rather-long-name-of-a-task-k3x7q2ab");
  web.set_reason("its checks failed");
  const ViewOptions options{.now = WallFromNanos(kNoon + 180 * kSecond), .cluster = "x1-y2z3w4v5"};
  EXPECT_THAT(TaskTable({web}, options).Render({.width = 80}), HasSubstr("k3x7q2ab   node-a"));
}

TEST(Views, PortsThatAreAskedFor) {
  v1::TaskView task = Pending();
  auto* chosen = task.mutable_spec()->add_ports();
  chosen->set_port(80);
  chosen->set_host_port(18'081);
  task.mutable_spec()->add_ports()->set_port(53);
  EXPECT_EQ(PortsText(task), "18081:80/tcp, 53/tcp");
  EXPECT_THAT(TaskTable({task}, {.now = WallFromNanos(kNoon), .cluster = {}}).Render({.width = 70}),
              HasSubstr("18081:80,53 "));
}

TEST(Views, NarrowTerminalsKeepTheNumberOfTasks) {
  const ViewOptions options{.now = WallFromNanos(kNoon + 7'200 * kSecond), .cluster = {}};
  EXPECT_EQ(NodeTable({Node()}, options).Render({.width = 80}),
            "NAME     STATUS   ELIGIBLE    CPUS   MEMORY (MiB)   DISK (GiB)   TASKS   AGE\n"
            "node-a   ready    yes        0.5/4      1024/8192        0/100       2    2h\n");
  EXPECT_EQ(NodeTable({Node()}, options).Render({.width = 50}),
            "NAME     STATUS    CPUS   MEMORY (MiB)   TASKS\n"
            "node-a   ready    0.5/4      1024/8192       2\n");
}

TEST(Views, WideTableHasMore) {
  const std::string wide =
      TaskTable({Web()}, {.now = WallFromNanos(kNoon), .wide = true, .cluster = {}}).Render({});
  for (const char* title : {"HEALTHY", "ATTEMPT", "LAUNCH", "EXIT", "STARTED", "CONTAINERID"}) {
    EXPECT_THAT(wide, HasSubstr(title));
  }
}

TEST(Views, ContainerNamesAsOnTheEngine) {
  v1::TaskView task = Web();
  EXPECT_EQ(ContainerName(task, "ab-cd1234567"),
            cube::ContainerName("ab-cd1234567", {TaskId::Trusted("web-k3x7q2ab"), 1, 0}));
  task.mutable_spec()->clear_image();
  EXPECT_EQ(ContainerName(task, "x"), "pid 0123456789abcdef");
  task.clear_container_id();
  EXPECT_EQ(ContainerName(task, "x"), "-");
}

TEST(Views, Sentences) {
  EXPECT_EQ(StatusSentence(Web()), "running on node-a");
  v1::TaskView checked = Web();
  checked.mutable_spec()->mutable_health();
  EXPECT_EQ(StatusSentence(checked), "running (healthy) on node-a");
  checked.set_healthy(false);
  EXPECT_EQ(StatusSentence(checked), "running (not healthy yet) on node-a");
  checked.set_status("unhealthy");
  EXPECT_EQ(StatusSentence(checked), "unhealthy on node-a");
  EXPECT_EQ(StatusSentence(Pending()), "pending: no node has 64 cpus");
  v1::TaskView failed = Web();
  failed.set_status("failed");
  failed.set_exit_code(3);
  EXPECT_EQ(StatusSentence(failed), "failed on node-a: exit code 3");
}

TEST(Views, NodeTableAndJson) {
  const ViewOptions options{.now = WallFromNanos(kNoon + 7'200 * kSecond), .cluster = {}};
  EXPECT_EQ(NodeTable({Node()}, options).Render({}),
            "NAME     STATUS   ELIGIBLE   ROLE      CPUS   MEMORY (MiB)   DISK (GiB)   CPU%   MEM%"
            "   LOAD   TASKS   AGE   VERSION\n"
            "node-a   ready    yes        worker   0.5/4      1024/8192        0/100      -      -"
            "      -       2    2h   0.1.0\n");
  v1::NodeView draining = Node();
  draining.set_status("draining");
  draining.set_eligible(false);
  draining.set_cordoned(true);
  draining.set_drain_deadline_ns(kNoon);
  EXPECT_NE(NodeTable({draining}, options).Render({}).find("draining   cordoned   worker"),
            std::string::npos);
  EXPECT_EQ(NodeJson(draining, nullptr, options.now)["drain_deadline"], TimeJson(kNoon));
  const auto json = NodeJson(Node(), nullptr, options.now);
  EXPECT_TRUE(json["drain_deadline"].is_null());
  for (const char* key : {"name", "status", "eligible", "cpus", "memory", "disk", "allocated",
                          "used", "load", "tasks", "labels", "engines", "version"}) {
    EXPECT_TRUE(json.contains(key)) << key;
  }
  EXPECT_EQ(json["cpus"], 4.0);
  EXPECT_EQ(json["allocated"]["memory"], std::int64_t{1} << 30);
  EXPECT_EQ(json["labels"]["disk"], "ssd");
  EXPECT_EQ(json["engines"][0]["kind"], "docker");
}

TEST(Watch, WhatIsWaitedFor) {
  v1::TaskView task = Web();
  EXPECT_TRUE(Reached(Goal::kUp, task));
  EXPECT_FALSE(Reached(Goal::kEnded, task));
  task.mutable_spec()->mutable_health();
  task.set_healthy(false);
  EXPECT_FALSE(Reached(Goal::kUp, task));  // where a check exists, healthy counts
  for (const char* status : {"completed", "failed", "stopped", "lost", "refused"}) {
    task.set_status(status);
    EXPECT_TRUE(Reached(Goal::kUp, task)) << status;
    EXPECT_TRUE(Reached(Goal::kEnded, task)) << status;
  }
  for (const char* status :
       {"pending", "scheduled", "pulling", "starting", "restarting", "stopping", "unhealthy"}) {
    task.set_status(status);
    EXPECT_FALSE(Reached(Goal::kUp, task)) << status;
    EXPECT_FALSE(Reached(Goal::kEnded, task)) << status;
  }
}

TEST(Watch, SaysWhatATaskThatDidNotComeUpIsNot) {
  v1::TaskView task = Web();
  task.mutable_spec()->mutable_health();
  task.set_healthy(false);
  EXPECT_EQ(MissedGoal(task), "healthy");
  task.set_status("unhealthy");
  EXPECT_EQ(MissedGoal(task), "healthy");
  EXPECT_EQ(MissedGoal(Pending()), "running");
}

TEST(Watch, ShowsEachStepOnceAndNeverTheWayBack) {
  const Step pending{0, 0, "pending", "", "no room"};
  const Step scheduled{1, 0, "scheduled", "a", ""};
  const Step running{1, 0, "running", "a", ""};
  EXPECT_TRUE(IsNews(pending, scheduled));
  EXPECT_FALSE(IsNews(scheduled, pending));  // the feed is late
  EXPECT_FALSE(IsNews(running, running));
  EXPECT_FALSE(IsNews(pending, {0, 0, "pending", "", ""}));
  EXPECT_TRUE(IsNews(pending, {0, 0, "pending", "", "no node at all"}));
  EXPECT_TRUE(IsNews(running, {1, 0, "unhealthy", "a", ""}));
  EXPECT_TRUE(IsNews({1, 0, "unhealthy", "a", ""}, running));
  EXPECT_TRUE(IsNews(running, {1, 1, "starting", "a", ""}));  // restarted
  const Step again{1, 0, "pending", "", "its node is down"};
  EXPECT_TRUE(IsNews(running, again));
  EXPECT_TRUE(IsNews(again, {2, 0, "scheduled", "b", ""}));
}

}  // namespace
}  // namespace cube::cli
