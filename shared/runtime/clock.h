// The Clock port: loops and adapters ask it what time it is; tests give them a clock of their own.
#pragma once

#include <chrono>

#include "shared/base/time.h"

namespace cube {

class Clock {
 public:
  virtual ~Clock() = default;
  // Both clocks, read together. Any thread.
  [[nodiscard]] virtual Now now() const = 0;
};

// The machine's clocks. MonoTime is std::chrono::steady_clock (CLOCK_MONOTONIC on Linux).
class SystemClock final : public Clock {
 public:
  [[nodiscard]] Now now() const override;
};

// A MonoTime as the standard library's clock, for waiting with a deadline.
[[nodiscard]] std::chrono::steady_clock::time_point ToSteady(MonoTime t);

}  // namespace cube
