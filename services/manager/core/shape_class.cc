#include "services/manager/core/shape_class.h"

#include <algorithm>

namespace cube::manager {

ShapeClass::ShapeClass(const TaskSpec& spec, const Policy& policy)
    : policy_(&policy), filters_(spec), affinities_(spec.affinities) {}

void ShapeClass::CatchUp(const NodeTable& table) {
  const std::uint64_t end = table.changes_end();
  if (position_ < table.changes_base() || fixed_.size() != table.size() ||
      end - position_ > table.size()) {
    Rebuild(table);
  } else {
    for (; position_ < end; ++position_) Update(table, table.change(position_));
  }
  position_ = end;
}

void ShapeClass::Rebuild(const NodeTable& table) {
  const std::size_t n = table.size();
  const bool described_anew = fixed_.size() != n || position_ < table.described_at();
  fixed_.resize(n);
  ruled_out_.resize(n);
  counts_.assign(filters_.names().size(), 0);
  feasible_ = 0;
  counted_valid_ = false;
  ranks_.Reset(n);
  for (std::size_t row = 0; row < n; ++row) {
    if (described_anew) fixed_[row] = FixedOf(table.node(row));
    Rank rank;
    ruled_out_[row] = Judge(table, row, rank);
    ranks_.Fill(row, rank);
    ruled_out_[row] == kFits ? ++feasible_ : ++counts_[ruled_out_[row]];
  }
  ranks_.Finish();
}

void ShapeClass::Update(const NodeTable& table, const NodeTable::Change& change) {
  const std::size_t row = change.row;
  if (!change.placements) fixed_[row] = FixedOf(table.node(row));
  Rank rank;
  const FilterId filter = Judge(table, row, rank);
  ranks_.Set(row, rank);
  if (filter == ruled_out_[row]) return;
  ruled_out_[row] == kFits ? --feasible_ : --counts_[ruled_out_[row]];
  filter == kFits ? ++feasible_ : ++counts_[filter];
  ruled_out_[row] = filter;
  counted_valid_ = false;
}

ShapeClass::Fixed ShapeClass::FixedOf(const Node& node) const {
  Fixed fixed{filters_.RuledOut(node), 0};
  for (const Affinity& affinity : affinities_) {
    if (Holds(affinity.rule, node.description.labels)) {
      fixed.affinity = static_cast<std::int16_t>(fixed.affinity + affinity.weight);
    }
  }
  return fixed;
}

FilterId ShapeClass::Judge(const NodeTable& table, std::size_t row, Rank& rank) const {
  FilterId filter = fixed_[row].ruled_out;
  if (filter == kFits) filter = filters_.RuledOutNow(table, row);
  if (filter != kFits) {
    rank = kNoRank;
    return filter;
  }
  rank = policy_->Score(table.standing(row), filters_.asked());
  rank.score -= fixed_[row].affinity * kScoreOne / kAffinityWeightMax;
  return kFits;
}

void ShapeClass::Avoid(std::size_t row) {
  const Rank rank = ranks_.At(row);
  if (rank == kNoRank) return;
  avoided_.emplace_back(row, rank);
  ranks_.Set(row, kNoRank);
  --feasible_;
  ++counts_[filters_.avoided()];
  counted_valid_ = false;
}

void ShapeClass::Return() {
  for (const auto& [row, rank] : avoided_) {
    ranks_.Set(row, rank);
    ++feasible_;
    --counts_[filters_.avoided()];
    counted_valid_ = false;
  }
  avoided_.clear();
}

std::vector<FilterCount> ShapeClass::Counted() const {
  std::vector<std::size_t> filters;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    if (counts_[i] > 0) filters.push_back(i);
  }
  // Most nodes first, then in the order in which filters are asked.
  std::sort(filters.begin(), filters.end(), [this](std::size_t a, std::size_t b) {
    return counts_[a] != counts_[b] ? counts_[a] > counts_[b] : a < b;
  });
  const bool too_many = filters.size() > kExplanationFiltersMax;
  const std::size_t named = too_many ? kExplanationFiltersMax - 1 : filters.size();
  std::vector<FilterCount> counted;
  for (std::size_t i = 0; i < named; ++i) {
    counted.push_back({filters_.names()[filters[i]], counts_[filters[i]]});
  }
  if (!too_many) return counted;
  FilterCount other{"other", 0};
  for (std::size_t i = named; i < filters.size(); ++i) other.nodes += counts_[filters[i]];
  counted.push_back(std::move(other));
  return counted;
}

SharedExplanation ShapeClass::Explain(const NodeTable& table, std::size_t picked) {
  Rank best;
  Rank next;
  const NodeName* runner_up = nullptr;
  if (picked != ScoreTree::kNone) {
    best = ranks_.At(picked);
    const std::size_t second = policy_->Compares() ? ranks_.RunnerUp(picked) : ScoreTree::kNone;
    if (second != ScoreTree::kNone) {
      runner_up = &table.node(second).name;
      next = ranks_.At(second);
    }
  }
  const auto nodes = static_cast<std::uint32_t>(table.size());
  const std::string_view second_name =
      runner_up == nullptr ? std::string_view() : std::string_view(runner_up->str());
  const Explanation& last = *last_why_;
  if (counted_valid_ && last.nodes == nodes && last.feasible == feasible_ &&
      last.score == best.score && last.runner_up_score == next.score &&
      last.runner_up.str() == second_name) {
    return last_why_;
  }
  Explanation why;
  why.scheduler = policy_->Name();
  why.nodes = nodes;
  why.filtered = counted_valid_ ? last.filtered : Counted();
  why.score = best.score;
  why.runner_up_score = next.score;
  if (runner_up != nullptr) why.runner_up = *runner_up;
  why.feasible = feasible_;
  counted_valid_ = true;
  return last_why_ = std::move(why);
}

}  // namespace cube::manager
