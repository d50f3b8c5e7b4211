#include "bench/cluster/stage.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <thread>

#include "shared/bus/nats_bus.h"

namespace cube::bench {
namespace {

constexpr Duration kStagePatience = std::chrono::seconds(60);
constexpr Duration kAnswerWait = std::chrono::seconds(10);
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
  CUBE_TRY_VOID(stage->bus_->Connect(stage->clock_.now().mono + kStagePatience));
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

void Stage::Kill(Child* child) {
  child->Kill();
  Stop(child);
}

Result<Child*> Stage::StartManager(const std::string& name) {
  const std::string dir = dir_.path() + "/" + name;
  std::filesystem::create_directories(dir);
  return Start({bin_dir_ + "/cube-manager", "--server", url(), "--name", name, "--state-dir", dir},
               ManagerLog(name));
}

Result<void> Stage::RemoveManagerState(const std::string& name) {
  std::error_code error;
  std::filesystem::remove_all(dir_.path() + "/" + name, error);
  if (error) return Fail(Code::kUnavailable, "cannot remove a manager's state: " + error.message());
  return {};
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

Result<v1::QueryReply> Stage::Ask(const std::string& what, const v1::QueryRequest& request) {
  CUBE_TRY(const bus::Replied answer,
           bus_->Request(subjects_.Query(what), {}, request.SerializeAsString(), kAnswerWait));
  v1::QueryReply reply;
  if (!reply.ParseFromString(answer.payload)) {
    return Fail(Code::kInternal, "the manager's answer is no cube.v1.QueryReply");
  }
  if (reply.has_failure()) return Fail(Code::kUnavailable, reply.failure().ShortDebugString());
  return reply;
}

Result<ClusterCounts> Stage::Counts() {
  CUBE_TRY(const v1::QueryReply reply, Ask("cluster", {}));
  ClusterCounts counts;
  for (const auto& [status, count] : reply.cluster().tasks()) counts.tasks[status] = count;
  for (const auto& [status, count] : reply.cluster().nodes()) counts.nodes[status] = count;
  return counts;
}

Result<void> Stage::Append(std::string subject, std::string payload) {
  bus::AppendRequest request;
  request.subject = std::move(subject);
  request.payload = std::move(payload);
  CUBE_TRY_VOID(bus_->Append(std::move(request)));
  return {};
}

Result<void> Stage::WaitForNodes(std::uint64_t count) {
  std::uint64_t ready = 0;
  MonoTime progress = clock_.now().mono;
  while (clock_.now().mono - progress < kStagePatience) {
    if (Result<ClusterCounts> counts = Counts()) {
      if (counts->nodes["ready"] > ready) progress = clock_.now().mono;
      ready = counts->nodes["ready"];
      if (ready == count) return {};
    }
    std::this_thread::sleep_for(kLookEvery);
  }
  std::ifstream log(ManagerLog("first"));
  fmt::print(stderr, "cube-manager said:\n");
  for (std::string line; std::getline(log, line);) fmt::print(stderr, "  {}\n", line);
  return Fail(Code::kTimedOut, fmt::format("{} of {} nodes are ready after {}", ready, count,
                                           FormatDuration(kStagePatience)));
}

double Percentile(std::vector<double> values, double percent) {
  std::sort(values.begin(), values.end());
  const double at = percent / 100 * static_cast<double>(values.size() - 1);
  return values[static_cast<std::size_t>(std::lround(at))];
}

}  // namespace cube::bench
