// From errno to an Error whose code says what the caller can do.
#pragma once

#include <string>

#include "shared/base/error.h"

namespace cube::runtime {

// kNotFound, kPermission, kResource (no space, memory or descriptors), kPrecondition (a path of
// another kind than expected), kUnavailable (interrupted, busy), else kInternal.
[[nodiscard]] Code CodeFromErrno(int error_number);

// "<what>: No such file or directory".
[[nodiscard]] std::unexpected<Error> FailErrno(int error_number, const std::string& what);

}  // namespace cube::runtime
