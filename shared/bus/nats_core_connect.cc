// NatsCore: connecting, losing the connection, and starting and stopping.
#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <utility>

#include "shared/bus/nats_core.h"
#include "shared/bus/nats_probe.h"

namespace cube::bus {
namespace {

constexpr Duration kPauseMin = std::chrono::milliseconds(100);
constexpr Duration kPauseMax = std::chrono::seconds(5);
// C clients before 3.8 sign wrongly once in 256 connects, so one refusal proves nothing.
constexpr int kRefusalsMax = 3;
// Subscriptions are in place when the server has answered this.
constexpr Duration kSubscribeFlush = std::chrono::seconds(2);
constexpr Duration kStopWait = std::chrono::milliseconds(1'500);

constexpr int kThreads = 2;

bool Readable(const std::string& file) { return std::ifstream(file).good(); }

}  // namespace

void NatsCore::Start() {
  auto self = shared_from_this();
  const std::lock_guard lock(mutex_);
  connect_thread_ = std::thread([self] { self->ConnectLoop(); });
  timer_thread_ = std::thread([self] { self->TimerLoop(); });
}

void NatsCore::Stop() {
  bool done = false;
  {
    std::unique_lock lock(mutex_);
    stopping_ = true;
    sink_ = nullptr;
    connect_wake_.notify_all();
    timer_wake_.notify_all();
    done = done_wake_.wait_for(lock, kStopWait, [this] { return threads_done_ == kThreads; });
  }
  for (std::thread* thread : {&connect_thread_, &timer_thread_}) {
    if (done) {
      thread->join();
    } else {
      thread->detach();
    }
  }
}

// What no repetition can mend. True if all is well.
bool NatsCore::CheckOptions() {
  std::optional<Error> error;
  if (WantsTls(options_) && !TlsIsSafe() && !options_.allow_unsafe_tls) {
    error =
        Error{Code::kUnsupported,
              fmt::format("TLS with NATS C client {} is not safe (fixed in 3.11): use a newer "
                          "libnats, or a leaf node on this machine that speaks TLS, or allow it "
                          "explicitly",
                          nats_GetVersion()),
              {}};
  }
  const std::array<std::pair<const char*, const std::string*>, 5> files{{
      {"creds_file", &options_.creds_file},
      {"nkey_seed_file", &options_.nkey_seed_file},
      {"tls_ca_file", &options_.tls_ca_file},
      {"tls_cert_file", &options_.tls_cert_file},
      {"tls_key_file", &options_.tls_key_file},
  }};
  for (const auto& [field, file] : files) {
    if (!error && !file->empty() && !Readable(*file)) {
      error = Error{Code::kInvalid, fmt::format("{} cannot be read", *file), field};
    }
  }
  if (!error) return true;
  const Locked locked(*this);
  closed_ = true;
  Emit(Closed{std::move(*error)});
  return false;
}

void NatsCore::ConnectLoop() {
  const bool fit = CheckOptions();
  std::unique_lock lock(mutex_);
  Duration pause{0};
  while (!stopping_) {
    // Closed links are joined and released here, on this thread only.
    std::vector<std::shared_ptr<NatsLink>> dead;
    dead.swap(dead_links_);
    if (!dead.empty()) {
      lock.unlock();
      for (const auto& link : dead) link->Close();
      dead.clear();
      lock.lock();
      continue;
    }
    if (!fit || closed_ || up_) {
      pause = Duration{0};
      connect_wake_.wait(lock);
      continue;
    }
    if (ConnectMissing(lock) || closed_) continue;
    pause = std::clamp(pause * 2, kPauseMin, kPauseMax);
    const auto spread = static_cast<std::uint64_t>((pause / 2).count());
    const Duration wait = pause * 3 / 4 + Duration(random_.Below(spread));
    connect_wake_.wait_for(lock, wait, [this] { return stopping_; });
  }
  CloseAll(lock);
  ++threads_done_;
  done_wake_.notify_all();
}

// One attempt at each connection that is missing. True if both stand now.
bool NatsCore::ConnectMissing(std::unique_lock<std::mutex>& lock) {
  for (const Role role : {kControl, kBulk}) {
    if (links_[role] || stopping_) continue;
    const std::uint64_t number = ++link_last_;
    link_numbers_[role] = number;
    lock.unlock();
    std::weak_ptr<NatsCore> weak = weak_from_this();
    auto link = NatsLink::Open(options_, options_.name + (role == kControl ? "" : " (bulk)"),
                               [weak, role, number](const Error& reason) {
                                 if (auto core = weak.lock()) core->OnClosed(role, number, reason);
                               });
    if (!link) {
      const Locked locked(*this);
      OnConnectFailed(link.error());
    }
    lock.lock();
    if (!link) return false;
    Install(role, std::move(*link));
  }
  const auto links = links_;
  lock.unlock();
  bool flushed = true;
  for (const auto& link : links) flushed = flushed && link && link->Flush(kSubscribeFlush);
  const std::string version =
      flushed ? ProbeServer(links[kControl]->url(), options_.connect_timeout).version
              : std::string();
  {
    const Locked locked(*this);
    if (flushed && !stopping_ && links == links_) ComeUp(version);
  }
  lock.lock();
  return up_;
}

void NatsCore::OnConnectFailed(const Error& error) {
  const bool refused = error.code == Code::kPermission;
  refusals_ = refused ? refusals_ + 1 : 0;
  if (!told_down_) {
    told_down_ = true;
    Emit(Disconnected{error.Text()});
  }
  const bool final = error.code == Code::kInvalid || error.code == Code::kPrecondition ||
                     error.code == Code::kUnsupported || refusals_ >= kRefusalsMax;
  if (!final) return;
  closed_ = true;
  Emit(Closed{error});
}

void NatsCore::Install(Role role, std::shared_ptr<NatsLink> link) {
  links_[role] = std::move(link);
  const bool control = role == kControl;
  const auto kind = control ? Target::Kind::kInbox : Target::Kind::kReaders;
  const auto subscribed =
      links_[role]->Subscribe(inbox_ + (control ? ">" : "r.>"), "",
                              std::make_shared<Target>(shared_from_this(), kind, 0, 0), true);
  if (!subscribed || !control) return;  // a link that closed again says so itself
  ended_subscriptions_.clear();         // they went with the old link
  for (auto& [id, subscription] : subscriptions_) {
    subscription.handle = nullptr;
    SubscribeNow(id, subscription);
  }
}

void NatsCore::SubscribeNow(SubId id, Subscription& subscription) {
  if (!links_[kControl]) return;
  const auto handle = links_[kControl]->Subscribe(
      subscription.subject, subscription.queue_group,
      std::make_shared<Target>(shared_from_this(), Target::Kind::kSubscription, id,
                               subscription.generation),
      false);
  subscription.handle = handle ? *handle : nullptr;
}

void NatsCore::ComeUp(const std::string& version) {
  up_ = true;
  refusals_ = 0;
  told_down_ = false;
  max_payload_ = links_[kControl]->max_payload();
  const bool first = !was_up_;
  was_up_ = true;
  Emit(Connected{version, max_payload_, first});
  std::vector<SubId> ids;
  for (const auto& [id, reader] : readers_) ids.push_back(id);
  for (const SubId id : ids) {
    ReaderActions actions;
    readers_.at(id).Up(clock_.now().mono, actions);
    Carry(id, std::move(actions));
  }
}

void NatsCore::OnClosed(Role role, std::uint64_t number, const Error& reason) {
  const Locked locked(*this);
  if (link_numbers_[role] != number) return;
  link_numbers_[role] = 0;
  if (links_[role]) dead_links_.push_back(std::move(links_[role]));
  links_[role] = nullptr;
  GoDown(reason.message);
  connect_wake_.notify_one();
}

void NatsCore::GoDown(const std::string& reason) {
  if (!up_) return;
  up_ = false;
  outbox_.clear();  // what it holds belongs to operations that end here
  told_down_ = true;
  Emit(Disconnected{reason});
  for (auto& ended : appends_.TakeAll()) {
    Emit(AppendFailed{ended.op,
                      Error{Code::kTimedOut,
                            fmt::format("append to {}: the connection was lost before the "
                                        "acknowledgement, it may be stored or not: read the stream",
                                        ended.subject),
                            {}}});
  }
  for (auto& [id, reader] : readers_) reader.Down();
  std::map<std::uint64_t, PendingRequest> lost;
  lost.swap(requests_);
  request_deadlines_.clear();
  for (auto& [token, request] : lost) {
    request.done(Fail(request.if_lost, "the connection to NATS was lost before the answer"));
  }
}

// Only at the end: the sink is gone, nobody is told anything.
void NatsCore::CloseAll(std::unique_lock<std::mutex>& lock) {
  std::vector<std::shared_ptr<NatsLink>> links;
  links.swap(dead_links_);
  for (auto& link : links_) {
    if (link) links.push_back(std::move(link));
    link = nullptr;
  }
  link_numbers_.fill(0);
  up_ = false;
  std::map<std::uint64_t, PendingRequest> forgotten;
  forgotten.swap(requests_);
  request_deadlines_.clear();
  lock.unlock();
  for (const auto& link : links) link->Close();
  links.clear();
  forgotten.clear();
  lock.lock();
}

// ---- subscriptions --------------------------------------------------------------------------

void NatsCore::Subscribe(SubId id, std::string subject, std::string queue_group) {
  Unsubscribe(id);
  const Locked locked(*this);
  Subscription& subscription = subscriptions_[id];
  subscription.subject = std::move(subject);
  subscription.queue_group = std::move(queue_group);
  subscription.generation = ++generation_last_;
  SubscribeNow(id, subscription);
}

// The C client (before 3.6.1) may still be putting a message into a subscription that is freed. So
// it is freed only when a message of our own has come that was sent after the end of it.
void NatsCore::Unsubscribe(SubId id) {
  const Locked locked(*this);
  auto node = subscriptions_.extract(id);
  if (node.empty() || node.mapped().handle == nullptr || !links_[kControl]) return;
  links_[kControl]->Unsubscribe(node.mapped().handle);
  const std::uint64_t token = ++generation_last_;
  ended_subscriptions_[token] = node.mapped().handle;
  outbox_.push_back({kControl, fmt::format("{}b.{}", inbox_, token), {}, {}, {}});
}

}  // namespace cube::bus
