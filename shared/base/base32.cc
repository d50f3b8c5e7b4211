#include "shared/base/base32.h"

#include <string_view>

#include "shared/base/check.h"

namespace cube {
namespace {
constexpr std::string_view kAlphabet = "abcdefghijklmnopqrstuvwxyz234567";
constexpr int kDigitsMax = 13;  // 13 * 5 bits hold a 64-bit number
}  // namespace

std::string Base32(std::uint64_t value, int digits) {
  CUBE_CHECK(digits >= 1 && digits <= kDigitsMax);
  std::string out(static_cast<std::size_t>(digits), 'a');
  for (int i = digits; i-- > 0; value >>= 5) {
    out[static_cast<std::size_t>(i)] = kAlphabet[value & 31];
  }
  return out;
}

std::string Base32Short(std::uint64_t value) {
  std::string out;
  do {
    out.insert(out.begin(), kAlphabet[value & 31]);
    value >>= 5;
  } while (value != 0);
  return out;
}

}  // namespace cube
