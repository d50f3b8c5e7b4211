// cube-bench idle: what the services cost while nothing happens.
#include <fmt/format.h>

#include <thread>

#include "bench/cluster/commands.h"
#include "bench/cluster/stage.h"

namespace cube::bench {
namespace {

constexpr Duration kSettle = std::chrono::seconds(3);  // after the node has joined
constexpr double kMiB = 1 << 20;

}  // namespace

Result<void> RunIdle(const IdleOptions& options) {
  CUBE_TRY(const auto stage, Stage::Open(options.bin_dir));
  CUBE_TRY(const Child* manager, stage->StartManager());
  CUBE_TRY(const Child* worker, stage->StartWorker("bench-1", {"process"}));
  CUBE_TRY_VOID(stage->WaitForNodes(1));
  std::this_thread::sleep_for(kSettle);
  struct Watched {
    const char* name;
    pid_t pid;
    Usage before;
  };
  std::vector<Watched> watched{{"cube-manager", manager->pid(), {}},
                               {"cube-worker", worker->pid(), {}},
                               {"nats-server", stage->server_pid(), {}}};
  for (Watched& process : watched) {
    CUBE_TRY(process.before, UsageOf(process.pid));
  }
  const MonoTime begin = stage->clock().now().mono;
  std::this_thread::sleep_for(std::chrono::seconds(options.seconds));
  const double seconds = Seconds(stage->clock().now().mono - begin);
  fmt::print("idle for {} s, one manager, one worker (aim: 0.5 % of a core, 10 MB RssAnon each)\n",
             options.seconds);
  for (const Watched& process : watched) {
    CUBE_TRY(const Usage after, UsageOf(process.pid));
    fmt::print("  {:<13} {:>6.3f} % of a core  RssAnon {:>6.1f} MiB  RSS {:>6.1f} MiB\n",
               process.name, 100 * (after.cpu_s - process.before.cpu_s) / seconds,
               static_cast<double>(after.rss_anon_bytes) / kMiB,
               static_cast<double>(after.rss_bytes) / kMiB);
  }
  return {};
}

}  // namespace cube::bench
