// cube-bench: the benchmarks of the whole cluster (bench/README.md).
#include <CLI/CLI.hpp>
#include <cstdio>

#include "bench/cluster/child.h"
#include "bench/cluster/commands.h"
#include "bench/cluster/sim_nodes.h"
#include "shared/runtime/signals.h"

namespace {

using cube::bench::C1mOptions;
using cube::bench::FailoverOptions;
using cube::bench::IdleOptions;
using cube::bench::LatencyOptions;
using cube::bench::LogOptions;
using cube::bench::SimNodesOptions;

struct Flags {
  LogOptions log;
  C1mOptions c1m;
  LatencyOptions latency;
  FailoverOptions failover;
  IdleOptions idle;
  SimNodesOptions nodes;
};

void AddCommands(CLI::App& app, Flags& flags) {
  CLI::App* log = app.add_subcommand("log", "what the server takes: appends and reads");
  log->add_option("--seconds", flags.log.seconds, "of each load")
      ->check(CLI::Range(1u, 600u))
      ->capture_default_str();
  CLI::App* c1m = app.add_subcommand("c1m", "many tasks at once on many simulated nodes");
  c1m->add_option("--tasks", flags.c1m.tasks)
      ->check(CLI::Range(1u, 10'000'000u))
      ->capture_default_str();
  c1m->add_option("--nodes", flags.c1m.nodes)
      ->check(CLI::Range(1u, 10'000u))
      ->capture_default_str();
  c1m->add_option("--batch", flags.c1m.batch, "tasks of one submission")
      ->check(CLI::Range(1u, 10'000u))
      ->capture_default_str();
  c1m->add_option("--window", flags.c1m.window, "submissions in flight")
      ->check(CLI::Range(1u, 1'000u))
      ->capture_default_str();
  CLI::App* latency =
      app.add_subcommand("latency", "submit to running, beside the engine's own start");
  latency->add_option("--count", flags.latency.count, "tasks, one after the other")
      ->check(CLI::Range(1u, 10'000u))
      ->capture_default_str();
  CLI::App* failover =
      app.add_subcommand("failover", "a container dies, a node dies: until its tasks run again");
  failover->add_option("--rounds", flags.failover.rounds)
      ->check(CLI::Range(1u, 100u))
      ->capture_default_str();
  failover->add_option("--tasks", flags.failover.tasks, "on the node that dies")
      ->check(CLI::Range(1u, 200u))
      ->capture_default_str();
  CLI::App* idle = app.add_subcommand("idle", "what the services cost while nothing happens");
  idle->add_option("--seconds", flags.idle.seconds)
      ->check(CLI::Range(1u, 3'600u))
      ->capture_default_str();
  CLI::App* nodes = app.add_subcommand("nodes", "the simulated nodes of c1m, on a given server");
  nodes->add_option("--server", flags.nodes.url)->required();
  nodes->add_option("--nodes", flags.nodes.nodes)
      ->check(CLI::Range(1u, 10'000u))
      ->capture_default_str();
}

cube::Result<void> Run(const CLI::App& app, const Flags& flags) {
  if (app.got_subcommand("log")) return cube::bench::RunLog(flags.log);
  if (app.got_subcommand("c1m")) return cube::bench::RunC1m(flags.c1m);
  if (app.got_subcommand("latency")) return cube::bench::RunLatency(flags.latency);
  if (app.got_subcommand("failover")) return cube::bench::RunFailover(flags.failover);
  if (app.got_subcommand("idle")) return cube::bench::RunIdle(flags.idle);
  return cube::bench::RunSimNodes(flags.nodes);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Measures Cube beside the limits of what it is built on.", "cube-bench"};
  Flags flags;
  std::string bin_dir = cube::bench::OwnFolder();
  app.add_option("--bin-dir", bin_dir, "folder of cube-manager and cube-worker")
      ->capture_default_str();
  app.require_subcommand(1);
  app.fallthrough();
  AddCommands(app, flags);
  CLI11_PARSE(app, argc, argv);
  flags.c1m.bin_dir = flags.latency.bin_dir = flags.failover.bin_dir = flags.idle.bin_dir = bin_dir;
  cube::runtime::IgnoreSigpipe();
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  if (const cube::Result<void> done = Run(app, flags); !done) {
    std::fprintf(stderr, "cube-bench: %s\n", done.error().Text().c_str());
    return 1;
  }
  return 0;
}
