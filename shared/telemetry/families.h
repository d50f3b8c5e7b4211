// What a service tells Prometheus: names, values and labels as plain data. The shells fill them
// from what their loops show, when somebody scrapes; the loops know nothing of it. Names follow
// prometheus.io/docs/practices/naming: base units (seconds, bytes) and `_total` for counters in the
// name.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace cube::telemetry {

enum class Kind : std::uint8_t { kGauge, kCounter, kHistogram };

using Labels = std::map<std::string, std::string>;

// How often values fell below bounds; one thread.
class Histogram {
 public:
  // Upper bounds, growing.
  explicit Histogram(std::vector<double> bounds);
  void Observe(double value);

  [[nodiscard]] const std::vector<double>& bounds() const { return bounds_; }
  // By bound, each with those below; without the last, unbounded one, which is count().
  [[nodiscard]] std::vector<std::uint64_t> Cumulative() const;
  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] double sum() const { return sum_; }

 private:
  std::vector<double> bounds_;
  std::vector<std::uint64_t> buckets_;
  std::uint64_t count_ = 0;
  double sum_ = 0;
};

struct Series {
  Labels labels;
  double value = 0;
  std::vector<Histogram> histogram{};  // exactly one with kHistogram
};

struct Family {
  std::string name;
  std::string help;
  Kind kind = Kind::kGauge;
  std::vector<Series> series{};  // none: the name is there, but nothing has a value now
};
using Families = std::vector<Family>;

// Shorthands for the usual cases.
void AddGauge(Families& to, std::string name, std::string help, double value, Labels labels = {});
void AddCounter(Families& to, std::string name, std::string help, double value, Labels labels = {});
// A family whose series follow.
Family& AddFamily(Families& to, std::string name, std::string help, Kind kind);

}  // namespace cube::telemetry
