// What the scheduler keeps of each node, beside the view: rows in the order of names, kept true by
// the view's journal, with what this cycle's decisions take on top (deciding is not folding).
#pragma once

#include <cstdint>
#include <map>
#include <string_view>
#include <vector>

#include "services/manager/core/standing.h"
#include "shared/cluster/view.h"

namespace cube::manager {

class NodeTable {
 public:
  struct Change {
    std::uint32_t row = 0;
    bool placements = false;  // true: nothing but what is placed there changed
  };

  // Makes it what the view says; what was taken is forgotten. O(nodes changed).
  void Sync(const View& view);
  // The next view is another one.
  void Forget();
  // A task is to be placed there. The spec outlives the next Sync.
  void Take(std::size_t index, const TaskSpec& spec);

  [[nodiscard]] std::size_t size() const { return rows_.size(); }
  [[nodiscard]] const Node& node(std::size_t row) const { return *rows_[row].node; }
  [[nodiscard]] const Standing& standing(std::size_t row) const { return rows_[row].standing; }
  // On the node's machine.
  [[nodiscard]] bool PortTaken(std::size_t row, const HostPort& port) const;
  // Tasks of that name on the node.
  [[nodiscard]] std::uint32_t TasksNamed(std::size_t row, const TaskName& name) const;
  // size() if there is no such node.
  [[nodiscard]] std::size_t RowOf(const NodeName& name) const;
  // The last row whose name is not behind `name`; size() if there is none.
  [[nodiscard]] std::size_t RowUpTo(const NodeName& name) const;

  // Changes since the table was made, oldest first: what shape classes read. Those before
  // changes_base() are gone, and whoever has not read them looks at every row.
  [[nodiscard]] std::uint64_t changes_base() const { return base_; }
  // The last of them that was of more than placements ends here.
  [[nodiscard]] std::uint64_t described_at() const { return described_at_; }
  [[nodiscard]] std::uint64_t changes_end() const { return base_ + changes_.size(); }
  [[nodiscard]] const Change& change(std::uint64_t position) const {
    return changes_[position - base_];
  }

 private:
  struct Row {
    const Node* node = nullptr;
    const Machine* machine = nullptr;
    Standing standing;
    std::uint64_t refreshed = 0;   // the last Sync that changed it
    bool placements_only = false;  // of that Sync's changes
  };
  struct Taken {
    std::uint32_t row = 0;
    const TaskSpec* spec = nullptr;
  };
  void Rebuild(const View& view);
  void Refresh(const View& view, std::uint32_t index, bool placements);
  void Note(std::uint32_t row, bool placements);

  std::vector<Row> rows_;
  std::vector<std::uint32_t> row_of_slot_;
  const decltype(View::named)* named_ = nullptr;  // of the last Sync's view
  std::uint64_t position_ = 0;                    // in the view's journal
  std::uint64_t syncs_ = 0;

  std::uint64_t base_ = 1;  // a class begins at 0, which is always too far back
  std::uint64_t described_at_ = 1;
  std::vector<Change> changes_;

  std::vector<Taken> taken_;
  // Neither is ever iterated. Names are counted when somebody asks for one.
  std::map<std::pair<const Machine*, HostPort>, std::uint32_t> taken_ports_;
  mutable std::map<std::pair<std::uint32_t, std::string_view>, std::uint32_t> taken_names_;
  mutable std::size_t names_counted_ = 0;  // of taken_
};

}  // namespace cube::manager
