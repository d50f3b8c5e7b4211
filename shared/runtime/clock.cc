#include "shared/runtime/clock.h"

namespace cube {

Now SystemClock::now() const {
  const auto mono = std::chrono::steady_clock::now().time_since_epoch();
  const auto wall = std::chrono::system_clock::now().time_since_epoch();
  return Now{MonoTime(std::chrono::duration_cast<Duration>(mono)),
             WallTime(std::chrono::duration_cast<Duration>(wall))};
}

std::chrono::steady_clock::time_point ToSteady(MonoTime t) {
  return std::chrono::steady_clock::time_point(
      std::chrono::duration_cast<std::chrono::steady_clock::duration>(t.time_since_epoch()));
}

}  // namespace cube
