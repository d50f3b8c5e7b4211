#include "services/manager/core/scheduler.h"

#include <algorithm>

#include "shared/base/check.h"
#include "shared/domain/rules.h"

namespace cube::manager {

Result<Scheduler> Scheduler::Make(std::string_view policy) {
  CUBE_TRY(const std::string name, ParsePolicy(policy, "scheduler"));
  const Policy* found = FindPolicy(name);
  CUBE_CHECK(found != nullptr);  // a test compares the two lists
  return Scheduler(*found);
}

void Scheduler::Begin(const View& view) {
  ++cycles_;
  table_.Sync(view);
  last_row_ = table_.RowUpTo(view.last_node);
  if (last_row_ == table_.size()) last_row_ = ScoreTree::kNone;
  if (cycles_ % kClassIdleCyclesMax == 0) {
    last_class_ = nullptr;
    std::erase_if(classes_, [this](const auto& entry) {
      return entry.second->used_at + kClassIdleCyclesMax < cycles_;
    });
  }
}

void Scheduler::ForgetView() {
  table_.Forget();
  classes_.clear();
  last_class_ = nullptr;
}

void Scheduler::MakeRoom() {
  const std::size_t rows = std::max<std::size_t>(table_.size(), 1);
  const std::size_t classes_max = std::clamp<std::size_t>(kClassRowsMax / rows, 1, kClassesMax);
  while (classes_.size() >= classes_max) {
    // Which of equally old ones goes does not matter: a class only remembers what it would find.
    classes_.erase(std::min_element(classes_.begin(), classes_.end(), [](auto& a, auto& b) {
      return a.second->used_at < b.second->used_at;
    }));
  }
}

ShapeClass& Scheduler::ClassOf(const TaskSpec& spec, const std::string& shape) {
  if (last_class_ != nullptr && *last_shape_ == shape) {
    last_class_->used_at = cycles_;
    return *last_class_;
  }
  auto it = classes_.find(shape);
  if (it == classes_.end()) {
    MakeRoom();
    // A later version's policy, read from its log: the cluster's is the nearest there is.
    const Policy* own = spec.scheduler.empty() ? nullptr : FindPolicy(spec.scheduler);
    const Policy& policy = own != nullptr ? *own : *policy_;
    it = classes_.emplace(shape, std::make_unique<ShapeClass>(spec, policy)).first;
  }
  last_shape_ = &it->first;
  last_class_ = it->second.get();
  last_class_->used_at = cycles_;
  return *last_class_;
}

Choice Scheduler::Pick(const TaskSpec& spec, const std::string& shape,
                       std::span<const NodeName> avoided) {
  ShapeClass& seen = ClassOf(spec, shape);
  seen.CatchUp(table_);
  for (const NodeName& name : avoided) {
    if (const std::size_t row = table_.RowOf(name); row < table_.size()) seen.Avoid(row);
  }
  const std::size_t row = seen.Pick(last_row_);
  Choice choice;
  choice.explanation = seen.Explain(table_, row);
  seen.Return();
  if (row == ScoreTree::kNone) return choice;
  choice.node = &table_.node(row);
  choice.row = row;
  return choice;
}

Choice Scheduler::PickOnly(const TaskSpec& spec, const NodeName& name) const {
  Choice choice;
  Explanation why;
  why.scheduler = "pinned";
  why.nodes = 1;
  const std::size_t row = table_.RowOf(name);
  if (row == table_.size()) {
    why.filtered.push_back({"unknown", 1});
    choice.explanation = std::move(why);
    return choice;
  }
  const Filters filters(spec);
  FilterId ruled_out = filters.RuledOut(table_.node(row));
  if (ruled_out == kFits) ruled_out = filters.RuledOutNow(table_, row);
  if (ruled_out != kFits) {
    why.filtered.push_back({filters.names()[ruled_out], 1});
    choice.explanation = std::move(why);
    return choice;
  }
  choice.explanation = std::move(why);
  choice.node = &table_.node(row);
  choice.row = row;
  return choice;
}

void Scheduler::Take(const Choice& choice, const TaskSpec& spec) {
  Reserve(choice, spec);
  last_row_ = choice.row;
}

std::string DescribeWait(const Explanation& explanation) {
  if (explanation.nodes == 0) return "no node has joined yet";
  std::string text = "no fit on " + std::to_string(explanation.nodes) +
                     (explanation.nodes == 1 ? " node:" : " nodes:");
  for (std::size_t i = 0; i < explanation.filtered.size(); ++i) {
    text += i == 0 ? " " : ", ";
    text += explanation.filtered[i].filter + " " + std::to_string(explanation.filtered[i].nodes);
  }
  return text;
}

}  // namespace cube::manager
