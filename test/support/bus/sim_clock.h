// A clock that stands still until a test moves it.
#pragma once

#include "shared/base/check.h"
#include "shared/base/time.h"
#include "shared/runtime/clock.h"

namespace cube {

class SimClock final : public Clock {
 public:
  SimClock() = default;
  [[nodiscard]] Now now() const override { return now_; }

  // Both clocks move on by d >= 0.
  void Advance(Duration d) {
    CUBE_CHECK(d >= Duration{0});
    now_.mono += d;
    now_.wall += d;
  }
  // Does nothing if t has passed already.
  void AdvanceTo(MonoTime t) {
    if (t > now_.mono) Advance(t - now_.mono);
  }
  // Somebody sets the clock: the wall clock jumps, the monotonic one does not.
  void JumpWall(Duration d) { now_.wall += d; }

 private:
  // 2026-01-01T00:00:00Z, and a machine that has been up for an hour.
  Now now_{MonoTime(std::chrono::hours(1)), WallFromNanos(1'767'225'600'000'000'000)};
};

}  // namespace cube
