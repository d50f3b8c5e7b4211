#include "services/manager/load_meter.h"

#include <cube/v1/metrics.pb.h>
#include <gtest/gtest.h>

#include <string>

namespace cube::manager {
namespace {

TEST(Step, MovesOnlyWhenTheValueHasClearlyLeft) {
  EXPECT_EQ(StepOf(0, 0), 0);
  EXPECT_EQ(StepOf(31, 0), 0);
  EXPECT_EQ(StepOf(40, 0), 0) << "nearer to 1, but within the margin";
  EXPECT_EQ(StepOf(49, 0), 0);
  EXPECT_EQ(StepOf(50, 0), 1);
  EXPECT_EQ(StepOf(20, 1), 1) << "and back only as far on the other side";
  EXPECT_EQ(StepOf(13, 1), 0);
  EXPECT_EQ(StepOf(500, 0), 8);
  EXPECT_EQ(StepOf(1000, 8), 16);
  EXPECT_EQ(StepOf(5000, 0), 16);
  EXPECT_EQ(StepOf(-5, 16), 0);
}

TEST(Step, ValueThatSwingsOnABorderStays) {
  std::uint8_t step = 4;
  int changes = 0;
  for (int i = 0; i < 1000; ++i) {
    const std::uint8_t next = StepOf(281 + (i % 2 == 0 ? 15 : -15), step);  // 4.5 steps
    changes += next != step ? 1 : 0;
    step = next;
  }
  EXPECT_LE(changes, 1);
}

TEST(Step, EveryStepIsReached) {
  for (int before = 0; before <= 16; ++before) {
    for (int step = 0; step <= 16; ++step) {
      EXPECT_EQ(StepOf(static_cast<std::int32_t>(step * 62.5), static_cast<std::uint8_t>(before)),
                step)
          << before;
    }
  }
}

constexpr Duration kPatience = kLoadIntervals * kLoadInterval;

class LoadMeterTest : public ::testing::Test {
 protected:
  LoadMeterTest() { AddNode("n1"); }

  void AddNode(const std::string& name) {
    Node& node = view_.nodes[NodeName::Trusted(name)];
    node.name = NodeName::Trusted(name);
    node.instance = 7;
    node.incarnation = 1;
    node.description.capacity.disk_bytes = 1000;
  }
  Node& N(const std::string& name = "n1") { return view_.nodes.at(NodeName::Trusted(name)); }
  static v1::Metrics Metrics(const std::string& name, std::uint32_t cpu_permille,
                             std::int64_t memory_used = 0, std::uint64_t available = 1000) {
    v1::Metrics metrics;
    metrics.set_node(name);
    metrics.set_instance(7);
    auto& sample = *metrics.add_samples();
    sample.set_at_ns(1'800'000'000'000'000'000);
    sample.set_cpu_used_permille(cpu_permille);
    sample.set_memory_total_bytes(1600);
    sample.set_memory_used_bytes(memory_used);
    metrics.mutable_data_disk()->set_available_bytes(available);
    return metrics;
  }
  void Publish(const v1::Metrics& metrics) {
    meter_.OnMetrics(view_, metrics.node(), metrics.SerializeAsString(), now_);
  }
  std::map<NodeName, NodeLoad> Due() { return meter_.Due(view_, now_); }
  // After gathering; decided as the leader would.
  std::map<NodeName, NodeLoad> Decide() {
    now_ += kLoadsGather;
    auto due = Due();
    for (const auto& [name, load] : due) view_.nodes.at(name).load = load;
    return due;
  }

  View view_;
  LoadMeter meter_;
  MonoTime now_ = MonoFromNanos(1'000'000'000);
};

TEST_F(LoadMeterTest, SharesOfTheMachineAndOfThePromisedDisk) {
  const MonoTime published = now_;
  Publish(Metrics("n1", 500, 400, 250));
  const auto due = Decide();
  ASSERT_EQ(due.size(), 1u);
  EXPECT_EQ(due.begin()->second, (NodeLoad{.cpu = 8, .memory = 4, .disk = 12}));
  EXPECT_TRUE(Decide().empty());
  EXPECT_EQ(meter_.NextDeadline(), published + kPatience) << "nothing until it is too old";
}

TEST_F(LoadMeterTest, MoreFreeDiskThanPromisedIsNoLoad) {
  Publish(Metrics("n1", 1000, 0, 999'999));
  EXPECT_EQ(Decide().begin()->second.disk, 0);
}

TEST_F(LoadMeterTest, ChangesGather) {
  Publish(Metrics("n1", 500));
  EXPECT_TRUE(Due().empty());
  EXPECT_EQ(meter_.NextDeadline(), now_ + kLoadsGather);
  now_ += kLoadsGather - std::chrono::nanoseconds(1);
  EXPECT_TRUE(Due().empty());
  Publish(Metrics("n1", 0));  // it was a burst
  EXPECT_GT(meter_.NextDeadline(), now_ + kLoadsGather);
  EXPECT_TRUE(Decide().empty());
}

TEST_F(LoadMeterTest, CpuIsTheAverageOfAMinute) {
  v1::Metrics metrics = Metrics("n1", 0);
  metrics.clear_samples();
  for (int i = 0; i < 8; ++i) {
    auto& sample = *metrics.add_samples();
    sample.set_at_ns(1'800'000'000'000'000'000 + i * 15'000'000'000LL);
    sample.set_cpu_used_permille(i < 4 ? 1000 : i % 2 == 0 ? 500 : 250);
    sample.set_memory_total_bytes(1600);
  }
  Publish(metrics);
  EXPECT_EQ(Decide().begin()->second.cpu, 6);
}

TEST_F(LoadMeterTest, TimesFromOutsideMayBeAnything) {
  v1::Metrics metrics = Metrics("n1", 500);
  metrics.mutable_samples(0)->set_at_ns(INT64_MIN);
  auto& newest = *metrics.add_samples();
  newest = metrics.samples(0);
  newest.set_at_ns(INT64_MAX);
  newest.set_cpu_used_permille(1000);
  Publish(metrics);
  EXPECT_EQ(Decide().begin()->second.cpu, 16) << "the newest sample alone";
}

TEST_F(LoadMeterTest, OnlyTheWelcomedWorkerCounts) {
  v1::Metrics metrics = Metrics("n1", 500);
  metrics.set_instance(8);
  Publish(metrics);
  Publish(Metrics("stranger", 500));
  meter_.OnMetrics(view_, "n1", Metrics("n2", 500).SerializeAsString(), now_);
  meter_.OnMetrics(view_, "n1", "\xff\xff garbage", now_);
  v1::Metrics empty;
  empty.set_node("n1");
  empty.set_instance(7);
  Publish(empty);
  EXPECT_TRUE(Decide().empty());
  N().down = true;
  Publish(Metrics("n1", 500));
  EXPECT_TRUE(Decide().empty());
}

TEST_F(LoadMeterTest, NodeThatGoesDownIsDropped) {
  Publish(Metrics("n1", 500));
  N().down = true;
  EXPECT_TRUE(Decide().empty());
  now_ += kPatience;
  EXPECT_TRUE(Decide().empty());
  EXPECT_EQ(meter_.NextDeadline(), MonoTime::max());
}

TEST_F(LoadMeterTest, LoadOfASilentNodeExpires) {
  Publish(Metrics("n1", 500));
  EXPECT_EQ(Decide().size(), 1u);
  now_ += kLoadInterval;
  Publish(Metrics("n1", 500));
  now_ += kPatience - std::chrono::nanoseconds(1);
  EXPECT_TRUE(Due().empty());
  EXPECT_EQ(meter_.NextDeadline(), now_ + std::chrono::nanoseconds(1));
  now_ += std::chrono::nanoseconds(1);
  EXPECT_TRUE(Due().empty()) << "it gathers like every change";
  EXPECT_EQ(meter_.NextDeadline(), now_ + kLoadsGather);
  const auto due = Decide();
  ASSERT_EQ(due.size(), 1u);
  EXPECT_EQ(due.begin()->second, NodeLoad{});
  EXPECT_TRUE(Decide().empty());
  EXPECT_EQ(meter_.NextDeadline(), MonoTime::max());
  Publish(Metrics("n1", 500));
  EXPECT_EQ(Decide().begin()->second.cpu, 8) << "it is back";
}

TEST_F(LoadMeterTest, OneThatPublishesLessOftenSaysSo) {
  v1::Metrics metrics = Metrics("n1", 500);
  metrics.set_interval_ns(Duration(std::chrono::minutes(5)).count());
  Publish(metrics);
  EXPECT_EQ(Decide().size(), 1u);
  now_ += std::chrono::minutes(19);
  EXPECT_TRUE(Decide().empty());
  now_ += std::chrono::minutes(1);
  EXPECT_TRUE(Due().empty());
  EXPECT_EQ(Decide().begin()->second, NodeLoad{});
}

TEST_F(LoadMeterTest, AfterATakeOverNodesHaveTheTimeToPublish) {
  AddNode("n2");
  AddNode("n3");
  N("n1").load.cpu = 8;
  N("n2").load.cpu = 8;
  meter_.Reset(view_, now_);
  EXPECT_EQ(meter_.NextDeadline(), now_ + kPatience);
  now_ += kPatience - std::chrono::seconds(1);
  Publish(Metrics("n2", 500));
  EXPECT_TRUE(Decide().empty());  // 4 s later: begins to gather
  const auto due = Decide();
  ASSERT_EQ(due.size(), 1u);
  EXPECT_EQ(due.begin()->first.str(), "n1");
  EXPECT_EQ(due.begin()->second, NodeLoad{});
}

TEST_F(LoadMeterTest, ManyAreToldInPortions) {
  for (int i = 0; i < 300; ++i) {
    const std::string name = "m" + std::to_string(i);
    AddNode(name);
    Publish(Metrics(name, 500));
  }
  EXPECT_EQ(Decide().size(), kLoadsPerCycle);
  EXPECT_EQ(Decide().size(), 300 - kLoadsPerCycle);
  EXPECT_TRUE(Decide().empty());
}

}  // namespace
}  // namespace cube::manager
