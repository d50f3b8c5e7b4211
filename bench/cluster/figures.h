// What a scenario has measured, for programs: `cube-bench SCENARIO --json FILE`.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "shared/base/error.h"

namespace cube::bench {

// One thread. Every value comes from this run.
class Figures {
 public:
  struct Figure {
    std::string name;             // c1m.jobs.seconds
    std::optional<double> value;  // absent = could not be measured here
    std::string unit;
    std::optional<double> limit;  // measured in the same run, in the same unit
  };

  void Add(std::string name, double value, std::string unit,
           std::optional<double> limit = std::nullopt);
  // Says so on standard output, and gives no value.
  void NotMeasured(std::string name, std::string unit, const std::string& why);

  // An array of {name, value, unit, limit, ratio}; ratio = value / limit; null where there is none.
  [[nodiscard]] std::string Json() const;
  [[nodiscard]] Result<void> Write(const std::string& path) const;

 private:
  std::vector<Figure> figures_;
};

}  // namespace cube::bench
