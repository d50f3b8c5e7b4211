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
};

struct Cell {
  std::string text{};
  int color = 0;  // SGR code ("32" = green); 0 = none
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
  [[nodiscard]] std::vector<std::size_t> Widths(const TableLayout& layout) const;

  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace cube::cli
