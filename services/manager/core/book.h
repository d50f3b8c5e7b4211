// The formulas of the book "Build an Orchestrator in Go" as it prints them, in doubles: what the
// integer scores of `epvm-book` and `greedy` are checked against. Deciding never calls these.
#pragma once

#include <cstdint>

namespace cube::manager::book {

// A node as the book's scheduler sees it; memory in kB.
struct Node {
  std::int64_t memory = 0;
  std::int64_t memory_used = 0;       // measured
  std::int64_t memory_allocated = 0;  // promised
  std::uint32_t tasks = 0;
  double cpu_usage = 0;  // measured, 0 to 1
};

struct EpvmCost {
  double memory = 0;
  double cpu = 0;
  [[nodiscard]] double score() const { return memory + cpu; }
};

// E-PVM's marginal cost of a task that asks for `task_memory` bytes. Lowest wins.
[[nodiscard]] EpvmCost EpvmScore(const Node& node, std::int64_t task_memory);
// Lowest wins.
[[nodiscard]] double GreedyScore(double cpu_usage);

}  // namespace cube::manager::book
