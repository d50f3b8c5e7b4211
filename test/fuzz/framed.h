// Inputs that are several messages: kind, size (two bytes, little end first), bytes, and again.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace cube::fuzz {

struct Framed {
  std::uint8_t kind = 0;
  std::string_view bytes;
};

// Of each input so many at most, so that one of them takes a bounded time.
inline constexpr std::size_t kFramedMax = 24;

// The last takes what is left.
[[nodiscard]] std::vector<Framed> Unframed(std::string_view input);
// At most 65,535 bytes.
void Frame(std::uint8_t kind, std::string_view bytes, std::string& input);

}  // namespace cube::fuzz
