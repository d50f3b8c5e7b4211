// cube-bench failover: from the death of a node (its worker and its containers) until its tasks run
// on another one, and from the death of a container until its next launch runs, beside what the
// engine itself needs for the same number of starts.
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <future>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <utility>

#include "bench/cluster/commands.h"
#include "bench/cluster/stage.h"
#include "services/worker/core/restart.h"
#include "shared/wire/codec.h"
#include "test/support/engine/docker_fixture.h"

namespace cube::bench {
namespace {

using engine::docker::Endpoint;

constexpr Duration kPatience = std::chrono::seconds(120);
constexpr bus::SubId kFeed = 1;
// What is started lives at most so long, should the benchmark be killed.
constexpr const char* kLifeSeconds = "600";

// The words that a tool printed.
std::vector<std::string> WordsOf(const std::string& output) {
  std::istringstream in(output);
  return {std::istream_iterator<std::string>(in), {}};
}

// The least attempt and launch that will do.
struct Wanted {
  std::uint32_t attempt = 1;
  std::uint32_t launch = 0;
};
using WantedTasks = std::map<std::string, Wanted>;

class Failover {
 public:
  Failover(FailoverOptions options, Endpoint endpoint)
      : options_(std::move(options)), endpoint_(std::move(endpoint)) {}
  ~Failover() {
    for (const std::string& node : nodes_) {
      std::vector<std::string> command{"rm", "-f", "-v"};
      const std::vector<std::string> ids = Containers("cube.node=" + node, true);
      if (ids.empty()) continue;
      command.insert(command.end(), ids.begin(), ids.end());
      (void)engine::Docker(endpoint_, std::move(command));
    }
  }
  Failover(const Failover&) = delete;
  Failover& operator=(const Failover&) = delete;

  Result<void> Open() {
    CUBE_TRY(stage_, Stage::Open(options_.bin_dir));
    stage_->bus()->Subscribe(kFeed, stage_->subjects().EventsAll(), "");
    CUBE_TRY_VOID(stage_->StartManager());
    return AddNode();
  }

  // In turn: ten containers die one after the other, then the node with all of them.
  Result<void> Round() {
    CUBE_TRY_VOID(Submit());
    CUBE_TRY_VOID(CrashEach());
    CUBE_TRY_VOID(AddNode());
    CUBE_TRY_VOID(KillNode());
    return Stop();
  }

  void Report(Figures& figures) const {
    fmt::print("failover, engine docker, {} rounds of {} tasks\n", options_.rounds, options_.tasks);
    Print("container dies -> its next launch runs (seen)", crash_);
    Print("  the engine's own start (docker run -d)", start_one_);
    fmt::print("  more than that at p50: {:.2f} s, of it the back-off {:.2f} s +- {} %\n",
               Percentile(crash_, 50) - Percentile(start_one_, 50), Seconds(worker::kBackoffMin),
               worker::kBackoffJitterPercent);
    Print("node dies -> all its tasks run elsewhere (seen)", moved_);
    Print("  the engine's own starts, as many at once", start_all_);
    fmt::print("  more than that at p50: {:.2f} s\n",
               Percentile(moved_, 50) - Percentile(start_all_, 50));
    figures.Add("failover.container_s", Percentile(crash_, 50), "s", Percentile(start_one_, 50));
    figures.Add("failover.node_s", Percentile(moved_, 50), "s", Percentile(start_all_, 50));
  }

 private:
  [[nodiscard]] MonoTime now() const { return stage_->clock().now().mono; }

  static void Print(const char* what, const std::vector<double>& values) {
    fmt::print("  {:<48} p50 {:>6.2f} s  max {:>6.2f} s\n", what, Percentile(values, 50),
               Percentile(values, 100));
  }

  [[nodiscard]] std::vector<std::string> Containers(const std::string& label, bool all) const {
    std::vector<std::string> command{"ps", "-q", "--no-trunc", "--filter", "label=" + label};
    if (all) command.emplace_back("-a");
    return WordsOf(engine::Docker(endpoint_, std::move(command)).output);
  }

  // The first processes of the containers, which die with them.
  [[nodiscard]] Result<std::vector<pid_t>> Pids(const std::string& label) const {
    std::vector<std::string> command{"inspect", "-f", "{{.State.Pid}}"};
    const std::vector<std::string> ids = Containers(label, false);
    if (ids.empty()) return Fail(Code::kNotFound, "no container has the label " + label);
    command.insert(command.end(), ids.begin(), ids.end());
    std::vector<pid_t> pids;
    for (const std::string& word : WordsOf(engine::Docker(endpoint_, std::move(command)).output)) {
      const int pid = std::atoi(word.c_str());
      if (pid <= 0) return Fail(Code::kInternal, "the engine names no process: " + word);
      pids.push_back(pid);
    }
    return pids;
  }

  Result<void> AddNode() {
    previous_ = worker_;
    nodes_.push_back(fmt::format("failover-{}-{}", ::getpid(), nodes_.size()));
    CUBE_TRY(worker_, stage_->StartWorker(nodes_.back(), {"docker"}));
    return stage_->WaitForNodes(nodes_.size() - dead_);
  }

  Result<void> Submit() {
    TaskSpec spec;
    spec.name = TaskName::Trusted("failover");
    spec.image = engine::kTestImage;
    spec.engine = "docker";
    spec.command = {"sleep", kLifeSeconds};
    spec.restart = {RestartMode::kAlways, 0};
    spec.stop_grace = Duration{0};
    const auto shared = std::make_shared<const TaskSpec>(spec);
    tasks_.clear();
    std::vector<SubmitTask> submits;
    WantedTasks wanted;
    for (std::uint32_t i = 0; i < options_.tasks; ++i) {
      SubmitTask task;
      task.id = TaskId::Trusted(fmt::format("failover-{}-{}", submitted_++, i));
      task.spec = shared;
      wanted.emplace(task.id.str(), Wanted{});
      tasks_.push_back(task.id);
      submits.push_back(std::move(task));
    }
    CUBE_TRY_VOID(stage_->Append(stage_->subjects().TasksSubmit(), wire::EncodeSubmit(submits)));
    return WaitRunning(std::move(wanted));
  }

  Result<void> CrashEach() {
    for (const TaskId& task : tasks_) {
      CUBE_TRY(const std::vector<pid_t> pids, Pids("cube.task=" + task.str()));
      const MonoTime begin = now();
      for (const pid_t pid : pids) ::kill(pid, SIGKILL);
      CUBE_TRY_VOID(WaitRunning({{task.str(), {1, 1}}}));
      crash_.push_back(Seconds(now() - begin));
      CUBE_TRY(const double own, EngineStarts(1));
      start_one_.push_back(own);
    }
    return {};
  }

  // The newest node takes over from the one before it.
  Result<void> KillNode() {
    Child* victim = previous_;
    CUBE_TRY(const std::vector<pid_t> pids, Pids("cube.node=" + nodes_[nodes_.size() - 2]));
    const MonoTime begin = now();
    victim->Kill();
    for (const pid_t pid : pids) ::kill(pid, SIGKILL);
    WantedTasks wanted;
    for (const TaskId& task : tasks_) wanted.emplace(task.str(), Wanted{2, 0});
    CUBE_TRY_VOID(WaitRunning(std::move(wanted)));
    moved_.push_back(Seconds(now() - begin));
    ++dead_;
    stage_->Stop(victim);
    CUBE_TRY(const double own, EngineStarts(options_.tasks));
    start_all_.push_back(own);
    return {};
  }

  Result<void> Stop() {
    std::vector<StopTask> stops;
    for (const TaskId& task : tasks_) stops.push_back({task, Duration{0}});
    CUBE_TRY_VOID(stage_->Append(stage_->subjects().TasksStop(), wire::EncodeStop(stops)));
    std::set<std::string> left;
    for (const TaskId& task : tasks_) left.insert(task.str());
    return WaitEvents([&](const nlohmann::json& event) {
      if (event.value("status", "") == "stopped") left.erase(event.value("task", ""));
      return left.empty();
    });
  }

  // Seconds until so many `docker run -d`, all at once, have said that they run.
  Result<double> EngineStarts(std::uint32_t count) {
    const auto start = [&] {
      return engine::Docker(endpoint_, {"run", "-d", "--label", "cube.node=" + nodes_.front(),
                                        engine::kTestImage, "sleep", kLifeSeconds});
    };
    const MonoTime begin = now();
    std::vector<std::future<engine::ToolResult>> runs;
    for (std::uint32_t i = 0; i < count; ++i) runs.push_back(std::async(std::launch::async, start));
    std::vector<std::string> remove{"rm", "-f", "-v"};
    for (std::future<engine::ToolResult>& run : runs) {
      const engine::ToolResult result = run.get();
      if (result.exit_code != 0) return Fail(Code::kUnavailable, "docker run: " + result.output);
      for (std::string& id : WordsOf(result.output)) remove.push_back(std::move(id));
    }
    const double seconds = Seconds(now() - begin);
    (void)engine::Docker(endpoint_, std::move(remove));
    return seconds;
  }

  Result<void> WaitRunning(WantedTasks wanted) {
    return WaitEvents([&](const nlohmann::json& event) {
      const auto it = wanted.find(event.value("task", ""));
      if (it != wanted.end() && event.value("status", "") == "running" &&
          event.value("attempt", 0U) >= it->second.attempt &&
          event.value("launch", 0U) >= it->second.launch) {
        wanted.erase(it);
      }
      return wanted.empty();
    });
  }

  // Until `done` says so of an event of the feed.
  template <class Done>
  Result<void> WaitEvents(const Done& done) {
    const MonoTime deadline = now() + kPatience;
    while (auto event = stage_->bus().Next(deadline)) {
      const auto* message = std::get_if<bus::Message>(&*event);
      if (message == nullptr) continue;
      const nlohmann::json body = nlohmann::json::parse(message->payload, nullptr, false);
      if (body.is_object() && done(body)) return {};
    }
    return Fail(Code::kTimedOut,
                fmt::format("the feed does not say so within {}", FormatDuration(kPatience)));
  }

  const FailoverOptions options_;
  const Endpoint endpoint_;
  std::vector<std::string> nodes_;
  std::size_t dead_ = 0;
  std::uint32_t submitted_ = 0;
  std::unique_ptr<Stage> stage_;
  Child* worker_ = nullptr;    // of the newest node
  Child* previous_ = nullptr;  // of the one before
  std::vector<TaskId> tasks_;
  std::vector<double> crash_, start_one_, moved_, start_all_;  // s
};

}  // namespace

Result<void> RunFailover(const FailoverOptions& options, Figures& figures) {
  const Endpoint endpoint = engine::TestEndpoint();
  if (!engine::EngineAnswers(endpoint)) {
    return Fail(Code::kUnavailable, "no container engine answers at " + endpoint.name);
  }
  if (const std::string why = engine::MakeTestImage(endpoint); !why.empty()) {
    return Fail(Code::kUnavailable, why);
  }
  Failover failover(options, endpoint);
  CUBE_TRY_VOID(failover.Open());
  for (std::uint32_t i = 0; i < options.rounds; ++i) CUBE_TRY_VOID(failover.Round());
  failover.Report(figures);
  return {};
}

}  // namespace cube::bench
