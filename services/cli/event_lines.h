// The log as lines for people: time, source, node, task, what happened; below each other in columns
// as wide as what is in them. Pure.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "services/cli/log_items.h"
#include "services/cli/render/table.h"

namespace cube::cli {

class EventLines {
 public:
  using Write = std::function<void(const std::string&)>;

  // `task`: false where all lines are of one task. The title, if the layout wants one, comes with
  // the first line.
  EventLines(TableLayout layout, bool task, Write write)
      : layout_(layout), task_(task), write_(std::move(write)) {}

  // Held back until the columns' widths are known: with so many items, or by Flush. Later values
  // that are longer push the rest to the right, or are cut where the terminal is narrow.
  void Add(const LogItem& item);
  // Nothing is held back from now on. Without any item the title comes alone.
  void Flush();

 private:
  [[nodiscard]] std::string Line(const std::string& time, const std::string& source,
                                 const std::string& node, const std::string& task,
                                 const std::string& what) const;
  void Show(const LogItem& item) const;

  TableLayout layout_;
  bool task_;
  Write write_;
  bool flushed_ = false;
  std::vector<LogItem> held_;
  std::size_t node_width_ = 0;
  std::size_t task_width_ = 0;
};

}  // namespace cube::cli
