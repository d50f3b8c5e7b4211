// cube-bench c1m: many tasks at once through the real manager and the real loops of many workers on
// simulated machines, beside what the server takes of the same messages.
#include <fmt/format.h>
#include <sys/resource.h>

#include <map>

#include "bench/cluster/commands.h"
#include "bench/cluster/driver.h"
#include "bench/cluster/meter.h"

namespace cube::bench {
namespace {

constexpr double kMiB = 1 << 20;
constexpr double kMB = 1e6;

const char* NameOf(Shape shape) {
  switch (shape) {
    case Shape::kJobs:
      return "jobs";
    case Shape::kBatches:
      return "batches";
    case Shape::kSingle:
      return "single";
  }
  return "";
}

// ---- what is counted around the run -----------------------------------------------------------

struct Totals {
  std::map<std::string, bus::StreamState> streams;
  Usage manager, server, nodes;
  double own_cpu_s = 0;
};

double OwnCpu() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         1e-6 * static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

Result<Totals> Look(Stage& stage, const Child& manager, const Child& nodes) {
  Totals totals;
  const wire::Subjects& names = stage.subjects();
  for (const std::string& stream : {names.IntentsStream(), names.DecisionsStream(),
                                    names.FactsStream(), names.DesiredStream()}) {
    CUBE_TRY(totals.streams[stream], stage.bus().GetState(stream));
  }
  CUBE_TRY(totals.manager, UsageOf(manager.pid()));
  CUBE_TRY(totals.nodes, UsageOf(nodes.pid()));
  CUBE_TRY(totals.server, UsageOf(stage.server_pid()));
  totals.own_cpu_s = OwnCpu();
  return totals;
}

struct Written {
  std::uint64_t messages = 0;
  double bytes = 0;  // of all
};

std::map<std::string, Written> Difference(const Totals& before, const Totals& after) {
  std::map<std::string, Written> written;
  for (const auto& [stream, now] : after.streams) {
    const bus::StreamState& then = before.streams.at(stream);
    // Sequences, since the newest-only streams drop what they replace; bytes of those are a guess
    // from what is left.
    const std::uint64_t messages = now.last_seq - then.last_seq;
    const double each =
        now.messages == 0 ? 0 : static_cast<double>(now.bytes) / static_cast<double>(now.messages);
    const double bytes = now.messages - then.messages == messages
                             ? static_cast<double>(now.bytes - then.bytes)
                             : each * static_cast<double>(messages);
    written[stream] = {messages, bytes};
  }
  return written;
}

// The time that the server needs for the same messages, of the mean size of each stream, when
// nobody does anything else and all of them are in a window.
Result<double> ServerTime(Meter& meter, const std::map<std::string, Written>& written) {
  double seconds = 0;
  for (const auto& [stream, part] : written) {
    if (part.messages == 0) continue;
    Load load;
    load.bytes = static_cast<std::size_t>(part.bytes / static_cast<double>(part.messages));
    load.count = part.messages;
    CUBE_TRY(const Rate rate, meter.Append(load));
    seconds += rate.seconds;
  }
  return seconds;
}

void PrintProcess(const char* name, double cpu_s, double wall_s, double tasks) {
  fmt::print("  {:<26} {:>7.2f} us CPU a task  {:>5.0f} % of a core\n", name, 1e6 * cpu_s / tasks,
             100 * cpu_s / wall_s);
}

void Report(const DriverOptions& options, std::uint32_t nodes, const Driver& driver,
            const Totals& before, const Totals& after,
            const std::map<std::string, Written>& written) {
  const auto tasks = static_cast<double>(options.tasks);
  const Driver::Times& t = driver.times();
  fmt::print("c1m.{}: {} tasks, {} nodes, {} tasks a submission, {} in flight\n",
             NameOf(options.shape), options.tasks, nodes,
             options.shape == Shape::kSingle ? 1 : options.batch, options.window);
  fmt::print("  submit -> stored     {:>9.0f} tasks/s  {:>7.3f} s\n", tasks / t.stored, t.stored);
  fmt::print("  submit -> scheduled  {:>9.0f} tasks/s  {:>7.3f} s\n", tasks / t.scheduled,
             t.scheduled);
  fmt::print("  submit -> running    {:>9.0f} tasks/s  {:>7.3f} s  (fact in the log)\n",
             tasks / t.running, t.running);
  fmt::print("  submit -> folded     {:>9.0f} tasks/s  {:>7.3f} s  (the manager says so)\n",
             tasks / t.folded, t.folded);
  double messages = 0;
  double bytes = 0;
  for (const auto& [stream, part] : written) {
    messages += static_cast<double>(part.messages);
    bytes += part.bytes;
    fmt::print("  {:<18} {:>8} messages  {:>8.4f} a task  {:>7.1f} bytes a task\n", stream,
               part.messages, static_cast<double>(part.messages) / tasks, part.bytes / tasks);
  }
  fmt::print("  stored in all      {:>17.4f} messages a task  {:.1f} bytes a task\n",
             messages / tasks, bytes / tasks);
  fmt::print(
      "  cycles             {:>8}, {} of them start tasks: {:.0f} tasks a cycle, {:.1f} ms\n",
      driver.cycles(), driver.full_cycles(),
      tasks / static_cast<double>(std::max<std::uint64_t>(driver.full_cycles(), 1)),
      1e3 * t.scheduled / static_cast<double>(std::max<std::uint64_t>(driver.full_cycles(), 1)));
  if (driver.downs() > 0) {
    fmt::print("  OVERLOAD: {} nodes were called down, {} tasks were placed again\n",
               driver.downs(), driver.moved());
  }
  PrintProcess("cube-manager", after.manager.cpu_s - before.manager.cpu_s, t.folded, tasks);
  PrintProcess("  of it the loop", after.manager.main_cpu_s - before.manager.main_cpu_s, t.folded,
               tasks);
  PrintProcess("nats-server", after.server.cpu_s - before.server.cpu_s, t.folded, tasks);
  PrintProcess("all nodes", after.nodes.cpu_s - before.nodes.cpu_s, t.folded, tasks);
  PrintProcess("this client", after.own_cpu_s - before.own_cpu_s, t.folded, tasks);
  fmt::print(
      "  cube-manager RssAnon {:.1f} MiB, {:.0f} bytes a task; RSS {:.1f} MiB\n",
      static_cast<double>(after.manager.rss_anon_bytes) / kMiB,
      static_cast<double>(after.manager.rss_anon_bytes - before.manager.rss_anon_bytes) / tasks,
      static_cast<double>(after.manager.rss_bytes) / kMiB);
}

Result<void> RunShape(const C1mOptions& options, Shape shape, Figures& figures) {
  CUBE_TRY(const Filled cluster, StartSimulated(options.bin_dir, options.nodes));
  Stage& stage = *cluster.stage;
  CUBE_TRY(const Totals before, Look(stage, *cluster.manager, *cluster.nodes));
  DriverOptions how;
  how.tasks = options.tasks;
  how.batch = options.batch;
  how.window = shape == Shape::kSingle ? options.single_window : options.window;
  how.shape = shape;
  Driver driver(how, stage.url());
  CUBE_TRY_VOID(driver.Run(stage));
  CUBE_TRY(const Totals after, Look(stage, *cluster.manager, *cluster.nodes));
  CUBE_TRY_VOID(driver.ReadLog(stage.subjects()));
  const auto written = Difference(before, after);
  Report(how, options.nodes, driver, before, after, written);
  std::fflush(stdout);
  stage.Stop(cluster.nodes);
  stage.Stop(cluster.manager);
  CUBE_TRY(const auto meter, Meter::Open(stage.url()));
  CUBE_TRY(const double limit, ServerTime(*meter, written));
  const double wall = driver.times().running;
  fmt::print(
      "  limit: this server takes the same messages in {:.3f} s: {:.0f} tasks/s;"
      " submit -> running reaches {:.1f} % of it\n",
      limit, static_cast<double>(options.tasks) / limit, 100 * limit / wall);
  const std::string name = std::string("c1m.") + NameOf(shape);
  figures.Add(name + ".seconds", wall, "s", limit);
  figures.Add(name + ".of_limit", limit / wall, "1", 1);
  const std::string memory = shape == Shape::kJobs ? "memory." : name + ".memory_";
  const auto megabytes = [](const Usage& usage) {
    return static_cast<double>(usage.rss_anon_bytes) / kMB;
  };
  figures.Add(memory + "manager_mb", megabytes(after.manager), "MB");
  figures.Add(memory + "nats_server_mb", megabytes(after.server), "MB");
  const auto tasks = static_cast<double>(options.tasks);
  figures.Add(name + ".manager_us_task", 1e6 * (after.manager.cpu_s - before.manager.cpu_s) / tasks,
              "us");
  figures.Add(name + ".nats_server_us_task",
              1e6 * (after.server.cpu_s - before.server.cpu_s) / tasks, "us");
  return {};
}

}  // namespace

Result<void> RunC1m(const C1mOptions& options, Figures& figures) {
  for (const Shape shape : {Shape::kJobs, Shape::kBatches, Shape::kSingle}) {
    const bool asked = options.submit == NameOf(shape);
    const bool of_all = options.submit == "all" && shape != Shape::kBatches;
    if (asked || of_all) CUBE_TRY_VOID(RunShape(options, shape, figures));
  }
  return {};
}

}  // namespace cube::bench
