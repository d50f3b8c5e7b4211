#include "shared/store/record_sum.h"

#include <libdeflate.h>

namespace cube::store {
namespace {

std::uint32_t Extend(std::uint32_t sum, std::string_view bytes) {
  if (bytes.empty()) return sum;  // a null pointer would begin anew
  return ::libdeflate_crc32(sum, bytes.data(), bytes.size());
}

}  // namespace

std::uint32_t RecordSum(TableId table, std::string_view key, std::string_view value) {
  // The key's size keeps ("ab", "c") apart from ("a", "bc").
  const char head[3] = {static_cast<char>(table), static_cast<char>(key.size() & 0xff),
                        static_cast<char>(key.size() >> 8)};
  std::uint32_t sum = Extend(0, {head, sizeof(head)});
  sum = Extend(sum, key);
  return Extend(sum, value);
}

std::optional<std::string_view> CheckedValue(TableId table, std::string_view key,
                                             std::string_view stored) {
  if (stored.size() < kSumBytes) return std::nullopt;
  const std::string_view value = stored.substr(0, stored.size() - kSumBytes);
  std::uint32_t sum = 0;
  std::memcpy(&sum, stored.data() + value.size(), kSumBytes);
  if (sum != RecordSum(table, key, value)) return std::nullopt;
  return value;
}

}  // namespace cube::store
