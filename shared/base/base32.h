// Lower-case base32 (RFC 4648's alphabet, no padding) of numbers: the tail of generated ids.
#pragma once

#include <cstdint>
#include <string>

namespace cube {

// The low `digits` * 5 bits of value, most significant digit first. digits: 1 to 13.
[[nodiscard]] std::string Base32(std::uint64_t value, int digits);
// Without leading zeros ("a" for 0): the shortest text of that number.
[[nodiscard]] std::string Base32Short(std::uint64_t value);

}  // namespace cube
