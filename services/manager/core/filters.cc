#include "services/manager/core/filters.h"

#include <algorithm>

#include "shared/domain/decision.h"
#include "shared/domain/text.h"

namespace cube::manager {

bool Holds(const Constraint& rule, const std::map<std::string, std::string>& labels) {
  const auto it = labels.find(rule.label);
  switch (rule.op) {
    case Constraint::Op::kExists:
      return it != labels.end();
    case Constraint::Op::kEquals:
      return it != labels.end() && it->second == rule.values.front();
    case Constraint::Op::kNotEquals:
      return it == labels.end() || it->second != rule.values.front();
    case Constraint::Op::kIn:
      return it != labels.end() &&
             std::find(rule.values.begin(), rule.values.end(), it->second) != rule.values.end();
  }
  return false;
}

Filters::Filters(const TaskSpec& spec)
    : joining_(Add("joining")),
      down_(Add("down")),
      leaving_(Add("leaving")),
      cordoned_(Add("cordoned")),
      no_engine_(Add("no engine " + EngineOf(spec))),
      engine_down_(Add("engine " + EngineOf(spec) + " down")),
      engine_(EngineOf(spec)),
      asked_(AmountsOf(spec.resources)),
      name_(spec.name),
      distinct_(spec.distinct) {
  for (const Constraint& rule : spec.constraints) {
    constraints_.emplace_back(rule, Add("constraint " + rule.label));
  }
  constexpr std::array<std::string_view, kResources> kNames{"cpu", "memory", "disk"};
  for (std::size_t i = 0; i < kResources; ++i) {
    promised_[i] = Add(std::string(kNames[i]));
    // A busy cpu is shared out by the kernel; memory and disk that are gone are gone.
    if (i != kCpu) measured_[i] = Add(std::string(kNames[i]) + " in use");
  }
  task_limit_ = Add("task limit");
  for (const PortSpec& port : spec.ports) {
    if (port.host_port == 0) continue;
    ports_.emplace_back(HostPort{port.host_port, port.protocol},
                        Add("port " + std::to_string(port.host_port) + " taken"));
  }
  distinct_filter_ = Add("distinct");
  avoided_ = Add("failed there");
}

FilterId Filters::Add(std::string name) {
  // Two rules on one label are one filter to people.
  name = CleanText(name, kFilterNameLengthMax);
  const auto known = std::find(names_.begin(), names_.end(), name);
  const auto id = static_cast<FilterId>(known - names_.begin());
  if (known == names_.end()) names_.push_back(std::move(name));
  return id;
}

FilterId Filters::RuledOut(const Node& node) const {
  if (node.incarnation == 0) return joining_;
  if (node.down) return down_;
  if (!node.reported) return joining_;
  if (node.left || node.leaving) return leaving_;
  if (node.cordoned || node.drain) return cordoned_;
  const auto& engines = node.description.engines;
  const auto engine = std::find_if(engines.begin(), engines.end(),
                                   [this](const auto& e) { return e.kind == engine_; });
  if (engine == engines.end()) return no_engine_;
  if (!engine->up) return engine_down_;
  for (const auto& [rule, filter] : constraints_) {
    if (!Holds(rule, node.description.labels)) return filter;
  }
  return kFits;
}

FilterId Filters::RuledOutNow(const NodeTable& table, std::size_t row) const {
  const Standing& node = table.standing(row);
  for (std::size_t i = 0; i < kResources; ++i) {
    // Nothing asked always fits.
    if (asked_[i] == 0) continue;
    if (asked_[i] > node.capacity[i] - node.promised[i]) return promised_[i];
    if (i != kCpu && asked_[i] > node.capacity[i] - node.measured[i]) return measured_[i];
  }
  if (node.tasks >= node.tasks_max) return task_limit_;
  for (const auto& [port, filter] : ports_) {
    if (table.PortTaken(row, port)) return filter;
  }
  if (distinct_ != 0 && table.TasksNamed(row, name_) >= distinct_) return distinct_filter_;
  return kFits;
}

}  // namespace cube::manager
