// Text as it may cross the wire: protobuf strings and JSON hold valid UTF-8 only. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace cube {

// Well-formed UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF.
[[nodiscard]] bool IsUtf8(std::string_view text);

// The text with each malformed byte replaced by U+FFFD, cut to at most `length_max` bytes between
// two characters ("…" marks the cut). For sentences from elsewhere (an engine's error): what
// cannot be shown must not cost the message that carries it. length_max >= 3.
[[nodiscard]] std::string CleanText(std::string_view text, std::size_t length_max);

}  // namespace cube
