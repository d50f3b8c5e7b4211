// Public keys of NATS nkeys (Ed25519): the C client wants the public one beside the seed, and files
// hold the seed alone.
#pragma once

#include <string>
#include <string_view>

#include "shared/base/error.h"

namespace cube::bus {

// "U..." of a user's seed "SU..."; `text` may have lines around it, as files of nsc have. kInvalid:
// there is no such seed in it. Never repeats the text.
[[nodiscard]] Result<std::string> PublicNkey(std::string_view text);
// The same of a file.
[[nodiscard]] Result<std::string> PublicNkeyOfFile(const std::string& file);

}  // namespace cube::bus
