// The first line of an HTTP answer, as far as it has come. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace cube::engine::probe {

// A status line is shorter than this; what is longer is no HTTP.
inline constexpr std::size_t kStatusLineMax = 1024;

struct HttpAnswer {
  bool complete = false;      // the line is there, or can be none
  std::optional<int> status;  // nothing with complete = that is not HTTP
};
// `bytes`: what has come so far. RFC 9112, section 4; HTTP/1.0 and 1.1.
[[nodiscard]] HttpAnswer ReadStatusLine(std::string_view bytes);

// The request of a check. `host` is an IP address.
[[nodiscard]] std::string HttpRequest(std::string_view host, unsigned port, std::string_view path);

}  // namespace cube::engine::probe
