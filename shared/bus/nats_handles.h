// RAII for the handles of the NATS C client, and what its types are in ours.
#pragma once

#include <nats/nats.h>

#include <memory>
#include <string>
#include <string_view>

#include "shared/bus/bus.h"

namespace cube::bus {

struct NatsMsgDeleter {
  void operator()(natsMsg* m) const noexcept { natsMsg_Destroy(m); }
};
struct NatsOptionsDeleter {
  void operator()(natsOptions* o) const noexcept { natsOptions_Destroy(o); }
};
using NatsMsgPtr = std::unique_ptr<natsMsg, NatsMsgDeleter>;
using NatsOptionsPtr = std::unique_ptr<natsOptions, NatsOptionsDeleter>;

// A message as it came, with the status line that the server's own messages carry.
struct Incoming {
  std::string subject;
  std::string reply;
  Headers headers;  // without the status
  std::string payload;
  int status = 0;  // 0 = an ordinary message; 100, 404, 408, 409, 503...
  std::string status_text;
};

[[nodiscard]] Incoming TakeMessage(natsMsg* message);
// True for the server's "nobody listens" without decoding anything else.
[[nodiscard]] bool NoResponders(natsMsg* message);
[[nodiscard]] inline std::string_view PayloadOf(const natsMsg* message) {
  return {natsMsg_GetData(message), static_cast<std::size_t>(natsMsg_GetDataLength(message))};
}

// Bytes of a message as max_payload counts them.
[[nodiscard]] std::size_t ContentBytes(const Headers& headers, std::string_view payload);

}  // namespace cube::bus
