#include "services/cli/render/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "services/cli/render/text.h"
#include "shared/base/check.h"

namespace cube::cli {

void Table::Add(std::vector<Cell> cells) {
  CUBE_CHECK(cells.size() == columns_.size());
  for (auto& cell : cells) cell.text = Printable(cell.text);
  rows_.push_back(std::move(cells));
}

std::vector<std::size_t> Table::Widths(const TableLayout& layout) const {
  std::vector<std::size_t> widths(columns_.size());
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    if (layout.headers) widths[c] = DisplayWidth(columns_[c].title);
    for (const auto& row : rows_) widths[c] = std::max(widths[c], DisplayWidth(row[c].text));
  }
  if (layout.width == 0 || columns_.empty()) return widths;
  const std::size_t gaps = kColumnGap * (columns_.size() - 1);
  std::size_t total = std::accumulate(widths.begin(), widths.end(), gaps);
  while (total > layout.width) {
    // The widest of those that may be cut gives way first; of equals the last, since ids come
    // first.
    std::size_t widest = columns_.size();
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      const bool can = columns_[c].width_min > 0 && widths[c] > columns_[c].width_min;
      if (can && (widest == columns_.size() || widths[c] >= widths[widest])) widest = c;
    }
    if (widest == columns_.size()) break;
    --widths[widest];
    --total;
  }
  return widths;
}

std::string Table::Render(const TableLayout& layout) const {
  const auto widths = Widths(layout);
  std::string out;
  auto line = [&](auto cell_at) {
    std::size_t used = 0;  // columns of this line so far
    std::size_t pending = 0;
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      const Cell cell = cell_at(c);
      std::string text = CutToWidth(cell.text, widths[c]);
      std::size_t pad = widths[c] - DisplayWidth(text);
      std::size_t lead = pending + (columns_[c].right ? pad : 0);
      if (layout.width != 0) {  // columns that cannot be cut: the line is
        const std::size_t room = layout.width > used ? layout.width - used : 0;
        if (lead >= room) break;
        text = CutToWidth(text, room - lead);
      }
      pending = kColumnGap + (columns_[c].right ? 0 : pad);
      if (text.empty()) {
        pending += lead;
        continue;
      }
      out.append(lead, ' ');
      used += lead + DisplayWidth(text);
      out += layout.color && cell.color != 0 ? fmt::format("\x1b[{}m{}\x1b[0m", cell.color, text)
                                             : text;
    }
    out += '\n';
  };
  if (layout.headers) line([&](std::size_t c) { return Cell{columns_[c].title, 0}; });
  for (const auto& row : rows_) line([&](std::size_t c) { return row[c]; });
  return out;
}

}  // namespace cube::cli
