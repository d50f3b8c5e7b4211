// What is behind NatsBus: two connections (control: everything but the data of readers; bulk:
// that), what is in flight on them, and the two threads that keep them going. Private to
// shared/bus.
//
// One mutex guards all state; events are handed to the sink under it, so their order is the order
// of what they tell. What is to be sent is collected under the mutex and sent after it is released,
// since sending can block. Threads of the C client call in through MessageTarget.
#pragma once

#include <array>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "shared/base/random.h"
#include "shared/base/time.h"
#include "shared/bus/append_window.h"
#include "shared/bus/bus.h"
#include "shared/bus/nats_handles.h"
#include "shared/bus/nats_link.h"
#include "shared/bus/nats_options.h"
#include "shared/bus/nats_reader.h"
#include "shared/runtime/clock.h"

namespace cube::bus {

class NatsCore : public std::enable_shared_from_this<NatsCore> {
 public:
  NatsCore(NatsBusOptions options, Sink sink);

  void Start();
  // No event after this. Returns within kStopWait even if a connect is stuck; what is left ends by
  // itself, and holds its own reference.
  void Stop();

  void EnsureStreams(OpId op, std::vector<StreamConfig> configs);
  void Append(AppendRequest request);
  void Publish(std::string subject, Headers headers, std::string payload);
  void PublishWithReply(std::string subject, std::string reply_to, std::string payload);
  void Request(OpId op, std::string subject, Headers headers, std::string payload,
               Duration timeout);
  void Subscribe(SubId id, std::string subject, std::string queue_group);
  void Unsubscribe(SubId id);
  void OpenReader(SubId id, std::string stream, std::uint64_t from_seq);
  void Pull(SubId id, std::uint32_t messages);
  void CloseReader(SubId id);
  void Get(OpId op, std::string stream, std::uint64_t seq);
  void GetLast(OpId op, std::string stream, std::string subject);
  void GetState(OpId op, std::string stream);
  void Purge(OpId op, std::string stream, std::uint64_t up_to_seq);
  [[nodiscard]] std::uint64_t publishes_refused();

 private:
  enum Role : std::size_t { kControl = 0, kBulk = 1, kRoles = 2 };
  class Locked;
  struct Target;
  struct EnsureJob;

  struct Outgoing {
    Role role = kControl;
    std::string subject;
    std::string reply;
    Headers headers;
    std::string payload;
    std::uint64_t append = 0;   // token to fail if it cannot be sent
    std::uint64_t request = 0;  // the same
  };
  using OnAnswer = std::function<void(Result<Incoming>&&)>;  // called under the mutex
  struct PendingRequest {
    MonoTime deadline;
    Code if_lost = Code::kUnavailable;
    OnAnswer done;
  };
  struct Subscription {
    std::string subject;
    std::string queue_group;
    std::uint64_t generation = 0;
    natsSubscription* handle = nullptr;  // on the control link of now
  };

  // ---- connecting (nats_core_connect.cc) ----
  void ConnectLoop();
  bool ConnectMissing(std::unique_lock<std::mutex>& lock);
  bool CheckOptions();
  void OnConnectFailed(const Error& error);
  void Install(Role role, std::shared_ptr<NatsLink> link);
  void SubscribeNow(SubId id, Subscription& subscription);
  void ComeUp(const std::string& version);
  void OnClosed(Role role, std::uint64_t number, const Error& reason);
  void GoDown(const std::string& reason);
  void CloseAll(std::unique_lock<std::mutex>& lock);
  void TimerLoop();

  // ---- in flight (nats_core.cc) ----
  void Emit(Event event);
  void Due(MonoTime deadline);  // the timer must look at that time
  [[nodiscard]] MonoTime NextDeadline() const;
  void RunTimers(MonoTime now);
  void SendFailed(const Outgoing& out, const Error& error);
  void Ask(std::string subject, Headers headers, std::string payload, Duration timeout,
           Code if_lost, OnAnswer done);
  // A request of JetStream's API; done gets the answer's JSON, or why there is none.
  void Api(const std::string& what, std::string body,
           std::function<void(Result<std::string>&&)> done, Code if_lost = Code::kUnavailable);
  void FinishRequest(std::uint64_t token, Result<Incoming>&& answer);
  void FailOp(OpId op, Error error);
  // `direct` is what follows "$JS.API.DIRECT.GET.", `body` the question in the slower form.
  void GetBy(OpId op, std::string stream, std::string direct, std::string body);
  [[nodiscard]] std::optional<Error> Unfit(std::string_view what, const std::string& subject,
                                           bool subject_fits, const Headers& headers,
                                           const std::string& payload) const;

  // ---- streams and readers (nats_core_streams.cc) ----
  void EnsureNext(const std::shared_ptr<EnsureJob>& job);
  void EnsureCompare(const std::shared_ptr<EnsureJob>& job, const StreamAnswer& answer);
  // The stream is as it should be: the next one.
  void EnsureDone(const std::shared_ptr<EnsureJob>& job);
  void EnsureApply(const std::shared_ptr<EnsureJob>& job, const std::string& verb,
                   std::string body);
  // Where JetStream is another account's. `refusal`: what the server has said instead.
  void GetStateElsewhere(OpId op, const std::string& stream, std::string refusal);
  void EndGetState(OpId op, const std::string& stream, Result<std::string>&& json);
  // done gets what the server says of a stream, once that is made.
  void StreamInfo(const std::string& stream, std::function<void(Result<std::string>&&)> done,
                  int asked = 0);
  // Calls next with what a stream is now, or ends the operation.
  void LookAt(OpId op, const std::string& stream, const std::string& what,
              std::function<void(StreamAnswer&)> next);
  // A request that changes a stream -> Done, or the operation fails.
  void Change(OpId op, const std::string& request, std::string body, const std::string& what);
  void Carry(SubId id, ReaderActions actions);
  void AskStream(SubId id);
  void MakeConsumer(SubId id, const ConsumerSpec& spec);

  // ---- from the C client's threads ----
  void OnInbox(natsMsg* message);
  void OnAck(std::uint64_t token, natsMsg* message);
  void OnSubscription(SubId id, std::uint64_t generation, natsMsg* message);
  void OnReaderMessage(natsMsg* message);

  const NatsBusOptions options_;
  const SystemClock clock_;
  std::string inbox_;  // "_INBOX.<random>."

  std::mutex mutex_;
  Sink sink_;
  bool stopping_ = false;
  bool closed_ = false;  // Closed was told
  bool up_ = false;
  bool told_down_ = false;
  bool was_up_ = false;
  std::int64_t max_payload_ = 0;
  std::array<std::shared_ptr<NatsLink>, kRoles> links_;
  std::array<std::uint64_t, kRoles> link_numbers_{};
  std::uint64_t link_last_ = 0;
  std::vector<std::shared_ptr<NatsLink>> dead_links_;
  int refusals_ = 0;  // of our credentials, in a row
  std::condition_variable connect_wake_;
  std::condition_variable timer_wake_;
  std::condition_variable done_wake_;
  MonoTime timer_due_ = MonoTime::max();
  std::thread connect_thread_;
  std::thread timer_thread_;
  int threads_done_ = 0;

  std::vector<Outgoing> outbox_;
  AppendWindow appends_;
  std::uint64_t request_last_ = 0;
  std::map<std::uint64_t, PendingRequest> requests_;
  std::set<std::pair<MonoTime, std::uint64_t>> request_deadlines_;
  std::map<SubId, Subscription> subscriptions_;
  std::uint64_t generation_last_ = 0;
  std::map<std::uint64_t, natsSubscription*> ended_subscriptions_;  // by barrier token
  std::map<SubId, NatsReader> readers_;
  std::map<std::string, SubId, std::less<>> reader_tags_;  // consumer prefix -> reader
  std::uint64_t reader_last_ = 0;
  std::uint64_t publishes_refused_ = 0;
  Random random_;
};

// Holds the mutex; sends what was collected after it is released.
class NatsCore::Locked {
 public:
  explicit Locked(NatsCore& core) : core_(core), lock_(core.mutex_) {}
  ~Locked();
  Locked(const Locked&) = delete;
  Locked& operator=(const Locked&) = delete;

 private:
  NatsCore& core_;
  std::unique_lock<std::mutex> lock_;
};

// Where a subscription's messages go. Holds the core, so it is there as long as its thread.
struct NatsCore::Target final : MessageTarget {
  enum class Kind : std::uint8_t { kInbox, kSubscription, kReaders };
  Target(std::shared_ptr<NatsCore> c, Kind k, SubId i, std::uint64_t g)
      : core(std::move(c)), kind(k), id(i), generation(g) {}
  void OnMessage(natsMsg* message) noexcept override;

  const std::shared_ptr<NatsCore> core;
  const Kind kind;
  const SubId id;
  const std::uint64_t generation;
};

}  // namespace cube::bus
