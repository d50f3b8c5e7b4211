// cube-sim: runs simulated clusters from seeds and checks the laws after every step.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>

#include "test/simulation/report.h"

namespace {

struct Options {
  std::uint64_t first = 1;
  std::uint64_t seeds = 200;
  bool trace = false;
  bool hashes = false;
  bool json = false;
  double minutes = 0;
};

void Print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  // Whoever reads this knows how far it was when it died.
  std::fflush(stdout);
}

int Run(const Options& options) {
  const auto begin = std::chrono::steady_clock::now();
  const auto took = [begin] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  };
  std::function<void(const std::string&)> print;
  if (options.trace) print = [](const std::string& line) { Print("  " + line + "\n"); };
  cube::sim::Totals totals;
  for (std::uint64_t seed = options.first; seed < options.first + options.seeds; ++seed) {
    const auto number = static_cast<unsigned long long>(seed);
    if (options.trace) {
      std::printf("seed %llu: %s\n", number, cube::sim::Plan::FromSeed(seed).Text().c_str());
    }
    const cube::sim::SeedReport report = cube::sim::RunSeed(seed, print);
    totals.Add(report);
    if (options.json) Print(JsonLine(report));
    if (options.hashes) {
      std::printf("%llu %016llx\n", number,
                  static_cast<unsigned long long>(report.outcome.trace_hash));
    }
    if (!report.outcome.broken.empty()) {
      if (!options.json) Print(FailureText(report));
      return 1;
    }
    if (options.minutes > 0 && took() > options.minutes * 60) break;
  }
  if (!options.json && !options.hashes) Print(totals.Text(options.first, took()));
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
  app.add_flag("--hashes", options.hashes, "print each seed's trace hash, nothing else");
  app.add_flag("--json", options.json, "one line for each seed, for scripts/sim");
  CLI11_PARSE(app, argc, argv);
  return Run(options);
}
