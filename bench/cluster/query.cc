// cube-bench query: what `cube ps` asks, of a manager that has many tasks.
#include <fmt/format.h>

#include "bench/cluster/commands.h"
#include "bench/cluster/driver.h"
#include "bench/cluster/meter.h"

namespace cube::bench {

Result<void> RunQuery(const QueryOptions& options, Figures& figures) {
  CUBE_TRY(const Filled cluster, Fill(options.bin_dir, options.tasks, options.nodes));
  Stage& stage = *cluster.stage;
  const auto now = [&] { return stage.clock().now().mono; };
  std::vector<double> first;
  std::vector<double> round_trip;  // a question that the server itself answers
  for (std::uint32_t i = 0; i < options.count; ++i) {
    MonoTime begin = now();
    CUBE_TRY_VOID(stage.Ask("tasks", {}));
    first.push_back(1e3 * Seconds(now() - begin));
    begin = now();
    CUBE_TRY_VOID(stage.bus().GetState(stage.subjects().DecisionsStream()));
    round_trip.push_back(1e3 * Seconds(now() - begin));
  }
  v1::QueryRequest request;
  std::uint64_t tasks = 0;
  std::uint64_t pages = 0;
  std::uint64_t bytes = 0;
  const MonoTime begin = now();
  do {
    CUBE_TRY(const v1::QueryReply reply, stage.Ask("tasks", request));
    tasks += static_cast<std::uint64_t>(reply.tasks_size());
    bytes += reply.ByteSizeLong();
    ++pages;
    request.set_page(reply.next_page());
  } while (!request.page().empty());
  const double all = Seconds(now() - begin);
  if (tasks != options.tasks) {
    return Fail(Code::kInternal, fmt::format("{} of {} tasks were told", tasks, options.tasks));
  }
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
  fmt::print("  all: {:.3f} s, {} pages, {:.1f} MB; the same bytes out of a stream {:.3f} s\n", all,
             pages, static_cast<double>(bytes) / 1e6, limit.seconds);
  figures.Add("query.first_ms", p50, "ms", Percentile(round_trip, 50));
  figures.Add("query.all_s", all, "s", limit.seconds);
  return {};
}

}  // namespace cube::bench
