// Which version a NATS server has. Old C clients know it but do not tell, so this reads the first
// line that the server sends to whoever connects.
#pragma once

#include <string>
#include <string_view>

#include "shared/base/time.h"

namespace cube::bus {

// url: "nats://host:port", credentials allowed. "2.9.10", or empty if it cannot be learnt within
// the timeout. Blocks.
[[nodiscard]] std::string ServerVersion(std::string_view url, Duration timeout);

// Of the line `INFO {...}`; empty if it is none. Pure.
[[nodiscard]] std::string VersionOfInfo(std::string_view line);

// "host", "port" (4222 if absent) of a URL; IPv6 in brackets. Pure.
struct HostPort {
  std::string host;
  std::string port;
};
[[nodiscard]] HostPort HostPortOf(std::string_view url);

}  // namespace cube::bus
