// cube-bench idle: what the services cost while nothing happens.
#include <fmt/format.h>

#include <thread>

#include "bench/cluster/commands.h"
#include "bench/cluster/driver.h"
#include "shared/wire/codec.h"

namespace cube::bench {
namespace {

constexpr Duration kSettle = std::chrono::seconds(3);  // after the nodes have joined
constexpr std::uint32_t kOfBar = 10'000;               // nodes
constexpr double kMiB = 1 << 20;
constexpr double kMB = 1e6;

struct Watched {
  const char* name;
  pid_t pid;
  Usage before{}, after{};
};

// All streams: what is stored at idle are the heartbeats, and of real workers their load.
Result<std::uint64_t> Stored(Stage& stage) {
  std::uint64_t stored = 0;
  const wire::Subjects& names = stage.subjects();
  for (const std::string& stream :
       {names.IntentsStream(), names.DecisionsStream(), names.FactsStream(), names.DesiredStream(),
        names.HeartbeatsStream(), names.MetricsStream()}) {
    CUBE_TRY(const bus::StreamState state, stage.bus().GetState(stream));
    stored += state.last_seq;
  }
  return stored;
}

struct Watch {
  double seconds = 0;
  double messages_s = 0;
};
Result<Watch> For(Stage& stage, std::uint32_t seconds, std::vector<Watched>& watched) {
  std::this_thread::sleep_for(kSettle);
  CUBE_TRY(const std::uint64_t stored, Stored(stage));
  for (Watched& process : watched) {
    CUBE_TRY(process.before, UsageOf(process.pid));
  }
  const MonoTime begin = stage.clock().now().mono;
  std::this_thread::sleep_for(std::chrono::seconds(seconds));
  Watch watch;
  watch.seconds = Seconds(stage.clock().now().mono - begin);
  for (Watched& process : watched) {
    CUBE_TRY(process.after, UsageOf(process.pid));
  }
  CUBE_TRY(const std::uint64_t now, Stored(stage));
  watch.messages_s = static_cast<double>(now - stored) / watch.seconds;
  return watch;
}

double Percent(const Watched& process, const Watch& watch) {
  return 100 * (process.after.cpu_s - process.before.cpu_s) / watch.seconds;
}

void Print(const std::vector<Watched>& watched, const Watch& watch) {
  for (const Watched& process : watched) {
    fmt::print("  {:<13} {:>6.3f} % of a core  RssAnon {:>6.1f} MiB  RSS {:>6.1f} MiB\n",
               process.name, Percent(process, watch),
               static_cast<double>(process.after.rss_anon_bytes) / kMiB,
               static_cast<double>(process.after.rss_bytes) / kMiB);
  }
  fmt::print("  {:.1f} messages stored a second\n", watch.messages_s);
}

// What a worker with tasks needs, and what each of them needs besides its own program.
Result<void> WorkerMemory(Stage& stage, pid_t worker, std::uint32_t tasks, Figures& figures) {
  auto spec = std::make_shared<TaskSpec>();
  spec->name = TaskName::Trusted("memory");
  spec->engine = "process";
  spec->command = {"/bin/sleep", "600"};
  std::vector<SubmitTask> submits;
  std::vector<StopTask> stops;
  for (std::uint32_t i = 0; i < tasks; ++i) {
    const TaskId id = TaskId::Trusted(fmt::format("memory-{}", i));
    submits.push_back({id, spec});
    stops.push_back({id, Duration{0}});
  }
  CUBE_TRY_VOID(stage.Append(stage.subjects().TasksSubmit(), wire::EncodeSubmit(submits)));
  CUBE_TRY_VOID(WaitUntilFolded(stage, tasks));
  std::this_thread::sleep_for(kSettle);
  CUBE_TRY(const Usage own, UsageOf(worker));
  std::int64_t helper = 0;
  const std::vector<pid_t> helpers = ChildrenOf(worker);
  for (const pid_t pid : helpers) {
    if (const auto usage = UsageOf(pid)) helper = std::max(helper, usage->rss_anon_bytes);
  }
  fmt::print("one worker with {} tasks (aim: 20 MB RssAnon, and 1 MB of helpers a task)\n", tasks);
  fmt::print("  cube-worker    RssAnon {:>6.1f} MiB  RSS {:>6.1f} MiB\n",
             static_cast<double>(own.rss_anon_bytes) / kMiB,
             static_cast<double>(own.rss_bytes) / kMiB);
  fmt::print("  {} helpers, the largest RssAnon {:.3f} MiB\n", helpers.size(),
             static_cast<double>(helper) / kMiB);
  figures.Add("memory.worker_mb", static_cast<double>(own.rss_anon_bytes) / kMB, "MB");
  if (helpers.size() >= tasks) {
    figures.Add("memory.helper_mb", static_cast<double>(helper) / kMB, "MB");
  } else {
    figures.NotMeasured("memory.helper_mb", "MB",
                        fmt::format("{} helpers of {} tasks were seen", helpers.size(), tasks));
  }
  CUBE_TRY_VOID(stage.Append(stage.subjects().TasksStop(), wire::EncodeStop(stops)));
  CUBE_TRY_VOID(WaitUntilFolded(stage, 0));
  return {};
}

Result<void> RealWorker(const IdleOptions& options, Figures& figures) {
  CUBE_TRY(const auto stage, Stage::Open(options.bin_dir));
  CUBE_TRY(const Child* manager, stage->StartManager());
  CUBE_TRY(const Child* worker, stage->StartWorker("bench-1", {"process"}));
  CUBE_TRY_VOID(stage->WaitForNodes(1));
  std::vector<Watched> watched{{"cube-manager", manager->pid()},
                               {"cube-worker", worker->pid()},
                               {"nats-server", stage->server_pid()}};
  CUBE_TRY(const Watch watch, For(*stage, options.seconds, watched));
  fmt::print("idle for {} s, one manager, one worker (aim: 0.5 % of a core, 10 MB RssAnon each)\n",
             options.seconds);
  Print(watched, watch);
  figures.Add("idle.worker_percent", Percent(watched[1], watch), "% of a core");
  figures.Add("idle.worker_mb", static_cast<double>(watched[1].after.rss_anon_bytes) / kMB, "MB");
  return WorkerMemory(*stage, worker->pid(), options.tasks, figures);
}

Result<void> SimulatedNodes(const IdleOptions& options, std::uint32_t nodes, bool last,
                            Figures& figures) {
  CUBE_TRY(const Filled cluster, StartSimulated(options.bin_dir, nodes));
  std::vector<Watched> watched{{"cube-manager", cluster.manager->pid()},
                               {"all nodes", cluster.nodes->pid()},
                               {"nats-server", cluster.stage->server_pid()}};
  CUBE_TRY(const Watch watch, For(*cluster.stage, options.seconds, watched));
  fmt::print("idle for {} s, one manager, {} simulated nodes\n", options.seconds, nodes);
  Print(watched, watch);
  const double percent = Percent(watched[0], watch);
  figures.Add(fmt::format("idle.manager_percent_{}", nodes), percent, "% of a core");
  figures.Add(fmt::format("idle.messages_s_{}", nodes), watch.messages_s, "msgs/s");
  figures.Add(fmt::format("idle.manager_mb_{}", nodes),
              static_cast<double>(watched[0].after.rss_anon_bytes) / kMB, "MB");
  if (last && nodes == kOfBar) {
    figures.Add("idle.manager_percent", percent, "% of a core");
  } else if (last) {
    figures.NotMeasured("idle.manager_percent", "% of a core",
                        fmt::format("it is that of {} nodes", kOfBar));
  }
  return {};
}

}  // namespace

Result<void> RunIdle(const IdleOptions& options, Figures& figures) {
  CUBE_TRY_VOID(RealWorker(options, figures));
  for (std::size_t i = 0; i < options.nodes.size(); ++i) {
    const bool last = i + 1 == options.nodes.size();
    CUBE_TRY_VOID(SimulatedNodes(options, options.nodes[i], last, figures));
  }
  return {};
}

}  // namespace cube::bench
