// What one placement costs, by policy and number of nodes: tasks of one shape, on empty nodes and
// on nodes of which nine of ten are full. The limit beside it is a loop that asks every node.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace cube::bench {

struct PlaceFigure {
  std::string policy;
  std::uint32_t nodes = 0;
  bool full = false;    // nine of ten nodes are
  double place_ns = 0;  // one pick and take
  double first_us = 0;  // the first of a shape: all nodes are looked at
  double loop_ns = 0;   // asking every node once, without memory
};

[[nodiscard]] std::vector<std::string> PlacementPolicies();
// Prints a table too.
std::vector<PlaceFigure> MeasurePlacement(const std::vector<std::uint32_t>& sizes);

}  // namespace cube::bench
