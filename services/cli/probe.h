// Why a server cannot be reached: what the operating system says, since the client library only
// says that no server is available.
#pragma once

#include <string>
#include <string_view>

#include "shared/base/time.h"

namespace cube::cli {

struct HostPort {
  std::string host;
  std::string port;
};
// Of "nats://user:password@host:4222", "tls://[::1]:4222", "host". Port 4222 if none is given.
[[nodiscard]] HostPort HostPortOf(std::string_view url);

struct ServerProbe {
  std::string failure;  // "connection refused", "unknown host", ...; empty: it could be opened
  std::string version;  // from the server's greeting; empty = it did not say
};
// Opens and closes one TCP connection. A NATS server greets with a line of JSON (INFO).
[[nodiscard]] ServerProbe ProbeServer(std::string_view url, Duration timeout);

// The URL without user and password, for messages.
[[nodiscard]] std::string UrlWithoutSecrets(std::string_view url);

}  // namespace cube::cli
