#include "shared/bus/server_version.h"

#include <charconv>
#include <system_error>

namespace cube::bus {

bool IsOlder(std::string_view version, const ServerVersion& than) {
  if (version.starts_with('v')) version.remove_prefix(1);
  ServerVersion found{};
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (i > 0) {
      if (!version.starts_with('.')) return false;
      version.remove_prefix(1);
    }
    const auto [end, error] =
        std::from_chars(version.data(), version.data() + version.size(), found.at(i));
    if (error != std::errc{} || found.at(i) < 0) return false;
    version.remove_prefix(static_cast<std::size_t>(end - version.data()));
  }
  return found < than;
}

}  // namespace cube::bus
