#include "services/cli/render/table.h"

#include <fmt/format.h>

#include <algorithm>

#include "services/cli/render/text.h"
#include "shared/base/check.h"

namespace cube::cli {

void Table::Add(std::vector<Cell> cells) {
  CUBE_CHECK(cells.size() == columns_.size());
  for (auto& cell : cells) {
    cell.text = Printable(cell.text);
    cell.brief = Printable(cell.brief);
  }
  rows_.push_back(std::move(cells));
}

namespace {

// Of the columns that are shown, with the gaps between them.
std::size_t Total(const std::vector<std::size_t>& widths, const std::vector<bool>& shown) {
  std::size_t total = 0;
  for (std::size_t c = 0; c < widths.size(); ++c) {
    if (shown[c]) total += widths[c] + (total == 0 ? 0 : kColumnGap);
  }
  return total;
}

}  // namespace

Table::Shape Table::NaturalShape(const TableLayout& layout, bool brief) const {
  Shape shape{std::vector<std::size_t>(columns_.size()), std::vector<bool>(columns_.size(), true),
              brief};
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    std::size_t& width = shape.widths[c];
    if (layout.headers) width = DisplayWidth(columns_[c].title);
    for (const auto& row : rows_) width = std::max(width, DisplayWidth(TextOf(row[c], brief)));
  }
  return shape;
}

void Table::LeaveOut(Shape& shape, std::size_t width) const {
  auto wanted = shape.widths;
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    if (columns_[c].width_wanted > 0) wanted[c] = std::min(wanted[c], columns_[c].width_wanted);
  }
  while (Total(wanted, shape.shown) > width) {
    std::size_t least = columns_.size();
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      const int lesser = columns_[c].lesser;
      if (!shape.shown[c] || lesser == 0) continue;
      if (least == columns_.size() || lesser > columns_[least].lesser) least = c;
    }
    if (least == columns_.size()) return;
    shape.shown[least] = false;
  }
}

void Table::Cut(Shape& shape, std::size_t width) const {
  for (std::size_t total = Total(shape.widths, shape.shown); total > width; --total) {
    // The widest of those that may be cut gives way first; of equals the last, since ids come
    // first.
    std::size_t widest = columns_.size();
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      const bool can =
          shape.shown[c] && columns_[c].width_min > 0 && shape.widths[c] > columns_[c].width_min;
      if (can && (widest == columns_.size() || shape.widths[c] >= shape.widths[widest])) widest = c;
    }
    if (widest == columns_.size()) return;
    --shape.widths[widest];
  }
}

// Still too wide: whole columns go from the right, the first one stays. A number that is cut would
// be another number.
void Table::LeaveOutLast(Shape& shape, std::size_t width) const {
  for (std::size_t c = columns_.size(); c-- > 1 && Total(shape.widths, shape.shown) > width;) {
    shape.shown[c] = false;
  }
}

Table::Shape Table::ShapeFor(const TableLayout& layout) const {
  Shape shape = NaturalShape(layout, false);
  if (layout.width == 0 || Total(shape.widths, shape.shown) <= layout.width) return shape;
  shape = NaturalShape(layout, true);
  LeaveOut(shape, layout.width);
  Cut(shape, layout.width);
  LeaveOutLast(shape, layout.width);
  return shape;
}

std::string Table::Render(const TableLayout& layout) const {
  const Shape shape = ShapeFor(layout);
  std::string out;
  auto line = [&](auto cell_at) {
    std::size_t used = 0;  // columns of this line so far
    std::size_t pending = 0;
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      if (!shape.shown[c]) continue;
      const Cell cell = cell_at(c);
      const std::string& whole = TextOf(cell, shape.brief);
      std::string text = columns_[c].middle ? CutInTheMiddle(whole, shape.widths[c])
                                            : CutToWidth(whole, shape.widths[c]);
      std::size_t pad = shape.widths[c] - DisplayWidth(text);
      std::size_t lead = pending + (columns_[c].right ? pad : 0);
      if (layout.width != 0) {  // the one column that is left does not fit either
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
  if (layout.headers) line([&](std::size_t c) { return Cell{columns_[c].title}; });
  for (const auto& row : rows_) line([&](std::size_t c) { return row[c]; });
  return out;
}

}  // namespace cube::cli
