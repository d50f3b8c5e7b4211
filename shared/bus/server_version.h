// What a server's version says about it.
#pragma once

#include <array>
#include <string_view>

namespace cube::bus {

using ServerVersion = std::array<int, 3>;

// Copies of a stream (replicas) are relied upon from here on: in clusters of older servers copies
// could drift apart when a server restarts, and so lose what was acknowledged.
inline constexpr ServerVersion kReplicasSince{2, 10, 23};

// "2.9.10", "v2.11.0-RC.1". What cannot be read is not older than anything: nothing is said about
// it.
bool IsOlder(std::string_view version, const ServerVersion& than);

}  // namespace cube::bus
