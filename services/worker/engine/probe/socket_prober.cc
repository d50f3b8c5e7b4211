#include "services/worker/engine/probe/socket_prober.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "services/worker/engine/probe/http_answer.h"
#include "shared/runtime/os_error.h"

namespace cube::engine {
namespace {

constexpr std::uint64_t kWakeId = 0;
constexpr int kEventsMax = 64;  // of one wait; the rest comes with the next
constexpr std::size_t kReadBytes = 4096;
// What a server sends behind its status line is read and dropped, up to this.
constexpr std::size_t kDrainBytesMax = 64u << 10;
constexpr int kStatusMin = 200;
constexpr int kStatusMax = 399;

MonoTime MonoNow() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return MonoTime(std::chrono::duration_cast<Duration>(now));
}

struct Address {
  sockaddr_storage storage{};
  socklen_t length = 0;
};

bool ParseAddress(const std::string& host, std::uint16_t port, Address& address) {
  auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
  if (inet_pton(AF_INET, host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    address.length = sizeof(sockaddr_in);
    return true;
  }
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
  if (inet_pton(AF_INET6, host.c_str(), &v6->sin6_addr) != 1) return false;
  v6->sin6_family = AF_INET6;
  v6->sin6_port = htons(port);
  address.length = sizeof(sockaddr_in6);
  return true;
}

// The launch's doing, as opposed to this machine's.
bool IsOfTheOtherSide(int error) {
  switch (error) {
    case ECONNREFUSED:
    case ECONNRESET:
    case ECONNABORTED:
    case EPIPE:
    case ETIMEDOUT:
    case EHOSTUNREACH:
    case ENETUNREACH:
      return true;
    default:
      return false;
  }
}

std::string ErrorText(int error) {
  switch (error) {
    case ECONNREFUSED:
      return "connection refused";
    case ECONNRESET:
      return "connection reset";
    case EHOSTUNREACH:
    case ENETUNREACH:
      return "not reachable";
    default:
      break;
  }
  std::array<char, 128> buffer{};
  return strerror_r(error, buffer.data(), buffer.size());
}

}  // namespace

Result<std::unique_ptr<SocketProber>> SocketProber::Make(ProbeSink sink, std::size_t probes_max) {
  runtime::Fd epoll(epoll_create1(EPOLL_CLOEXEC));
  runtime::Fd wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!epoll.valid() || !wake.valid()) return runtime::FailErrno(errno, "making the prober");
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kWakeId;
  if (epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wake.get(), &event) != 0) {
    return runtime::FailErrno(errno, "making the prober");
  }
  return std::unique_ptr<SocketProber>(
      new SocketProber(std::move(sink), probes_max, std::move(epoll), std::move(wake)));
}

SocketProber::SocketProber(ProbeSink sink, std::size_t probes_max, runtime::Fd epoll,
                           runtime::Fd wake)
    : sink_(std::move(sink)),
      probes_max_(probes_max),
      epoll_(std::move(epoll)),
      wake_(std::move(wake)) {
  // Signals are for the main thread.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { Run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

SocketProber::~SocketProber() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto put = write(wake_.get(), &one, sizeof(one));
  thread_.join();
}

void SocketProber::Start(ProbeRequest request) {
  {
    const std::lock_guard lock(mutex_);
    posted_.push_back(std::move(request));
  }
  const std::uint64_t one = 1;
  // Fails only when the counter is full, and then the thread wakes anyway.
  [[maybe_unused]] const auto put = write(wake_.get(), &one, sizeof(one));
}

void SocketProber::Run() {
  std::array<epoll_event, kEventsMax> events{};
  for (;;) {
    const int count = epoll_wait(epoll_.get(), events.data(), kEventsMax, WaitMillis());
    for (int i = 0; i < count; ++i) {
      const std::uint64_t id = events[static_cast<std::size_t>(i)].data.u64;
      if (id != kWakeId) OnReady(id);
    }
    EndLate(MonoNow());
    if (!TakePosted()) return;
    BeginWaiting();
  }
}

int SocketProber::WaitMillis() const {
  if (deadlines_.empty()) return -1;
  const Duration left = deadlines_.begin()->first - MonoNow();
  const auto millis = std::chrono::ceil<std::chrono::milliseconds>(left).count();
  return static_cast<int>(std::clamp<std::int64_t>(millis, 0, 60'000));
}

bool SocketProber::TakePosted() {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto got = read(wake_.get(), &count, sizeof(count));
  std::vector<ProbeRequest> posted;
  {
    const std::lock_guard lock(mutex_);
    if (ending_) return false;
    posted.swap(posted_);
  }
  for (ProbeRequest& request : posted) Enqueue(std::move(request));
  return true;
}

void SocketProber::Enqueue(ProbeRequest request) {
  // Who asks again has given the older one up; it must not take a turn of its own.
  const auto older = std::find_if(waiting_.begin(), waiting_.end(),
                                  [&](const ProbeRequest& r) { return r.key == request.key; });
  if (older == waiting_.end()) return waiting_.push_back(std::move(request));
  Active given_up;
  given_up.request = std::exchange(*older, std::move(request));
  Answer(given_up, Outcome::kUnknown, "it had no turn before the next one");
}

void SocketProber::BeginWaiting() {
  while (!waiting_.empty() && active_.size() < probes_max_) {
    ProbeRequest request = std::move(waiting_.front());
    waiting_.pop_front();
    Begin(std::move(request));
  }
}

void SocketProber::Begin(ProbeRequest request) {
  Active active;
  active.request = std::move(request);
  const ProbeRequest& asked = active.request;
  Address address;
  if (asked.host.empty()) {
    return Answer(active, Outcome::kUnknown,
                  "the container has no address and does not publish this port");
  }
  if (asked.kind == HealthCheck::Kind::kCommand || !ParseAddress(asked.host, asked.port, address)) {
    return Answer(active, Outcome::kUnknown, "'" + asked.host + "' is no address to check");
  }
  active.socket =
      runtime::Fd(socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!active.socket.valid()) return Answer(active, Outcome::kUnknown, ErrorText(errno));
  active.deadline = MonoNow() + asked.timeout;
  const int done =
      connect(active.socket.get(), reinterpret_cast<sockaddr*>(&address.storage), address.length);
  const int error = done == 0 ? 0 : errno;
  if (error != 0 && error != EINPROGRESS) {
    return Answer(active, IsOfTheOtherSide(error) ? Outcome::kFailed : Outcome::kUnknown,
                  ErrorText(error));
  }
  if (asked.kind == HealthCheck::Kind::kHttp) {
    active.to_send = probe::HttpRequest(asked.host, asked.port, asked.path);
  }
  const std::uint64_t id = next_id_++;
  deadlines_.insert({active.deadline, id});
  const auto it = active_.emplace(id, std::move(active)).first;
  Watch(it, EPOLLOUT, true);
}

void SocketProber::Watch(ActiveMap::iterator it, std::uint32_t events, bool first) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = it->first;
  const int operation = first ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
  if (epoll_ctl(epoll_.get(), operation, it->second.socket.get(), &event) == 0) return;
  Answer(it->second, Outcome::kUnknown, ErrorText(errno));
  Forget(it);
}

void SocketProber::OnReady(std::uint64_t id) {
  const auto it = active_.find(id);
  if (it == active_.end()) return;
  Active& active = it->second;
  if (!active.connected) return OnConnected(it);
  if (!active.to_send.empty()) {
    if (Send(it) && active.to_send.empty()) Watch(it, EPOLLIN, false);
    return;
  }
  Receive(it);
}

void SocketProber::OnConnected(ActiveMap::iterator it) {
  Active& active = it->second;
  int error = 0;
  socklen_t length = sizeof(error);
  if (getsockopt(active.socket.get(), SOL_SOCKET, SO_ERROR, &error, &length) != 0) error = errno;
  if (error != 0) {
    Answer(active, IsOfTheOtherSide(error) ? Outcome::kFailed : Outcome::kUnknown,
           ErrorText(error));
    return Forget(it);
  }
  active.connected = true;
  if (active.request.kind == HealthCheck::Kind::kTcp) {
    Answer(active, Outcome::kPassed, {});
    return Forget(it);
  }
  if (Send(it) && active.to_send.empty()) Watch(it, EPOLLIN, false);
}

// -> false if the check is over.
bool SocketProber::Send(ActiveMap::iterator it) {
  Active& active = it->second;
  const auto sent =
      send(active.socket.get(), active.to_send.data(), active.to_send.size(), MSG_NOSIGNAL);
  if (sent >= 0) {
    active.to_send.erase(0, static_cast<std::size_t>(sent));
    return true;
  }
  if (errno == EAGAIN || errno == EINTR) return true;
  Answer(active, Outcome::kFailed, ErrorText(errno));
  Forget(it);
  return false;
}

void SocketProber::Receive(ActiveMap::iterator it) {
  Active& active = it->second;
  std::array<char, kReadBytes> buffer{};
  const auto got = recv(active.socket.get(), buffer.data(), buffer.size(), 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) {
    if (!active.answered) {
      Answer(active, Outcome::kFailed, got < 0 ? ErrorText(errno) : "closed without an answer");
    }
    return Forget(it);
  }
  if (active.answered) {
    active.drained += static_cast<std::size_t>(got);
    if (active.drained >= kDrainBytesMax) Forget(it);
    return;
  }
  active.received.append(buffer.data(), static_cast<std::size_t>(got));
  const probe::HttpAnswer answer = probe::ReadStatusLine(active.received);
  if (!answer.complete) return;
  active.received.clear();
  if (!answer.status) {
    Answer(active, Outcome::kFailed, "the answer is not HTTP");
    return Forget(it);
  }
  const bool good = *answer.status >= kStatusMin && *answer.status <= kStatusMax;
  Answer(active, good ? Outcome::kPassed : Outcome::kFailed, std::to_string(*answer.status));
}

void SocketProber::EndLate(MonoTime now) {
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    const auto it = active_.find(deadlines_.begin()->second);
    Active& active = it->second;
    if (!active.answered) {
      Answer(active, Outcome::kFailed,
             (active.connected ? "no answer within " : "no connection within ") +
                 FormatDuration(active.request.timeout));
    }
    Forget(it);
  }
}

void SocketProber::Answer(Active& active, Outcome outcome, std::string what) {
  active.answered = true;
  ProbeResult result;
  result.id = active.request.id;
  result.key = active.request.key;
  result.outcome = outcome;
  if (outcome != Outcome::kPassed) {
    const ProbeRequest& asked = active.request;
    result.detail = asked.kind == HealthCheck::Kind::kHttp
                        ? fmt::format("GET {}: {}", asked.path, what)
                        : fmt::format("tcp port {}: {}", asked.port, what);
    if (result.detail.size() > kProbeDetailMax) {
      // The end says what went wrong.
      result.detail = "..." + result.detail.substr(result.detail.size() - kProbeDetailMax + 3);
    }
  }
  sink_(std::move(result));
}

void SocketProber::Forget(ActiveMap::iterator it) {
  deadlines_.erase({it->second.deadline, it->first});
  active_.erase(it);  // closes the socket, which ends its watch
}

}  // namespace cube::engine
