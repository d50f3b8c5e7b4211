#include "shared/runtime/entropy.h"

#include <sys/random.h>

#include <cerrno>

#include "shared/base/check.h"

namespace cube::runtime {

std::uint64_t RandomU64() {
  std::uint64_t value = 0;
  while (value == 0) {
    // getrandom(2): up to 256 bytes are never cut short once the pool is ready.
    const ssize_t got = ::getrandom(&value, sizeof(value), 0);
    CUBE_CHECK(got == static_cast<ssize_t>(sizeof(value)) || (got < 0 && errno == EINTR));
    if (got < 0) value = 0;
  }
  return value;
}

}  // namespace cube::runtime
