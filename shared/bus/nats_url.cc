#include "shared/bus/nats_url.h"

#include <algorithm>
#include <charconv>

#include "shared/domain/text.h"

namespace cube::bus {
namespace {

constexpr std::string_view kSchemeEnd = "://";
constexpr std::string_view kPortDefault = "4222";
constexpr std::string_view kForms = "nats://HOST:PORT or tls://HOST:PORT";

std::string_view Trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const auto first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

bool IsPort(std::string_view text) {
  unsigned number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && number >= 1 && number <= 65535;
}

// A host's name, an IPv4 address, or an IPv6 address: no blank, and nothing that means something
// else in a URL.
bool IsHost(std::string_view text, bool bracketed) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [bracketed](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || (bracketed && (c == ':' || c == '%'));
  });
}

constexpr std::size_t kShown = 256;  // bytes of a server's text that an error repeats

struct Parts {
  std::string_view scheme;  // empty = none is given
  std::string_view place;   // host and port
};

Parts PartsOf(std::string_view url) {
  Parts parts;
  if (const auto end = url.find(kSchemeEnd); end != std::string_view::npos) {
    parts.scheme = url.substr(0, end);
    url.remove_prefix(end + kSchemeEnd.size());
  }
  if (const auto at = url.rfind('@'); at != std::string_view::npos) url.remove_prefix(at + 1);
  if (url.ends_with('/')) url.remove_suffix(1);
  parts.place = url;
  return parts;
}

struct Place {
  std::string_view host;
  std::string_view port;  // empty = absent
  bool bracketed = false;
  bool colon = false;
};

Place PlaceOf(std::string_view text) {
  Place place;
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == std::string_view::npos) return place;
    place.host = text.substr(1, close - 1);
    place.bracketed = true;
    text.remove_prefix(close + 1);
    place.colon = text.starts_with(':');
    place.port = text.substr(place.colon ? 1 : 0);
    return place;
  }
  const auto colon = text.rfind(':');
  place.colon = colon != std::string_view::npos;
  place.host = text.substr(0, colon);
  if (place.colon) place.port = text.substr(colon + 1);
  return place;
}

// What is wrong with it; empty = nothing.
std::string FaultOf(std::string_view url) {
  const Parts parts = PartsOf(url);
  if (url.find(kSchemeEnd) != std::string_view::npos && parts.scheme != "nats" &&
      parts.scheme != "tls") {
    const bool web = parts.scheme == "ws" || parts.scheme == "wss";
    return "has the scheme '" + CleanText(parts.scheme, kShown) + "'" +
           (web ? ", and this client speaks no websockets" : "");
  }
  const Place place = PlaceOf(parts.place);
  if (place.host.empty()) return "has no host";
  if (!IsHost(place.host, place.bracketed)) return "has a host that cannot be one";
  if (place.colon && !IsPort(place.port)) return "has a port that is not 1 to 65535";
  if (!place.colon && !place.port.empty()) return "has a host that cannot be one";
  return {};
}

}  // namespace

Result<std::vector<std::string>> ParseServers(std::string_view list, const std::string& field) {
  std::vector<std::string> urls;
  for (std::size_t at = 0; at <= list.size();) {
    const std::size_t end = std::min(list.find(',', at), list.size());
    const std::string_view url = Trimmed(list.substr(at, end - at));
    at = end + 1;
    if (url.empty()) continue;  // a comma too many does no harm
    if (const std::string fault = FaultOf(url); !fault.empty()) {
      return Fail(Code::kInvalid,
                  "'" + CleanText(UrlWithoutSecrets(url), kShown) + "' " + fault + "; give " +
                      std::string(kForms),
                  field);
    }
    const bool has_scheme = url.find(kSchemeEnd) != std::string_view::npos;
    urls.push_back((has_scheme ? "" : "nats://") + std::string(url));
  }
  if (urls.empty()) {
    return Fail(Code::kInvalid, "names no server; give " + std::string(kForms), field);
  }
  return urls;
}

HostPort HostPortOf(std::string_view url) {
  const Place place = PlaceOf(PartsOf(url).place);
  return {std::string(place.host), std::string(place.port.empty() ? kPortDefault : place.port)};
}

std::string UrlWithoutSecrets(std::string_view url) {
  const auto scheme = url.find(kSchemeEnd);
  const std::size_t begin = scheme == std::string_view::npos ? 0 : scheme + kSchemeEnd.size();
  const auto at = url.rfind('@');
  if (at == std::string_view::npos || at < begin) return std::string(url);
  return std::string(url.substr(0, begin)) + std::string(url.substr(at + 1));
}

std::string UrlsWithoutSecrets(const std::vector<std::string>& urls) {
  std::string text;
  for (const std::string& url : urls) {
    if (!text.empty()) text += ", ";
    text += UrlWithoutSecrets(url);
  }
  return text;
}

}  // namespace cube::bus
