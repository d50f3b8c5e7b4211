// One connection of the NATS C client, from its connect to its close. It never reconnects: NatsCore
// makes a new one, so that nothing of an old connection can be mistaken for the new one's.
#pragma once

#include <nats/nats.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "shared/base/error.h"
#include "shared/bus/bus.h"
#include "shared/bus/nats_options.h"

namespace cube::bus {

// Gets the messages of a subscription, on a thread of the C client. Kept alive by the subscription
// until its thread has ended.
class MessageTarget {
 public:
  virtual ~MessageTarget() = default;
  // The message is the callee's for the time of the call.
  virtual void OnMessage(natsMsg* message) noexcept = 0;
};

class NatsLink {
 public:
  // Called once, from a thread of the C client, when the connection is gone.
  using ClosedFn = std::function<void(Error reason)>;

  // Blocks for connect_timeout a server at most. kPermission: the server refuses who we are;
  // kPrecondition, kInvalid: settings do not fit; else kUnavailable.
  [[nodiscard]] static Result<std::shared_ptr<NatsLink>> Open(const NatsBusOptions& options,
                                                              const std::string& name,
                                                              ClosedFn closed);
  // Close must have been called, or the connection have closed itself.
  ~NatsLink();
  NatsLink(const NatsLink&) = delete;
  NatsLink& operator=(const NatsLink&) = delete;

  // What is sent has left the process's buffers when this returns. Any thread; blocks if the peer
  // takes nothing, kWriteDeadline at most. kUnavailable: not sent; kTimedOut: perhaps in part, and
  // the connection is beyond use.
  [[nodiscard]] Result<void> Send(const std::string& subject, const std::string& reply,
                                  const Headers& headers, const std::string& payload);

  // The subscription's handle. unlimited: never drops for want of room (else the C client's
  // limits hold: 65,536 messages or 64 MiB waiting).
  [[nodiscard]] Result<natsSubscription*> Subscribe(const std::string& subject,
                                                    const std::string& queue_group,
                                                    std::shared_ptr<MessageTarget> target,
                                                    bool unlimited);
  // Ends it. The handle must live on until the connection's reader has read past it: call Release
  // after a message has come that was sent after this call; the rest is released by Close.
  void Unsubscribe(natsSubscription* subscription);
  void Release(natsSubscription* subscription);

  // Everything sent has reached the server. False if not within the time.
  [[nodiscard]] bool Flush(Duration timeout);
  // Flushes for a short time, closes, joins the reader. Idempotent. Not from a callback.
  void Close();

  [[nodiscard]] std::int64_t max_payload() const { return max_payload_; }
  [[nodiscard]] std::string url() const { return url_; }
  // The last thing the server did not permit, for error texts; empty if nothing.
  [[nodiscard]] std::string LastRefusal() const;

 private:
  struct State;
  NatsLink(natsConnection* connection, std::shared_ptr<State> state);
  static Result<void> Configure(natsOptions* options, const NatsBusOptions& from,
                                const std::string& name, void* closure);

  natsConnection* const connection_;
  const std::shared_ptr<State> state_;
  std::int64_t max_payload_ = 0;
  std::string url_;
};

// True if the options ask for TLS; the C client of this machine may not be fit for it.
[[nodiscard]] bool WantsTls(const NatsBusOptions& options);
[[nodiscard]] bool TlsIsSafe();

}  // namespace cube::bus
