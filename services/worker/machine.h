// How busy the machine is: /proc and statvfs.
#pragma once

#include <cstdint>
#include <string>

#include "services/worker/operation.h"

namespace cube::worker {

class Machine {
 public:
  // What cannot be read is 0. The first look has no cpu share: that is the time between two.
  [[nodiscard]] Sample Look(WallTime now);

 private:
  std::uint64_t cpu_busy_ = 0;
  std::uint64_t cpu_total_ = 0;
};

}  // namespace cube::worker
