#include "services/cli/render/text.h"

#include <array>
#include <cstdint>

namespace cube::cli {
namespace {

struct CodePoint {
  std::uint32_t value = 0;
  std::size_t bytes = 1;
};

CodePoint Decode(std::string_view text) {
  const auto first = static_cast<unsigned char>(text.front());
  const std::size_t bytes = first < 0x80       ? 1
                            : first >> 5 == 6  ? 2
                            : first >> 4 == 14 ? 3
                            : first >> 3 == 30 ? 4
                                               : 0;
  if (bytes == 0 || bytes > text.size()) return {0xfffd, 1};
  if (bytes == 1) return {first, 1};
  std::uint32_t value = first & (0xffu >> (bytes + 1));
  for (std::size_t i = 1; i < bytes; ++i) {
    const auto next = static_cast<unsigned char>(text[i]);
    if (next >> 6 != 2) return {0xfffd, 1};
    value = (value << 6) | (next & 0x3fu);
  }
  return {value, bytes};
}

struct Range {
  std::uint32_t first;
  std::uint32_t last;
};
// Unicode's East Asian Width W and F, in coarse blocks: enough for names and messages.
constexpr std::array<Range, 9> kWide{{{0x1100, 0x115f},
                                      {0x2e80, 0x303e},
                                      {0x3041, 0xa4cf},
                                      {0xac00, 0xd7a3},
                                      {0xf900, 0xfaff},
                                      {0xfe30, 0xfe6f},
                                      {0xff00, 0xff60},
                                      {0x1f300, 0x1faff},
                                      {0x20000, 0x3fffd}}};
// Marks that are drawn over the letter before them.
constexpr std::array<Range, 4> kZero{
    {{0x300, 0x36f}, {0x200b, 0x200f}, {0x20d0, 0x20ff}, {0xfe00, 0xfe0f}}};

template <std::size_t N>
bool In(const std::array<Range, N>& ranges, std::uint32_t value) {
  for (const auto& range : ranges) {
    if (value >= range.first && value <= range.last) return true;
  }
  return false;
}

std::size_t Columns(std::uint32_t value) {
  if (In(kZero, value)) return 0;
  return In(kWide, value) ? 2 : 1;
}

}  // namespace

std::size_t DisplayWidth(std::string_view text) {
  std::size_t width = 0;
  while (!text.empty()) {
    const CodePoint c = Decode(text);
    width += Columns(c.value);
    text.remove_prefix(c.bytes);
  }
  return width;
}

std::string CutToWidth(std::string_view text, std::size_t width) {
  if (DisplayWidth(text) <= width) return std::string(text);
  if (width == 0) return {};
  std::string out;
  std::size_t used = 0;
  while (!text.empty()) {
    const CodePoint c = Decode(text);
    if (used + Columns(c.value) > width - 1) break;
    used += Columns(c.value);
    out += text.substr(0, c.bytes);
    text.remove_prefix(c.bytes);
  }
  return out + "…";
}

std::string CutInTheMiddle(std::string_view text, std::size_t width) {
  std::size_t all = DisplayWidth(text);
  if (all <= width) return std::string(text);
  if (width < 3) return CutToWidth(text, width);
  const std::size_t end = width / 2;  // of these columns or one less
  const std::string begin = CutToWidth(text, width - end);
  while (all > end) {
    const CodePoint c = Decode(text);
    all -= Columns(c.value);
    text.remove_prefix(c.bytes);
  }
  return begin + std::string(text);
}

std::vector<std::string> Wrap(std::string_view text, std::size_t width) {
  if (width == 0) return {std::string(text)};
  std::vector<std::string> lines(1);
  std::size_t at = 0;
  while (at < text.size()) {
    std::size_t end = text.find(' ', at);
    if (end == std::string_view::npos) end = text.size();
    const std::string_view word = text.substr(at, end - at);
    if (!lines.back().empty() && DisplayWidth(lines.back()) + 1 + DisplayWidth(word) > width) {
      lines.emplace_back();
    }
    if (!lines.back().empty()) lines.back() += ' ';
    lines.back() += word;
    at = end + 1;
  }
  return lines;
}

std::string Printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const CodePoint c = Decode(text);
    const bool line_end = c.value == '\n' || c.value == '\t';
    const bool control = c.value < 0x20 || (c.value >= 0x7f && c.value < 0xa0) ||
                         (c.value == 0xfffd && c.bytes == 1) ||
                         (c.value >= 0x202a && c.value <= 0x202e);  // bidirectional overrides
    if (line_end) {
      out += ' ';
    } else if (control) {
      out += '?';
    } else {
      out += text.substr(0, c.bytes);
    }
    text.remove_prefix(c.bytes);
  }
  return out;
}

}  // namespace cube::cli
