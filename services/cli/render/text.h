// Text as a terminal shows it: widths, cutting, and nothing that could steer the terminal. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace cube::cli {

// Columns that UTF-8 text takes; what is not valid counts one for each byte.
[[nodiscard]] std::size_t DisplayWidth(std::string_view text);
// At most `width` columns; what was cut is shown by '…'.
[[nodiscard]] std::string CutToWidth(std::string_view text, std::size_t width);
// The same, with its beginning and its end.
[[nodiscard]] std::string CutInTheMiddle(std::string_view text, std::size_t width);
// Lines of at most `width` columns, broken at spaces (a longer word stays whole); 0 = one line.
[[nodiscard]] std::vector<std::string> Wrap(std::string_view text, std::size_t width);
// Control characters (texts come from images, users and engines) as '?'; line ends as spaces.
[[nodiscard]] std::string Printable(std::string_view text);

}  // namespace cube::cli
