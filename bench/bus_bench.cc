// How fast the bus is: appends with acknowledgements in a window, and reading them again.
//   bus_bench URL [messages] [bytes] [window]
// Leaves no stream behind that it did not find; expects a server of its own (it makes stream
// BENCH).
#include <fmt/format.h>
#include <sys/resource.h>

#include <cstdlib>
#include <string>

#include "shared/bus/nats_bus.h"
#include "shared/runtime/clock.h"
#include "shared/runtime/inbox.h"

namespace cube::bus {
namespace {

struct Stopwatch {
  static double Cpu() {
    rusage u{};
    getrusage(RUSAGE_SELF, &u);
    return static_cast<double>(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           1e-6 * static_cast<double>(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
  }
  void Report(const char* what, std::uint64_t count) const {
    const double wall =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    fmt::print("{:<28} {:>10.0f}/s  {:>6.2f} us CPU each\n", what,
               static_cast<double>(count) / wall, 1e6 * (Cpu() - cpu) / static_cast<double>(count));
  }
  std::chrono::steady_clock::time_point begin = std::chrono::steady_clock::now();
  double cpu = Cpu();
};

int Main(int argc, char** argv) {
  const auto argument = [&](int i, std::uint64_t otherwise) {
    return argc > i ? std::strtoull(argv[i], nullptr, 10) : otherwise;
  };
  NatsBusOptions options;
  if (argc > 1) options.urls = {argv[1]};
  options.name = "bus_bench";
  const std::uint64_t messages = argument(2, 500'000);
  const std::string payload(argument(3, 200), 'x');
  const std::uint64_t window = argument(4, 1024);

  Inbox<Event> inbox(1);
  NatsBus bus(options, [&](Event event) { inbox.PushAlways(std::move(event)); });
  std::vector<Event> events;
  const auto wait = [&] {
    events.clear();
    return inbox.TakeUntil(events, 100'000, SystemClock().now().mono + std::chrono::seconds(20));
  };
  const auto until = [&](const auto& is) {
    while (wait() > 0) {
      for (const Event& event : events) {
        if (is(event)) return true;
      }
    }
    return false;
  };
  if (!until([](const Event& e) { return std::holds_alternative<Connected>(e); })) return 1;
  StreamConfig config;
  config.name = "BENCH";
  config.subjects = {"bench"};
  bus.EnsureStreams(1, {config});
  if (!until([](const Event& e) { return std::holds_alternative<StreamsReady>(e); })) return 1;

  const auto append = [&](std::uint64_t count, std::uint64_t in_flight_max, const char* what) {
    const Stopwatch watch;
    std::uint64_t sent = 0;
    std::uint64_t done = 0;
    while (done < count) {
      while (sent < count && sent - done < in_flight_max) {
        AppendRequest request;
        request.op = 10 + sent++;
        request.subject = "bench";
        request.payload = payload;
        bus.Append(std::move(request));
      }
      if (wait() == 0) return false;
      for (const Event& event : events) {
        if (std::holds_alternative<Appended>(event)) ++done;
        if (std::holds_alternative<AppendFailed>(event)) return false;
      }
    }
    watch.Report(what, count);
    return true;
  };
  if (!append(messages, window, "append, window")) return 1;
  if (!append(std::min<std::uint64_t>(messages, 10'000), 1, "append, one in flight")) return 1;

  const Stopwatch watch;
  std::uint64_t read = 0;
  bus.OpenReader(1, "BENCH", 1);
  bus.Pull(1, 2000);
  while (read < messages) {
    if (wait() == 0) return 1;
    std::uint32_t now = 0;
    for (const Event& event : events) now += std::holds_alternative<Read>(event) ? 1 : 0;
    read += now;
    bus.Pull(1, now);
  }
  watch.Report("read, credit 2000", read);

  const Stopwatch core;
  for (std::uint64_t i = 0; i < messages; ++i) bus.Publish("nobody", {}, payload);
  core.Report("core publish", messages);

  const Stopwatch gets;
  std::uint64_t asked = 0;
  std::uint64_t got = 0;
  while (got < messages / 5) {
    while (asked < messages / 5 && asked - got < 256) {
      ++asked;
      bus.Get(1'000'000'000 + asked, "BENCH", asked);
    }
    if (wait() == 0) return 1;
    for (const Event& event : events) got += std::holds_alternative<Got>(event) ? 1 : 0;
  }
  gets.Report("direct get, 256 in flight", got);
  return 0;
}

}  // namespace
}  // namespace cube::bus

int main(int argc, char** argv) { return cube::bus::Main(argc, argv); }
