// BlockingBus: a Bus for programs that do one thing after the other (the CLI, scripts, tests).
// Calls start an operation and wait for its end; messages and reads wait in a queue for Next.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "shared/base/error.h"
#include "shared/base/time.h"
#include "shared/bus/bus.h"
#include "shared/runtime/clock.h"
#include "shared/runtime/inbox.h"

namespace cube::bus {

// Messages that wait for the program; more are dropped, as core NATS does.
inline constexpr std::size_t kBlockingInboxMax = 65'536;

// One thread. Deadlines are of the clock given; a call that runs into one leaves its operation to
// itself (its late end is dropped).
class BlockingBus {
 public:
  using Factory = std::function<std::unique_ptr<Bus>(Sink)>;
  // The clock must outlive it.
  BlockingBus(const Clock& clock, const Factory& make);
  ~BlockingBus();
  BlockingBus(const BlockingBus&) = delete;
  BlockingBus& operator=(const BlockingBus&) = delete;

  // Waits until connected. kPermission, kInvalid...: it never will be; kUnavailable: not in time
  // (or interrupted), and why.
  [[nodiscard]] Result<Connected> Connect(MonoTime deadline);

  // request.op is chosen here. Waits for request.timeout.
  [[nodiscard]] Result<Appended> Append(AppendRequest request);
  // Starts it and gives its op; its end comes from Next, so that many can be in flight.
  OpId StartAppend(AppendRequest request);
  [[nodiscard]] Result<Replied> Request(std::string subject, Headers headers, std::string payload,
                                        Duration timeout);
  // nullopt = no such message.
  [[nodiscard]] Result<std::optional<StreamMessage>> Get(std::string stream, std::uint64_t seq);
  [[nodiscard]] Result<std::optional<StreamMessage>> GetLast(std::string stream,
                                                             std::string subject);
  [[nodiscard]] Result<StreamState> GetState(std::string stream);
  [[nodiscard]] Result<void> EnsureStreams(std::vector<StreamConfig> configs);

  // The next event that no call above waited for: Message, Read, ReadFailed, ends of StartAppend,
  // Connected, Disconnected, Closed. nullopt: none until the deadline, or Interrupt was called.
  [[nodiscard]] std::optional<Event> Next(MonoTime deadline);
  // Ends the wait of Connect or Next (of now, or the next one). Any thread.
  void Interrupt() { inbox_->Wake(); }

  // For what has no end to wait for: Publish, Subscribe, OpenReader, Pull...
  Bus* operator->() { return bus_.get(); }

 private:
  // Waits for the end of op; other events go to the queue.
  template <class T>
  Result<T> End(OpId op, MonoTime deadline);
  std::optional<Event> TakeOne(MonoTime deadline);
  [[nodiscard]] MonoTime In(Duration wait) const { return clock_.now().mono + wait; }

  const Clock& clock_;
  std::shared_ptr<Inbox<Event>> inbox_;  // also the sink's
  std::unique_ptr<Bus> bus_;
  std::deque<Event> arrived_;  // taken out of the inbox, not looked at yet
  std::deque<Event> queue_;    // for Next
  std::set<OpId> for_next_;    // of StartAppend
  bool interrupted_ = false;
  OpId op_last_ = 0;
};

}  // namespace cube::bus
