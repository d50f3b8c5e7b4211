// Keys whose bytewise order is the order of what they mean: unsigned numbers, big end first, one
// after the other.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>

#include "shared/base/error.h"

namespace cube::store {

namespace internal {
void AppendBigEndian(std::string& key, std::uint64_t value, std::size_t bytes);
[[nodiscard]] std::uint64_t ReadBigEndian(std::string_view bytes);
[[nodiscard]] std::unexpected<Error> BadKeySize(std::size_t got, std::size_t wanted);
}  // namespace internal

// EncodeKey(std::uint64_t{7}, std::uint32_t{2}): 12 bytes.
template <std::unsigned_integral... Parts>
[[nodiscard]] std::string EncodeKey(Parts... parts) {
  std::string key;
  key.reserve((sizeof(Parts) + ... + 0));
  (internal::AppendBigEndian(key, parts, sizeof(Parts)), ...);
  return key;
}

// The numbers back; kDataLoss if the size is another one.
template <std::unsigned_integral... Parts>
[[nodiscard]] Result<std::tuple<Parts...>> DecodeKey(std::string_view key) {
  constexpr std::size_t kBytes = (sizeof(Parts) + ... + 0);
  if (key.size() != kBytes) return internal::BadKeySize(key.size(), kBytes);
  std::size_t offset = 0;
  const auto next = [&](std::size_t bytes) {
    const std::uint64_t value = internal::ReadBigEndian(key.substr(offset, bytes));
    offset += bytes;
    return value;
  };
  // Braces evaluate from left to right.
  return std::tuple<Parts...>{static_cast<Parts>(next(sizeof(Parts)))...};
}

}  // namespace cube::store
