// A short name for bytes, to see whether two of them are the same without sending them. The same on
// every machine and in every version; no protection against forgery.
#pragma once

#include <cstdint>
#include <string_view>

#include "shared/domain/task_spec.h"

namespace cube::wire {

// Also of several pieces: each is given the digest of those before it.
[[nodiscard]] std::uint64_t Digest64(std::string_view bytes, std::uint64_t before = 0);

// Never 0.
[[nodiscard]] std::uint64_t SpecDigest(const TaskSpec& spec);

}  // namespace cube::wire
