// How busy the machine is, look by look.
#pragma once

#include <string>
#include <utility>

#include "services/worker/capacity.h"
#include "services/worker/operation.h"
#include "shared/base/error.h"

namespace cube::worker {

class Machine {
 public:
  // `data_folder`: where the worker keeps its data.
  explicit Machine(std::string data_folder) : data_folder_(std::move(data_folder)) {}

  // The first look has no cpu share: that is of the time between two.
  [[nodiscard]] Result<Sample> Look(WallTime now);

 private:
  const std::string data_folder_;
  CpuMetrics cpu_;
};

}  // namespace cube::worker
