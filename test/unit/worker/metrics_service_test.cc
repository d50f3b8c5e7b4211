#include "services/worker/metrics_service.h"

#include <gtest/gtest.h>

#include "shared/domain/assign.h"

namespace cube::worker {
namespace {

using std::chrono::seconds;

// One worker's metrics, with a machine and engines that answer as told.
class MetricsServiceTest : public ::testing::Test {
 protected:
  MetricsServiceTest() { Engine("docker", engine::Up{"docker 20", true}); }

  void Engine(const std::string& kind, const engine::Event& event) {
    core_.Observe(kind, event, now_, random_);
  }
  static StoredState Stored() {
    StoredState stored;
    stored.meta.instance = 7;
    stored.meta.incarnation = 1;
    stored.meta.cluster = "c";
    return stored;
  }
  // One step; what it asks for, in words.
  std::string Step() {
    Operations out;
    service_.Advance(core_, connected_, nodes_, now_, out);
    std::string text;
    for (const Operation& operation : out) {
      if (std::holds_alternative<TakeSample>(operation)) text += "sample ";
      if (const auto* usage = std::get_if<AskUsage>(&operation)) text += usage->engine + " ";
      const auto* call = std::get_if<bus::Operation>(&operation);
      if (call == nullptr) continue;
      if (const auto* publish = std::get_if<bus::Publish>(call)) {
        text += publish->subject;
        EXPECT_TRUE(published_.ParseFromString(publish->payload));
      }
    }
    return text;
  }
  Sample Looks() {
    Sample sample;
    sample.at_ns = ToNanos(now_.wall);
    sample.cpu_used_permille = 250;
    sample.cpus = 4;
    sample.machine.memory.mem_total = 1000;
    sample.machine.memory.mem_available = 400;
    sample.machine.memory.direct_map_1g = 44;
    sample.machine.cpu.steal = 8;
    sample.machine.load.last5min_milli = 1500;
    sample.machine.load.last_pid = 99;
    sample.machine.disk.all = 5000;
    sample.machine.disk.used = 2000;
    sample.machine.disk.free_inodes = 12;
    sample.data_disk.available = 77;
    return sample;
  }
  engine::LaunchUsage Usage(const std::string& task, std::uint64_t cpu_nanos) {
    engine::LaunchUsage usage;
    usage.key = {TaskId::Trusted(task), 1, 0};
    usage.at = now_.mono;
    usage.cpu_nanos = cpu_nanos;
    usage.memory_bytes = 1000;
    return usage;
  }
  // A whole look in which the engine says so much.
  std::string Look(std::vector<engine::LaunchUsage> usages = {}) {
    Step();
    service_.OnSampled(Looks());
    service_.OnUsages("docker", {std::move(usages)});
    return Step();
  }
  void Pass(Duration by) {
    now_.mono += by;
    now_.wall += by;
  }

  Now now_{MonoFromNanos(1'000'000'000), WallFromNanos(1'800'000'000'000'000'000)};
  Random random_{1};
  WorkerCore core_{{NodeName::Trusted("n1"), {"docker"}}, Stored(), now_};
  MetricsService service_{{NodeName::Trusted("n1"), wire::Subjects()}, now_.mono};
  bool connected_ = true;
  std::uint32_t nodes_ = 0;
  v1::Metrics published_;
};

TEST_F(MetricsServiceTest, FirstLookIsComparedWithOnly) {
  EXPECT_EQ(Step(), "sample docker ");
  service_.OnSampled(Looks());
  EXPECT_EQ(Step(), "") << "the engine has not answered yet";
  service_.OnUsages("docker", {});
  EXPECT_EQ(Step(), "");
  EXPECT_EQ(service_.NextDeadline(), now_.mono + kMetricsFirstWindow);
  Pass(kMetricsFirstWindow);
  EXPECT_EQ(Look(), "cube.metrics.n1");
  EXPECT_EQ(service_.NextDeadline(), now_.mono + kMetricsInterval);
  ASSERT_EQ(published_.samples_size(), 1);
  Pass(kMetricsInterval);
  EXPECT_EQ(Look(), "cube.metrics.n1");
  EXPECT_EQ(published_.samples_size(), 2);
}

TEST_F(MetricsServiceTest, MessageHasEveryValue) {
  Look();
  Pass(kMetricsFirstWindow);
  Look();
  EXPECT_EQ(published_.node(), "n1");
  EXPECT_EQ(published_.instance(), 7u);
  EXPECT_EQ(published_.cpus(), 4u);
  EXPECT_EQ(published_.interval_ns(), Duration(kMetricsInterval).count());
  const auto& sample = published_.samples(0);
  EXPECT_EQ(sample.at_ns(), ToNanos(now_.wall));
  EXPECT_EQ(sample.cpu_used_permille(), 250u);
  EXPECT_EQ(sample.memory_total_bytes(), 1000 * 1024);
  EXPECT_EQ(sample.memory_used_bytes(), 600 * 1024);
  EXPECT_EQ(sample.disk_total_bytes(), 5000);
  EXPECT_EQ(sample.disk_used_bytes(), 2000);
  EXPECT_EQ(published_.memory().mem_total(), 1000u);
  EXPECT_EQ(published_.memory().direct_map_1g(), 44u);
  EXPECT_EQ(published_.cpu().steal(), 8u);
  EXPECT_EQ(published_.load().last5min_milli(), 1500u);
  EXPECT_EQ(published_.load().last_pid(), 99u);
  EXPECT_EQ(published_.root_disk().free_inodes(), 12u);
  EXPECT_EQ(published_.data_disk().available_bytes(), 77u);
}

TEST_F(MetricsServiceTest, CountersAreTheBooks) {
  // Each of the 44 has its field: SetMemory would end the process otherwise; here is the count.
  EXPECT_EQ(v1::MemoryCounters::descriptor()->field_count(), static_cast<int>(kMemoryFieldCount));
  EXPECT_EQ(v1::CpuCounters::descriptor()->field_count(), 10);
}

TEST_F(MetricsServiceTest, CpuOfTasksIsOfTheTimeBetweenTwoLooks) {
  Look({Usage("a", 500'000'000), Usage("b", 1)});
  Pass(seconds(2));
  auto a = Usage("a", 1'500'000'000);
  a.network = {.rx_bytes = 10, .tx_bytes = 20};
  Look({a, Usage("fresh", 9'000'000'000)});
  ASSERT_EQ(published_.tasks_size(), 2);
  EXPECT_EQ(published_.tasks(0).task(), "a");
  EXPECT_EQ(published_.tasks(0).cpu_millis(), 500u);
  EXPECT_EQ(published_.tasks(0).cpu_nanos(), 1'500'000'000u);
  EXPECT_EQ(published_.tasks(0).memory_bytes(), 1000);
  EXPECT_EQ(published_.tasks(0).network_tx_bytes(), 20u);
  EXPECT_FALSE(published_.tasks(1).has_cpu_millis()) << "seen for the first time";
  EXPECT_FALSE(published_.tasks(1).has_network_rx_bytes());
  EXPECT_EQ(published_.samples(0).tasks_cpu_millis(), 500u);
  EXPECT_EQ(published_.samples(0).tasks_memory_bytes(), 2000);
  Pass(kMetricsInterval);
  Look({Usage("a", 1'400'000'000)});
  EXPECT_EQ(published_.tasks(0).cpu_millis(), 0u) << "a sum that ran backwards";
}

TEST_F(MetricsServiceTest, OfTooManyTasksTheBusiestAreNamed) {
  std::vector<engine::LaunchUsage> usages;
  for (std::size_t i = 0; i < kMetricsTasksMax + 2; ++i) {
    usages.push_back(Usage("t" + std::to_string(10'000 + i), 0));
  }
  Look(usages);
  Pass(seconds(2));
  const std::string busiest = usages.back().key.task.str();
  usages.back().cpu_nanos = 1'000'000'000;
  for (engine::LaunchUsage& usage : usages) usage.at = now_.mono;
  Look(usages);
  ASSERT_EQ(published_.tasks_size(), static_cast<int>(kMetricsTasksMax));
  EXPECT_EQ(published_.tasks(0).task(), busiest);
  EXPECT_EQ(published_.tasks(1).task(), "t10000") << "of equals the first by name";
  EXPECT_EQ(published_.samples(0).tasks_cpu_millis(), 500u) << "the sums are of all";
}

TEST_F(MetricsServiceTest, KeepsTheLastSixty) {
  for (int i = 0; i < 70; ++i) {
    Look();
    Pass(kMetricsInterval);
  }
  EXPECT_EQ(published_.samples_size(), 60);
  EXPECT_EQ(published_.samples(59).at_ns(), ToNanos(now_.wall - kMetricsInterval));
}

TEST_F(MetricsServiceTest, EngineThatDoesNotAnswerIsLeftOut) {
  Look();
  Pass(kMetricsFirstWindow);
  Step();
  service_.OnSampled(Looks());
  EXPECT_EQ(service_.NextDeadline(), now_.mono + kUsageWait);
  Pass(kUsageWait);
  EXPECT_EQ(Step(), "cube.metrics.n1");
  EXPECT_EQ(published_.tasks_size(), 0);
  service_.OnUsages("docker", {{Usage("late", 1)}});
  Pass(kMetricsInterval - kUsageWait);
  Look();
  EXPECT_EQ(published_.tasks_size(), 0) << "an answer to an earlier question";
}

TEST_F(MetricsServiceTest, EngineThatIsDownIsNotAsked) {
  Engine("docker", engine::Down{"gone"});
  EXPECT_EQ(Step(), "sample ");
  service_.OnSampled(Looks());
  Step();
  Pass(kMetricsFirstWindow);
  Step();
  service_.OnSampled(Looks());
  EXPECT_EQ(Step(), "cube.metrics.n1");
}

TEST_F(MetricsServiceTest, MachineThatCannotBeReadHasNone) {
  Step();
  service_.OnUsages("docker", {});
  Pass(kMetricsFirstWindow);
  Step();
  Pass(kMetricsInterval);
  Step();
  EXPECT_EQ(published_.samples_size(), 0);
}

TEST_F(MetricsServiceTest, WithoutConnectionSamplesAreKept) {
  Look();
  Pass(kMetricsFirstWindow);
  connected_ = false;
  EXPECT_EQ(Look(), "");
  Pass(kMetricsInterval);
  connected_ = true;
  EXPECT_EQ(Look(), "cube.metrics.n1");
  EXPECT_EQ(published_.samples_size(), 2);
}

TEST_F(MetricsServiceTest, IntervalGrowsWithTheCluster) {
  EXPECT_EQ(MetricsIntervalOf(seconds(15), 0), seconds(15));
  EXPECT_EQ(MetricsIntervalOf(seconds(15), 7'500), seconds(15));
  EXPECT_EQ(MetricsIntervalOf(seconds(15), 10'000), seconds(20));
  EXPECT_EQ(MetricsIntervalOf(seconds(60), 10'000), seconds(60));
  nodes_ = 10'000;
  Look();
  Pass(kMetricsFirstWindow);
  Look();
  EXPECT_EQ(service_.NextDeadline(), now_.mono + seconds(20));
  EXPECT_EQ(published_.interval_ns(), Duration(seconds(20)).count());
}

TEST_F(MetricsServiceTest, NoneAtAll) {
  MetricsService off({NodeName::Trusted("n1"), wire::Subjects(), Duration{0}}, now_.mono);
  Operations out;
  off.Advance(core_, true, 1, now_, out);
  EXPECT_TRUE(out.empty());
  EXPECT_EQ(off.NextDeadline(), MonoTime::max());
}

}  // namespace
}  // namespace cube::worker
