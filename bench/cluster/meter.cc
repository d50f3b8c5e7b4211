#include "bench/cluster/meter.h"

#include <fmt/format.h>

#include <algorithm>

namespace cube::bench {
namespace {

constexpr const char* kStream = "BENCH";
constexpr const char* kSubject = "bench";
constexpr Duration kPatience = std::chrono::seconds(30);
constexpr std::size_t kEventsPerLook = 100'000;
constexpr std::uint32_t kReadCredit = 2000;

bus::NatsBusOptions Options(const std::string& url) {
  bus::NatsBusOptions options;
  options.urls = {url};
  options.name = "cube-bench meter";
  return options;
}

template <class T>
std::uint64_t CountOf(const std::vector<bus::Event>& events) {
  return static_cast<std::uint64_t>(
      std::count_if(events.begin(), events.end(),
                    [](const bus::Event& e) { return std::holds_alternative<T>(e); }));
}

double Seconds(Duration d) { return std::chrono::duration<double>(d).count(); }

}  // namespace

Meter::Meter(const std::string& url)
    : inbox_(1),
      bus_(Options(url), [this](bus::Event event) { inbox_.PushAlways(std::move(event)); }) {}

Result<std::unique_ptr<Meter>> Meter::Open(const std::string& url) {
  std::unique_ptr<Meter> meter(new Meter(url));
  do {
    CUBE_TRY_VOID(meter->Take());
  } while (CountOf<bus::Connected>(meter->events_) == 0);
  bus::StreamConfig config;
  config.name = kStream;
  config.subjects = {kSubject};
  meter->bus_.EnsureStreams(++meter->op_, {config});
  do {
    CUBE_TRY_VOID(meter->Take());
  } while (CountOf<bus::StreamsReady>(meter->events_) == 0);
  return meter;
}

Result<void> Meter::Take() {
  events_.clear();
  if (inbox_.TakeUntil(events_, kEventsPerLook, clock_.now().mono + kPatience) == 0) {
    return Fail(Code::kTimedOut, "the server said nothing for " + FormatDuration(kPatience));
  }
  for (const bus::Event& event : events_) {
    if (const auto* failed = std::get_if<bus::AppendFailed>(&event)) {
      return std::unexpected(failed->error);
    }
    if (const auto* failed = std::get_if<bus::OpFailed>(&event)) {
      return std::unexpected(failed->error);
    }
    if (const auto* failed = std::get_if<bus::ReadFailed>(&event)) {
      return std::unexpected(failed->error);
    }
  }
  return {};
}

Result<Rate> Meter::Append(const Load& load) {
  const std::string payload(load.bytes, 'x');
  const MonoTime begin = clock_.now().mono;
  const MonoTime end = load.count == 0 ? begin + load.time : MonoTime::max();
  const std::uint64_t count = load.count == 0 ? ~std::uint64_t{0} : load.count;
  const std::uint64_t before = last_;
  first_ = last_ + 1;
  std::uint64_t sent = 0;
  std::uint64_t done = 0;
  MonoTime now = begin;
  while (done < sent || (sent < count && now < end)) {
    while (sent < count && now < end && sent - done < load.window) {
      bus::AppendRequest request;
      request.op = ++op_;
      request.subject = kSubject;
      request.payload = payload;
      if (load.window == 1) request.expected_last_seq = before + sent;
      bus_.Append(std::move(request));
      ++sent;
    }
    CUBE_TRY_VOID(Take());
    done += CountOf<bus::Appended>(events_);
    now = clock_.now().mono;
  }
  last_ = before + done;
  return Rate{done, Seconds(now - begin)};
}

Result<Rate> Meter::ReadBack() {
  const std::uint64_t count = last_ + 1 - first_;
  const MonoTime begin = clock_.now().mono;
  bus_.OpenReader(++reader_, kStream, first_);
  bus_.Pull(reader_, kReadCredit);
  for (std::uint64_t read = 0; read < count;) {
    CUBE_TRY_VOID(Take());
    const std::uint64_t now = CountOf<bus::Read>(events_);
    read += now;
    if (now > 0) bus_.Pull(reader_, static_cast<std::uint32_t>(now));
  }
  const Duration took = clock_.now().mono - begin;
  bus_.CloseReader(reader_);
  return Rate{count, Seconds(took)};
}

}  // namespace cube::bench
