#include "shared/store/key_codec.h"

namespace cube::store::internal {

void AppendBigEndian(std::string& key, std::uint64_t value, std::size_t bytes) {
  for (std::size_t i = bytes; i > 0; --i) {
    key += static_cast<char>((value >> (8 * (i - 1))) & 0xff);
  }
}

std::uint64_t ReadBigEndian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (const char c : bytes) value = (value << 8) | static_cast<unsigned char>(c);
  return value;
}

std::unexpected<Error> BadKeySize(std::size_t got, std::size_t wanted) {
  return Fail(Code::kDataLoss,
              "a key has " + std::to_string(got) + " bytes instead of " + std::to_string(wanted));
}

}  // namespace cube::store::internal
