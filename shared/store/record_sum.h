// The checksum that LmdbStore keeps behind each value: CRC-32 of the table, the key and the value.
// The key is in it, so that an intact value under a damaged key, or of another table, is noticed.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "shared/store/store.h"

namespace cube::store {

inline constexpr std::size_t kSumBytes = sizeof(std::uint32_t);

[[nodiscard]] std::uint32_t RecordSum(TableId table, std::string_view key, std::string_view value);

// The value without its checksum; nullopt if that does not match.
[[nodiscard]] std::optional<std::string_view> CheckedValue(TableId table, std::string_view key,
                                                           std::string_view stored);

}  // namespace cube::store
