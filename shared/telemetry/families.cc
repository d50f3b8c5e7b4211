#include "shared/telemetry/families.h"

#include <algorithm>
#include <utility>

#include "shared/base/check.h"

namespace cube::telemetry {

Histogram::Histogram(std::vector<double> bounds)
    : bounds_(std::move(bounds)), buckets_(bounds_.size(), 0) {
  CUBE_CHECK(std::is_sorted(bounds_.begin(), bounds_.end()));
}

void Histogram::Observe(double value) {
  const auto bound = std::lower_bound(bounds_.begin(), bounds_.end(), value);
  if (bound != bounds_.end()) ++buckets_[static_cast<std::size_t>(bound - bounds_.begin())];
  ++count_;
  sum_ += value;
}

std::vector<std::uint64_t> Histogram::Cumulative() const {
  std::vector<std::uint64_t> sums = buckets_;
  for (std::size_t i = 1; i < sums.size(); ++i) sums[i] += sums[i - 1];
  return sums;
}

Family& AddFamily(Families& to, std::string name, std::string help, Kind kind) {
  return to.emplace_back(Family{std::move(name), std::move(help), kind, {}});
}

void AddGauge(Families& to, std::string name, std::string help, double value, Labels labels) {
  AddFamily(to, std::move(name), std::move(help), Kind::kGauge)
      .series.push_back({std::move(labels), value, {}});
}

void AddCounter(Families& to, std::string name, std::string help, double value, Labels labels) {
  AddFamily(to, std::move(name), std::move(help), Kind::kCounter)
      .series.push_back({std::move(labels), value, {}});
}

}  // namespace cube::telemetry
