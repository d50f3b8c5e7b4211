#include "shared/base/check.h"

#include <cstdio>
#include <cstdlib>

namespace cube {

void CheckFailed(const char* file, int line, const char* condition) {
  std::fprintf(stderr, "%s:%d: CUBE_CHECK(%s) failed\n", file, line, condition);
  std::abort();
}

}  // namespace cube
