// cube-bench place: what one placement costs (bench/micro/place.h).
#include "bench/micro/place.h"

#include <fmt/format.h>

#include <algorithm>

#include "bench/cluster/commands.h"

namespace cube::bench {
namespace {

constexpr std::uint32_t kOfBar = 10'000;  // nodes
constexpr std::uint32_t kGrowthFrom = 100;
constexpr std::uint32_t kGrowthTo = 100'000;

}  // namespace

Result<void> RunPlace(const PlaceOptions& options, Figures& figures) {
  const std::vector<PlaceFigure> measured = MeasurePlacement(options.nodes);
  // By policy: the worse of empty and nearly full nodes.
  const auto worst = [&](const std::string& policy, std::uint32_t nodes) {
    std::pair<double, double> most{0, 0};  // ns, and of the loop over all nodes
    for (const PlaceFigure& figure : measured) {
      if (figure.policy != policy || figure.nodes != nodes) continue;
      if (figure.place_ns > most.first) most = {figure.place_ns, figure.loop_ns};
    }
    return most;
  };
  const auto asked = [&](std::uint32_t nodes) {
    return std::ranges::find(options.nodes, nodes) != options.nodes.end();
  };
  for (const std::string& policy : PlacementPolicies()) {
    for (const std::uint32_t nodes : options.nodes) {
      const auto [ns, loop] = worst(policy, nodes);
      figures.Add(fmt::format("place.{}.ns_{}", policy, nodes), ns, "ns", loop);
    }
    if (!asked(kOfBar)) {
      figures.NotMeasured(fmt::format("place.{}.ns_{}", policy, kOfBar), "ns", "not asked for");
    }
    const std::string growth = fmt::format("place.{}.growth", policy);
    if (asked(kGrowthFrom) && asked(kGrowthTo)) {
      figures.Add(growth, worst(policy, kGrowthTo).first / worst(policy, kGrowthFrom).first, "1");
    } else {
      figures.NotMeasured(growth, "1",
                          fmt::format("it is from {} to {} nodes", kGrowthFrom, kGrowthTo));
    }
  }
  return {};
}

}  // namespace cube::bench
