// How busy the machine is, look by look.
#pragma once

#include "services/worker/capacity.h"
#include "services/worker/operation.h"
#include "shared/base/error.h"

namespace cube::worker {

class Machine {
 public:
  // The first look has no cpu share: that is of the time between two.
  [[nodiscard]] Result<Sample> Look(WallTime now);

 private:
  CpuMetrics cpu_;
};

}  // namespace cube::worker
