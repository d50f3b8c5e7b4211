// CUBE_CHECK: programmer errors, checked in release builds too. Never for input from outside.
#pragma once

namespace cube {

// Prints file, line and condition to stderr, then aborts.
[[noreturn]] void CheckFailed(const char* file, int line, const char* condition);

}  // namespace cube

#define CUBE_CHECK(condition)                                              \
  do {                                                                     \
    if (!(condition)) ::cube::CheckFailed(__FILE__, __LINE__, #condition); \
  } while (false)
