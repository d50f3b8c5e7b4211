#include "services/manager/core/node_table.h"

#include <algorithm>

namespace cube::manager {

void NodeTable::Forget() {
  rows_.clear();
  taken_.clear();
  named_ = nullptr;
  position_ = 0;  // every view's journal begins behind it
}

void NodeTable::Sync(const View& view) {
  const NodeJournal& journal = view.node_journal;
  named_ = &view.named;
  ++syncs_;
  taken_ports_.clear();
  taken_names_.clear();
  names_counted_ = 0;
  if (position_ < journal.base || position_ > journal.end()) {
    Rebuild(view);
    return;
  }
  for (const Taken& taken : taken_) Refresh(view, taken.row, true);
  for (; position_ < journal.end(); ++position_) {
    const NodeJournal::Change& change = journal.changes[position_ - journal.base];
    Refresh(view, row_of_slot_[change.slot], change.placements);
  }
  taken_.clear();
}

void NodeTable::Rebuild(const View& view) {
  taken_.clear();
  rows_.clear();
  rows_.reserve(view.nodes.size());
  row_of_slot_.assign(view.slots_used, 0);
  for (const auto& [name, node] : view.nodes) {
    row_of_slot_[node.slot] = static_cast<std::uint32_t>(rows_.size());
    rows_.push_back({&node, &view.machines.at(MachineOf(node)), StandingOf(node), syncs_, false});
  }
  position_ = view.node_journal.end();
  described_at_ = base_ = changes_end() + 1;
  changes_.clear();
}

void NodeTable::Refresh(const View& view, std::uint32_t index, bool placements) {
  Row& row = rows_[index];
  const bool done = row.refreshed == syncs_;
  if (done && (placements || !row.placements_only)) return;
  row.refreshed = syncs_;
  row.placements_only = placements;
  row.standing = StandingOf(*row.node);
  if (!placements) row.machine = &view.machines.at(MachineOf(*row.node));
  Note(index, placements);
}

void NodeTable::Note(std::uint32_t row, bool placements) {
  // So far behind, a class is quicker with all rows anew.
  const std::size_t changes_max = 1024 + 2 * rows_.size();
  if (changes_.size() >= changes_max) {
    base_ = changes_end();
    changes_.clear();
  }
  changes_.push_back({row, placements});
  if (!placements) described_at_ = changes_end();
}

void NodeTable::Take(std::size_t index, const TaskSpec& spec) {
  Row& row = rows_[index];
  const Amounts asked = AmountsOf(spec.resources);
  for (std::size_t i = 0; i < kResources; ++i) row.standing.promised[i] += asked[i];
  ++row.standing.tasks;
  taken_.push_back({static_cast<std::uint32_t>(index), &spec});
  bool has_static = false;
  for (const PortSpec& port : spec.ports) {
    if (port.host_port == 0) continue;
    has_static = true;
    ++taken_ports_[{row.machine, {port.host_port, port.protocol}}];
  }
  if (!has_static) {
    Note(static_cast<std::uint32_t>(index), true);
    return;
  }
  for (const std::uint32_t slot : row.machine->slots) Note(row_of_slot_[slot], true);
}

bool NodeTable::PortTaken(std::size_t row, const HostPort& port) const {
  const Machine* machine = rows_[row].machine;
  return machine->static_ports.contains(port) || taken_ports_.contains({machine, port});
}

std::uint32_t NodeTable::TasksNamed(std::size_t row, const TaskName& name) const {
  for (; names_counted_ < taken_.size(); ++names_counted_) {
    const Taken& taken = taken_[names_counted_];
    ++taken_names_[{taken.row, taken.spec->name.str()}];
  }
  const auto named = named_->find(name);
  const auto taken = taken_names_.find({static_cast<std::uint32_t>(row), name.str()});
  return (named == named_->end() ? 0 : named->second.Of(rows_[row].node->slot)) +
         (taken == taken_names_.end() ? 0 : taken->second);
}

std::size_t NodeTable::RowOf(const NodeName& name) const {
  const std::size_t row = RowUpTo(name);
  return row < rows_.size() && rows_[row].node->name == name ? row : rows_.size();
}

std::size_t NodeTable::RowUpTo(const NodeName& name) const {
  const auto behind =
      std::upper_bound(rows_.begin(), rows_.end(), name,
                       [](const NodeName& n, const Row& row) { return n < row.node->name; });
  return behind == rows_.begin() ? rows_.size()
                                 : static_cast<std::size_t>(behind - rows_.begin() - 1);
}

}  // namespace cube::manager
