// What a server says before anybody signs in: the C client says only that no server is available,
// and old ones know its version but do not tell.
#pragma once

#include <string>
#include <string_view>

#include "shared/base/time.h"

namespace cube::bus {

struct ServerProbe {
  std::string failure;  // "connection refused", "unknown host", ...; empty: it could be opened
  std::string version;  // "2.9.10"; empty = it did not say in time
};
// Opens and closes one TCP connection; a NATS server greets whoever connects with a line of JSON.
// url: as nats_url.h has them. Blocks for `timeout` an address at most.
[[nodiscard]] ServerProbe ProbeServer(std::string_view url, Duration timeout);

// Of the line `INFO {...}`; empty if it is none. Pure.
[[nodiscard]] std::string VersionOfInfo(std::string_view line);

}  // namespace cube::bus
