// Tables for people: aligned columns that fit the terminal and never wrap. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace cube::cli {

// Between columns, as kubectl has it.
inline constexpr std::size_t kColumnGap = 3;

struct Column {
  std::string title{};
  bool right = false;         // numbers
  std::size_t width_min = 0;  // may be cut down to this many columns; 0 = never cut
  // Left out, whole, before another column is cut; the highest first. 0 = always there.
  int lesser = 0;
  // Of a column that may be cut: lesser ones give way until it has this many columns. 0 = all.
  std::size_t width_wanted = 0;
  bool middle = false;  // cut in the middle: what tells ids apart is at their end
};

struct Cell {
  std::string text{};
  int color = 0;        // SGR code ("32" = green); 0 = none
  std::string brief{};  // says the same where the table does not fit; empty = text
};

struct TableLayout {
  std::size_t width = 0;  // columns of the terminal; 0 = no limit
  bool headers = true;
  bool color = false;
};

class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // As many cells as there are columns. Control characters are shown as '?'.
  void Add(std::vector<Cell> cells);
  [[nodiscard]] bool empty() const { return rows_.empty(); }
  [[nodiscard]] std::string Render(const TableLayout& layout) const;

 private:
  struct Shape {
    std::vector<std::size_t> widths{};
    std::vector<bool> shown{};
    bool brief = false;
  };

  [[nodiscard]] const std::string& TextOf(const Cell& cell, bool brief) const {
    return brief && !cell.brief.empty() ? cell.brief : cell.text;
  }
  [[nodiscard]] Shape NaturalShape(const TableLayout& layout, bool brief) const;
  [[nodiscard]] Shape ShapeFor(const TableLayout& layout) const;
  void LeaveOut(Shape& shape, std::size_t width) const;
  void Cut(Shape& shape, std::size_t width) const;
  void LeaveOutLast(Shape& shape, std::size_t width) const;

  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace cube::cli
