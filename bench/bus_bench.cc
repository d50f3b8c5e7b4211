// How fast the bus is: appends with acknowledgements in a window, and reading them again.
//   bus_bench URL [messages] [bytes] [window]
// Leaves no stream behind that it did not find; expects a server of its own (it makes stream
// BENCH).
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

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

class Bench {
 public:
  Bench(NatsBusOptions options, std::uint64_t messages, std::uint64_t bytes)
      : messages_(messages),
        payload_(bytes, 'x'),
        bus_(std::move(options), [this](Event event) { inbox_.PushAlways(std::move(event)); }) {}

  bool Prepare() {
    if (!Until<Connected>()) return false;
    StreamConfig config;
    config.name = "BENCH";
    config.subjects = {"bench"};
    bus_.EnsureStreams(1, {config});
    return Until<StreamsReady>();
  }

  bool Append(std::uint64_t count, std::uint64_t window, const char* what) {
    const Stopwatch watch;
    std::uint64_t sent = 0;
    std::uint64_t done = 0;
    while (done < count) {
      while (sent < count && sent - done < window) {
        AppendRequest request;
        request.op = 10 + sent++;
        request.subject = "bench";
        request.payload = payload_;
        bus_.Append(std::move(request));
      }
      if (!Wait() || Taken<AppendFailed>() > 0) return false;
      done += Taken<Appended>();
    }
    watch.Report(what, count);
    return true;
  }

  bool ReadAll() {
    constexpr std::uint32_t kCredit = 2000;
    const Stopwatch watch;
    std::uint64_t read = 0;
    bus_.OpenReader(1, "BENCH", 1);
    bus_.Pull(1, kCredit);
    while (read < messages_) {
      if (!Wait()) return false;
      const std::uint64_t now = Taken<Read>();
      read += now;
      bus_.Pull(1, static_cast<std::uint32_t>(now));
    }
    watch.Report("read, credit 2000", read);
    return true;
  }

  bool GetSome() {
    constexpr std::uint64_t kInFlight = 256;
    const std::uint64_t count = messages_ / 5;
    const Stopwatch watch;
    std::uint64_t asked = 0;
    std::uint64_t got = 0;
    while (got < count) {
      for (; asked < count && asked - got < kInFlight; ++asked) {
        bus_.Get(1'000'000'000 + asked, "BENCH", asked + 1);
      }
      if (!Wait()) return false;
      got += Taken<Got>();
    }
    watch.Report("direct get, 256 in flight", got);
    return true;
  }

  void Publish() {
    const Stopwatch watch;
    for (std::uint64_t i = 0; i < messages_; ++i) bus_.Publish("nobody", {}, payload_);
    watch.Report("core publish", messages_);
  }

 private:
  bool Wait() {
    events_.clear();
    return inbox_.TakeUntil(events_, 100'000, clock_.now().mono + std::chrono::seconds(20)) > 0;
  }
  template <class T>
  [[nodiscard]] std::uint64_t Taken() const {
    return static_cast<std::uint64_t>(
        std::count_if(events_.begin(), events_.end(),
                      [](const Event& e) { return std::holds_alternative<T>(e); }));
  }
  template <class T>
  bool Until() {
    while (Wait()) {
      if (Taken<T>() > 0) return true;
    }
    return false;
  }

  const SystemClock clock_;
  const std::uint64_t messages_;
  const std::string payload_;
  Inbox<Event> inbox_{1};
  std::vector<Event> events_;
  NatsBus bus_;
};

int Main(int argc, char** argv) {
  const auto argument = [&](int i, std::uint64_t otherwise) {
    return argc > i ? std::strtoull(argv[i], nullptr, 10) : otherwise;
  };
  NatsBusOptions options;
  if (argc > 1) options.urls = {argv[1]};
  options.name = "bus_bench";
  const std::uint64_t messages = argument(2, 500'000);
  Bench bench(options, messages, argument(3, 200));
  if (!bench.Prepare()) return 1;
  if (!bench.Append(messages, argument(4, 1024), "append, window")) return 1;
  if (!bench.Append(10'000, 1, "append, one in flight")) return 1;
  if (!bench.ReadAll()) return 1;
  bench.Publish();
  return bench.GetSome() ? 0 : 1;
}

}  // namespace
}  // namespace cube::bus

int main(int argc, char** argv) { return cube::bus::Main(argc, argv); }
