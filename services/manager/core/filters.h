// Hard filters: what keeps tasks of one shape off a node. The first one that does is counted.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "services/manager/core/node_table.h"
#include "shared/domain/task_spec.h"

namespace cube::manager {

using FilterId = std::uint16_t;
// The node passes all filters.
inline constexpr FilterId kFits = std::numeric_limits<FilterId>::max();

// Whether a node's labels fulfil a rule.
[[nodiscard]] bool Holds(const Constraint& rule, const std::map<std::string, std::string>& labels);

class Filters {
 public:
  // What it looks at is copied.
  explicit Filters(const TaskSpec& spec);

  // Readiness, engine, constraints: what placements do not change.
  [[nodiscard]] FilterId RuledOut(const Node& node) const;
  // Resources, number of tasks, static ports, distinct: what each placement changes.
  [[nodiscard]] FilterId RuledOutNow(const NodeTable& table, std::size_t row) const;

  // Of a node that would do and that this one task is kept away from: it has failed there.
  [[nodiscard]] FilterId avoided() const { return avoided_; }

  // "down", "memory", "port 8080 taken", ...
  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }
  [[nodiscard]] const Amounts& asked() const { return asked_; }

 private:
  FilterId Add(std::string name);

  std::vector<std::string> names_;
  FilterId joining_ = kFits;
  FilterId down_ = kFits;
  FilterId leaving_ = kFits;
  FilterId cordoned_ = kFits;
  FilterId no_engine_ = kFits;
  FilterId engine_down_ = kFits;
  std::string engine_;
  std::vector<std::pair<Constraint, FilterId>> constraints_;
  Amounts asked_{};
  std::array<FilterId, kResources> promised_{};
  std::array<FilterId, kResources> measured_{};
  FilterId task_limit_ = kFits;
  std::vector<std::pair<HostPort, FilterId>> ports_;
  TaskName name_;
  std::uint32_t distinct_ = 0;
  FilterId distinct_filter_ = kFits;
  FilterId avoided_ = kFits;
};

}  // namespace cube::manager
