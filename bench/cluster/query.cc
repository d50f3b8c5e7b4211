// cube-bench query: what `cube ps` asks, of a manager that has many tasks.
#include <fmt/format.h>

#include "bench/cluster/commands.h"
#include "bench/cluster/driver.h"
#include "bench/cluster/meter.h"
#include "services/cli/client.h"
#include "services/manager/query_service.h"

namespace cube::bench {
Result<void> RunQuery(const QueryOptions& options, Figures& figures) {
  CUBE_TRY(const Filled cluster, Fill(options.bin_dir, options.tasks, options.nodes));
  Stage& stage = *cluster.stage;
  const auto now = [&] { return stage.clock().now().mono; };
  cli::Settings settings;
  settings.nats.urls = {stage.url()};
  CUBE_TRY(const auto client, cli::Client::Connect(settings));
  std::vector<double> first;
  std::vector<double> round_trip;  // a question that the server itself answers
  for (std::uint32_t i = 0; i < options.count; ++i) {
    MonoTime begin = now();
    CUBE_TRY_VOID(client->Query("tasks", {}));
    first.push_back(1e3 * Seconds(now() - begin));
    begin = now();
    CUBE_TRY_VOID(stage.bus().GetState(stage.subjects().DecisionsStream()));
    round_trip.push_back(1e3 * Seconds(now() - begin));
  }
  const MonoTime begin = now();
  std::uint64_t tasks = 0;
  std::uint64_t bytes = 0;
  CUBE_TRY_VOID(client->EachTask({}, [&](const v1::TaskView& task) {
    ++tasks;
    bytes += task.ByteSizeLong();
  }));
  const double all = Seconds(now() - begin);
  if (tasks != options.tasks) {
    return Fail(Code::kInternal, fmt::format("{} of {} tasks were told", tasks, options.tasks));
  }
  const std::uint64_t pages = bytes / manager::kQueryPageBytesMax + 1;
  CUBE_TRY(const auto meter, Meter::Open(stage.url()));
  Load load;
  load.count = pages;
  load.bytes = static_cast<std::size_t>(bytes / pages);
  load.window = 16;
  CUBE_TRY_VOID(meter->Append(load));
  CUBE_TRY(const Rate limit, meter->ReadBack());
  const double p50 = Percentile(first, 50);
  fmt::print("query: {} tasks running on {} nodes\n", options.tasks, options.nodes);
  fmt::print("  first page: p50 {:.2f} ms, p99 {:.2f} ms; a round trip to the server {:.2f} ms\n",
             p50, Percentile(first, 99), Percentile(round_trip, 50));
  fmt::print(
      "  all: {:.3f} s, about {} pages, {:.1f} MB; the same bytes out of a stream {:.3f} s\n", all,
      pages, static_cast<double>(bytes) / 1e6, limit.seconds);
  figures.Add("query.first_ms", p50, "ms", Percentile(round_trip, 50));
  figures.Add("query.all_s", all, "s", limit.seconds);
  return {};
}

}  // namespace cube::bench
