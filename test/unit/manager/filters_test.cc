#include "services/manager/core/filters.h"

#include <gtest/gtest.h>

#include "services/manager/core/scheduler.h"
#include "test/support/cluster/log_writer.h"

namespace cube::manager {
namespace {

using test::LogWriter;

constexpr std::int64_t kGi = std::int64_t{1} << 30;

// Why no node takes the task; empty if one does.
std::string Why(const LogWriter& log, const TaskSpec& spec) {
  Scheduler scheduler = std::move(*Scheduler::Make("round-robin"));
  scheduler.Begin(const_cast<LogWriter&>(log).view());
  const Choice choice = scheduler.Pick(spec, ShapeOf(spec));
  return choice.node == nullptr ? DescribeWait(*choice.explanation) : std::string();
}

TEST(FiltersTest, LookAtReadinessEngineLabelsAndLimits) {
  LogWriter log;
  EXPECT_EQ(Why(log, test::Spec("t")), "no node has joined yet");
  log.Join("a", {1000, kGi, 0});
  Node& node = log.view().nodes.at(NodeName::Trusted("a"));
  TaskSpec spec = test::Spec("t");
  EXPECT_EQ(Why(log, spec), "");
  spec.engine = "process";
  EXPECT_EQ(Why(log, spec), "no fit on 1 node: no engine process 1");
  spec.engine = "";
  node.description.engines[0].up = false;
  EXPECT_EQ(Why(log, spec), "no fit on 1 node: engine docker down 1");
  node.description.engines[0].up = true;
  node.description.tasks_max = 0;
  EXPECT_EQ(Why(log, spec), "no fit on 1 node: task limit 1");
  node.reported = false;
  EXPECT_EQ(Why(log, spec), "no fit on 1 node: joining 1");
  node.down = true;
  EXPECT_EQ(Why(log, spec), "no fit on 1 node: down 1");
}

TEST(FiltersTest, ConstraintsCompareLabels) {
  using Op = Constraint::Op;
  const std::map<std::string, std::string> labels{{"disk", "ssd"}};
  EXPECT_TRUE(Holds({"disk", Op::kEquals, {"ssd"}}, labels));
  EXPECT_FALSE(Holds({"disk", Op::kEquals, {"hdd"}}, labels));
  EXPECT_FALSE(Holds({"zone", Op::kEquals, {"b"}}, labels));
  EXPECT_FALSE(Holds({"disk", Op::kNotEquals, {"ssd"}}, labels));
  EXPECT_TRUE(Holds({"disk", Op::kNotEquals, {"hdd"}}, labels));
  EXPECT_TRUE(Holds({"zone", Op::kNotEquals, {"b"}}, labels));
  EXPECT_TRUE(Holds({"disk", Op::kIn, {"hdd", "ssd"}}, labels));
  EXPECT_FALSE(Holds({"disk", Op::kIn, {"hdd", "nvme"}}, labels));
  EXPECT_TRUE(Holds({"disk", Op::kExists, {}}, labels));
  EXPECT_FALSE(Holds({"gpu", Op::kExists, {}}, labels));
}

TEST(FiltersTest, WhatIsPromisedOrMeasuredIsNotFree) {
  LogWriter log;
  log.Join("a", {1000, 16 * kGi, 100});
  TaskSpec spec = test::Spec("t");
  spec.resources = {1000, 16 * kGi, 100};
  EXPECT_EQ(Why(log, spec), "") << "an exact fit";
  spec.resources = {1001, 0, 0};
  EXPECT_EQ(Why(log, spec), "no fit on 1 node: cpu 1");
  spec.resources = {0, 16 * kGi + 1, 0};
  EXPECT_EQ(Why(log, spec), "no fit on 1 node: memory 1");
  spec.resources = {0, 0, 101};
  EXPECT_EQ(Why(log, spec), "no fit on 1 node: disk 1");
  log.Decide({SetLoad{NodeName::Trusted("a"), {0, 4, 16}}});
  spec.resources = {1000, 12 * kGi, 0};
  EXPECT_EQ(Why(log, spec), "");
  spec.resources = {0, 12 * kGi + 1, 0};
  EXPECT_EQ(Why(log, spec), "no fit on 1 node: memory in use 1");
  spec.resources = {0, 0, 1};
  EXPECT_EQ(Why(log, spec), "no fit on 1 node: disk in use 1");
  spec.resources = {};
  EXPECT_EQ(Why(log, spec), "") << "nothing asked always fits";
}

// Two workers on one machine share its ports; a third machine has its own.
TEST(FiltersTest, StaticPortsAreThoseOfTheAddress) {
  LogWriter log;
  for (const char* name : {"a", "b", "c"}) {
    log.Join(name, {1000, kGi, 0});
    NodeDescription description = log.view().nodes.at(NodeName::Trusted(name)).description;
    description.address = name[0] == 'c' ? "10.0.0.2" : "10.0.0.1";
    log.Fact(name, NodeDescribed{description});
  }
  TaskSpec spec = test::Spec("t");
  spec.ports = {{80, 8080, Protocol::kTcp, ""}};
  log.Submit("t-1", spec);
  log.Decide({log.Start("t-1", "a")});
  log.Submit("t-2", spec);
  log.Decide({log.Start("t-2", "c")});
  EXPECT_EQ(Why(log, spec), "no fit on 3 nodes: port 8080 taken 3");
  TaskSpec udp = spec;
  udp.ports[0].protocol = Protocol::kUdp;
  EXPECT_EQ(Why(log, udp), "") << "another protocol";
  // b moves to a machine of its own: its port is free there.
  NodeDescription description = log.view().nodes.at(NodeName::Trusted("b")).description;
  description.address = "";
  log.Fact("b", NodeDescribed{description});
  EXPECT_EQ(Why(log, spec), "");
  log.Submit("t-3", spec);
  log.Decide({log.Start("t-3", "b")});
  EXPECT_EQ(Why(log, spec), "no fit on 3 nodes: port 8080 taken 3");
  log.Exit("t-1", 0, /*final=*/true);
  EXPECT_EQ(Why(log, spec), "");
}

TEST(FiltersTest, DistinctCountsTasksOfTheNameOnANode) {
  LogWriter log;
  log.Join("a", {1000, kGi, 0});
  log.Submit("web-1", test::Spec("web"));
  log.Decide({log.Start("web-1", "a")});
  TaskSpec spec = test::Spec("web");
  spec.distinct = 1;
  EXPECT_EQ(Why(log, spec), "no fit on 1 node: distinct 1");
  spec.distinct = 2;
  EXPECT_EQ(Why(log, spec), "");
  spec.distinct = 1;
  spec.name = TaskName::Trusted("db");
  EXPECT_EQ(Why(log, spec), "");
  spec.name = TaskName::Trusted("web");
  log.Exit("web-1", 0, /*final=*/true);
  EXPECT_EQ(Why(log, spec), "");
}

// A follower must be able to decode what the leader explains.
TEST(FiltersTest, AnExplanationIsBoundedInNamesAndTheirLength) {
  LogWriter log;
  TaskSpec spec = test::Spec("t");
  for (std::size_t i = 0; i < 30; ++i) {
    const std::string label = "l" + std::to_string(i) + std::string(100, 'x');
    spec.constraints.push_back({label, Constraint::Op::kEquals, {"y"}});
    const std::string name = "n" + std::to_string(i);
    log.Join(name, {1000, kGi, 0});
    NodeDescription description = log.view().nodes.at(NodeName::Trusted(name)).description;
    for (std::size_t j = 0; j < i; ++j) description.labels[spec.constraints[j].label] = "y";
    log.Fact(name, NodeDescribed{description});
  }
  Scheduler scheduler = std::move(*Scheduler::Make("spread"));
  scheduler.Begin(log.view());
  const Explanation why = *scheduler.Pick(spec, ShapeOf(spec)).explanation;
  ASSERT_EQ(why.filtered.size(), kExplanationFiltersMax);
  std::uint32_t nodes = 0;
  for (const FilterCount& count : why.filtered) {
    EXPECT_LE(count.filter.size(), kFilterNameLengthMax);
    nodes += count.nodes;
  }
  EXPECT_EQ(nodes, 30u);
  EXPECT_EQ(why.filtered.back().filter, "other");
}

}  // namespace
}  // namespace cube::manager
