// Randomness from the kernel: for ids that must not repeat (terms, instances) and for seeds.
#pragma once

#include <cstdint>

namespace cube::runtime {

// 64 unpredictable bits, never 0 (which means "unset" in messages). Blocks only in the first
// seconds of a boot. Any thread.
[[nodiscard]] std::uint64_t RandomU64();

}  // namespace cube::runtime
