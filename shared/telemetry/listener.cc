#include "shared/telemetry/listener.h"

#include <netdb.h>
#include <prometheus/collectable.h>
#include <prometheus/exposer.h>
#include <prometheus/metric_family.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <utility>
#include <vector>

#include "shared/runtime/fd.h"
#include "shared/runtime/os_error.h"

namespace cube::telemetry {
namespace {

constexpr char kFlag[] = "--metrics-listen";
// One scrape at a time is the rule; a second one does not wait for a slow first.
constexpr std::size_t kThreads = 2;

struct HostPort {
  std::string host;
  std::string port;
};

std::unexpected<Error> Malformed(const std::string& where) {
  return Fail(Code::kInvalid,
              "'" + where +
                  "' is not HOST:PORT, as in 127.0.0.1:9464 (0.0.0.0:9464 listens on all "
                  "addresses)",
              kFlag);
}

Result<HostPort> Split(const std::string& where) {
  constexpr std::size_t kPortDigitsMax = 5;
  constexpr unsigned long kPortMax = 65'535;
  const std::size_t colon = where.rfind(':');
  if (colon == std::string::npos || colon == 0) return Malformed(where);
  HostPort parts{where.substr(0, colon), where.substr(colon + 1)};
  if (parts.host.starts_with('[') && parts.host.ends_with(']')) {
    parts.host = parts.host.substr(1, parts.host.size() - 2);
  } else if (parts.host.find(':') != std::string::npos) {
    return Malformed(where);
  }
  const bool digits = parts.port.find_first_not_of("0123456789") == std::string::npos;
  if (parts.host.empty() || parts.port.empty() || parts.port.size() > kPortDigitsMax || !digits ||
      std::stoul(parts.port) > kPortMax) {
    return Malformed(where);
  }
  return parts;
}

// Civetweb does not say why it cannot listen, so the address is tried first. -> the numeric
// address.
Result<HostPort> Try(const std::string& where, const HostPort& wanted) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(wanted.host.c_str(), wanted.port.c_str(), &hints, &found);
      error != 0) {
    return Fail(Code::kInvalid, "no address '" + wanted.host + "': " + gai_strerror(error), kFlag);
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owned(found, freeaddrinfo);
  const runtime::Fd fd(socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;  // as civetweb does: what a former listener left in TIME_WAIT is no obstacle
  (void)setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (bind(fd.get(), found->ai_addr, found->ai_addrlen) != 0 || listen(fd.get(), 1) != 0) {
    const int error = errno;
    if (error == EADDRINUSE) {
      return Fail(Code::kConflict,
                  where + " is taken: end what listens there, or choose another port", kFlag);
    }
    auto failed = runtime::FailErrno(error, "listening on " + where);
    failed.error().field = kFlag;
    return failed;
  }
  std::array<char, NI_MAXHOST> host{};
  if (getnameinfo(found->ai_addr, found->ai_addrlen, host.data(), host.size(), nullptr, 0,
                  NI_NUMERICHOST) != 0) {
    return Malformed(where);
  }
  std::string text(host.data());
  if (text.find(':') != std::string::npos) text = '[' + text + ']';
  return HostPort{std::move(text), wanted.port};
}

prometheus::MetricType TypeOf(Kind kind) {
  switch (kind) {
    case Kind::kGauge:
      return prometheus::MetricType::Gauge;
    case Kind::kCounter:
      return prometheus::MetricType::Counter;
    case Kind::kHistogram:
      return prometheus::MetricType::Histogram;
  }
  return prometheus::MetricType::Untyped;
}

prometheus::ClientMetric ToPrometheus(const Series& series, Kind kind) {
  prometheus::ClientMetric metric;
  for (const auto& [name, value] : series.labels) metric.label.push_back({name, value});
  if (kind == Kind::kGauge) metric.gauge.value = series.value;
  if (kind == Kind::kCounter) metric.counter.value = series.value;
  for (const Histogram& histogram : series.histogram) {
    metric.histogram.sample_count = histogram.count();
    metric.histogram.sample_sum = histogram.sum();
    const auto counts = histogram.Cumulative();
    for (std::size_t i = 0; i < counts.size(); ++i) {
      metric.histogram.bucket.push_back({counts[i], histogram.bounds()[i]});
    }
  }
  return metric;
}

class Scraped final : public prometheus::Collectable {
 public:
  explicit Scraped(std::shared_ptr<Snapshot> snapshot) : snapshot_(std::move(snapshot)) {}

  [[nodiscard]] std::vector<prometheus::MetricFamily> Collect() const override {
    std::vector<prometheus::MetricFamily> families;
    for (const Family& family : snapshot_->Take()) {
      prometheus::MetricFamily to{family.name, family.help, TypeOf(family.kind), {}};
      for (const Series& series : family.series) {
        to.metric.push_back(ToPrometheus(series, family.kind));
      }
      families.push_back(std::move(to));
    }
    return families;
  }

 private:
  const std::shared_ptr<Snapshot> snapshot_;
};

class PrometheusListener final : public Listener {
 public:
  PrometheusListener(const HostPort& at, std::shared_ptr<Snapshot> snapshot)
      : host_(at.host),
        scraped_(std::make_shared<Scraped>(std::move(snapshot))),
        exposer_(at.host + ':' + at.port, kThreads) {
    exposer_.RegisterCollectable(scraped_);
  }

  [[nodiscard]] std::string address() const override {
    const auto ports = exposer_.GetListeningPorts();
    return host_ + ':' + std::to_string(ports.empty() ? 0 : ports.front());
  }

 private:
  const std::string host_;
  const std::shared_ptr<Scraped> scraped_;
  prometheus::Exposer exposer_;
};

}  // namespace

void Snapshot::Put(Families families) {
  {
    const std::lock_guard lock(mutex_);
    families_ = std::move(families);
    ++generation_;
  }
  put_.notify_all();
}

Families Snapshot::Take() {
  std::unique_lock lock(mutex_);
  const std::uint64_t before = generation_;
  lock.unlock();
  want_();
  lock.lock();
  put_.wait_for(lock, kSnapshotWaitMax, [&] { return closed_ || generation_ != before; });
  return families_;
}

void Snapshot::Close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  put_.notify_all();
}

Result<std::unique_ptr<Listener>> Listener::Open(const std::string& where,
                                                 std::shared_ptr<Snapshot> snapshot) {
  CUBE_TRY(const HostPort wanted, Split(where));
  CUBE_TRY(const HostPort at, Try(where, wanted));
  // Signals belong to the main thread; civetweb's inherit a full mask.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::unique_ptr<Listener> listener;
  std::string trouble;
  try {
    listener = std::make_unique<PrometheusListener>(at, std::move(snapshot));
  } catch (const std::exception& e) {  // the library's only way to say so
    trouble = e.what();
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (listener == nullptr) {
    return Fail(Code::kUnavailable, "cannot listen on " + where + ": " + trouble, kFlag);
  }
  return listener;
}

}  // namespace cube::telemetry
