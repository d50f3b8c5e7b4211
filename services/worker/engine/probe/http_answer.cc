#include "services/worker/engine/probe/http_answer.h"

#include <fmt/format.h>

#include <algorithm>

namespace cube::engine::probe {
namespace {

constexpr std::string_view kVersion = "HTTP/1.";
constexpr HttpAnswer kNoHttp{.complete = true, .status = {}};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

HttpAnswer ReadStatusLine(std::string_view bytes) {
  const std::size_t seen = std::min(bytes.size(), kVersion.size());
  if (bytes.substr(0, seen) != kVersion.substr(0, seen)) return kNoHttp;
  const std::size_t end = bytes.find('\n');
  if (end == std::string_view::npos) {
    if (bytes.size() >= kStatusLineMax) return kNoHttp;
    return {};
  }
  // "HTTP/1.1 200 OK"
  const std::string_view line = bytes.substr(0, end);
  constexpr std::size_t kStatusAt = kVersion.size() + 2;  // a digit and a blank
  constexpr std::size_t kStatusDigits = 3;
  if (line.size() < kStatusAt + kStatusDigits || !IsDigit(line[kVersion.size()]) ||
      line[kVersion.size() + 1] != ' ') {
    return kNoHttp;
  }
  int status = 0;
  for (const char c : line.substr(kStatusAt, kStatusDigits)) {
    if (!IsDigit(c)) return kNoHttp;
    status = status * 10 + (c - '0');
  }
  const std::string_view rest = line.substr(kStatusAt + kStatusDigits);
  if (!rest.empty() && rest.front() != ' ' && rest.front() != '\r') return kNoHttp;
  return {.complete = true, .status = status};
}

std::string HttpRequest(std::string_view host, unsigned port, std::string_view path) {
  const bool v6 = host.find(':') != std::string_view::npos;
  return fmt::format(
      "GET {} HTTP/1.1\r\nHost: {}{}{}:{}\r\nUser-Agent: cube-health\r\nAccept: */*\r\n"
      "Connection: close\r\n\r\n",
      path, v6 ? "[" : "", host, v6 ? "]" : "", port);
}

}  // namespace cube::engine::probe
