// Addresses of NATS servers as people write them:
// [nats://|tls://][USER:PASSWORD@|TOKEN@]HOST[:PORT]. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "shared/base/error.h"

namespace cube::bus {

inline constexpr std::string_view kServerDefault = "nats://127.0.0.1:4222";

// The URLs of a list with commas, each with its scheme (nats:// where none is given). kInvalid says
// which is wrong and what would be right; its field is `field`.
[[nodiscard]] Result<std::vector<std::string>> ParseServers(std::string_view list,
                                                            const std::string& field);

struct HostPort {
  std::string host;  // IPv6 without its brackets
  std::string port;  // 4222 if absent
};
[[nodiscard]] HostPort HostPortOf(std::string_view url);

// The URL without user, password and token, for messages.
[[nodiscard]] std::string UrlWithoutSecrets(std::string_view url);
// Likewise all of them, with ", " between.
[[nodiscard]] std::string UrlsWithoutSecrets(const std::vector<std::string>& urls);

}  // namespace cube::bus
