#include "shared/telemetry/families.h"

#include <gtest/gtest.h>

namespace cube::telemetry {
namespace {

TEST(Histogram, CountsBelowEachBound) {
  Histogram histogram({0.1, 1, 10});
  for (const double value : {0.05, 0.1, 0.2, 5.0, 50.0}) histogram.Observe(value);
  EXPECT_EQ(histogram.Cumulative(), (std::vector<std::uint64_t>{2, 3, 4}));
  EXPECT_EQ(histogram.count(), 5u);
  EXPECT_DOUBLE_EQ(histogram.sum(), 55.35);
}

TEST(Families, Shorthands) {
  Families families;
  AddGauge(families, "a", "the a", 1.5);
  AddCounter(families, "b_total", "the b", 2, {{"k", "v"}});
  AddFamily(families, "c", "the c", Kind::kHistogram).series.push_back({{}, 0, {Histogram({1})}});
  ASSERT_EQ(families.size(), 3u);
  EXPECT_EQ(families[0].series.at(0).value, 1.5);
  EXPECT_EQ(families[1].kind, Kind::kCounter);
  EXPECT_EQ(families[1].series.at(0).labels.at("k"), "v");
  EXPECT_EQ(families[2].series.at(0).histogram.size(), 1u);
}

}  // namespace
}  // namespace cube::telemetry
