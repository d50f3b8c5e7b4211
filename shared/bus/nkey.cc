#include "shared/bus/nkey.h"

#include <openssl/evp.h>

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "shared/runtime/files.h"

namespace cube::bus {
namespace {

// The form of nkeys (github.com/nats-io/nkeys, README): base32 without padding of one or two bytes
// of prefix, 32 bytes of key, and their CRC-16, low byte first.
constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
constexpr std::size_t kSeedLength = 58;
constexpr std::size_t kKeyBytes = 32;
constexpr std::uint8_t kPrefixUser = 20 << 3;
constexpr std::size_t kFileBytesMax = 64u << 10;

// CRC-16/XMODEM.
std::uint16_t Crc16(const std::vector<std::uint8_t>& bytes) {
  constexpr std::uint16_t kPolynomial = 0x1021;
  std::uint16_t crc = 0;
  for (const std::uint8_t byte : bytes) {
    crc = static_cast<std::uint16_t>(crc ^ (byte << 8));
    for (int bit = 0; bit < 8; ++bit) {
      crc = static_cast<std::uint16_t>((crc & 0x8000) != 0 ? (crc << 1) ^ kPolynomial : crc << 1);
    }
  }
  return crc;
}

std::vector<std::uint8_t> Decoded(std::string_view text) {
  std::vector<std::uint8_t> bytes;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    bits = bits << 5 | static_cast<std::uint32_t>(kDigits.find(c));
    count += 5;
    if (count < 8) continue;
    count -= 8;
    bytes.push_back(static_cast<std::uint8_t>(bits >> count));
  }
  return bytes;
}

std::string Encoded(std::vector<std::uint8_t> bytes) {
  const std::uint16_t crc = Crc16(bytes);
  bytes.push_back(static_cast<std::uint8_t>(crc & 0xff));
  bytes.push_back(static_cast<std::uint8_t>(crc >> 8));
  std::string text;
  std::uint32_t bits = 0;
  int count = 0;
  for (const std::uint8_t byte : bytes) {
    bits = bits << 8 | byte;
    for (count += 8; count >= 5; count -= 5) text += kDigits[bits >> (count - 5) & 31];
  }
  if (count > 0) text += kDigits[bits << (5 - count) & 31];
  return text;
}

// The 32 bytes of the first user's seed in the text; empty = there is none.
std::vector<std::uint8_t> SeedIn(std::string_view text) {
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find_first_of("\r\n"));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const bool fits = line.size() == kSeedLength && line.starts_with("SU") &&
                      line.find_first_not_of(kDigits) == std::string_view::npos;
    if (!fits) continue;
    std::vector<std::uint8_t> bytes = Decoded(line);
    const auto crc =
        static_cast<std::uint16_t>(bytes[bytes.size() - 2] | bytes[bytes.size() - 1] << 8);
    bytes.pop_back();
    bytes.pop_back();
    if (Crc16(bytes) != crc) return {};
    bytes.erase(bytes.begin(), bytes.begin() + 2);
    return bytes;
  }
  return {};
}

}  // namespace

Result<std::string> PublicNkey(std::string_view text) {
  const std::vector<std::uint8_t> seed = SeedIn(text);
  if (seed.size() != kKeyBytes) {
    return Fail(Code::kInvalid, "there is no seed of a user's nkey (a line SU...) in it");
  }
  const std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> key(
      EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed.data(), seed.size()),
      EVP_PKEY_free);
  std::array<std::uint8_t, kKeyBytes> raw{};
  std::size_t size = raw.size();
  if (!key || EVP_PKEY_get_raw_public_key(key.get(), raw.data(), &size) != 1) {
    return Fail(Code::kInternal, "OpenSSL does not make the public key of an nkey");
  }
  std::vector<std::uint8_t> bytes{kPrefixUser};
  bytes.insert(bytes.end(), raw.begin(), raw.end());
  return Encoded(std::move(bytes));
}

Result<std::string> PublicNkeyOfFile(const std::string& file) {
  CUBE_TRY(const std::string text, runtime::ReadFile(file, kFileBytesMax));
  auto key = PublicNkey(text);
  if (!key) return Annotate(std::move(key).error(), file);
  return key;
}

}  // namespace cube::bus
