#include "services/manager/core/book.h"

#include <cmath>

namespace cube::manager::book {
namespace {

constexpr double kLieb = 1.53960071783900203869;
constexpr double kTasksScale = 4.0;         // the book's maxJobs
constexpr std::int64_t kBytesPerKb = 1000;  // of a task's memory, as the book divides it

}  // namespace

EpvmCost EpvmScore(const Node& node, std::int64_t task_memory) {
  const double load = GreedyScore(node.cpu_usage);
  const double tasks = node.tasks;
  const double count_cost =
      std::pow(kLieb, (tasks + 1) / kTasksScale) - std::pow(kLieb, tasks / kTasksScale);
  const auto memory = static_cast<double>(node.memory);
  const auto taken = static_cast<double>(node.memory_used + node.memory_allocated);
  const double before = taken / memory;
  const auto task_kb = task_memory / kBytesPerKb;
  const double after = (taken + static_cast<double>(task_kb)) / memory;
  EpvmCost cost;
  cost.memory = std::pow(kLieb, after) + count_cost - std::pow(kLieb, before);
  cost.cpu = std::pow(kLieb, load) + count_cost - std::pow(kLieb, load);
  return cost;
}

double GreedyScore(double cpu_usage) { return cpu_usage / std::pow(2, 0.8); }

}  // namespace cube::manager::book
