// What a server takes from one client that does nothing else: the limit beside every figure.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "shared/base/error.h"
#include "shared/bus/nats_bus.h"
#include "shared/runtime/clock.h"
#include "shared/runtime/inbox.h"

namespace cube::bench {

// A decision, a fact or a submission with its specification shared is about so large.
inline constexpr std::size_t kEventBytes = 200;
inline constexpr std::size_t kPackedBytes = 16u << 10;
inline constexpr std::uint64_t kWindow = 1024;  // messages in flight where nothing is fenced

struct Load {
  std::size_t bytes = kEventBytes;  // of each message
  std::uint64_t window = kWindow;   // messages in flight; 1 = fenced by the expected sequence
  std::uint64_t count = 0;          // messages; 0 = as many as fit into `time`
  Duration time{0};
};
struct Rate {
  std::uint64_t messages = 0;
  double seconds = 0;
  [[nodiscard]] double per_second() const {
    return seconds > 0 ? static_cast<double>(messages) / seconds : 0;
  }
};

// One stream of its own on the server.
class Meter {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Meter>> Open(const std::string& url);

  [[nodiscard]] Result<Rate> Append(const Load& load);
  // Reads what the last Append has stored.
  [[nodiscard]] Result<Rate> ReadBack();

 private:
  explicit Meter(const std::string& url);
  // Takes what has arrived; fails if nothing comes for a long time, or an operation has failed.
  [[nodiscard]] Result<void> Take();

  const SystemClock clock_;
  Inbox<bus::Event> inbox_;
  std::vector<bus::Event> events_;
  std::uint64_t op_ = 0;
  std::uint64_t reader_ = 0;
  std::uint64_t first_ = 1;  // of the last Append
  std::uint64_t last_ = 0;
  bus::NatsBus bus_;
};

}  // namespace cube::bench
