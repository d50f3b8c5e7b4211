// cube-bench: the benchmarks of the whole cluster (bench/README.md).
#include <CLI/CLI.hpp>
#include <cstdio>

#include "bench/cluster/child.h"
#include "bench/cluster/commands.h"
#include "bench/cluster/sim_nodes.h"
#include "shared/runtime/signals.h"

namespace {

namespace bench = cube::bench;

struct Flags {
  bench::LogOptions log;
  bench::C1mOptions c1m;
  bench::PlaceOptions place;
  bench::LatencyOptions latency;
  bench::FailoverOptions failover;
  bench::RecoverOptions recover;
  bench::IdleOptions idle;
  bench::QueryOptions query;
  bench::SimNodesOptions nodes;
};

// The least that still goes every way: for correctness, in seconds.
void MakeQuick(Flags& flags) {
  flags.log.seconds = 1;
  flags.c1m.tasks = 400;
  flags.c1m.nodes = 5;
  flags.c1m.batch = 100;
  flags.place.nodes = {100, 1'000};
  flags.latency = {
      .count = 2, .decisions = 20, .per_second = 200, .load_seconds = 1, .bin_dir = {}};
  flags.failover.rounds = 1;
  flags.failover.tasks = 2;
  flags.recover.tasks = flags.query.tasks = 2'000;
  flags.recover.nodes = flags.query.nodes = 5;
  flags.query.count = 3;
  flags.idle.seconds = 1;
  flags.idle.tasks = 3;
  flags.idle.nodes = {10};
}

template <class T>
void Number(CLI::App* app, const std::string& name, T& value, T most, const std::string& what) {
  app->add_option(name, value, what)->check(CLI::Range(T{1}, most))->capture_default_str();
}

void AddTasks(CLI::App* app, std::uint64_t& tasks, std::uint32_t& nodes) {
  Number<std::uint64_t>(app, "--tasks", tasks, 4'000'000, "all of them running");
  Number(app, "--nodes", nodes, 10'000u, "simulated, in one process");
}

void AddCluster(CLI::App& app, Flags& flags) {
  CLI::App* c1m = app.add_subcommand("c1m", "many tasks at once on many simulated nodes");
  AddTasks(c1m, flags.c1m.tasks, flags.c1m.nodes);
  c1m->add_option("--submit", flags.c1m.submit, "as jobs, single tasks, batches of them; or all")
      ->check(CLI::IsMember({"all", "jobs", "single", "batches"}))
      ->capture_default_str();
  Number(c1m, "--batch", flags.c1m.batch, 10'000u, "tasks of one job or submission");
  Number(c1m, "--window", flags.c1m.window, 1'000u, "jobs or submissions in flight");
  Number(c1m, "--single-window", flags.c1m.single_window, 10'000u, "single submissions in flight");
  CLI::App* recover = app.add_subcommand("recover", "a manager comes back; another takes over");
  AddTasks(recover, flags.recover.tasks, flags.recover.nodes);
  CLI::App* query = app.add_subcommand("query", "what cube ps asks: the first page, and all");
  AddTasks(query, flags.query.tasks, flags.query.nodes);
  Number(query, "--count", flags.query.count, 10'000u, "first pages");
  CLI::App* idle = app.add_subcommand("idle", "what the services cost while nothing happens");
  Number(idle, "--seconds", flags.idle.seconds, 3'600u, "each time");
  Number(idle, "--tasks", flags.idle.tasks, 500u, "of a real worker, for its memory");
  idle->add_option("--nodes", flags.idle.nodes, "simulated: each of these numbers in turn")
      ->check(CLI::Range(1u, 10'000u))
      ->capture_default_str();
  CLI::App* nodes = app.add_subcommand("nodes", "the simulated nodes, on a given server");
  nodes->add_option("--server", flags.nodes.url)->required();
  Number(nodes, "--nodes", flags.nodes.nodes, 10'000u, "");
}

void AddCommands(CLI::App& app, Flags& flags) {
  CLI::App* log = app.add_subcommand("log", "what the server takes: appends and reads");
  Number(log, "--seconds", flags.log.seconds, 600u, "of each load");
  CLI::App* place = app.add_subcommand("place", "one placement, by policy and number of nodes");
  place->add_option("--nodes", flags.place.nodes)
      ->check(CLI::Range(1u, 1'000'000u))
      ->capture_default_str();
  CLI::App* latency = app.add_subcommand(
      "latency", "submit to decision; submit to running, beside the engine's own start");
  Number(latency, "--count", flags.latency.count, 10'000u, "starts, one after the other");
  Number(latency, "--decisions", flags.latency.decisions, 100'000u, "submissions, one by one");
  Number(latency, "--per-second", flags.latency.per_second, 100'000u, "submissions under load");
  Number(latency, "--load-seconds", flags.latency.load_seconds, 600u, "of that load");
  CLI::App* failover =
      app.add_subcommand("failover", "a container dies, a node dies: until its tasks run again");
  Number(failover, "--rounds", flags.failover.rounds, 100u, "");
  Number(failover, "--tasks", flags.failover.tasks, 200u, "on the node that dies");
  AddCluster(app, flags);
}

cube::Result<void> Run(const CLI::App& app, const Flags& flags, bench::Figures& figures) {
  if (app.got_subcommand("log")) return bench::RunLog(flags.log, figures);
  if (app.got_subcommand("c1m")) return bench::RunC1m(flags.c1m, figures);
  if (app.got_subcommand("place")) return bench::RunPlace(flags.place, figures);
  if (app.got_subcommand("latency")) return bench::RunLatency(flags.latency, figures);
  if (app.got_subcommand("failover")) return bench::RunFailover(flags.failover, figures);
  if (app.got_subcommand("recover")) return bench::RunRecover(flags.recover, figures);
  if (app.got_subcommand("idle")) return bench::RunIdle(flags.idle, figures);
  if (app.got_subcommand("query")) return bench::RunQuery(flags.query, figures);
  return bench::RunSimNodes(flags.nodes);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Measures Cube beside the limits of what it is built on.", "cube-bench"};
  Flags flags;
  std::string bin_dir = bench::OwnFolder();
  std::string json;
  bool quick = false;
  app.add_option("--bin-dir", bin_dir, "folder of cube-manager and cube-worker")
      ->capture_default_str();
  app.add_option("--json", json, "file for the figures: {name, value, unit, limit, ratio}");
  app.add_flag("--quick", quick, "the smallest form, whatever else is given: for correctness only");
  app.require_subcommand(1);
  app.fallthrough();
  AddCommands(app, flags);
  CLI11_PARSE(app, argc, argv);
  if (quick) MakeQuick(flags);
  flags.c1m.bin_dir = flags.latency.bin_dir = flags.failover.bin_dir = bin_dir;
  flags.idle.bin_dir = flags.recover.bin_dir = flags.query.bin_dir = bin_dir;
  cube::runtime::IgnoreSigpipe();
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  bench::Figures figures;
  cube::Result<void> done = Run(app, flags, figures);
  if (done && !json.empty()) done = figures.Write(json);
  if (!done) {
    std::fprintf(stderr, "cube-bench: %s\n", done.error().Text().c_str());
    return 1;
  }
  return 0;
}
