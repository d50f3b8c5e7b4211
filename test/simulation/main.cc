// cube-sim: runs simulated clusters from seeds and checks the laws after every step.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>

#include "test/simulation/world.h"

namespace {

struct Options {
  std::uint64_t first = 1;
  std::uint64_t seeds = 200;
  bool trace = false;
  bool hashes = false;
  double minutes = 0;
};

int Run(const Options& options) {
  const auto begin = std::chrono::steady_clock::now();
  std::uint64_t steps = 0;
  std::uint64_t deaths = 0;
  std::uint64_t decisions = 0;
  std::uint64_t trimmed = 0;
  cube::Duration simulated{0};
  std::uint64_t ran = 0;
  for (std::uint64_t seed = options.first; seed < options.first + options.seeds; ++seed) {
    const cube::sim::Plan plan = cube::sim::Plan::FromSeed(seed);
    std::function<void(const std::string&)> trace;
    if (options.trace) {
      std::printf("seed %llu: %s\n", static_cast<unsigned long long>(seed), plan.Text().c_str());
      trace = [](const std::string& line) { std::printf("  %s\n", line.c_str()); };
    }
    const cube::sim::Outcome outcome = cube::sim::World(plan, trace).Run();
    ++ran;
    steps += outcome.steps;
    deaths += outcome.deaths;
    decisions += outcome.decisions;
    trimmed += outcome.trimmed;
    simulated += outcome.simulated;
    if (options.hashes) {
      std::printf("%llu %016llx\n", static_cast<unsigned long long>(seed),
                  static_cast<unsigned long long>(outcome.trace_hash));
    }
    if (!outcome.broken.empty()) {
      std::printf(
          "seed %llu FAILED after %llu steps, %s simulated: %s\n  plan: %s\n"
          "  replay: cube-sim --first %llu --seeds 1 --trace\n",
          static_cast<unsigned long long>(seed), static_cast<unsigned long long>(outcome.steps),
          cube::FormatDuration(outcome.simulated).c_str(), outcome.broken.c_str(),
          plan.Text().c_str(), static_cast<unsigned long long>(seed));
      return 1;
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    if (options.minutes > 0 && took.count() > options.minutes * 60) break;
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::printf(
      "%llu seeds from %llu: all laws held; %.1f simulated hours, %llu steps, "
      "%llu decisions, %llu messages trimmed, %llu deaths, %.1f s\n",
      static_cast<unsigned long long>(ran), static_cast<unsigned long long>(options.first),
      std::chrono::duration<double>(simulated).count() / 3600,
      static_cast<unsigned long long>(steps), static_cast<unsigned long long>(decisions),
      static_cast<unsigned long long>(trimmed), static_cast<unsigned long long>(deaths),
      took.count());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"Simulates clusters, one thread, one seed each, and checks the laws.", "cube-sim"};
  app.add_option("--first", options.first, "first seed")->capture_default_str();
  app.add_option("--seeds", options.seeds, "how many")
      ->envname("CUBE_SIM_SEEDS")
      ->capture_default_str();
  app.add_option("--minutes", options.minutes, "stop after this time; 0 = all seeds")
      ->capture_default_str();
  app.add_flag("--trace", options.trace, "print what happens");
  app.add_flag("--hashes", options.hashes, "print each seed's trace hash");
  CLI11_PARSE(app, argc, argv);
  return Run(options);
}
