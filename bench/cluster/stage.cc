#include "bench/cluster/stage.h"

#include <cube/v1/queries.pb.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <thread>

#include "shared/bus/nats_bus.h"

namespace cube::bench {
namespace {

constexpr Duration kPatience = std::chrono::seconds(60);
constexpr Duration kAnswerWait = std::chrono::seconds(2);
constexpr Duration kLookEvery = std::chrono::milliseconds(20);

}  // namespace

Result<std::unique_ptr<Stage>> Stage::Open(std::string bin_dir) {
  std::unique_ptr<Stage> stage(new Stage);
  stage->bin_dir_ = std::move(bin_dir);
  CUBE_TRY(stage->server_, bus::NatsServer::Start());
  bus::NatsBusOptions options;
  options.urls = {stage->url()};
  options.name = "cube-bench";
  stage->bus_ = std::make_unique<bus::BlockingBus>(stage->clock_, [&](bus::Sink sink) {
    return std::make_unique<bus::NatsBus>(options, std::move(sink));
  });
  CUBE_TRY_VOID(stage->bus_->Connect(stage->clock_.now().mono + kPatience));
  return stage;
}

Result<Child*> Stage::Start(std::vector<std::string> command, const std::string& log) {
  CUBE_TRY(std::unique_ptr<Child> child, Child::Start(std::move(command), log));
  children_.push_back(std::move(child));
  return children_.back().get();
}

void Stage::Stop(Child* child) {
  std::erase_if(children_, [child](const auto& entry) { return entry.get() == child; });
}

Result<Child*> Stage::StartManager() {
  return Start({bin_dir_ + "/cube-manager", "--server", url(), "--state-dir", dir_.path()},
               dir_.path() + "/manager.log");
}

Result<Child*> Stage::StartWorker(const std::string& name,
                                  const std::vector<std::string>& engines) {
  std::vector<std::string> command{
      bin_dir_ + "/cube-worker", "--server", url(), "--state-dir", dir_.path(), "--name", name};
  for (const std::string& engine : engines) {
    command.emplace_back("--engine");
    command.push_back(engine);
  }
  return Start(std::move(command), dir_.path() + "/" + name + ".log");
}

Result<ClusterCounts> Stage::Counts() {
  CUBE_TRY(const bus::Replied answer,
           bus_->Request(subjects_.Query("cluster"), {}, v1::QueryRequest().SerializeAsString(),
                         kAnswerWait));
  v1::QueryReply reply;
  if (!reply.ParseFromString(answer.payload)) {
    return Fail(Code::kInternal, "the manager's answer is no cube.v1.QueryReply");
  }
  ClusterCounts counts;
  for (const auto& [status, count] : reply.cluster().tasks()) counts.tasks[status] = count;
  for (const auto& [status, count] : reply.cluster().nodes()) counts.nodes[status] = count;
  return counts;
}

Result<void> Stage::WaitForNodes(std::uint64_t count) {
  const MonoTime deadline = clock_.now().mono + kPatience;
  std::uint64_t ready = 0;
  while (clock_.now().mono < deadline) {
    if (Result<ClusterCounts> counts = Counts()) {
      ready = counts->nodes["ready"];
      if (ready == count) return {};
    }
    std::this_thread::sleep_for(kLookEvery);
  }
  std::ifstream log(dir_.path() + "/manager.log");
  fmt::print(stderr, "cube-manager said:\n");
  for (std::string line; std::getline(log, line);) fmt::print(stderr, "  {}\n", line);
  return Fail(Code::kTimedOut, fmt::format("{} of {} nodes are ready after {}", ready, count,
                                           FormatDuration(kPatience)));
}

double Percentile(std::vector<double> values, double percent) {
  std::sort(values.begin(), values.end());
  const double at = percent / 100 * static_cast<double>(values.size() - 1);
  return values[static_cast<std::size_t>(std::lround(at))];
}

}  // namespace cube::bench
